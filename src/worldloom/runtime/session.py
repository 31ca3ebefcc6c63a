"""The Python API: what the commands do, for scripts and notebooks. `import worldloom` offers these functions by name.

run = worldloom.evolve("creatures", population=1000, generations=50, seed=7)
run.best.replay().save("walk.html")
outcomes = worldloom.simulate("creatures", run.best.genes, mode="fast")
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from worldloom.core.errors import InputError, UnknownName, WorldloomError
from worldloom.core.field import Record, fields, lane_count, sizes_of
from worldloom.core.rollout import Batch
from worldloom.core.world import World
from worldloom.evolve.search import Search, ask, begin, lane_keys, life
from worldloom.runtime import run as runs_
from worldloom.runtime.evaluate import Threads, inputs_from
from worldloom.runtime.outcomes import Outcomes
from worldloom.runtime.record import Run
from worldloom.runtime.results import Results
from worldloom.runtime.run import Listener, default_workers
from worldloom.runtime.store import Store, open_store
from worldloom.worlds.find import find, installed

POPULATION, GENERATIONS, SEED = 200, 50, 1  # what a run has unless told otherwise
DEVICES, CLUSTERS = ("auto", "cpu"), ("local",)


class Stopped(KeyboardInterrupt):
    """Ctrl-C while a run went on. run: its id, None where it had not begun; generations: how many are stored."""

    def __init__(self, run: str | None, generations: int, way_on: str = "") -> None:
        saved = f"Saved {generations} generation{'' if generations == 1 else 's'}."
        super().__init__(
            f"{saved} Go on with: loom resume {run}{way_on}" if run else "Stopped before the run began; nothing was saved."
        )
        self.run, self.generations = run, generations


class Installed(NamedTuple):
    """A world that is installed. problem: why it cannot be used; '' where it can."""

    name: str
    version: int | None
    doc: str
    modes: tuple[str, ...]
    problem: str = ""


def worlds() -> list[Installed]:
    """The installed worlds. One that cannot be imported is listed with its problem."""
    return [_described(name) for name in installed()]


def _described(name: str) -> Installed:
    try:
        world = find(name)
    except WorldloomError as error:
        return Installed(name, None, "", (), str(error))
    return Installed(name, world.version, world.doc, tuple(world.modes) or ("reference",))


def evolve(
    world: str | World,
    *,
    population: int = POPULATION,
    generations: int = GENERATIONS,
    seed: int = SEED,
    mode: str | None = None,
    strategy: str = "genetic",
    settings: Mapping[str, Any] | None = None,
    workers: int | None = None,
    device: str = "auto",
    cluster: str = "local",
    store: str | Store | None = None,
    name: str = "",
    keep: str = "default",
    progress: Listener | None = None,
) -> Results:
    """Evolve a world's genomes and store every generation.

    settings: parameters and sizes of the world, options of the strategy. workers: threads, absent: all cores but one.
    store: a URL, an open store, or the user's own. progress: called with a Progress after each generation.
    Ctrl-C stores what is done and raises Stopped, a KeyboardInterrupt that says how to go on.
    Raises InputError for what cannot be used.
    """
    check_place(device, cluster)
    found = find(world)
    planned = runs_.planned(
        found, population=population, generations=generations, seed=seed, mode=mode, strategy=strategy, given=settings, name=name,
        keep=keep,
    )  # fmt: skip
    with kept_open(store, create=True) as opened:
        with resumable(opened, planned):
            runs_.start(planned, opened, workers=workers, world=found, listener=progress)
        return Results(opened.run(planned.id), opened, found)


def resume(
    run: str,
    *,
    generations: int | None = None,
    workers: int | None = None,
    store: str | Store | None = None,
    world: World | None = None,
    progress: Listener | None = None,
) -> Results:
    """Carry a stored run on, to its planned number of generations or another. Raises as evolve does, UnknownName for no such run."""
    if generations is not None and generations < 1:
        raise InputError(
            f"{generations} generations are nothing to go on to. Expected 1 or more; leave it out for the planned number."
        )
    with kept_open(store, create=False) as opened:
        there = opened.run(run)
        found = world or find(there.world)
        way_on = "" if generations is None else f" --generations {generations}"
        with resumable(opened, there, way_on):
            runs_.resume(there.id, opened, generations=generations, workers=workers, world=found, listener=progress)
        return Results(opened.run(there.id), opened, found)


def fork(
    run: str,
    generation: int,
    *,
    seed: int | None = None,
    name: str = "",
    store: str | Store | None = None,
    world: World | None = None,
) -> Results:
    """A new run that shares generations 0 to `generation` with another. Resume it; with a seed of its own it goes its own way."""
    with kept_open(store, create=False) as opened:
        child = runs_.fork(run, opened, generation, name=name, seed=seed)
        return Results(child, opened, world or find(child.world))


def results(run: str, *, store: str | Store | None = None, world: World | None = None) -> Results:
    """A stored run, by its id, the beginning of it, or its name."""
    with kept_open(store, create=False) as opened:
        there = opened.run(run)
        return Results(there, opened, world or find(there.world))


def runs(*, store: str | Store | None = None) -> list[Run]:
    """All stored runs, newest first."""
    opened = store if isinstance(store, Store) else open_store(store, create=False)
    try:
        return opened.runs()
    finally:
        if opened is not store:
            opened.close()


def sample(
    world: str | World, count: int, *, seed: int = SEED, mode: str | None = None, settings: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Genes of `count` individuals, arrays [individual, ...] by name, as `simulate` takes them.

    They are generation 0 of a run with this seed and population. Raises what `evolve` raises.
    """
    if count < 1:
        raise InputError(f"{count} individuals are none. Expected 1 or more.")
    return dict(ask(begun(find(world), count, seed=seed, mode=mode, settings=settings))[0].arrays)


