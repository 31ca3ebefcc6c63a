"""Runs: the only place where ask, evaluate, append and tell meet. A run that was stopped goes on from its last stored generation."""

import math
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from worldloom.core.errors import InputError, UnknownName, WorldloomError
from worldloom.core.field import Record, fields, shape_of
from worldloom.core.keys import run_key
from worldloom.core.span import span
from worldloom.core.world import World
from worldloom.evolve.search import Search, ask, begin, fitness, restored, tell
from worldloom.evolve.strategy import find as find_strategy
from worldloom.evolve.strategy import options as strategy_options
from worldloom.runtime.evaluate import Evaluator, Threads, check_version, outcome_digest, run_digest
from worldloom.runtime.hold import Hold
from worldloom.runtime.lease import Lease, claim
from worldloom.runtime.record import FAILED, FINISHED, PAUSED, Rows, Run, fresh_id, individual_name, keep_from, now
from worldloom.runtime.store import Store
from worldloom.runtime.versions import versions
from worldloom.worlds.find import find


@dataclass(frozen=True)
class Progress:
    """What a run tells its listener after each generation."""

    run: str
    generation: int
    generations: int
    best: int
    best_fitness: float
    median_fitness: float
    seconds: float
    lane_steps: int


Listener = Callable[[Progress], None]
MOST_GENERATIONS = 1_000_000_000
MOST_BYTES = 1 << 29  # of genes in one generation: a blob of SQLite holds 1e9 bytes, and a process has to hold some of them at once


def default_workers() -> int:
    """All cores but one, at least one; WORLDLOOM_WORKERS overrides."""
    told = os.environ.get("WORLDLOOM_WORKERS")
    if told is not None and not (told.isdecimal() and int(told) > 0):
        raise InputError(
            f"WORLDLOOM_WORKERS={told!r} is not a number of workers. Expected 1 or more; unset it for all cores but one."
        )
    return int(told) if told else max(1, len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else [0]) - 1)


