"""Jobs: workers carry runs out, leave them when they end, and stop for what is asked."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from worldloom.core.errors import JobError, StateError, StoreError
from worldloom.runtime import hold as holds
from worldloom.runtime.evaluate import Threads, run_digest
from worldloom.runtime.hold import Hold
from worldloom.runtime.jobs import execute, work
from worldloom.runtime.lease import claim, claim_job, steer
from worldloom.runtime.run import planned, resume, start, weave
from worldloom.runtime.store import open_store
from worldloom.runtime.store_memory import MemoryStore
from worldloom.worlds.creatures import WORLD

SMALL = {"population": 6, "seed": 5, "given": {"nodes": 3, "muscles": 2, "hidden": 1, "life": 0.2}}


def order(store, generations=4, **changes):
    run = planned(WORLD, generations=generations, status="queued", **{**SMALL, **changes})
    store.create(run)
    return run


def digests(store, run_id):
    return [one.digest for one in store.generations(run_id)]


@pytest.fixture(scope="module")
def undisturbed():
    """Digests of 40 generations that nobody disturbed."""
    store, run = MemoryStore(), planned(WORLD, generations=40, **SMALL)
    start(run, store, workers=1)
    return digests(store, run.id)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request, tmp_path):
    url = {"memory": "memory:", "sqlite": str(tmp_path / "runs.db")}.get(request.param) or request.getfixturevalue("database")
    opened = open_store(url)
    yield opened
    opened.close()


def until(fact, seconds=30):
    """Waits for a fact; fails where it does not come about."""
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end
        time.sleep(0.005)


class Crew:
    """Worker threads over one store."""

    def __init__(self, store, count=1, seconds=10.0):
        self.stopping = threading.Event()
        self.threads = [
            threading.Thread(target=work, args=(store, self.stopping), kwargs={"poll": 0.01, "seconds": seconds}, daemon=True)
            for _ in range(count)
        ]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()


def test_workers_carry_out_all_jobs_with_the_digests_of_undisturbed_runs(store, undisturbed):
    ordered = [order(store) for _ in range(3)]
    crew = Crew(store, count=2)
    until(lambda: all(store.run(run.id).status == "finished" for run in ordered))
    crew.stop()
    for run in ordered:
        assert digests(store, run.id) == undisturbed[:4]


def test_a_worker_that_ends_leaves_its_job_and_another_comes_to_the_same_end(store, undisturbed):
    run = order(store, generations=40)
    done = 0
    while store.run(run.id).status != "finished":
        crew = Crew(store)
        until(lambda done=done: store.lengths([run.id])[0] > done or store.run(run.id).status == "finished")
        crew.stop()
        done = store.lengths([run.id])[0]
        assert store.run(run.id).status in ("queued", "finished")
    assert digests(store, run.id) == undisturbed


def test_pause_resume_and_cancel_reach_a_worker(store, undisturbed):
    run = order(store, generations=40)
    crew = Crew(store, seconds=0.2)  # asked five times in that
    until(lambda: store.lengths([run.id])[0] > 0)
    steer(store, run.id, "paused")
    until(lambda: store.run(run.id).status in ("paused", "finished"))
    stood = store.lengths([run.id])[0]
    time.sleep(0.1)
    assert store.lengths([run.id])[0] == stood
    if store.run(run.id).status == "paused":
        steer(store, run.id, "queued")
    until(lambda: store.run(run.id).status == "finished")
    assert digests(store, run.id) == undisturbed
    longer = order(store, generations=100_000)
    until(lambda: store.lengths([longer.id])[0] > 0)
    steer(store, longer.id, "cancelled")
    until(lambda: store.run(longer.id).status == "cancelled")
    crew.stop()


def test_a_finished_job_goes_on_to_a_new_goal(store, undisturbed):
    run = order(store, generations=2)
    crew = Crew(store)
    until(lambda: store.run(run.id).status == "finished")
    steer(store, run.id, "queued", target=5)
    until(lambda: store.run(run.id).status == "finished" and store.lengths([run.id]) == [5])
    crew.stop()
    assert digests(store, run.id) == undisturbed[:5]


@pytest.mark.parametrize("change", [{"world": "no-such-world"}, {"world_version": 99}])
def test_a_job_that_cannot_be_carried_out_fails_with_its_reason_and_the_worker_goes_on(change):
    store = MemoryStore()
    bad = replace(planned(WORLD, generations=2, status="queued", **SMALL), **change)
    store.create(bad)
    good = order(store, generations=2)
    crew = Crew(store)
    until(lambda: store.run(good.id).status == "finished")
    crew.stop()
    failed = store.run(bad.id)
    assert failed.status == "failed" and ("no-such-world" in failed.error or "version 99" in failed.error)


def test_a_failing_job_says_so_to_whoever_executes_it():
    store = MemoryStore()
    store.create(replace(planned(WORLD, generations=2, status="queued", **SMALL), world="nowhere"))
    with pytest.raises(JobError, match="nowhere"):
        execute(store, claim_job(store), threading.Event())


def test_a_run_that_somebody_executes_cannot_be_resumed(store):
    run = order(store)
    claim(store, run.id, owner="elsewhere")
    with pytest.raises(StateError, match="executed by elsewhere"):
        resume(run.id, store, workers=1)


def test_resuming_to_another_goal_is_remembered(store, undisturbed):
    run = planned(WORLD, generations=2, **SMALL)
    start(run, store, workers=1)
    assert resume(run.id, store, generations=4, workers=1).goal == 4
    assert resume(run.id, store, workers=1).status == "finished" and digests(store, run.id) == undisturbed[:4]


class Sleeper(Threads):
    """Loses its lease in the middle of generation 1."""

    def __init__(self, store, run_id):
        super().__init__(1)
        self.store, self.run_id, self.calls = store, run_id, 0

    def evaluate(self, batches):
        self.calls += 1
        if self.calls == 2:
            self.store.change(self.run_id, lambda standing, now: replace(standing, until=now - 1))
            claim(self.store, self.run_id, owner="successor")
        return super().evaluate(batches)


def test_a_process_that_slept_through_its_lease_writes_nothing_more(store):
    from worldloom.runtime.run import search_of

    run = planned(WORLD, generations=6, **SMALL)
    store.create(run)
    with pytest.raises(StateError, match="not ours any more: successor has it"):
        weave(run, search_of(run, WORLD), store, Sleeper(store, run.id), Hold(store, claim(store, run.id), 60.0))
    assert store.lengths([run.id])[0] <= 1 and store.run(run.id).status == "running"


class Deaf(MemoryStore):
    """A store that does not answer while `silent`."""

    silent = False

    def change(self, run_id, turn):
        if self.silent:
            raise StoreError("The store is gone. Expected it. Wait.")
        return super().change(run_id, turn)


@pytest.mark.parametrize("back", [True, False])
def test_a_store_that_is_silent_for_a_moment_costs_nothing_and_for_longer_the_lease(back):
    store = Deaf()
    run = order(store)
    hold = Hold(store, claim(store, run.id, seconds=0.2), 0.2)
    store.silent = True
    time.sleep(0.1 if back else 0.5)
    store.silent = False
    if back:
        time.sleep(0.2)
        assert hold.wanted is None and hold.release("finished") == "finished"
    else:
        with pytest.raises(StateError, match=r"ran out\. The store is gone"):
            _ = hold.wanted
        hold.release("paused")  # nobody took it meanwhile


def test_a_run_that_is_held_stays_ours_for_many_leases(store):
    run = order(store)
    hold = Hold(store, claim(store, run.id, seconds=0.4), 0.4)
    for _ in range(8):
        time.sleep(0.1)
        assert store.run(run.id).status == "running"
    hold.release("paused")
    assert holds.BEATS >= 3 and not hold._thread.is_alive()


def test_an_error_in_the_middle_leaves_the_run_failed_with_all_that_was_done():
    class Broken(Threads):
        calls = 0

        def evaluate(self, batches):
            self.calls += 1
            if self.calls == 3:
                raise MemoryError("no room")
            return super().evaluate(batches)

    from worldloom.runtime.run import search_of

    store, run = MemoryStore(), planned(WORLD, generations=6, **SMALL)
    store.create(run)
    with pytest.raises(MemoryError):
        weave(run, search_of(run, WORLD), store, Broken(1), Hold(store, claim(store, run.id)))
    assert (store.run(run.id).status, store.run(run.id).error) == ("failed", "MemoryError: no room")
    assert store.lengths([run.id]) == [2]
    resume(run.id, store, workers=1)
    assert store.run(run.id).status == "finished" and store.run(run.id).error == ""
    assert len(run_digest(digests(store, run.id))) == 64 and np.isfinite(store.generations(run.id)[-1].best_fitness)
