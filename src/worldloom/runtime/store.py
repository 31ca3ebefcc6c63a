"""Store: where runs live. A synchronous protocol, and open_store(url), which finds the store that a URL names.

Semantics that every store shares are plain functions here, so that the stores differ only in how they keep things:

* append twice = once: the same generation with the same digest changes nothing; with another digest it is refused. So two
  processes cannot both extend one run with different content. Where a process has a lease on the run (lease.py), only it appends.
* generation g is accepted only after 0 … g-1.
* fitness that does not count (not finite, or a status that is not OK) is None in summaries and individuals and comes last in every
  order; the arrays keep what it was.
* `generation=None` means the latest.

Every method may be called from any thread. Appends to one store are done one at a time, in the order of the calls; reads go on
meanwhile and see whole generations only. A caller may therefore append from a background thread while it simulates the next
generation, as long as it leaves the arrays alone until append returns, and closes the store only after the last call has returned.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Protocol, runtime_checkable

import numpy as np

from worldloom.core.errors import InputError, StoreError, UnknownName
from worldloom.core.world import counted
from worldloom.runtime.lease import Lease, Standing, Turn
from worldloom.runtime.record import (
    IMPORTING,
    INTERRUPTED,
    RUNNING,
    STATUSES,
    Individual,
    Page,
    Rows,
    Run,
    Summary,
    individual_name,
    is_number,
)

ORDERS = {"fitness": False, "-fitness": True, "individual": False, "-individual": True}  # order: descending
PAGE = 100  # individuals in one page unless asked otherwise
SUFFIXES = (".db", ".sqlite", ".sqlite3")
BUSY_SECONDS = 5.0  # how long to wait for another process that is writing


@runtime_checkable
class Store(Protocol):
    """Where runs live. See the top of this file for what every store promises; testing.StoreContract checks it.

    Raises StoreError for trouble with the store, UnknownName for a run, generation or individual that is not there, and
    InputError for records that cannot be kept.
    """

    def create(self, run: Run) -> None:
        """Adds a run. The same record again changes nothing; another record under the same id is refused."""

    def append(self, run_id: str, generation: int, rows: Rows, *, lease: Lease | None = None) -> None:
        """Adds one generation, whole or not at all; once this returns, a killed process does not lose it. Twice = once.

        lease: of whoever executes the run. Raises StateError where it is not the last one, and where there is one but none is given.
        """

    def runs(self, *, limit: int | None = None, after: str | None = None) -> list[Run]:
        """Runs, newest first: all, or some of those that come after the run of that id."""

    def run(self, ref: str) -> Run:
        """The run of this id, name, or beginning of an id that fits one run only."""

    def rows(self, run_id: str, generation: int | None = None) -> Rows:
        """One generation with all its arrays."""

    def generations(self, run_id: str, *, after: int = -1) -> list[Summary]:
        """The run's generations after one in a line each, in order; reads no arrays."""

    def lengths(self, run_ids: Sequence[str]) -> list[int]:
        """How many generations each of these runs has."""

    def individuals(
        self, run_id: str, generation: int | None = None, *, order: str = "-fitness", limit: int = PAGE, cursor: str | None = None
    ) -> Page:
        """Individuals of one generation, a page at a time. order: fitness or individual, with '-' for descending.

        Equal fitness: lowest index first. A cursor continues in the generation that it came from.
        """

    def change(self, run_id: str, turn: Turn) -> Standing:
        """Applies a rule of lease.py to the run's standing, in one transaction and with the store's own clock; the new standing.

        turn: a pure function that is quick; what it raises comes back, and nothing is changed.
        """

    def waiting(self) -> list[str]:
        """Ids of the runs that wait for a worker, oldest first."""

    def remove(self, run_id: str) -> None:
        """Forgets a run with all its generations. Raises StateError while a process executes it."""

    def keep_frames(self, run_id: str, generation: int, individual: int, blob: bytes) -> None:
        """Caches the frames of an individual; they can always be computed again."""

    def frames(self, run_id: str, generation: int, individual: int) -> bytes | None:
        """The cached frames of an individual; None where none are kept."""

    def close(self) -> None:
        """Lets go of files and connections. Closing twice is fine."""


def open_store(url: str | os.PathLike[str] | None = None, *, create: bool = True, busy_seconds: float = BUSY_SECONDS) -> Store:
    """The store that a URL names.

    None: SQLite in the user's data directory, or what WORLDLOOM_STORE says. 'memory:', 'sqlite:///runs.db', a path that ends in
    .db, .sqlite or .sqlite3, 'postgresql://user@host/database'. create=False: a store that is not there is a StoreError.
    A store of an older schema is upgraded; one of a newer schema is refused.
    """
    text = os.fspath(url) if url is not None else os.environ.get("WORLDLOOM_STORE", "")
    scheme = text.partition(":")[0]
    if text in ("memory:", "memory://"):
        from worldloom.runtime.store_memory import MemoryStore

        return MemoryStore()
    if not text or scheme == "sqlite" or text.endswith(SUFFIXES):
        from worldloom.runtime.store_sql import open_sqlite

        return open_sqlite(sqlite_path(text), create=create, busy_seconds=busy_seconds)
    if scheme in ("postgresql", "postgres", "postgresql+asyncpg"):
        from worldloom.runtime.store_sql import open_postgresql

        return open_postgresql("postgresql+asyncpg" + text[len(scheme) :], create=create, busy_seconds=busy_seconds)
    raise UnknownName(
        "kind of store", scheme, ["memory:", "sqlite:///<path>", "postgresql://<user>@<host>/<database>", "<path>.db"]
    )


