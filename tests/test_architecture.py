"""Arrows between modules point one way: what the packages may import, read from their source."""

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [path for package in ("memrec_core", "workflows") for path in sorted((ROOT / package).rglob("*.py"))]
LAYERS = (
    {"database", "duration", "errors", "interruption", "terminal", "words"},
    {"experiment", "user_file"},
    {"run"},
    {"work"},
    {"job", "report", "querying", "export", "comparison", "live"},
    {"audit", "figures", "forecast", "listing", "status", "train_prior"},
    {"commands"},
    {"cli"},
    {"entry"},
    {"__main__"},
)
"""The parts of workflows, from below; each imports of itself and of those below alone."""
CORE_NEEDS = {"torch", "numpy"}
"""What memrec_core imports as it is imported; the rest only where it is used."""
FILES_OF_PICTURES_AND_WEIGHTS = {"memrec_core.checkpoints": {"safetensors"}, "memrec_core.datasets": {"PIL"}}
"""What two of its parts, which are about files, import beside."""
NEVER_IN_THE_CORE = {"workflows", "ray", "pydantic", "pandas", "typer", "rich", "duckdb", "pyarrow"}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path) for path in FILES}
CORE = sorted(module for module in MODULES if module.startswith("memrec_core"))


def imports_of(module: str, when_imported: bool = False) -> set[str]:
    """The modules that a module imports, anywhere or only as it is imported itself, by their full names."""
    path = ROOT / module.replace(".", "/")
    source = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
    return set(_imports(ast.parse(source), when_imported))


def _imports(node: ast.AST, when_imported: bool) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{ast.unparse(node)}: a full name can be looked for"
        for alias in node.names:
            name = f"{node.module}.{alias.name}"
            yield name if name in MODULES else str(node.module)
    elif not (_is_program(node) or (when_imported and _is_later(node))):
        for child in ast.iter_child_nodes(node):
            yield from _imports(child, when_imported)


def _is_program(node: ast.AST) -> bool:
    """Whether it is what a module does when it is called, which nothing imports."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def _is_later(node: ast.AST) -> bool:
    """Whether it is a function's body, or for type checkers alone."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


@pytest.mark.parametrize("module", CORE)
def test_core_knows_neither_ray_nor_a_run(module: str):
    known = {name.partition(".")[0] for name in imports_of(module)}
    assert not known & NEVER_IN_THE_CORE


@pytest.mark.parametrize("module", CORE)
def test_core_is_imported_with_torch_and_numpy_alone(module: str):
    extra = {name for part, names in FILES_OF_PICTURES_AND_WEIGHTS.items() if module.startswith(part) for name in names}
    needed = {name.partition(".")[0] for name in imports_of(module, when_imported=True)}
    assert needed - sys.stdlib_module_names <= {"memrec_core", *CORE_NEEDS, *extra}


@pytest.mark.parametrize("module", sorted(module for module in MODULES if module.startswith("workflows.")))
def test_part_of_workflows_imports_of_those_below_it_alone(module: str):
    heights = {part: height for height, parts in enumerate(LAYERS) for part in parts}
    own = module.split(".")[1]
    assert own in heights, f"say in LAYERS where {own} stands"
    parts = {name.split(".")[1] for name in imports_of(module) if name.startswith("workflows.")} - {own}
    assert [part for part in sorted(parts) if heights.get(part, -1) >= heights[own]] == []


def test_no_modules_import_each_other_in_a_circle():
    """Neither at once nor later, in a function, nor for types alone."""
    graph = {module: (imports_of(module) & MODULES) - {module} for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def test_where_a_job_stands_is_known_without_ray_and_without_a_console():
    """Neither by its module nor by any of ours that this one imports."""
    reached, left = set(), {"workflows.job.state"}
    while left:
        reached.add(module := left.pop())
        left |= (imports_of(module) & MODULES) - reached
    assert "workflows.run.standing" in reached
    imported = {name for module in reached for name in imports_of(module)}
    assert {name for name in imported if name.partition(".")[0] in {"ray", "rich"}} == set()
    assert "workflows.terminal" not in imported


def test_databases_are_opened_in_one_place_where_an_interruption_is_answered():
    opening = [path.name for path in FILES if "duckdb.connect(" in path.read_text(encoding="utf-8")]
    assert opening == ["database.py"]


@pytest.mark.parametrize("package", ["memrec_core", "workflows"])
def test_package_says_that_its_types_can_be_relied_on(package: str):
    assert (ROOT / package / "py.typed").is_file()
