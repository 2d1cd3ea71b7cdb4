"""What is installed: the packages with all that they read, and the word that their types can be relied on."""

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]
PACKAGES = ("memrec_core", "workflows")
BUILD = "from setuptools.build_meta import build_wheel; print(build_wheel('.'))"


def test_wheel_holds_every_file_of_the_packages_and_marks_them_as_typed(tmp_path: Path):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    built = subprocess.run([sys.executable, "-c", BUILD], cwd=tmp_path, capture_output=True, text=True, check=True)
    with ZipFile(tmp_path / built.stdout.splitlines()[-1]) as wheel:
        shipped = set(wheel.namelist())
    files = [path.relative_to(tmp_path) for package in PACKAGES for path in (tmp_path / package).rglob("*.*")]
    meant = {str(path) for path in files if (tmp_path / path).is_file() and path.suffix not in (".md", ".pyc")}
    assert {f"{package}/py.typed" for package in PACKAGES} <= meant
    assert sorted(meant - shipped) == []
