"""The shape of the project, held to what its documents say: layers, import cost, and how large a file or a function may be."""

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "worldloom"
MODULES = sorted(SOURCE.rglob("*.py"))
LONGEST_MODULE, LONGEST_FUNCTION, USUAL_FUNCTION = 400, 35, 10  # lines
HEAVY = ("torch", "ray", "sqlalchemy", "fastapi")
TABLES = {  # longer than a function may be, because they list one thing after the other
    "runtime/migrations/versions/m0001_runs.py:upgrade": "the columns of all tables",
}
WRONG_NAMES = {"utils", "common", "helpers", "base", "manager"}


def imported(module: Path) -> set[str]:
    """Full names of everything that a module's text imports, wherever the statement stands."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def importers(library: str) -> set[str]:
    """Modules that import a library, as paths below the package."""
    return {
        module.relative_to(SOURCE).as_posix()
        for module in MODULES
        if any(name == library or name.startswith(f"{library}.") for name in imported(module))
    }


def below(folder: str, modules: set[str]) -> bool:
    return all(module.startswith(f"{folder}/") for module in modules)


def test_the_import_contracts_hold():
    ended = subprocess.run([Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert f"Contracts: {len(contracts)} kept, 0 broken." in ended.stdout and len(contracts) >= 3


def test_each_heavy_library_has_one_home():
    assert importers("numba.cuda") <= {"core/launch.py", "testing/cuda.py"}
    assert below("policies", importers("torch")) and importers("ray") <= {"runtime/on_ray.py"}
    stores = {"runtime/store_sql.py", "runtime/store_trouble.py", "runtime/columns.py", "runtime/tables.py"}
    assert {module for module in importers("sqlalchemy") if not module.startswith("runtime/migrations/")} <= stores
    assert below("service", importers("fastapi"))


@pytest.mark.parametrize("statement", ("import worldloom", "import worldloom.cli.main", "import worldloom.worlds.creatures"))
def test_nothing_heavy_is_loaded_before_it_is_needed(statement):
    script = f"import sys, json; {statement}; print(json.dumps(sorted(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(ended.stdout)}
    assert not loaded & set(HEAVY)


def test_importing_worldloom_waits_for_no_compiler():
    script = "import sys, time; t = time.perf_counter(); import worldloom; print(time.perf_counter() - t, 'numba' in sys.modules)"
    ended = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split() for _ in range(3)
    ]
    assert min(float(seconds) for seconds, _ in ended) < 0.1 and {numba for _, numba in ended} == {"False"}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.relative_to(SOURCE).as_posix())
def test_no_module_is_a_drawer(module):
    lines = module.read_text().splitlines()
    assert len(lines) <= LONGEST_MODULE, f"{len(lines)} lines: find the second noun"
    assert not set(module.with_suffix("").relative_to(SOURCE).parts) & WRONG_NAMES
    docstring = ast.get_docstring(ast.parse("\n".join(lines)))
    assert docstring or not "".join(lines).strip(), "says nothing about itself"


def functions(module: Path):
    """(name, lines, whether its first comment says why it is long) of every function."""
    text = module.read_text()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = [line.strip() for line in text.splitlines()[node.lineno - 1 : node.end_lineno]]
            comment = next((line for line in body if line.startswith("#")), "")
            yield f"{module.relative_to(SOURCE).as_posix()}:{node.name}", len(body), comment.startswith("# Long: ")


def test_functions_are_short_and_a_longer_one_says_why_in_its_first_comment():
    found = [function for module in MODULES for function in functions(module)]
    unexplained = {name: lines for name, lines, explained in found if lines > LONGEST_FUNCTION and not explained}
    assert set(unexplained) <= set(TABLES), unexplained
    sizes = sorted(lines for _, lines, _ in found)
    assert sizes[len(sizes) // 2] <= USUAL_FUNCTION and sizes[len(sizes) * 9 // 10] <= LONGEST_FUNCTION
