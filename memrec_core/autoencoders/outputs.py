"""The images in what a network from outside returns: a tensor, a tuple, a dict, or an object of its own."""

from collections.abc import Mapping

from torch import Tensor

from memrec_core.arguments import described
from memrec_core.errors import InputError, shown

NAMES = ("sample", "reconstruction")
"""What attribute other libraries keep the images in."""
USUAL = (*NAMES, "recon", "x_hat")
"""What else they are called, as an attribute or a key, among entries of the input's shape."""
MOST_NAMED = 8
ROUNDING = 1e-5
"""How far a copy is from what was given, in parts of its largest value: it may have been normalised, and taken back."""

FOLLOWS = 0.25
"""An entry that is so near to random images, in parts of their variance, is a copy of them, rounded or noisy perhaps.
"""


def images_in(returned: object, batch: Tensor, output: str | None) -> Tensor:
    """The images that a network returned for `batch` (N, C, H, W): the entry `output`, or what `output_of` finds.

    Raises InputError where there is no such entry, or where none or several could be the images.
    """
    if output is None:
        name = output_of(returned, batch)
        images = returned if name is None else _found(returned, name)
    else:
        images = _entry(returned, output)
    if not isinstance(images, Tensor):
        raise InputError(
            f"the network's output {shown(output)} is a {type(images).__name__}, not a tensor of images; it returned "
            f"{_contents(returned)}"
        )
    return images


def output_of(returned: object, batch: Tensor) -> str | None:
    """What the images are called in what a network returned for `batch`; None where it is they that it returned.

    They are the one entry of the input's shape; of several the one with a usual name; or, by convention, the first of a
    tuple or list that is not the very tensor that the network was given. Raises InputError where none is found so.
    """
    if isinstance(returned, Tensor):
        return None
    if len(named := [name for name in NAMES if isinstance(getattr(returned, name, None), Tensor)]) == 1:
        return named[0]
    alike = [name for name, value in _entries(returned).items() if _is_like(value, batch)]
    if len(alike) == 1 and isinstance(returned, Mapping | list | tuple):
        if _is_made(returned, alike[0], batch) or _tensors(returned) == 1:
            return alike[0]
        raise InputError(
            f"the network returned {_contents(returned)}, and {shown(alike[0])}, the only one like {_shape(batch)}, is "
            "what it was given; let it return its images in that shape"
        )
    if len(usual := [name for name in USUAL if _is_like(_found(returned, name), batch)]) == 1:
        return usual[0]
    if isinstance(returned, list | tuple) and (made := [name for name in alike if _is_made(returned, name, batch)]):
        return made[0]
    count = len(alike) or len(named)
    which = (
        f"{count} of them could be the images" if count else f"none of them is known to be images like {_shape(batch)}"
    )
    raise InputError(
        f"the network returned {_contents(returned)}, and {which}; name one, such as output: "
        f"{[*alike, *named, *_entries(returned), 'recon'][0]}"
    )


def copies_in(returned: object, batch: Tensor) -> list[str]:
    """The entries of a tuple or list that are what the network was given, or a copy of it."""
    if not isinstance(returned, list | tuple):
        return []
    return [name for name, value in _entries(returned).items() if isinstance(value, Tensor) and _same(value, batch)]


def alternatives_in(returned: object, batch: Tensor) -> list[str]:
    """The entries that could be the images, beside the one that `output_of` takes: those like the input that do not
    follow it, where `batch` is noise."""
    if isinstance(returned, Tensor):
        return []
    taken, nearest = output_of(returned, batch), FOLLOWS * batch.var()
    return [
        name
        for name, value in _entries(returned).items()
        if name != taken
        and isinstance(value, Tensor)
        and _is_like(value, batch)
        and not (value.to(batch) - batch).square().mean() < nearest
    ]


def made_in(returned: object, batch: Tensor) -> str | None:
    """The first entry of a tuple or list that is like the input, and no copy of it, where `output_of` takes a copy;
    None where it takes another, or there is none. `batch` is noise: a network may well give an image back as it is.
    """
    copies = copies_in(returned, batch)
    if not copies or output_of(returned, batch) not in copies:
        return None
    alike = (name for name, value in _entries(returned).items() if _is_like(value, batch))
    return next((name for name in alike if name not in copies), None)


def _same(value: Tensor, batch: Tensor) -> bool:
    if value.shape != batch.shape or value.dtype != batch.dtype:
        return False
    return bool(((value - batch).abs() <= ROUNDING * batch.abs().max()).all())


def _is_like(value: object, batch: Tensor) -> bool:
    return isinstance(value, Tensor) and value.shape == batch.shape


def _is_made(returned: object, name: str, batch: Tensor) -> bool:
    """Whether an entry is not what the network was given."""
    value = _found(returned, name)
    return isinstance(value, Tensor) and value.data_ptr() != batch.data_ptr()


def _tensors(returned: object) -> int:
    return sum(isinstance(value, Tensor) for value in _entries(returned).values())


def _found(returned: object, name: str) -> object:
    """The entry or attribute of that name, if any."""
    entries = _entries(returned)
    return entries[name] if name in entries else getattr(returned, name, None)


def _entry(returned: object, output: str) -> object:
    """The key of a dict, the index in a tuple or list, or the attribute that `output` names."""
    if isinstance(returned, Tensor):
        raise InputError(f"the network returns a tensor itself, without an output {shown(output)}; leave output out")
    if isinstance(returned, list | tuple) and output.isdecimal() and int(output) < len(returned):
        return returned[int(output)]
    if isinstance(returned, Mapping) and output in returned:
        return returned[output]
    if not output.startswith("_") and hasattr(returned, output):
        return getattr(returned, output)
    raise InputError(f"the network has no output {shown(output)}: it returned {_contents(returned)}; choose another")


def _entries(returned: object) -> dict[str, object]:
    """What is in it, by what `output` would call it."""
    if isinstance(returned, Mapping):
        return {str(key): value for key, value in returned.items()}
    if isinstance(returned, tuple) and (names := getattr(returned, "_fields", None)) is not None:
        return dict(zip(names, returned, strict=True))
    if isinstance(returned, list | tuple):
        return {str(index): value for index, value in enumerate(returned)}
    own = getattr(returned, "__dict__", {})
    return {name: value for name, value in own.items() if not name.startswith("_")}


def _contents(returned: object) -> str:
    if isinstance(returned, Tensor):
        return described(returned)
    entries = [
        f"{shown(name, quoted=False)} {_shape(value) if isinstance(value, Tensor) else type(value).__name__}"
        for name, value in _entries(returned).items()
    ]
    more = f" and {len(entries) - MOST_NAMED} more" if len(entries) > MOST_NAMED else ""
    listed = f" of {', '.join(entries[:MOST_NAMED])}{more}" if entries else ""
    return f"a {type(returned).__name__}{listed}"


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))
