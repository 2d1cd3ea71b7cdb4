"""The key of an audit that hides the names of pictures: it lies beside the run's folder, and never in it."""

import os
import secrets
from pathlib import Path

from memrec_core.datasets.hidden_names import LEAST_BYTES
from memrec_core.errors import InputError, in_a_line, shown_name
from workflows.errors import StoreError
from workflows.run.store import Store

ENDING = ".names-key"


def key_file(store: Store) -> Path:
    """Where it is. Raises InputError for a run that has no place beside its folder."""
    if not store.is_local:
        raise InputError(
            f"--hash-names keeps its key beside the run's folder, where whoever gets {store.uri} could read it; give a "
            "local --run"
        )
    return Path(store.root.rstrip("/") + ENDING).absolute()


def make_key(path: Path) -> None:
    """Make a key that this user alone can read, where there is none yet."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(secrets.token_bytes(LEAST_BYTES))
    except FileExistsError:
        return
    except OSError as error:
        raise StoreError(f"{shown_name(path)} can't be written ({in_a_line(error)}); give another --run") from error