def sqlite_path(text: str) -> str:
    """The file that a store's text names; for no text the default, whose directory is made."""
    if text:
        path = text.removeprefix("sqlite://").removeprefix("/") if text.startswith("sqlite:") else text
        if not path or path == ":memory:":
            raise InputError(f"Store {text!r} names no file. Expected sqlite:///runs.db. Use memory: for a store that is not kept.")
        return os.path.abspath(os.path.expanduser(path))
    from platformdirs import user_data_path

    directory = user_data_path("worldloom")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"Cannot make {directory} ({error.strerror}). Expected a writable place. Set --store or WORLDLOOM_STORE."
        ) from None
    return str(directory / "runs.db")


def plain_run(run: Run) -> Run:
    """The run as a store gives it back: config and versions as JSON has them. Raises InputError where they do not fit JSON."""
    if run.status not in (*STATUSES, IMPORTING):
        raise UnknownName("status", run.status, STATUSES)
    if run.status in (RUNNING, INTERRUPTED):
        raise InputError(f"Run {run.id!r} cannot begin as {run.status}. Expected paused or queued. Create it so, then claim it.")
    if not run.id or not run.id.isascii() or not run.id.replace("-", "").replace("_", "").isalnum() or len(run.id) > 64:
        raise InputError(f"Run id {run.id!r} cannot be used. Expected up to 64 letters, digits, - and _. Use fresh_id().")
    for name, text in (
        ("name", run.name),
        ("world", run.world),
        ("created_at", run.created_at),
        ("parent_run", run.parent_run or ""),
        ("error", run.error),
    ):
        if "\0" in text or text.encode("utf-8", "replace").decode() != text:
            raise InputError(
                f"The run's {name} {text!r} has signs that no text holds. Expected Unicode without NUL. Leave them out."
            )
    if any(not 0 <= (number or 0) < 2**31 for number in (run.world_version, run.parent_generation, run.target)):
        raise InputError(f"Run {run.id!r} has a version, generation or target out of range. Expected whole numbers below 2^31.")
    return replace(
        run, config=json.loads(json_text("config", run.config)), versions=json.loads(json_text("versions", run.versions))
    )


def json_text(name: str, value: Mapping[str, Any]) -> str:
    """Strict JSON of a mapping, keys sorted."""
    try:
        return json.dumps(value, default=_as_dict, allow_nan=False, sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"The run's {name} does not fit JSON: {error}. Expected texts, finite numbers, lists and mappings."
        ) from None


def _as_dict(value: Any) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} {value!r}")


def check_rows(generation: int, rows: Rows) -> None:
    """Raises InputError unless the rows are one whole generation: see Rows for names, shapes and types."""
    if rows.generation != generation or generation < 0:
        raise InputError(
            f"Rows of generation {rows.generation} were given as generation {generation}. Expected the same number from 0."
        )
    if len(rows.digest) != 64 or rows.digest.strip("0123456789abcdef"):
        raise InputError(f"Digest {rows.digest!r} is not a SHA-256. Expected 64 digits 0-9a-f.")
    count = len(rows.keys)
    exact = {"keys": (rows.keys, (count,), np.uint64), "parents": (rows.parents, (count, 2), np.int32)}
    exact["streak"] = (rows.streak, (count,), np.int32)
    for name, (array, shape, dtype) in exact.items():
        if array.shape != shape or array.dtype != dtype:
            raise InputError(f"{name} is {array.dtype} {array.shape}. Expected {np.dtype(dtype)} {shape}.")
    for name in ("fitness", "status"):
        if name not in rows.outcome or rows.outcome[name].shape != (count,):
            raise InputError(f"The outcome's {name} is missing or not one number per individual. Expected shape ({count},).")
    status = rows.outcome["status"]
    if status.dtype.kind not in "biu" or (count and not -(2**31) <= int(status.min()) <= int(status.max()) < 2**31):
        raise InputError(f"The outcome's status is {status.dtype}. Expected whole numbers of at most 32 bits.")
    if not (np.isfinite(rows.seconds) and 0 <= rows.lane_steps < 2**63):
        raise InputError(f"seconds {rows.seconds} or lane_steps {rows.lane_steps} is out of range. Expected finite numbers from 0.")
    for group, arrays in (("genome", rows.genomes), ("outcome", rows.outcome)):
        for name, array in arrays.items():
            if array.shape[:1] != (count,):
                raise InputError(
                    f"The {group}'s {name} has shape {array.shape}. Expected {count} individuals along its first axis."
                )


