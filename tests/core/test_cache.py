"""Compiled kernels on disk: an edit anywhere in a world's code is noticed, and no state of the disk costs more than time."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from worldloom.core import cache
from worldloom.core.cache import CORE, KernelCache, folder, source_digest, sources

WORLD = """
from typing import NamedTuple
import numpy as np
from worldloom.core import Field, World, lane_code
{imports}

class Params(NamedTuple):
    dt: np.float32 = Field("s", "time step", default=0.5)
class Inputs(NamedTuple):
    x: np.ndarray = Field("1", "number", low=0, high=1)
class State(NamedTuple):
    x: np.ndarray = Field("1", "number")
class Outcome(NamedTuple):
    fitness: np.ndarray = Field("1", "number")
    status: np.ndarray = Field("code", "0 = OK", dtype=np.int8)

@lane_code
def reset(i, key, params, inputs, state):
    state.x[i] = inputs.x[i]
@lane_code
def step(i, key, t, params, inputs, action, state, obs):
    state.x[i] += {term}
@lane_code
def finish(i, params, inputs, state, outcome):
    outcome.fitness[i] = state.x[i]
    outcome.status[i] = 0

WORLD = World(name="paper", version=1, params=Params, inputs=Inputs, state=State, outcome=Outcome, reset=reset, step=step, finish=finish)
"""
RUN = """
import json, sys
import numpy as np
from {module} import WORLD, Inputs
from worldloom.core.rollout import Rollout
life = Rollout(WORLD, WORLD.filled(), Inputs(np.zeros(3, np.float32)), np.zeros(3, np.uint64))
print(json.dumps([float(life.run(4).fitness[0]), life._driver.from_disk]))
"""


def started(place: Path, module: str, kernels: Path) -> subprocess.Popen:
    environment = {**os.environ, "WORLDLOOM_CACHE": str(kernels), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", RUN.format(module=module)]
    return subprocess.Popen(command, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen) -> tuple[float, bool]:
    """(fitness, whether the kernel came from disk) of a new interpreter."""
    with process:
        told, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    fitness, from_disk = json.loads(told)
    return fitness, from_disk


def fresh(place: Path, module: str, kernels: Path) -> tuple[float, bool]:
    return ended(started(place, module, kernels))


def test_an_edit_in_a_module_that_a_world_imports_is_noticed(tmp_path):
    package, kernels = tmp_path / "paperworld", tmp_path / "kernels"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "deep" / "__init__.py").write_text("")
    (package / "deep" / "world.py").write_text(WORLD.format(imports="from ..constants import GAIN", term="GAIN * params.dt"))
    (package / "constants.py").write_text("GAIN = 2.0\n")
    module = "paperworld.deep.world"
    assert fresh(tmp_path, module, kernels) == (4.0, False)
    assert fresh(tmp_path, module, kernels) == (4.0, True)
    (package / "constants.py").write_text("GAIN = 3.0\n")
    assert fresh(tmp_path, module, kernels) == (6.0, False)


def one_file_world(place: Path, term: str = "params.dt") -> None:
    place.joinpath("paper.py").write_text(WORLD.format(imports="", term=term))


def test_a_kernel_file_that_was_cut_is_compiled_again_and_replaced(tmp_path):
    one_file_world(tmp_path)
    kernels = tmp_path / "kernels"
    assert fresh(tmp_path, "paper", kernels) == (2.0, False)
    (file,) = kernels.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert fresh(tmp_path, "paper", kernels) == (2.0, False) and list(kernels.iterdir()) == [file]
    assert fresh(tmp_path, "paper", kernels) == (2.0, True)


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path):
    one_file_world(tmp_path)
    (tmp_path / "kernels").write_text("a file where a folder is wanted")
    assert fresh(tmp_path, "paper", tmp_path / "kernels") == (2.0, False)


def test_two_processes_may_compile_the_same_world_first_at_the_same_time(tmp_path):
    one_file_world(tmp_path)
    kernels = tmp_path / "kernels"
    both = [started(tmp_path, "paper", kernels) for _ in range(2)]
    assert [ended(process)[0] for process in both] == [2.0, 2.0]
    assert len(list(kernels.iterdir())) == 1 and fresh(tmp_path, "paper", kernels) == (2.0, True)


def module_at(name: str, path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A loaded module without running it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    module = SimpleNamespace(__name__=name, __file__=str(path), __package__=name.rpartition(".")[0])
    monkeypatch.setitem(sys.modules, name, module)
    return module


def function_of(name: str) -> SimpleNamespace:
    return SimpleNamespace(__module__=name)


def test_sources_are_core_the_worlds_package_and_what_it_imports_but_not_foreign_libraries(tmp_path, monkeypatch):
    text = "import numpy\nimport plotting\nimport gravity\nfrom near import G\n"
    module_at("world_file", tmp_path / "world_file.py", text, monkeypatch)
    module_at("near", tmp_path / "near.py", "from plotting import ink\n", monkeypatch)
    module_at("plotting", tmp_path / "elsewhere" / "plotting.py", "", monkeypatch)
    gravity = module_at("gravity", tmp_path / "library" / "gravity.py", "from worldloom.core import lane_code", monkeypatch)
    gravity.pull = function_of("worldloom.core.lane_types")
    found = sources([function_of("world_file")])
    assert {path.name for path in found if CORE not in path.parents} == {"world_file.py", "near.py", "gravity.py"}
    assert set(CORE.rglob("*.py")) <= set(found)


def test_a_function_without_a_file_has_no_sources():
    assert sources([function_of("no.such.module")]) is None
    assert sources([function_of("itertools")]) is None


def test_the_digest_follows_the_text(tmp_path):
    file = tmp_path / "a.py"
    file.write_text("x = 1")
    before = source_digest([file])
    assert before == source_digest([file])
    file.write_text("x = 22")
    assert source_digest([file]) != before


def test_the_folder_is_the_users_or_the_one_that_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLDLOOM_CACHE", str(tmp_path))
    kept = KernelCache("paper-16", "a", "b")
    assert folder() == tmp_path and kept.path.parent == tmp_path and kept.path.name.startswith("paper-16-")
    assert kept.path != KernelCache("paper-16", "a", "c").path and kept.path == KernelCache("paper-16", "a", "b").path
    monkeypatch.delenv("WORLDLOOM_CACHE")
    assert folder().name == "kernels" and "worldloom" in folder().parts


def test_another_machine_or_another_numba_is_another_kernel(monkeypatch):
    here = KernelCache("paper-16", "a").path
    monkeypatch.setattr(cache.config, "CPU_NAME", "haswell")
    assert KernelCache("paper-16", "a").path != here


def test_kernels_that_nobody_used_for_a_month_are_removed(tmp_path):
    one_file_world(tmp_path)
    kernels = tmp_path / "kernels"
    kernels.mkdir()
    month_ago = time.time() - 31 * 86400
    for name in ("old.kernel", "used.kernel", "old.txt"):
        (kernels / name).write_bytes(b"")
        os.utime(kernels / name, (month_ago, month_ago))
    os.utime(kernels / "used.kernel")
    assert fresh(tmp_path, "paper", kernels) == (2.0, False)
    (kernel,) = kernels.glob("paper-*.kernel")
    assert sorted(file.name for file in kernels.iterdir()) == sorted([kernel.name, "old.txt", "used.kernel"])
    os.utime(kernel, (month_ago, month_ago))
    assert fresh(tmp_path, "paper", kernels) == (2.0, True)
    assert kernel.stat().st_mtime > month_ago + 86400
