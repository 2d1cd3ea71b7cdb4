"""The public names of the package, and what importing it costs."""

import subprocess
import sys

import pytest

import memrec_core as memrec

COSTS_NOTHING = """
import sys
import memrec_core
assert memrec_core.__version__ and "mse" in dir(memrec_core)
assert "torch" not in sys.modules and "numpy" not in sys.modules
"""


def test_importing_the_package_loads_neither_torch_nor_numpy():
    done = subprocess.run([sys.executable, "-c", COSTS_NOTHING], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_networks_are_built_without_what_recovers_from_them():
    script = "import sys, memrec_core.autoencoders as _; print([n for n in sys.modules if n.startswith('memrec_core')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "memrec_core.autoencoders" in done.stdout
    assert "recovery" not in done.stdout
    assert "diffusion_prior" not in done.stdout


@pytest.mark.parametrize("name", memrec.__all__)
def test_each_public_name_is_there(name: str):
    assert getattr(memrec, name) is not None
    assert name in dir(memrec)


def test_flat_name_is_that_of_its_module():
    assert memrec.recover_unknown_mask is memrec.recovery.recover_unknown_mask
    assert memrec.mse is memrec.metrics.mse
    assert memrec.ImageSet is memrec.datasets.ImageSet


def test_each_method_is_there_as_a_class_and_as_a_function():
    methods = [method.__name__ for method in memrec.recovery.METHODS.kept.values()]
    functions = [name for name in memrec.recovery.__all__ if name.islower()]
    assert "recover_adaptive" in functions
    assert {*methods, *functions} <= {*memrec.__all__}


def test_all_public_names_can_be_imported_at_once():
    names: dict[str, object] = {}
    exec("from memrec_core import *", names)
    assert set(memrec.__all__) <= names.keys()


def test_name_that_is_not_there_is_said_as_python_says_it():
    with pytest.raises(AttributeError, match=r"^module 'memrec_core' has no attribute 'recover'"):
        _ = memrec.recover  # pyright: ignore[reportAttributeAccessIssue] (that is what is tested)
