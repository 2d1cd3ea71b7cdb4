"""Files that the user asks for beside the run's own, in a place that the user names."""

from pathlib import Path

from memrec_core.atomic import write_bytes
from memrec_core.errors import in_a_line, shown_name
from workflows.errors import StoreError


def write_user_file(place: str | Path, data: bytes, elsewhere: str = "another place", durable: bool = True) -> None:
    """Write the file, which appears whole and in place of an earlier one; what is no file, such as a pipe, is written
    to. `elsewhere` says what else the user may give, and `durable` is as in `write_bytes`.

    Raises StoreError where it can't be written.
    """
    path = Path(place).absolute()
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
        else:
            write_bytes(path.resolve(), data, durable)  # a link stays one
    except OSError as error:
        raise StoreError(
            f"{shown_name(place)} can't be written ({in_a_line(error)}); free the disk, or give {elsewhere}, and give "
            "the same command again"
        ) from error