def begun(
    world: World,
    population: int,
    *,
    seed: int = SEED,
    mode: str | None = None,
    strategy: str = "genetic",
    settings: Mapping[str, Any] | None = None,
    implied: Mapping[str, int] | None = None,
) -> Search:
    """The search of a run before its first generation. implied: sizes, where the settings have none. Raises what `evolve` raises."""
    given, sizes, options = runs_.sorted_settings(world, strategy, settings or {})
    return begin(
        world, population=population, seed=seed, mode=mode, settings=given, sizes={**(implied or {}), **sizes},
        strategy=strategy, options={**world.search.get(strategy, {}), **options},
    )  # fmt: skip


def simulate(
    world: str | World,
    lanes: Mapping[str, Any] | Record,
    *,
    mode: str | None = None,
    seed: int = SEED,
    generation: int = 0,
    settings: Mapping[str, Any] | None = None,
    steps: int | None = None,
    workers: int | None = None,
) -> Outcomes:
    """Run lanes for a whole life: genomes or inputs, arrays [lane, ...] by name, or as the record of that kind.

    Lane k has the key of individual k of `generation` in a run with this seed. Raises InputError that names what does not fit.
    """
    found = find(world)
    batch = batch_from(found, _named(lanes), mode=mode, seed=seed, generation=generation, settings=settings, steps=steps)
    outcome = Threads(default_workers() if workers is None else workers, found).outcome(batch)
    return Outcomes(found, outcome._asdict(), batch)


def batch_from(
    world: World,
    arrays: Mapping[str, Any],
    *,
    mode: str | None = None,
    seed: int = SEED,
    generation: int = 0,
    settings: Mapping[str, Any] | None = None,
    steps: int | None = None,
) -> Batch:
    """The batch that `simulate` runs; as there."""
    given, sizes = sorted_settings(world, settings or {})
    params = world.filled(mode, given)
    own, count = checked_lanes(world, arrays, params, sizes)
    return Batch(
        world=world.name, version=world.version, mode=mode, settings=given, keys=lane_keys(seed, generation, count),
        steps=life(world, params, steps), **own,
    )  # fmt: skip


def _named(lanes: Mapping[str, Any] | Record) -> dict[str, Any]:
    if isinstance(lanes, Mapping):
        return dict(lanes)
    if not hasattr(lanes, "_asdict"):
        raise InputError(f"Lanes come as {type(lanes).__name__}. Expected arrays by name, or a record of genes or inputs.")
    return dict(lanes._asdict())


def checked_lanes(world: World, arrays: Mapping[str, Any], params: Record, sizes: Mapping[str, int]) -> tuple[dict[str, Any], int]:
    """({genomes, sizes} or {inputs}, number of lanes). Sizes that nobody gave are those of the arrays."""
    if world.genome is None or set(arrays) == set(fields(world.inputs)):
        inputs = inputs_from(world, arrays)
        sizes_of(inputs)
        count, own = lane_count(inputs), {"inputs": inputs._asdict()}
    else:
        kind = world.genome(params, world.sized(sizes)).genes
        known = fields(kind)
        if set(arrays) == set(known):
            implied = sizes_of(kind(**{name: np.asarray(array) for name, array in arrays.items()}))
            sizes = {**{name: implied[name] for name in world.sizes if name in implied}, **sizes}
        sized = world.sized(sizes)
        genes = world.genome(params, sized).from_arrays(arrays)
        count, own = lane_count(genes), {"genomes": genes._asdict(), "sizes": sized}
    if count < 1:
        raise InputError("There is no lane to run. Expected arrays with 1 lane or more.")
    return own, count


def sorted_settings(world: World, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, int]]:
    """(parameters, sizes). Raises UnknownName, with the nearest name, for what is neither."""
    params = fields(world.params)
    for name in given:
        if name not in params and name not in world.sizes:
            raise UnknownName("setting", name, [*params, *world.sizes])
    return {name: value for name, value in given.items() if name in params}, {n: v for n, v in given.items() if n not in params}


def check_place(device: str, cluster: str) -> None:
    """Raises InputError, or UnknownName, for a place where this version cannot run lanes."""
    if device == "cuda":
        raise InputError("Device 'cuda' cannot be used: this version runs lanes on CPU threads only. Expected auto or cpu.")
    if device not in DEVICES:
        raise UnknownName("device", device, DEVICES)
    if cluster.partition(":")[0] == "ray":
        raise InputError(f"Cluster {cluster!r} cannot be used: this version runs lanes on this machine only. Expected local.")
    if cluster not in CLUSTERS:
        raise UnknownName("cluster", cluster, CLUSTERS)


@contextmanager
def kept_open(store: str | Store | None, *, create: bool) -> Iterator[Store]:
    """A store that stays open for a Results, and is closed where none comes of it."""
    opened = store if isinstance(store, Store) else open_store(store, create=create)
    try:
        yield opened
    except BaseException:
        if opened is not store:
            opened.close()
        raise


@contextmanager
def resumable(store: Store, run: Run, way_on: str = "") -> Iterator[None]:
    """Ctrl-C becomes Stopped, which says what is stored."""
    try:
        yield
    except KeyboardInterrupt as stop:
        try:
            count = len(store.generations(run.id))
        except InputError:  # it came before the run was stored
            raise Stopped(None, 0) from stop
        raise Stopped(run.id, count, way_on) from stop
