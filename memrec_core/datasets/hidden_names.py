"""Names of pictures that tell nothing: a keyed hash stands in the place of each, the same one for the same key."""

import hashlib
import hmac
from pathlib import Path

from memrec_core.errors import InputError, in_a_line, shown_name

LEAST_BYTES = 32
"""Of a key; who could guess it could try out names."""
DIGITS = 16


def read_key(path: str | Path) -> bytes:
    """The secret in a file. Raises InputError where there is none, or one that could be guessed."""
    try:
        key = Path(path).read_bytes()
    except OSError as error:
        raise InputError(
            f"the key of the pictures' names {shown_name(path)} can't be read ({in_a_line(error)}); restore it"
        ) from error
    if len(key) < LEAST_BYTES:
        raise InputError(
            f"the key of the pictures' names {shown_name(path)} has {len(key)} bytes; give a file of {LEAST_BYTES} "
            "random ones or more"
        )
    return key


def hidden(name: str, key: bytes) -> str:
    """What stands for a name: 16 hexadecimal digits of its HMAC with SHA-256."""
    return hmac.new(key, name.encode(), hashlib.sha256).hexdigest()[:DIGITS]
