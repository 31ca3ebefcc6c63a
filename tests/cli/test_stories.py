"""`loom` as a process: how fast it answers, how it is stopped, and that nothing is lost."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress

import pytest

from worldloom.runtime.store import open_store

LOOM = [sys.executable, "-c", "import sys; from worldloom.cli.main import run; sys.exit(run())"]
GENERATIONS = 120
LONG = f"evolve creatures --population 16 --set life=0.5 --workers 1 --generations {GENERATIONS} --name long".split()
PATIENCE = 60  # s: the first run on a machine compiles


@pytest.fixture
def url(tmp_path, monkeypatch):
    url = str(tmp_path / "runs.db")
    monkeypatch.setenv("WORLDLOOM_STORE", url)
    return url


@pytest.fixture
def running(url):
    """A long run that goes on in another process."""
    with subprocess.Popen([*LOOM, *LONG], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def completed(*args):
    return subprocess.run([*LOOM, *args], capture_output=True, text=True, timeout=PATIENCE, check=False)


def generations_stored(url):
    """Asked of the file itself: quick enough to meet a run in its first generations."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{url}?mode=ro", uri=True)) as database:
        return database.execute("SELECT count(*) FROM generations").fetchone()[0]
    return 0


def wait_for(url, count, process):
    end = time.monotonic() + PATIENCE
    while generations_stored(url) < count:
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.005)  # another process does the work; there is nothing to wait on


@pytest.fixture(scope="module")
def whole_digest():
    """The digest of the long run where nothing stops it."""
    import worldloom

    settings = {"life": 0.5}
    with worldloom.evolve(
        "creatures", population=16, generations=GENERATIONS, settings=settings, workers=1, store="memory:"
    ) as results:
        return results.report["digest"]


def test_ctrl_c_saves_says_how_to_go_on_and_ends_with_130(url, running, whole_digest):
    wait_for(url, 3, running)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == 130 and out == ""
    saved = generations_stored(url)
    store = open_store(url)
    run = store.run("long")
    store.close()
    assert (
        err == f"Saved {saved} generations. Go on with: loom resume {run.id}\n"
        and run.status == "paused"
        and 3 <= saved < GENERATIONS
    )
    ended = completed("resume", run.id, "--json", "--workers", "1")
    assert ended.returncode == 0 and json.loads(ended.stdout)["digest"] == whole_digest


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 8))])
def test_a_killed_run_resumes_to_the_digest_of_one_that_was_not(url, running, whole_digest, seed):
    moment = random.Random(seed)
    wait_for(url, moment.randrange(1, 20), running)
    time.sleep(moment.uniform(0, 0.02))  # the moment is the point of the test
    running.kill()
    running.communicate(timeout=PATIENCE)
    assert 0 < generations_stored(url) < GENERATIONS
    ended = completed("resume", "long", "--json")
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert report["generations"] == GENERATIONS and report["digest"] == whole_digest


def imported_by(code):
    listing = f"import sys; {code}; print(*sorted(sys.modules))"
    return (
        subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True).stdout.splitlines()[-1].split()
    )


def test_import_worldloom_pulls_in_nothing_heavy():
    found = set(imported_by("import worldloom"))
    assert "worldloom" in found and not found & {"numba", "numpy", "torch", "ray", "sqlalchemy", "fastapi", "pandas", "typer"}


def test_the_help_and_the_list_of_runs_do_without_numba(url):
    assert completed("import", "none.zip").returncode == 2  # makes an empty store
    for args in ("--help", "runs"):
        found = imported_by(f"from worldloom.cli.main import run; run([{args!r}])")
        assert "numba" not in found and "torch" not in found


def quickest(args, times=3):
    taken = []
    for _ in range(times):
        before = time.perf_counter()
        subprocess.run(args, capture_output=True, check=True)
        taken.append(time.perf_counter() - before)
    return min(taken)


@pytest.mark.slow
def test_import_and_help_are_quick():
    bare = quickest([sys.executable, "-c", "pass"])
    assert quickest([sys.executable, "-c", "import worldloom"]) - bare <= 0.25
    assert quickest([*LOOM, "--help"]) <= 0.4


def test_a_reader_that_leaves_early_causes_no_noise(url):
    open_store(url).close()
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen([*LOOM, "runs", "--json"], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 141 and err == ""
