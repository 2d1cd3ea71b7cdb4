"""A user whom the machine does not know: it may read everything here, and write nothing that is not its own."""

import os
import shutil
import subprocess

import pytest

UID = 12345


def as_another_user() -> list[str]:
    """What a command begins with that is to run as that user; skips the test where that can't be."""
    rights = "-all,+dac_read_search"  # the tests' Python may lie in a folder that root alone may enter
    prefix = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", f"--inh-caps={rights}"]
    prefix += [f"--ambient-caps={rights}", f"--bounding-set={rights}"]
    if os.getuid() or not shutil.which("setpriv") or subprocess.run([*prefix, "true"], check=False).returncode:
        pytest.skip("only root may run a command as another user, with setpriv of util-linux")
    return prefix
