"""torchvision beside a torch that was built for the CPU alone.

torchvision's wheel on the package index is built for CUDA. Beside a CPU-only torch its C++ extension can't load, so the
operators `torchvision::nms` and `torchvision::qnms` are never defined, and the import fails where it registers their
fake kernels. Declaring the two schemas first is enough: datasets, transforms and utils are Python and then work.
Operators that need the extension (nms itself, torchvision's own JPEG decoder) stay unavailable.
"""

import importlib
import sys
from types import ModuleType

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[torch.library.Library] = []  # a schema lives as long as its Library object


def import_torchvision() -> ModuleType:
    """The torchvision module; where its extension can't load, after declaring the operators that its import needs."""
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    if not _declared:
        library = torch.library.Library("torchvision", "DEF")
        for schema in _SCHEMAS:
            library.define(schema)
        _declared.append(library)
    return importlib.import_module("torchvision")
