"""Warming: everything that would otherwise compile during the first run is compiled into the disk cache."""

import time
from collections.abc import Iterator
from typing import NamedTuple

from worldloom.core.errors import InputError, WorldloomError
from worldloom.core.field import fields, sizes_of
from worldloom.core.launch import driver
from worldloom.core.world import World
from worldloom.evolve.search import ask, begin, tell
from worldloom.runtime.evaluate import Threads, expressed
from worldloom.worlds.find import find, installed

POPULATION = 16  # one block: enough to come by every function that breeding uses


class Warmed(NamedTuple):
    """One thing that is ready. from_disk: it was compiled before; problem: why it could not be compiled, or ''."""

    name: str
    seconds: float
    from_disk: bool
    problem: str = ""


def warm(names: list[str] | None = None) -> Iterator[Warmed]:
    """Compile the kernels of these worlds, or of all installed ones, one by one; and the key functions that breeding uses."""
    for name in names or list(installed()):
        try:
            world = find(name)
        except InputError:
            raise
        except WorldloomError as error:
            yield Warmed(name, 0.0, False, str(error))
            continue
        for mode in own_steps(world):
            yield kernel(world, mode)
        if evolves(world):
            yield breeding(world)


def own_steps(world: World) -> list[str | None]:
    """The modes that have code of their own; None for the one that all others share."""
    return [None, *(name for name, mode in world.modes.items() if mode.step is not None)]


def evolves(world: World) -> bool:
    """Whether the world can evolve."""
    return world.genome is not None and "fitness" in fields(world.outcome)


def kernel(world: World, mode: str | None) -> Warmed:
    """The kernel of a mode with the world's default sizes."""
    started, label = time.perf_counter(), f"{world.name}{f' {mode}' if mode else ''}"
    try:
        made = driver(world, mode, default_sizes(world, mode))
    except WorldloomError as error:
        return Warmed(label, time.perf_counter() - started, False, str(error))
    return Warmed(f"{label}, {made.width} lanes", time.perf_counter() - started, made.from_disk)


def default_sizes(world: World, mode: str | None) -> dict[str, int]:
    """The sizes of the world's Inputs that a run with its defaults has."""
    if evolves(world):
        _, batch = ask(begin(world, population=1, seed=0, mode=mode))
        return sizes_of(expressed(world, batch)[1])
    used = {name for field in fields(world.inputs).values() for name in field.shape if isinstance(name, str)}
    return {name: size for name, size in world.sized().items() if name in used}


def breeding(world: World) -> Warmed:
    """Two generations of one step each: whatever sampling, mutation and crossover compile."""
    started = time.perf_counter()
    search, threads = begin(world, population=POPULATION, seed=0, steps=1), Threads(1, world)
    for _ in range(2):
        search, batch = ask(search)
        search = tell(search, threads.outcome(batch))
    return Warmed(f"{world.name} breeding", time.perf_counter() - started, True)
