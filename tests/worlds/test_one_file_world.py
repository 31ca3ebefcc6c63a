"""A third party's world is one file and one entry point: it is found, checked, evolved, stored, resumed and replayed like our own."""

import importlib
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from worldloom.cli.main import run as loom
from worldloom.core.errors import UnknownName
from worldloom.runtime import run as runs
from worldloom.runtime.replay import replay
from worldloom.runtime.store import open_store
from worldloom.worlds.find import find, installed

EXAMPLE = Path(__file__).parents[2] / "examples" / "one_file_world"


@pytest.fixture
def pendulum(tmp_path, monkeypatch):
    """The example as pip would install it: its module, and a record of its entry point beside it."""
    site = tmp_path / "site"
    record = site / "my_pendulum-1.0.dist-info"
    record.mkdir(parents=True)
    (site / "my_pendulum.py").write_bytes((EXAMPLE / "my_pendulum.py").read_bytes())
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: my-pendulum\nVersion: 1.0\n")
    declared = re.search(r'^\[project.entry-points."(.+)"\]\npendulum = "(.+)"$', (EXAMPLE / "pyproject.toml").read_text(), re.M)
    (record / "entry_points.txt").write_text(f"[{declared[1]}]\npendulum = {declared[2]}\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "my_pendulum", raising=False)
    importlib.invalidate_caches()
    yield find("pendulum")
    sys.modules.pop("my_pendulum", None)


def digests(store, run_id):
    return [generation.digest for generation in store.generations(run_id)]


def test_it_is_not_known_before_it_is_installed_and_listed_afterwards(request):
    with pytest.raises(UnknownName, match="Unknown world 'pendulum'"):
        find("pendulum")
    world = request.getfixturevalue("pendulum")
    assert world.name == "pendulum" and "pendulum" in installed() and find("pendulum") is world


def test_it_evolves_is_stored_resumed_and_replayed_with_the_same_bits(pendulum, tmp_path):
    store = open_store(str(tmp_path / "runs.db"))
    whole = runs.planned(pendulum, population=40, generations=6, seed=3, name="whole")
    runs.start(whole, store, workers=2)
    halted = runs.planned(pendulum, population=40, generations=2, seed=3, name="halted")
    runs.start(halted, store, workers=1)
    store.close()

    store = open_store(str(tmp_path / "runs.db"))
    assert len(digests(store, halted.id)) == 2
    runs.resume("halted", store, generations=6, workers=1)
    assert digests(store, halted.id) == digests(store, whole.id) and len(digests(store, whole.id)) == 6
    first, last = (np.median(store.rows(whole.id, generation).outcome["fitness"]) for generation in (0, 5))
    assert last > first

    life = replay(store, "halted")
    assert life.same and set(life.arrays) == {"t", "angle", "rate", "cost"} and life.states.angle.shape == (201,)
    npz, text = life.save(tmp_path / "best.npz"), life.save(tmp_path / "best.json")
    with np.load(npz) as arrays:
        assert np.array_equal(arrays["angle"], life.states.angle)
    assert json.loads(text.read_text())
    store.close()


def test_the_commands_in_its_readme_work(pendulum, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORLDLOOM_STORE", str(tmp_path / "runs.db"))
    monkeypatch.chdir(tmp_path)
    shown = re.findall(r"^loom ([^#\n]+)", (EXAMPLE / "README.md").read_text(), re.M)
    assert [line.split()[0] for line in shown] == ["worlds", "evolve", "replay"]
    for line in shown:
        assert loom(line.split()) == 0, capsys.readouterr().err
    assert "pendulum" in capsys.readouterr().out and (tmp_path / "best.npz").stat().st_size > 1000


def test_its_own_test_passes(pendulum):
    tests = runpy.run_path(str(EXAMPLE / "test_my_pendulum.py"))
    tests["test_the_pendulum_keeps_its_promises"]()


@pytest.mark.slow
def test_pip_installs_it_and_the_command_finds_it(tmp_path):
    pytest.importorskip("hatchling")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        str(tmp_path / "site"),
    ]
    subprocess.run([*pip, str(EXAMPLE)], check=True)
    assert {path.name for path in (tmp_path / "site").glob("*.py")} == {"my_pendulum.py"}
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "WORLDLOOM_STORE": str(tmp_path / "runs.db")}
    command = [sys.executable, "-c", "import sys; from worldloom.cli.main import run; sys.exit(run())"]
    for line in ("worlds", "evolve pendulum --population 20 --generations 2 --name swing", "replay swing --out best.npz"):
        ended = subprocess.run([*command, *line.split()], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "same" in ended.stdout and (tmp_path / "best.npz").exists()
