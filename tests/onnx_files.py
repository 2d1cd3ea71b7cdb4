"""Files of ONNX as exporters write them, in the few words of protobuf that they need."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

FLOAT, DOUBLE = 1, 11
Side = int | str


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(number: int, value: int | bytes | str) -> bytes:
    """An entry of a message: a number, text, or a message in it."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def tensor(name: str, values: np.ndarray) -> bytes:
    values = np.ascontiguousarray(values, dtype=np.float32)
    dims = b"".join(field(1, side) for side in values.shape)
    return dims + field(2, FLOAT) + field(8, name) + field(9, values.tobytes())


def tensor_elsewhere(name: str, shape: Sequence[int], location: str) -> bytes:
    """Whose values lie in another file."""
    entries = (("location", location), ("offset", "0"), ("length", str(4 * int(np.prod(shape)))))
    places = b"".join(field(13, field(1, key) + field(2, value)) for key, value in entries)
    return b"".join(field(1, side) for side in shape) + field(2, FLOAT) + field(8, name) + places + field(14, 1)


def value(name: str, shape: Sequence[Side], kind: int = FLOAT) -> bytes:
    sides = b"".join(field(1, field(1 if isinstance(side, int) else 2, side)) for side in shape)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, sides)))


def node(kind: str, inputs: Sequence[str], outputs: Sequence[str], **ints: int | Sequence[int]) -> bytes:
    made = b"".join(field(1, name) for name in inputs) + b"".join(field(2, name) for name in outputs) + field(4, kind)
    for name, numbers in ints.items():
        several = not isinstance(numbers, int)
        values = b"".join(field(8, number) for number in numbers) if several else field(3, numbers)
        made += field(5, field(1, name) + values + field(20, 7 if several else 2))
    return made


def model(
    inputs: Sequence[bytes], outputs: Sequence[bytes], nodes: Sequence[bytes], tensors: Sequence[bytes] = ()
) -> bytes:
    graph = b"".join(field(1, own) for own in nodes) + field(2, "graph")
    graph += b"".join(field(5, own) for own in tensors)
    graph += b"".join(field(11, own) for own in inputs) + b"".join(field(12, own) for own in outputs)
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 17))


def dense(weights: Mapping[str, np.ndarray], shape: Sequence[Side], slope: float = 0.01) -> bytes:
    """Linear layers with LeakyReLU between them, from `weights` by their names in a state dict of torch's Sequential;
    for images of `shape` (N, C, H, W)."""
    names = sorted({name.rpartition(".")[0] for name in weights}, key=lambda name: int(name.rpartition(".")[2]))
    nodes, tensors, last = [node("Flatten", ["x"], ["flat"])], [], "flat"
    for place, name in enumerate(names):
        tensors += [tensor(f"{name}.{part}", weights[f"{name}.{part}"]) for part in ("weight", "bias")]
        nodes.append(node("Gemm", [last, f"{name}.weight", f"{name}.bias"], [f"h{place}"], transB=1))
        last = f"h{place}"
        if place < len(names) - 1:
            nodes.append(node("LeakyRelu", [last], [f"a{place}"]))  # 0.01 unless told otherwise
            last = f"a{place}"
    nodes += [node("Shape", ["x"], ["shape"]), node("Reshape", [last, "shape"], ["y"])]
    return model([value("x", shape)], [value("y", shape)], nodes, tensors)


def scaling(shape: Sequence[Side], by: bytes | None = None, out: Sequence[Side] | None = None) -> bytes:
    """Each pixel times a number, a tensor of one value called `k`; 0.5 unless given."""
    number = tensor("k", np.array([0.5])) if by is None else by
    return model([value("x", shape)], [value("y", out or shape)], [node("Mul", ["x", "k"], ["y"])], [number])


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
