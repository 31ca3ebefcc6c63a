"""MemoryStore: runs for as long as the process lives. For tests, benchmarks and throw-away runs."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import RLock
from typing import Any

from numpy.typing import NDArray

from worldloom.runtime import store
from worldloom.runtime.arrays import plain_array
from worldloom.runtime.lease import Lease, Standing, Turn, writable
from worldloom.runtime.record import IMPORTING, QUEUED, Individual, Page, Rows, Run, Summary


def _copied(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: _frozen(name, array) for name, array in arrays.items()}


def _frozen(name: str, array: NDArray[Any]) -> NDArray[Any]:
    copy = plain_array(name, array).copy()
    copy.flags.writeable = False
    return copy


class MemoryStore:
    """A Store in this process's memory. Arrays are copied on append, so buffers can be used again at once."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._runs: dict[str, Run] = {}
        self._standings: dict[str, Standing] = {}
        self._rows: dict[str, list[Rows]] = {}
        self._summaries: dict[str, list[Summary]] = {}
        self._frames: dict[tuple[str, int, int], bytes] = {}

    def create(self, run: Run) -> None:
        run = store.plain_run(run)
        with self._lock:
            if self._runs.setdefault(run.id, run) != run:
                raise store.taken(run.id)
            fresh = Standing(status=run.status, job=run.status == QUEUED, target=run.target, error=run.error)
            self._standings.setdefault(run.id, fresh)
            self._rows.setdefault(run.id, [])
            self._summaries.setdefault(run.id, [])

    def append(self, run_id: str, generation: int, rows: Rows, *, lease: Lease | None = None) -> None:
        store.check_rows(generation, rows)
        kept = replace(
            rows, keys=_frozen("keys", rows.keys), parents=_frozen("parents", rows.parents), streak=_frozen("streak", rows.streak),
            genomes=_copied(rows.genomes), outcome=_copied(rows.outcome), memory=_copied(rows.memory),
        )  # fmt: skip
        with self._lock:
            chain = self._rows[self._known(run_id)]
            writable(run_id, lease, self._standings[run_id], time.time())
            if generation < len(chain):
                store.check_same(run_id, rows, chain[generation].digest)
                return
            store.check_next(run_id, generation, len(chain) - 1)
            chain.append(kept)
            self._standings[run_id] = replace(self._standings[run_id], tries=0)
            self._summaries[run_id].append(store.summary_of(kept))

    def runs(self, *, limit: int | None = None, after: str | None = None) -> list[Run]:
        with self._lock:
            shown = [self._shown(run_id) for run_id, standing in self._standings.items() if standing.status != IMPORTING]
            last = None if after is None else self._runs[self._known(after)]
        ordered = sorted(shown, key=lambda run: (run.created_at, run.id), reverse=True)
        return [run for run in ordered if last is None or (run.created_at, run.id) < (last.created_at, last.id)][:limit]

    def run(self, ref: str) -> Run:
        with self._lock:
            run_id = ref if ref in self._runs else store.resolve(ref, [(run.id, run.name) for run in self.runs()])
            return self._shown(run_id)

    def _shown(self, run_id: str) -> Run:
        standing = self._standings[run_id]
        return replace(self._runs[run_id], status=standing.shown(time.time()), target=standing.target, error=standing.error)

    def rows(self, run_id: str, generation: int | None = None) -> Rows:
        with self._lock:
            chain = self._rows[self._known(run_id)]
            wanted = len(chain) - 1 if generation is None else generation
            if not 0 <= wanted < len(chain):
                raise store.unknown_generation(run_id, generation, len(chain))
            return chain[wanted]

    def generations(self, run_id: str, *, after: int = -1) -> list[Summary]:
        with self._lock:
            return self._summaries[self._known(run_id)][max(0, after + 1) :]

    def lengths(self, run_ids: Sequence[str]) -> list[int]:
        with self._lock:
            return [len(self._rows.get(run_id, ())) for run_id in run_ids]

    def individuals(
        self,
        run_id: str,
        generation: int | None = None,
        *,
        order: str = "-fitness",
        limit: int = store.PAGE,
        cursor: str | None = None,
    ) -> Page:
        store.check_order(order, limit)
        generation, given = store.cursor_parts(cursor) if cursor else (generation, 0)
        rows = self.rows(run_id, generation)
        everyone = _sorted(_individuals(rows), order)
        return store.page_of(rows.generation, given, limit, everyone[given : given + limit + 1])

    def change(self, run_id: str, turn: Turn) -> Standing:
        with self._lock:
            self._standings[run_id] = turn(self._standings[self._known(run_id)], time.time())
            return self._standings[run_id]

    def waiting(self) -> list[str]:
        with self._lock:
            return [run.id for run in reversed(self.runs()) if run.status == QUEUED]

    def remove(self, run_id: str) -> None:
        with self._lock:
            writable(run_id, None, self._standings[self._known(run_id)], time.time())
            del self._runs[run_id], self._standings[run_id], self._rows[run_id], self._summaries[run_id]
            self._frames = {key: blob for key, blob in self._frames.items() if key[0] != run_id}

    def keep_frames(self, run_id: str, generation: int, individual: int, blob: bytes) -> None:
        with self._lock:
            self._frames[self._place(run_id, generation, individual)] = bytes(blob)

    def frames(self, run_id: str, generation: int, individual: int) -> bytes | None:
        with self._lock:
            return self._frames.get(self._place(run_id, generation, individual))

    def close(self) -> None:
        """Keeps what it has: the object is the store."""

    def _known(self, run_id: str) -> str:
        if run_id not in self._runs:
            raise store.unknown_run(run_id, [(run.id, run.name) for run in self.runs()])
        return run_id

    def _place(self, run_id: str, generation: int, individual: int) -> tuple[str, int, int]:
        if not 0 <= individual < len(self.rows(run_id, generation).keys):
            raise store.unknown_individual(run_id, generation, individual)
        return run_id, generation, individual


def _individuals(rows: Rows) -> list[Individual]:
    fitness, status = store.listed_fitness(rows), rows.outcome["status"].tolist()
    numbers = zip(fitness, status, *rows.parents.T.tolist(), rows.streak.tolist(), strict=True)
    return [store.individual_record(rows.generation, k, *numbers_of_one) for k, numbers_of_one in enumerate(numbers)]


def _sorted(everyone: list[Individual], order: str) -> list[Individual]:
    sign = -1.0 if store.ORDERS[order] else 1.0
    if order.endswith("individual"):
        return sorted(everyone, key=lambda one: sign * one.individual)
    return sorted(everyone, key=lambda one: (one.fitness is None, sign * (one.fitness or 0.0), one.individual))
