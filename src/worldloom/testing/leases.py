"""LeaseContract: what every Store must do so that one process at a time executes a run. StoreContract contains it."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from worldloom.core.errors import InputError, StateError, UnknownName
from worldloom.runtime.lease import Lease, Standing, claim, claim_job, mark, release, renew, steer
from worldloom.runtime.record import Run
from worldloom.runtime.store import Store
from worldloom.testing.samples import sample_rows, sample_run

LONG, SHORT = 60.0, 0.05  # s


def expire(store: Store, run_id: str) -> None:
    """Ends the lease of a run as if its time were over."""
    store.change(run_id, lambda standing, now: replace(standing, until=now - 1))


class LeaseContract:
    """Tests of leases that every Store passes; the fixtures store, run and open_one are StoreContract's."""

    @pytest.fixture
    def job(self, store: Store) -> Run:
        job = sample_run(id="job", name="job", status="queued")
        store.create(job)
        return job

    def test_a_claimed_run_runs_and_nobody_else_gets_it(self, store: Store, run: Run, open_one: Any) -> None:
        lease = claim(store, run.id, owner="one", seconds=LONG)
        assert store.run(run.id).status == "running" and lease.fence == 1
        other = open_one()
        for owner in ("one", "two"):
            with pytest.raises(StateError, match="is being executed by one"):
                claim(other, run.id, owner=owner, seconds=LONG)
        other.close()

    def test_a_lease_that_was_not_renewed_is_worth_nothing(self, store: Store, run: Run) -> None:
        old = claim(store, run.id, owner="one", seconds=SHORT)
        time.sleep(2 * SHORT)  # the store's own clock decides, and it cannot be turned
        assert store.run(run.id).status == "interrupted"
        new = claim(store, run.id, owner="two", seconds=LONG)
        assert new.fence > old.fence
        late: tuple[Callable[[], object], ...] = (
            lambda: store.append(run.id, 0, sample_rows(0), lease=old),
            lambda: renew(store, old, LONG),
            lambda: release(store, old, "finished"),
        )
        for call in late:
            with pytest.raises(StateError, match="not ours any more: two has it"):
                call()
        assert store.generations(run.id) == []
        store.append(run.id, 0, sample_rows(0), lease=new)
        assert release(store, new, "finished") == store.run(run.id).status == "finished"

    def test_a_renewed_lease_lasts(self, store: Store, run: Run) -> None:
        lease = claim(store, run.id, seconds=SHORT)
        assert renew(store, lease, LONG) is None
        time.sleep(2 * SHORT)
        assert store.run(run.id).status == "running"

    def test_a_lease_that_ran_out_and_that_nobody_took_may_still_be_used(self, store: Store, run: Run) -> None:
        lease = claim(store, run.id, seconds=LONG)
        expire(store, run.id)
        store.append(run.id, 0, sample_rows(0), lease=lease)
        renew(store, lease, LONG)
        assert store.run(run.id).status == "running"

    def test_only_the_lease_may_append_to_or_remove_or_mark_a_run_that_is_executed(self, store: Store, run: Run) -> None:
        lease = claim(store, run.id, owner="one", seconds=LONG)
        refused: tuple[Callable[[], object], ...] = (
            lambda: store.append(run.id, 0, sample_rows(0)),
            lambda: store.remove(run.id),
            lambda: mark(store, run.id, "paused"),
        )
        for call in refused:
            with pytest.raises(StateError, match="is being executed by one"):
                call()
        release(store, lease, "paused")
        with pytest.raises(StateError, match="nobody has it"):
            store.append(run.id, 0, sample_rows(0), lease=lease)
        store.append(run.id, 0, sample_rows(0))

    def test_a_run_cannot_be_created_running(self, store: Store) -> None:
        with pytest.raises(InputError, match="cannot begin as running"):
            store.create(sample_run(status="running"))

    def test_jobs_are_taken_oldest_first_and_each_once(self, store: Store, run: Run) -> None:
        for name, created_at in (("b", "2026-01-02"), ("a", "2026-01-01"), ("c", "2026-01-03")):
            store.create(sample_run(id=f"id-{name}", created_at=created_at, status="queued"))
        assert store.waiting() == ["id-a", "id-b", "id-c"]
        taken = [claim_job(store, seconds=LONG) for _ in range(4)]
        assert [lease and lease.run_id for lease in taken] == ["id-a", "id-b", "id-c", None]

    def test_a_job_whose_worker_died_waits_again_and_others_do_not(self, store: Store, run: Run, job: Run) -> None:
        claim(store, run.id, seconds=LONG)
        first = claim_job(store, seconds=LONG)
        assert first is not None and claim_job(store) is None
        for run_id in (run.id, job.id):
            expire(store, run_id)
        assert (store.run(run.id).status, store.run(job.id).status, store.waiting()) == ("interrupted", "queued", ["job"])
        second = claim_job(store, seconds=LONG)
        assert second is not None and second.run_id == "job" and second.fence == first.fence + 1

    def test_many_workers_share_the_jobs_without_taking_one_twice(self, store: Store, open_one: Any) -> None:
        for number in range(12):
            store.create(sample_run(id=f"job-{number}", status="queued"))
        taken: list[Lease] = []
        faults: list[BaseException] = []

        def serve() -> None:
            try:
                mine = open_one()
                while (lease := claim_job(mine, seconds=LONG)) is not None:
                    taken.append(lease)
                mine.close()
            except BaseException as fault:  # carried to the test's own thread
                faults.append(fault)

        workers = [threading.Thread(target=serve) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        left = []
        while (lease := claim_job(store, seconds=LONG)) is not None:  # a worker that lost every race may leave one
            left.append(lease)
        assert not faults and sorted(lease.run_id for lease in taken + left) == sorted(f"job-{k}" for k in range(12))

    def test_a_job_that_kills_its_workers_fails_in_the_end(self, store: Store, job: Run) -> None:
        for _ in range(20):
            assert claim_job(store) is not None
            expire(store, job.id)
        assert claim_job(store) is None
        failed = store.run(job.id)
        assert failed.status == "failed" and "died 20 times" in failed.error
        steer(store, job.id, "queued")
        assert claim_job(store) is not None

    def test_a_job_that_gets_on_may_lose_any_number_of_workers(self, store: Store, job: Run) -> None:
        for generation in range(25):
            lease = claim_job(store, seconds=LONG)
            assert lease is not None
            store.append(job.id, generation, sample_rows(generation), lease=lease)
            expire(store, job.id)
        assert store.run(job.id).status == "queued"

    @pytest.mark.parametrize("wanted", ["paused", "cancelled"])
    def test_what_is_asked_reaches_whoever_executes_the_run(self, store: Store, run: Run, wanted: str) -> None:
        lease = claim(store, run.id, seconds=LONG)
        steer(store, run.id, wanted)
        assert store.run(run.id).status == "running" and renew(store, lease, LONG) == wanted
        assert release(store, lease, "queued") == store.run(run.id).status == wanted

    def test_a_run_that_came_to_its_end_meanwhile_is_finished(self, store: Store, run: Run) -> None:
        lease = claim(store, run.id, seconds=LONG)
        steer(store, run.id, "paused")
        assert release(store, lease, "finished") == "finished"

    def test_a_pause_can_be_taken_back_before_it_happens(self, store: Store, run: Run) -> None:
        lease = claim(store, run.id, seconds=LONG)
        steer(store, run.id, "paused")
        steer(store, run.id, "queued")
        assert renew(store, lease, LONG) is None

    def test_a_run_that_nobody_executes_is_steered_at_once(self, store: Store, job: Run) -> None:
        for wanted in ("paused", "queued", "paused", "paused", "cancelled", "cancelled"):
            assert steer(store, job.id, wanted).status == store.run(job.id).status == wanted
        assert store.waiting() == []
        for refused in ("queued", "paused"):
            with pytest.raises(StateError, match="is cancelled"):
                steer(store, job.id, refused)
        with pytest.raises(StateError, match="is cancelled"):
            claim(store, job.id)

    def test_a_finished_run_has_nothing_to_stop_and_goes_on_with_a_new_goal(self, store: Store, run: Run) -> None:
        mark(store, run.id, "finished")
        for wanted in ("paused", "cancelled"):
            with pytest.raises(StateError, match="nothing to stop"):
                steer(store, run.id, wanted)
        steer(store, run.id, "queued", target=90)
        assert (store.run(run.id).status, store.run(run.id).target) == ("queued", 90)

    def test_the_goal_of_a_run_that_is_executed_stays(self, store: Store, run: Run) -> None:
        lease = claim(store, run.id, seconds=LONG, target=70)
        assert store.run(run.id).target == 70
        with pytest.raises(StateError, match="change its goal"):
            steer(store, run.id, "queued", target=80)
        release(store, lease, "paused")
        assert store.run(run.id).target == 70

    def test_a_failed_run_says_why_until_it_goes_on(self, store: Store, run: Run) -> None:
        release(store, claim(store, run.id, seconds=LONG), "failed", "The sky fell.")
        assert (store.run(run.id).status, store.run(run.id).error) == ("failed", "The sky fell.")
        claim(store, run.id, seconds=LONG)
        assert store.run(run.id).error == ""

    def test_a_rule_that_refuses_changes_nothing(self, store: Store, run: Run) -> None:
        def refuse(standing: Standing, now: float) -> Standing:
            raise StateError("no")

        before = store.change(run.id, lambda standing, now: standing)
        with pytest.raises(StateError, match="no"):
            store.change(run.id, refuse)
        assert store.change(run.id, lambda standing, now: standing) == before
        with pytest.raises(UnknownName):
            store.change("nobody", lambda standing, now: standing)
