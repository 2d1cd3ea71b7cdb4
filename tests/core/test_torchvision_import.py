"""torchvision beside a torch built for the CPU alone. Each in a process of its own: an import happens once."""

import subprocess
import sys

USE = """
from memrec_core.torchvision_import import import_torchvision
import_torchvision()
import_torchvision()
import torch, torchvision
from torchvision import datasets, transforms, utils
grid = utils.make_grid(torch.rand(4, 3, 8, 8), nrow=2)
assert grid.shape == (3, 22, 22), grid.shape
assert transforms.CenterCrop(4)(torch.rand(3, 8, 8)).shape == (3, 4, 4)
assert datasets.FakeData(2)[0][0].size == (224, 224)
"""

PLAIN_FIRST = """
try:
    import torchvision
except RuntimeError as error:
    assert "torchvision::nms" in str(error)
    works = False
else:
    works = True
from memrec_core import torchvision_import
torchvision_import.import_torchvision()
assert bool(torchvision_import._declared) is not works  # active only where it is needed
"""


def run(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_datasets_transforms_and_utils_work():
    run(USE)


def test_nothing_is_declared_where_torchvision_works_by_itself_and_a_failed_import_is_cured():
    run(PLAIN_FIRST)