def listed_fitness(rows: Rows) -> list[float | None]:
    """Fitness that counts as a list; None where a lane did not end with OK, or where its fitness is not finite."""
    values = counted(rows.outcome["fitness"], rows.outcome["status"])
    return [value if ok else None for value, ok in zip(values.tolist(), np.isfinite(values).tolist(), strict=True)]


def summary_of(rows: Rows) -> Summary:
    """A generation in one line. Of equals, the lowest index is the best."""
    fitness = counted(rows.outcome["fitness"], rows.outcome["status"])
    known = np.flatnonzero(np.isfinite(fitness))
    best = int(known[np.argmax(fitness[known])]) if len(known) else None
    codes, counts = np.unique(rows.outcome["status"], return_counts=True)
    return Summary(
        generation=rows.generation, digest=rows.digest, count=len(rows.keys), best=best,
        best_fitness=None if best is None else float(fitness[best]),
        median_fitness=float(np.median(fitness[known])) if len(known) else None,
        statuses={int(code): int(number) for code, number in zip(codes, counts, strict=True)},
        seconds=float(rows.seconds), lane_steps=int(rows.lane_steps),
    )  # fmt: skip


def individual_record(
    generation: int, individual: int, fitness: float | None, status: int, a: int, b: int, streak: int
) -> Individual:
    """An individual from the numbers that a store keeps."""
    parents = tuple(individual_name(generation - 1, parent) for parent in (a, b) if parent >= 0)
    name = individual_name(generation, individual)
    return Individual(
        id=name, generation=generation, individual=individual, fitness=fitness, status=status, parents=parents, streak=streak
    )


def resolve(ref: str, known: Sequence[tuple[str, str]]) -> str:
    """The id that a reference means, among (id, name) of all runs: an id, else a name, else the beginning of one id."""
    for found in (
        [id for id, _ in known if id == ref],
        [id for id, name in known if name == ref],
        [id for id, _ in known if ref and id.startswith(ref)],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError(f"{ref!r} fits {len(found)} runs: {', '.join(sorted(found)[:5])}. Expected one. Give the whole id.")
    raise unknown_run(ref, known)


def check_order(order: str, limit: int) -> None:
    """Raises unless this is an order that individuals can have, and limit a number from 1."""
    if order not in ORDERS:
        raise UnknownName("order", order, ORDERS)
    if limit < 1:
        raise InputError(f"Limit {limit} is out of range. Expected a whole number from 1.")


def cursor_parts(cursor: str) -> tuple[int, int]:
    """(generation, individuals already given) of a page's cursor."""
    generation, _, given = cursor.partition(".")
    if not (is_number(generation) and is_number(given)):
        raise InputError(f"Cursor {cursor[:40]!r} is not one that a page gave. Expected the text that came with the page before.")
    return int(generation), int(given)


def page_of(generation: int, given: int, limit: int, found: Sequence[Individual]) -> Page:
    """A page from up to limit + 1 individuals that follow the `given` ones. A generation never changes, so counting is safe."""
    return Page(tuple(found[:limit]), f"{generation}.{given + limit}" if len(found) > limit else None)


def check_next(run_id: str, generation: int, latest: int) -> None:
    """Raises StoreError unless this generation follows the latest one (-1: none yet)."""
    if generation != latest + 1:
        stands = f"ends with generation {latest}" if latest >= 0 else "has no generation yet"
        raise StoreError(
            f"Generation {generation} cannot be added: run {run_id!r} {stands}. Expected {latest + 1}. Append in order."
        )


def check_same(run_id: str, rows: Rows, digest: str) -> None:
    """Raises StoreError unless the generation that is there already is the same one."""
    if rows.digest != digest:
        raise StoreError(
            f"Generation {rows.generation} of run {run_id!r} is there already with digest {digest[:12]}…, not {rows.digest[:12]}…. "
            "Expected the same. Another process may be running it: stop one of them, or fork the run."
        )


def taken(run_id: str) -> StoreError:
    """The error for an id under which another run is kept."""
    return StoreError(f"Run {run_id!r} is there already with another record. Expected a free id. Use fresh_id().")


def unknown_run(run_id: str, known: Sequence[tuple[str, str]]) -> InputError:
    """The error for an id that no run has; says the nearest."""
    names = list(dict.fromkeys(text for pair in known for text in pair if text))
    near = get_close_matches(run_id, names, n=5, cutoff=0.5)
    return UnknownName("run", run_id, near or [name or id for id, name in known[:5]])


def unknown_individual(run_id: str, generation: int, individual: int) -> InputError:
    """The error for an individual that is not there."""
    name = individual_name(generation, individual)
    return InputError(f"Run {run_id!r} has no individual {name}. Expected one of its generations and an index in it.")


def unknown_generation(run_id: str, generation: int | None, count: int) -> InputError:
    """The error for a generation that is not there."""
    if count == 0:
        return InputError(f"Run {run_id!r} has no generation yet. Expected at least one. Resume it with `loom resume {run_id}`.")
    return InputError(f"Run {run_id!r} has no generation {generation}. Expected a number from 0 to {count - 1}.")
