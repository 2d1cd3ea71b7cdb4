"""A network from a file of ONNX, which onnxruntime applies on the CPU. Such a file holds operations of a known list and
numbers: nothing of its own is run, and it has no gradient.

Its tensors may lie in a file beside it, which exporters call as it, with an ending more; that belongs to it. No other
file is ever read: the two are opened in a folder of their own, and onnxruntime follows no path out of that.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memrec_core.arguments import check_counts
from memrec_core.autoencoders.program import Applied, Program, as_bytes, as_tensor, in_parts
from memrec_core.errors import InputError, in_a_line, shown, shown_name

ENDING = ".onnx"
BESIDE = (".data", "_data")
"""What exporters add to the file's name for that of its tensors."""
FLOATS = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
MODEL = "model" + ENDING


class OnnxProgram(Program):
    """See `Program`; its outputs by their names, or the one that it has.

    Args:
        size: of the file in bytes.
        beside: what the file of its tensors is called; None where it has none.
        beside_size: of that file in bytes.
    """

    tensors: Tensor

    def __init__(self, size: int, beside: str | None = None, beside_size: int = 0) -> None:
        super().__init__(size)
        self.beside = beside
        if beside is None:
            return
        check_counts(beside_size=beside_size)
        if not isinstance(beside, str) or beside in ("", ".", "..", MODEL) or Path(beside).name != beside:
            raise InputError(f"beside {shown(beside)} is not the name of a file; give that of the model's tensors")
        self.register_buffer("tensors", torch.zeros(beside_size, dtype=torch.uint8))

    def opened(self) -> Applied:
        session = self._session()
        try:
            entries, names = session.get_inputs(), [entry.name for entry in session.get_outputs()]
            listed, shapes = [shown(entry.name, quoted=False) for entry in entries], [entry.shape for entry in entries]
        except UnicodeDecodeError as error:
            raise _refused(error) from error
        if len(entries) != 1:
            raise InputError(
                f"the model takes {len(entries)} inputs ({', '.join(listed)}), not images alone; export one that does"
            )
        entry, (shape,) = entries[0], shapes
        kind = _checked_kind(entry.type, shape)

        def applied(x: Tensor) -> Tensor | dict[str, Tensor]:
            fed = x.detach().cpu().numpy().astype(kind)
            found = [_tensor(own, x) for own in session.run(names, {entry.name: fed})]
            return found[0] if len(found) == 1 else dict(zip(names, found, strict=True))

        count = shape[0]
        return in_parts(applied, count) if isinstance(count, int) and count > 0 else applied

    def _session(self) -> Any:
        onnxruntime = _library("a model of ONNX")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
        options.log_severity_level = 4  # what is wrong is raised
        try:
            with tempfile.TemporaryDirectory(prefix="memrec-") as folder:
                (Path(folder) / MODEL).write_bytes(as_bytes(self.program))
                if self.beside is not None:
                    (Path(folder) / self.beside).write_bytes(as_bytes(self.tensors))
                return onnxruntime.InferenceSession(
                    str(Path(folder) / MODEL),
                    options,
                    providers=["CPUExecutionProvider"],
                    enable_fallback=0,  # which would try the same again, and print that it does
                )
        except Exception as error:  # of a damaged or forged file onnxruntime fails in many ways
            raise _refused(error) from error


def described(path: str | Path) -> tuple[str, dict[str, Any]]:
    """What builds the network of a file: the name of the class above, and its options. Raises InputError where there is
    no such file, or it can't be opened."""
    tensors = tensors_of(path)
    options: dict[str, Any] = {"size": len(tensors["program"])}
    if (beside := _beside(path)) is not None:
        options |= {"beside": beside.name, "beside_size": len(tensors["tensors"])}
    program = OnnxProgram(**options)
    program.load_state_dict(tensors)
    try:
        program.opened()
    except InputError as error:
        raise InputError(f"{shown_name(path)}: {error}") from error
    return f"{__name__}:{OnnxProgram.__name__}", options


def tensors_of(path: str | Path) -> dict[str, Tensor]:
    """The file, and the one of its tensors, as the network's state dict. Raises InputError where they can't be read."""
    beside = _beside(path)
    return {"program": as_tensor(path)} | ({} if beside is None else {"tensors": as_tensor(beside)})


def _beside(path: str | Path) -> Path | None:
    """The file of its tensors, if any. Raises InputError for a link that leads elsewhere than to where the model is."""
    found = next((place for ending in BESIDE if (place := Path(f"{path}{ending}")).is_file()), None)
    if found is not None and found.resolve().parent not in (
        Path(path).absolute().parent.resolve(),
        Path(path).resolve().parent,
    ):
        raise InputError(f"{shown_name(found)} is a link out of the model's folder; put the file itself there")
    return found


def _library(what: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            f"{what} needs onnxruntime, which can't be imported ({in_a_line(error)}); pip install -c constraints.txt "
            "onnxruntime"
        ) from error
    return onnxruntime


def _checked_kind(kind: str, shape: Sequence[int | str | None] | None) -> Any:
    """The type of numbers that the model takes. Raises InputError where it does not take images."""
    if kind not in FLOATS:
        raise InputError(
            f"the model takes {shown(kind, quoted=False)}, not numbers such as float32; export one that does"
        )
    if shape is None or len(shape) != 4:
        sides = "no shape that is known" if shape is None else " x ".join(str(side or "?") for side in shape)
        raise InputError(f"the model takes {sides}, not images (N, C, H, W); export one that does")
    return FLOATS[kind]


def _tensor(found: Any, x: Tensor) -> Any:
    """An output where the images are, in their type where it is of numbers; as it is where it is no array."""
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiub":
        return found
    own = torch.from_numpy(np.ascontiguousarray(found)).to(x.device)
    return own.to(x.dtype) if own.is_floating_point() else own


def _refused(error: Exception) -> InputError:
    said = in_a_line(error)
    if "xternal data" in said:
        return InputError(
            "the model's tensors lie in a file that is not beside it, or not called as it is with .data, and no other "
            f"is read ({said}); save it as one file, as torch.onnx.export does with external_data=False"
        )
    return InputError(f"onnxruntime can't open the model ({said}); check it, and export it again")
