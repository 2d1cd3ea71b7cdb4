"""The numerical core on a machine with torch and numpy alone."""

import subprocess
import sys

SCRIPT = """
import sys
for name in ("ray", "workflows", "pandas", "pyarrow", "pydantic", "scipy", "skimage", "duckdb", "torchvision", "PIL",
             "safetensors", "fsspec", "yaml", "rich", "typer", "jinja2"):
    sys.modules[name] = None  # its import fails as that of a package that is not installed
import torch
from memrec_core import autoencoders, degradations, metrics, recovery, training
images = torch.rand(3, 3, 8, 8)
torch.manual_seed(0)
model = autoencoders.build("fc10", (3, 8, 8), width=32)
training.train(model, images, [1e-2])
mask = degradations.mask("center", (3, 8, 8))
degraded = degradations.degrade(images, mask, noise_std=0.01)
for found in (
    recovery.recover_unknown_mask(model, degraded, gamma=0.5, max_iterations=2),
    recovery.recover_known_mask(model, degraded, mask, gamma=0.5),
    recovery.iterate_autoencoder(model, degraded, max_iterations=3),
    recovery.recover_adaptive(model, degraded),
    recovery.recover_adaptive(model, degradations.degrade(images, mask)),
    recovery.recover_known_mask(autoencoders.given(model, range=(-1, 1), image_shape=(3, 8, 8)), degraded, mask, 0.5),
):
    assert metrics.psnr(metrics.mse(found.images, images)).isfinite().all()
"""


def test_training_recovery_and_metrics_need_torch_and_numpy_alone():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