def sorted_settings(world: World, strategy: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """(parameters, sizes, strategy options) from `--set` pairs. Raises UnknownName over all three with the nearest name."""
    params, sizes = set(fields(world.params)), set(world.sizes)
    options = set(strategy_options(find_strategy(strategy))) - {"population"}
    for name in given:
        if name not in params | sizes | options:
            raise UnknownName("setting", name, params | sizes | options)
    return (
        {name: value for name, value in given.items() if name in params},
        {name: value for name, value in given.items() if name in sizes},
        {name: value for name, value in given.items() if name in options and name not in params | sizes},
    )


def planned(
    world: World,
    *,
    population: int,
    generations: int,
    seed: int,
    mode: str | None = None,
    strategy: str = "genetic",
    given: Mapping[str, Any] | None = None,
    name: str = "",
    keep: str = "default",
    status: str = PAUSED,
) -> Run:
    """The record of a run that has not begun, checked by starting its search. Raises what `begin` raises."""
    if not 1 <= generations <= MOST_GENERATIONS:
        raise InputError(f"{generations} generations are out of range. Expected 1 or more, at most {MOST_GENERATIONS}.")
    check_name(name)
    keep_from(keep)
    settings, sizes, options = sorted_settings(world, strategy, given or {})
    options = {**world.search.get(strategy, {}), **options}
    search = begin(
        world, population=population, seed=seed, mode=mode, settings=settings, sizes=sizes, strategy=strategy, options=options
    )
    check_weight(search)
    config = {
        "mode": mode or next(iter(world.modes), None), "settings": settings, "sizes": dict(search.sizes),
        "population": search.population, "generations": generations, "strategy": strategy,
        "options": options, "steps": search.steps, "keep": keep,
    }  # fmt: skip
    run_id = fresh_id()
    return Run(
        id=run_id, name=name or run_id, world=world.name, world_version=world.version, seed=seed, config=config,
        versions=versions(world), status=status,
    )  # fmt: skip


def check_weight(search: Search) -> None:
    """Raises InputError for a population whose generations would be larger than a store's blob."""
    known = fields(search.genome.genes)
    shapes = [(field, shape_of(field, search.genome.sizes)) for field in known.values()]
    each = sum(math.prod(shape) * np.dtype(field.dtype).itemsize for field, shape in shapes)
    if each * search.population > MOST_BYTES:
        raise InputError(
            f"{search.population} individuals of {each} bytes each are too many for one generation. "
            f"Expected at most {MOST_BYTES // each}. Choose a smaller population."
        )


def check_name(name: str) -> None:
    """Raises InputError for a name that would break a table, a terminal or a path."""
    if name != name.strip() or "/" in name or name in (".", ".."):
        raise InputError(f"Name {name!r} cannot be found again. Expected text without / and without spaces around it. Change it.")
    if not name.isprintable():
        raise InputError(
            f"Name {name!r} cannot be shown. Expected text without line breaks and control characters. Leave them out."
        )


def search_of(run: Run, world: World) -> Search:
    """The search that a run describes, before its first generation."""
    check_version(world, run.world_version)
    config = run.config
    return begin(
        world, population=config["population"], seed=run.seed, mode=config["mode"], settings=config["settings"], sizes=config["sizes"],
        steps=config["steps"], strategy=config["strategy"], options=config["options"],
    )  # fmt: skip


def resumed(run: Run, world: World, store: Store) -> Search:
    """The search as it stood after the last stored generation."""
    search, stored = search_of(run, world), store.generations(run.id)
    if not stored:
        return search
    last = store.rows(run.id)
    return restored(
        search, generation=last.generation, genes=last.genomes, state=dict(last.memory), outcome=world.outcome(**last.outcome)
    )


class Writer:
    """Appends generations on a thread of its own, one behind the search: storing costs no time while lanes run.

    At most one generation waits and one is held. An error comes back at the next release or at close.
    """

    def __init__(self, store: Store, lease: Lease) -> None:
        self._store, self._lease = store, lease
        self._waiting: queue.Queue[Rows | None] = queue.Queue(maxsize=1)
        self._error: BaseException | None = None
        self._held: Rows | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (rows := self._waiting.get()) is not None:
            if self._error is None:
                try:
                    with span("store", lanes=len(rows.keys)):
                        self._store.append(self._lease.run_id, rows.generation, rows, lease=self._lease)
                except BaseException as error:
                    self._error = error

    def hold(self, rows: Rows) -> None:
        """Keep one generation until `release`: storing it now would compete with the search for the interpreter."""
        self._held = rows

    def release(self) -> None:
        """Hand over what is held, just before lanes run."""
        self._raise()
        if self._held is not None:
            self._waiting.put(self._held)
            self._held = None

    def close(self) -> None:
        """Wait until all is stored."""
        if self._held is not None and self._error is None:
            self._waiting.put(self._held)
        self._waiting.put(None)
        self._thread.join()
        self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error


def weave(run: Run, search: Search, store: Store, evaluator: Evaluator, hold: Hold, *, listener: Listener | None = None) -> str:
    """Run generations from where the search stands to the run's goal, storing each; the status that the run is left in.

    It stops where the hold is asked to. On an error or Ctrl-C everything evaluated so far is stored, the run is left failed or paused,
    and the error goes on.
    """
    writer = Writer(store, hold.lease)
    try:
        try:
            while search.generation + 1 < run.goal and hold.wanted is None:
                search = _generation(run, search, evaluator, writer, listener)
        finally:
            writer.close()
    except BaseException as error:
        with suppress(InputError):  # what went wrong first is what is told
            hold.release(*left_by(error))
        raise
    return hold.release(FINISHED if search.generation + 1 >= run.goal else hold.wanted or PAUSED)


def left_by(error: BaseException) -> tuple[str, str]:
    """(status, why) of a run whose process met an error."""
    if isinstance(error, Exception):
        return FAILED, str(error) if isinstance(error, WorldloomError) else f"{type(error).__name__}: {error}"
    return PAUSED, ""


def _generation(run: Run, search: Search, evaluator: Evaluator, writer: Writer, listener: Listener | None) -> Search:
    started = time.perf_counter()
    with span("search", lanes=search.population):
        asked, batch = ask(search)
    writer.release()
    outcome = next(iter(evaluator.evaluate([batch])))
    with span("search", lanes=search.population):
        told = tell(asked, outcome)
    seconds, lane_steps = time.perf_counter() - started, batch.lanes * batch.steps
    writer.hold(_rows(asked, batch.keys, outcome, seconds, lane_steps))
    if listener is not None:
        values = fitness(outcome)
        finite = values[np.isfinite(values)]
        best = int(np.argmax(values))
        middle = float(np.median(finite)) if len(finite) else float("nan")
        listener(Progress(run.id, asked.generation, run.goal, best, float(values[best]), middle, seconds, lane_steps))
    return told


def _rows(asked: Search, keys: Any, outcome: Record, seconds: float, lane_steps: int) -> Rows:
    return Rows(
        generation=asked.generation,
        digest=outcome_digest(outcome),
        keys=keys,
        genomes=asked.arrays,
        outcome=dict(zip(outcome._fields, outcome, strict=True)),
        parents=np.asarray(asked.state["parents"], np.int32),
        streak=np.asarray(asked.state["streak"], np.int32),
        memory=asked.state,
        seconds=seconds,
        lane_steps=lane_steps,
    )


def start(
    run: Run, store: Store, *, workers: int | None = None, world: World | None = None, listener: Listener | None = None
) -> None:
    """Create a planned run and carry it through."""
    found = world or find(run.world)
    search, evaluator = search_of(run, found), Threads(default_workers() if workers is None else workers, found)
    evaluator.prepare(ask(search)[1])  # a world that does not compile leaves no run behind
    store.create(run)
    weave(run, search, store, evaluator, Hold(store, claim(store, run.id)), listener=listener)


def resume(
    ref: str,
    store: Store,
    *,
    generations: int | None = None,
    workers: int | None = None,
    world: World | None = None,
    listener: Listener | None = None,
) -> Run:
    """Carry a stored run on to its goal, or to another one, which it then keeps. The run. Raises StateError where somebody has it."""
    run = store.run(ref)
    found = world or find(run.world)
    check_version(found, run.world_version)
    evaluator = Threads(default_workers() if workers is None else workers, found)
    carry_on(store, Hold(store, claim(store, run.id, target=generations)), evaluator, found, listener=listener)
    return store.run(run.id)


def carry_on(store: Store, hold: Hold, evaluator: Evaluator, world: World, *, listener: Listener | None = None) -> str:
    """Go on with a claimed run from its last stored generation; the status that it is left in."""
    try:
        run = store.run(hold.lease.run_id)
        search = resumed(run, world, store)
    except BaseException as error:
        with suppress(InputError):
            hold.release(*left_by(error))
        raise
    return weave(run, search, store, evaluator, hold, listener=listener)


def fork(ref: str, store: Store, generation: int, *, name: str = "", seed: int | None = None) -> Run:
    """A new run that shares generations 0 to `generation` with another. With a seed of its own it goes its own way from there."""
    check_name(name)
    run = store.run(ref)
    count = store.lengths([run.id])[0]
    if not 0 <= generation < count:
        there = f"0 to {count - 1}" if count else "one, and it has none yet"
        raise InputError(f"Run {run.name!r} has no generation {generation} to fork from. Expected {there}. Choose another.")
    new_id, own = fresh_id(), run.seed if seed is None else seed
    run_key(own)  # raises for a number that is no seed
    child = replace(
        run, id=new_id, seed=own, name=name or f"{run.name}-fork-{new_id[:4]}", status=PAUSED, created_at=now(),
        parent_run=run.id, parent_generation=generation, error="",
    )  # fmt: skip
    store.create(child)
    for number in range(generation + 1):
        store.append(child.id, number, store.rows(run.id, number))
    return child


def report(run: Run, store: Store) -> dict[str, Any]:
    """{run, world, seed, generations, best: {individual, generation, fitness}, digest, seconds, lane_steps} of a stored run."""
    stored = store.generations(run.id)
    counted = [g for g in stored if g.best is not None and g.best_fitness is not None]
    best = max(counted, key=lambda g: (g.best_fitness or 0.0, -g.generation), default=None)
    return {
        "run": run.id,
        "world": run.world,
        "seed": run.seed,
        "generations": len(stored),
        "best": None
        if best is None
        else {
            "individual": individual_name(best.generation, best.best or 0),
            "generation": best.generation,
            "fitness": best.best_fitness,
        },
        "digest": run_digest(g.digest for g in stored),
        "seconds": round(sum(g.seconds for g in stored), 6),
        "lane_steps": sum(g.lane_steps for g in stored),
    }
