"""StoreContract: what every Store must do. Subclass it in a test file and say how to open yours.

class TestMyStore(StoreContract):
    @pytest.fixture
    def open_one(self, tmp_path):
        return lambda: MyStore(tmp_path / "runs")     # called twice: the same place again
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from worldloom.core.errors import InputError, StoreError, UnknownName
from worldloom.runtime.lease import mark
from worldloom.runtime.record import IMPORTING, Run
from worldloom.runtime.store import Store
from worldloom.testing.leases import LeaseContract
from worldloom.testing.samples import assert_same_rows, sample_rows, sample_run

OpenOne = Callable[[], Store]


class StoreContract(LeaseContract):
    """Tests that every Store passes. Override the fixture open_one."""

    @pytest.fixture
    def open_one(self) -> OpenOne:
        raise NotImplementedError("Override the fixture open_one: it gives a function that opens your store.")

    @pytest.fixture
    def store(self, open_one: OpenOne) -> Iterator[Store]:
        store = open_one()
        yield store
        store.close()

    @pytest.fixture
    def run(self, store: Store) -> Run:
        run = sample_run()
        store.create(run)
        return run

    def test_a_store_keeps_the_protocol(self, store: Store) -> None:
        assert isinstance(store, Store)

    def test_a_created_run_is_given_back_whole(self, store: Store) -> None:
        run = sample_run(parent_run="abc", parent_generation=7)
        store.create(run)
        assert store.run(run.id) == run and store.runs() == [run]

    def test_creating_the_same_run_twice_changes_nothing(self, store: Store, run: Run) -> None:
        store.create(run)
        assert store.runs() == [run]

    def test_another_run_under_the_same_id_is_refused(self, store: Store, run: Run) -> None:
        with pytest.raises(StoreError, match="another record"):
            store.create(replace(run, seed=1))
        assert store.run(run.id) == run

    @pytest.mark.parametrize("config", [{"x": float("nan")}, {"x": object()}, {"x": b"bytes"}])
    def test_a_config_that_json_cannot_hold_is_refused(self, store: Store, config: dict[str, Any]) -> None:
        with pytest.raises(InputError, match="does not fit JSON"):
            store.create(sample_run(config=config))
        assert store.runs() == []

    @pytest.mark.parametrize(
        "change", [{"name": "a\0b"}, {"world": "\ud800"}, {"world_version": 2**31}, {"id": ""}, {"status": "asleep"}]
    )
    def test_a_run_that_no_database_can_hold_is_refused(self, store: Store, change: dict[str, Any]) -> None:
        with pytest.raises(InputError):
            store.create(sample_run(**change))
        assert store.runs() == []

    def test_runs_come_newest_first(self, store: Store) -> None:
        for name, created_at in (("b", "2026-01-02"), ("c", "2026-01-03"), ("a", "2026-01-01")):
            store.create(sample_run(id=f"id-{name}", name=name, created_at=created_at))
        assert [run.name for run in store.runs()] == ["c", "b", "a"]
        assert [run.name for run in store.runs(limit=2)] == ["c", "b"]
        assert [run.name for run in store.runs(limit=2, after="id-b")] == ["a"] and store.runs(after="id-a") == []
        with pytest.raises(UnknownName):
            store.runs(after="nobody")

    def test_runs_of_one_moment_are_all_given_page_by_page(self, store: Store) -> None:
        for name in "abcd":
            store.create(sample_run(id=f"id-{name}", name=name, created_at="2026-01-01"))
        first = store.runs(limit=2)
        assert [run.name for run in first + store.runs(limit=9, after=first[-1].id)] == list("dcba")

    def test_lengths_and_later_generations_are_told_without_arrays(self, store: Store, run: Run) -> None:
        for generation in range(3):
            store.append(run.id, generation, sample_rows(generation))
        other = sample_run(name="other")
        store.create(other)
        assert store.lengths([other.id, run.id, "nobody"]) == [0, 3, 0] and store.lengths([]) == []
        assert [one.generation for one in store.generations(run.id, after=0)] == [1, 2]
        assert store.generations(run.id, after=2) == [] and len(store.generations(run.id, after=-5)) == 3

    def test_a_generation_is_given_back_bit_for_bit(self, store: Store, run: Run) -> None:
        for generation in range(3):
            store.append(run.id, generation, sample_rows(generation))
        for generation in range(3):
            assert_same_rows(store.rows(run.id, generation), sample_rows(generation))
        assert_same_rows(store.rows(run.id), sample_rows(2))

    def test_a_generation_without_individuals_is_kept(self, store: Store, run: Run) -> None:
        store.append(run.id, 0, sample_rows(0, count=0))
        assert_same_rows(store.rows(run.id), sample_rows(0, count=0))
        assert store.individuals(run.id).individuals == ()
        assert store.generations(run.id)[0].best is None

    def test_arrays_that_a_store_gives_are_read_only(self, store: Store, run: Run) -> None:
        store.append(run.id, 0, sample_rows(0))
        with pytest.raises(ValueError, match="read-only"):
            store.rows(run.id).genomes["weights"][0] = 1

    def test_arrays_may_be_used_again_after_append(self, store: Store, run: Run) -> None:
        rows = sample_rows(0)
        store.append(run.id, 0, rows)
        for array in (rows.keys, rows.genomes["weights"], rows.outcome["fitness"], rows.memory["flags"]):
            array[...] = 0
        assert_same_rows(store.rows(run.id), sample_rows(0))

    def test_appending_twice_keeps_one(self, store: Store, run: Run) -> None:
        for generation in (0, 1, 0, 1):
            store.append(run.id, generation, sample_rows(generation))
        assert [one.generation for one in store.generations(run.id)] == [0, 1]
        assert len(store.individuals(run.id, 0).individuals) == 8

    def test_another_generation_under_the_same_number_is_refused(self, store: Store, run: Run) -> None:
        store.append(run.id, 0, sample_rows(0))
        with pytest.raises(StoreError, match="there already with digest"):
            store.append(run.id, 0, sample_rows(0, salt=1))
        assert_same_rows(store.rows(run.id), sample_rows(0))

    def test_a_generation_that_leaves_a_gap_is_refused(self, store: Store, run: Run) -> None:
        with pytest.raises(StoreError, match="has no generation yet"):
            store.append(run.id, 1, sample_rows(1))
        store.append(run.id, 0, sample_rows(0))
        with pytest.raises(StoreError, match="ends with generation 0"):
            store.append(run.id, 2, sample_rows(2))
        assert len(store.generations(run.id)) == 1

    def test_a_generation_of_an_unknown_run_is_refused(self, store: Store, run: Run) -> None:
        with pytest.raises(UnknownName, match="Unknown run"):
            store.append("nobody", 0, sample_rows(0))

    @pytest.mark.parametrize(
        "change",
        [
            {"generation": 1},
            {"digest": "abc"},
            {"parents": np.zeros((8, 3), np.int32)},
            {"streak": np.zeros(8, np.int64)},
            {"outcome": {"fitness": np.zeros(8)}},
            {"outcome": {"fitness": np.zeros(8), "status": np.zeros(8)}},
            {"lane_steps": 2**63},
            {"seconds": float("nan")},
            {"genomes": {"weights": np.zeros((7, 2))}},
            {"memory": {"thing": np.array([None])}},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_rows_that_are_no_whole_generation_are_refused(self, store: Store, run: Run, change: dict[str, Any]) -> None:
        with pytest.raises(InputError, match="Expected"):
            store.append(run.id, 0, replace(sample_rows(0), **change))
        assert store.generations(run.id) == []

    def test_a_lane_that_did_not_end_well_is_never_the_best(self, store: Store, run: Run) -> None:
        """Its fitness stays in the arrays and counts for nothing."""
        rows = sample_rows(0)
        outcome = {**rows.outcome, "fitness": np.arange(8.0), "status": np.array([0, 0, 0, 0, 0, 0, 0, 1], np.int8)}
        store.append(run.id, 0, replace(rows, outcome=outcome))
        assert store.generations(run.id)[0].best == 6
        listed = store.individuals(run.id, 0).individuals
        assert (listed[0].individual, listed[-1].individual, listed[-1].fitness) == (6, 7, None)
        assert store.rows(run.id, 0).outcome["fitness"][7] == 7

    def test_a_summary_ranks_no_fitness_that_is_not_finite(self, store: Store, run: Run) -> None:
        rows = sample_rows(0)
        store.append(run.id, 0, rows)
        (summary,) = store.generations(run.id)
        known = np.where(np.isfinite(rows.outcome["fitness"]), rows.outcome["fitness"], -1)
        assert (summary.count, summary.digest, summary.statuses) == (8, rows.digest, {0: 6, 1: 2})
        assert (summary.best, summary.best_fitness) == (int(np.argmax(known)), float(known.max()))
        assert summary.median_fitness == float(np.median(known[known >= 0].astype(np.float64)))
        assert (summary.seconds, summary.lane_steps) == (0.125, 10**12)

    def test_a_generation_in_which_no_fitness_is_finite_has_no_best(self, store: Store, run: Run) -> None:
        rows = sample_rows(0)
        store.append(run.id, 0, replace(rows, outcome={**rows.outcome, "fitness": np.full(8, -np.inf)}))
        (summary,) = store.generations(run.id)
        assert summary.best is None and summary.best_fitness is None and summary.median_fitness is None

    @pytest.mark.parametrize("order", ["fitness", "-fitness"])
    def test_fitness_that_is_not_finite_comes_last_in_either_order(self, store: Store, run: Run, order: str) -> None:
        rows = sample_rows(0)
        store.append(run.id, 0, rows)
        found = store.individuals(run.id, order=order).individuals
        fitness = [one.fitness for one in found if one.fitness is not None]
        assert fitness == sorted(fitness, reverse=order == "-fitness") and len(fitness) == 6
        assert [one.individual for one in found[-2:]] == [1, 2]
        places = [one.individual for one in found]
        assert places.index(5) == places.index(3) + 1  # equal fitness: lowest index first

    def test_an_individual_says_its_name_parents_and_streak(self, store: Store, run: Run) -> None:
        for generation in range(2):
            store.append(run.id, generation, sample_rows(generation))
        first = store.individuals(run.id, 0, order="individual").individuals[4]
        second = store.individuals(run.id, order="individual").individuals[5]
        assert (first.id, first.parents, first.status, first.streak) == ("0-4", (), 0, 0)
        assert (second.id, second.generation, second.individual, second.parents, second.streak) == ("1-5", 1, 5, ("0-2", "0-1"), 1)

    def test_pages_join_to_the_whole_generation(self, store: Store, run: Run) -> None:
        store.append(run.id, 0, sample_rows(0))
        whole = store.individuals(run.id).individuals
        first = store.individuals(run.id, limit=3)
        store.append(run.id, 1, sample_rows(1))  # a cursor stays in its generation
        second = store.individuals(run.id, limit=3, cursor=first.cursor)
        third = store.individuals(run.id, limit=3, cursor=second.cursor)
        assert first.individuals + second.individuals + third.individuals == whole and third.cursor is None

    @pytest.mark.parametrize("words", [{"order": "fitnes"}, {"limit": 0}, {"cursor": "x"}])
    def test_an_order_limit_or_cursor_that_is_none_is_refused(self, store: Store, run: Run, words: dict[str, Any]) -> None:
        store.append(run.id, 0, sample_rows(0))
        with pytest.raises(InputError):
            store.individuals(run.id, **words)

    def test_a_run_is_found_by_id_name_and_beginning_of_its_id(self, store: Store) -> None:
        for id, name in (("abcd", "first"), ("abxy", "second"), ("q", "abcd-not")):
            store.create(sample_run(id=id, name=name))
        assert [store.run(ref).id for ref in ("abcd", "second", "abx", "q")] == ["abcd", "abxy", "abxy", "q"]

    def test_a_reference_that_fits_several_runs_is_refused(self, store: Store) -> None:
        for id in ("abcd", "abxy"):
            store.create(sample_run(id=id, name="twins"))
        for ref in ("ab", "twins"):
            with pytest.raises(InputError, match="fits 2 runs: abcd, abxy"):
                store.run(ref)

    def test_an_unknown_run_is_answered_with_the_nearest(self, store: Store, run: Run) -> None:
        with pytest.raises(UnknownName, match="Did you mean 'walkers'") as caught:
            store.run("wakers")
        assert caught.value.nearest == "walkers"
        for call in (store.rows, store.generations, store.individuals, store.remove):
            with pytest.raises(UnknownName, match="Unknown run 'nobody'"):
                call("nobody")

    def test_an_unknown_generation_is_refused(self, store: Store, run: Run) -> None:
        with pytest.raises(InputError, match="no generation yet"):
            store.rows(run.id)
        store.append(run.id, 0, sample_rows(0))
        for call in (store.rows, store.individuals):
            with pytest.raises(InputError, match="has no generation 5"):
                call(run.id, 5)

    def test_a_status_is_marked(self, store: Store, run: Run) -> None:
        mark(store, run.id, "finished")
        assert store.run(run.id) == replace(run, status="finished")
        for status in ("pausd", "running", "interrupted"):
            with pytest.raises(InputError, match="cannot be given"):
                mark(store, run.id, status)
        with pytest.raises(UnknownName):
            mark(store, "nobody", "paused")

    def test_a_run_that_is_still_arriving_is_found_by_its_whole_id_only(self, store: Store) -> None:
        run = sample_run(status=IMPORTING)
        store.create(run)
        assert store.runs() == [] and store.run(run.id) == run
        for ref in (run.name, run.id[:-1]):
            with pytest.raises(UnknownName):
                store.run(ref)
        mark(store, run.id, "paused")
        assert store.run(run.name).status == "paused"

    def test_a_removed_run_leaves_nothing(self, store: Store, run: Run) -> None:
        other = sample_run(name="other")
        store.create(other)
        for one in (run, other):
            store.append(one.id, 0, sample_rows(0))
        store.keep_frames(run.id, 0, 3, b"frames")
        store.remove(run.id)
        assert store.runs() == [other] and len(store.individuals(other.id).individuals) == 8
        store.create(run)
        assert store.generations(run.id) == []
        store.append(run.id, 0, sample_rows(0))
        assert store.frames(run.id, 0, 3) is None

    def test_frames_are_kept_for_one_individual(self, store: Store, run: Run) -> None:
        store.append(run.id, 0, sample_rows(0))
        assert store.frames(run.id, 0, 3) is None
        for blob in (bytes(range(256)) * 100, b"newer"):
            store.keep_frames(run.id, 0, 3, blob)
            assert store.frames(run.id, 0, 3) == blob
        assert store.frames(run.id, 0, 4) is None
        for generation, individual in ((0, 8), (1, 0)):
            with pytest.raises(InputError, match="has no"):
                store.keep_frames(run.id, generation, individual, b"")
            with pytest.raises(InputError, match="has no"):
                store.frames(run.id, generation, individual)

    def test_what_was_kept_is_there_after_reopening(self, open_one: OpenOne) -> None:
        first, run = open_one(), sample_run()
        first.create(run)
        first.append(run.id, 0, sample_rows(0))
        first.close()
        first.close()
        second = open_one()
        assert second.runs() == [run]
        assert_same_rows(second.rows(run.id), sample_rows(0))
        second.append(run.id, 1, sample_rows(1))
        assert [one.generation for one in second.generations(run.id)] == [0, 1]
        second.close()

    def test_two_openings_see_and_respect_each_other(self, store: Store, run: Run, open_one: OpenOne) -> None:
        other = open_one()
        store.append(run.id, 0, sample_rows(0))
        other.append(run.id, 0, sample_rows(0))
        other.append(run.id, 1, sample_rows(1))
        with pytest.raises(StoreError, match="there already"):
            store.append(run.id, 1, sample_rows(1, salt=1))
        assert len(store.generations(run.id)) == 2
        other.close()

    def test_readers_see_whole_generations_while_one_is_appended(self, store: Store, run: Run) -> None:
        store.append(run.id, 0, sample_rows(0, count=64))
        done, faults, seen = threading.Event(), [], [0, 0]

        def read(reader: int) -> None:
            try:
                while not done.is_set():
                    rows = store.rows(run.id)
                    assert_same_rows(rows, sample_rows(rows.generation, count=64))
                    assert len(store.individuals(run.id, rows.generation).individuals) == 64
                    chain = [one.generation for one in store.generations(run.id)]
                    assert chain == list(range(len(chain))) and len(chain) > rows.generation
                    seen[reader] += 1
                    done.wait(0.002)  # readers that never rest keep the writer from its turn
            except BaseException as fault:  # carried to the test's own thread
                faults.append(fault)

        readers = [threading.Thread(target=read, args=(reader,)) for reader in range(2)]
        for reader in readers:
            reader.start()
        for generation in range(1, 20):
            store.append(run.id, generation, sample_rows(generation, count=64))
        while min(seen) == 0 and not faults:  # on a busy machine a reader may not have had its turn
            threading.Event().wait(0.001)
        done.set()
        for reader in readers:
            reader.join()
        assert not faults and len(store.generations(run.id)) == 20

    def test_appends_from_two_threads_keep_one_chain(self, store: Store, run: Run) -> None:
        faults: list[BaseException] = []

        def write() -> None:
            try:
                for generation in range(8):
                    store.append(run.id, generation, sample_rows(generation))
            except BaseException as fault:  # carried to the test's own thread
                faults.append(fault)

        writers = [threading.Thread(target=write) for _ in range(2)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert not faults and [one.generation for one in store.generations(run.id)] == list(range(8))
