"""Trains `dense` on images from a file, as a script of somebody who has never heard of memrec: IMAGES WEIGHTS."""

import sys

import numpy as np
import torch
from safetensors.torch import save_file

from tests.core.outside.nets import dense

torch.manual_seed(0)
torch.set_num_threads(1)
images = torch.from_numpy(np.load(sys.argv[1])) * 2 - 1
network = dense()
optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 1200)
for _ in range(1200):
    optimiser.zero_grad()
    loss = (network(images)["recon"] - images).square().mean()
    loss.backward()
    optimiser.step()
    schedule.step()
save_file(network.state_dict(), sys.argv[2])
print(loss.item())
