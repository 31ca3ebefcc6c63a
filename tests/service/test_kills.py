"""kill -9 of the server, of its worker and of all its processes at random moments: nothing that was stored is lost or doubled, and runs
come to the digest of one that nobody disturbed."""

import time

import numpy as np
import pytest
from served import Served

from worldloom.runtime.record import individual_name
from worldloom.runtime.run import planned, report, start
from worldloom.runtime.store import open_store
from worldloom.runtime.store_memory import MemoryStore
from worldloom.worlds.creatures import WORLD

SETTINGS = {"nodes": 3, "muscles": 2, "hidden": 1, "life": 0.25}
POPULATION, GENERATIONS = 40, 300
VICTIMS = ("server", "worker", "group")


@pytest.fixture(scope="module")
def undisturbed():
    """seed -> the report of a run that nobody disturbed."""
    known = {}

    def found(seed):
        if seed not in known:
            store, run = MemoryStore(), planned(WORLD, population=POPULATION, generations=GENERATIONS, seed=seed, given=SETTINGS)
            start(run, store, workers=1)
            known[seed] = report(run, store)["digest"]
        return known[seed]

    return found


@pytest.fixture
def url(request, tmp_path):
    return str(tmp_path / "runs.db") if request.param == "sqlite" else request.getfixturevalue("database")


class Trial:
    """A service that is killed again and again while it carries out one run after the other."""

    def __init__(self, url, folder, seed):
        self.url, self.folder, self.random = url, folder, np.random.default_rng(seed)
        self.served = Served(url, folder).ready()
        self.runs, self.seen = [], 0
        self.order()

    def order(self):
        """The next run."""
        order = {"world": "creatures", "population": POPULATION, "generations": GENERATIONS, "seed": 100 + len(self.runs)}
        answer = self.served.http.post("/api/runs", json={**order, "settings": SETTINGS})
        assert answer.status_code == 201, answer.text
        self.runs.append(answer.json()["id"])
        self.seen = 0

    def look(self):
        """What is stored only grows; the next run is ordered when one is finished."""
        run = self.served.http.get(f"/api/runs/{self.runs[-1]}").json()
        assert run["done"] >= self.seen and run["status"] in ("queued", "running", "finished"), (run, self.seen)
        self.seen = run["done"]
        return run["status"] == "finished"

    def kill(self, victim):
        if self.look():
            self.order()
        time.sleep(self.random.uniform(0, 0.6))  # the moment is the point of the test
        self.served.kill(victim)
        if victim != "worker":
            self.served = Served(self.url, self.folder).ready()
        self.look()

    def finish(self):
        end = time.monotonic() + 120
        while not self.look():
            assert time.monotonic() < end
            time.sleep(0.05)
        self.served.stop()


def check_kills(url, folder, undisturbed, kills, seed):
    trial = Trial(url, folder, seed)
    for number in range(kills):
        trial.kill(VICTIMS[number % len(VICTIMS)])
    trial.finish()
    store = open_store(url, create=False)
    for number, run_id in enumerate(trial.runs):
        chain = store.generations(run_id)
        assert [one.generation for one in chain] == list(range(GENERATIONS))
        assert report(store.run(run_id), store)["digest"] == undisturbed(100 + number)
        people = store.individuals(run_id, GENERATIONS // 2, order="individual", limit=1000).individuals
        assert [one.id for one in people] == [individual_name(GENERATIONS // 2, k) for k in range(POPULATION)]
    store.close()


@pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
def test_ten_kills_lose_and_double_nothing(url, tmp_path, undisturbed):
    check_kills(url, tmp_path, undisturbed, 10, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
def test_a_hundred_kills_lose_and_double_nothing(url, tmp_path, undisturbed):
    check_kills(url, tmp_path, undisturbed, 100, seed=2)
