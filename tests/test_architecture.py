"""The house: which way imports go, that tables are complete, and that asking for help loads nothing heavy."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from ratelab.core.table import Table

SOURCE = Path(__file__).parents[1] / "src" / "ratelab"
STAIRCASE = [
    {"core"},
    {"exact", "store", "networks"},
    {"distributions", "divergences"},
    {"data", "encoders", "decoders", "marginals"},
    {"models"},
    {"objectives", "estimators"},
    {"training"},
    {"evaluation"},
    {"recipes"},
    {"runs"},
    {"analysis"},
    {"report"},
    {"sklearn", "cli"},
]
STEP = {room: step for step, rooms in enumerate(STAIRCASE) for room in rooms}
NO_TORCH = ("store", "analysis", "report")
LIGHT = [
    *(f"core/{name}" for name in ("at", "errors", "estimate", "reference", "table", "units", "dataset", "schedule")),
    "exact/accuracy",
]
FILES = sorted(SOURCE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> list[tuple[str, ast.AST]]:
    found: list[tuple[str, ast.AST]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the staircase"
            package = (node.module or "").count(".") < 2
            found += [(f"{node.module}.{alias.name}" if package else node.module or "", node) for alias in node.names]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_go_down_the_staircase(path: Path) -> None:
    room = room_of(path)
    if room in ("__init__", "__main__"):
        return
    assert room in STEP, f"room '{room}' has no place on the staircase"
    tree = ast.parse(path.read_text())
    top_level = set(map(id, ast.iter_child_nodes(tree)))
    for module, node in imports(tree):
        if not module.startswith("ratelab.") or module == "ratelab.__version__":
            continue
        other = module.split(".")[1]
        assert other == room or STEP[other] < STEP[room], f"{path.name} imports {module}, which is not below it"
        assert id(node) in top_level or room == "cli", f"{path.name} hides the import of {module} in a function"


@pytest.mark.parametrize("path", [p for p in FILES if room_of(p) in NO_TORCH], ids=lambda p: str(p.relative_to(SOURCE)))
def test_rooms_that_only_read_runs_import_no_torch(path: Path) -> None:
    modules = [module for module, _ in imports(ast.parse(path.read_text()))]
    assert not [m for m in modules if m.split(".")[0] == "torch"]
    ours = {m.split(".")[1] + "/" + m.split(".")[2] for m in modules if m.count(".") > 1 and m.startswith("ratelab.")}
    for name in ours:
        assert name.split("/")[0] in NO_TORCH or name in LIGHT, f"{path.name} uses {name}"


@pytest.mark.parametrize("module", LIGHT)
def test_what_such_rooms_use_needs_no_torch(module: str) -> None:
    path = SOURCE / f"{module}.py"
    assert "torch" not in {name.split(".")[0] for name, _ in imports(ast.parse(path.read_text()))}


def tables() -> list[tuple[str, Table]]:
    rooms = ("networks", "data", "encoders", "decoders", "marginals", "models", "objectives", "estimators", "training")
    found = []
    for room in rooms:
        module = importlib.import_module(f"ratelab.{room}")
        found += [(f"{room}.{name}", value) for name, value in vars(module).items() if isinstance(value, Table)]
    return found


@pytest.mark.parametrize(("name", "table"), tables(), ids=lambda v: v if isinstance(v, str) else "")
def test_every_entry_of_a_table_explains_itself(name: str, table: Table) -> None:
    assert len(table) > 0
    for key, entry in table.items():
        assert len(entry.summary) > 15, f"{name} '{key}' has no summary"
        assert entry.schema.model_config["extra"] == "forbid"
        assert inspect.getdoc(entry.target)


def test_every_objective_file_is_in_the_table() -> None:
    from ratelab.objectives import OBJECTIVES

    listed = {entry.target.__module__.rsplit(".", 1)[1] for entry in OBJECTIVES.values()}
    assert {p.stem for p in (SOURCE / "objectives").glob("*.py")} - {"__init__"} == listed


def test_there_is_no_utils() -> None:
    assert not [p for p in FILES if p.stem in ("utils", "helpers", "misc", "common")]


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_loads_nothing_heavy(argument: str) -> None:
    program = (
        "import sys\n"
        f"sys.argv = ['ratelab', {argument!r}]\n"
        "from ratelab.cli import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "heavy = {'torch', 'sklearn', 'scipy', 'matplotlib', 'plotly', 'numpy', 'pydantic', 'pooch'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
