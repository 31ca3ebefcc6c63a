"""Search: a world, a strategy and how far they have come, as one value. It knows no store, no executor and no clock.

    search = begin(world, population=100, seed=7)
    search, batch = ask(search)          # lanes to run, anywhere
    search = tell(search, outcome)       # and again

A run stores search.genes, search.state and the outcome of every generation; `restored` continues from any of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldloom.core.errors import InputError
from worldloom.core.field import Arrays, Record, fields
from worldloom.core.genome import Genes, Genome
from worldloom.core.keys import fold, run_key
from worldloom.core.rollout import Batch
from worldloom.core.world import World, counted
from worldloom.evolve.strategy import State, Strategy, made

EPISODE = 0  # the only life that an individual has in its generation
SEARCH = 2**63  # the strategy's place among the individuals' numbers, which stay far below


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search between two calls: `genes` and `state` are those of `generation` from ask to tell."""

    world: World
    mode: str | None
    settings: Mapping[str, Any]
    sizes: Mapping[str, int]
    steps: int
    population: int
    seed: int
    genome: Genome
    strategy: Strategy
    state: State
    generation: int = -1  # the last one asked; -1 before the first
    genes: Genes | None = None  # of that generation, until it is told

    @property
    def arrays(self) -> Arrays:
        """Genes of the generation that was asked and not yet told, by name."""
        return {} if self.genes is None else dict(zip(self.genes._fields, self.genes, strict=True))


def begin(
    world: World,
    *,
    population: int,
    seed: int,
    mode: str | None = None,
    settings: Mapping[str, Any] | None = None,
    sizes: Mapping[str, int] | None = None,
    steps: int | None = None,
    strategy: str | Callable[..., Strategy] = "genetic",
    options: Mapping[str, Any] | None = None,
) -> Search:
    """A search before its first generation. settings: parameters of the world; options: of the strategy; steps absent: the world's.

    Raises InputError for a world, number or option that cannot be used, UnknownName for a name that does not exist.
    """
    if "fitness" not in fields(world.outcome):
        raise InputError(
            f"World {world.name!r} cannot evolve: its Outcome has no `fitness`. Add the field or choose another world."
        )
    params, sized = world.filled(mode, settings), world.sized(sizes)
    genome = genome_of(world, params, sized)
    bred = made(strategy, genome, population, options)
    return Search(
        world=world, mode=mode, settings=dict(settings or {}), sizes=sized, population=int(population), seed=seed,
        steps=life(world, params, steps), genome=genome, strategy=bred, state=bred.start(fold(run_key(seed), SEARCH)),
    )  # fmt: skip


def life(world: World, params: Record, steps: int | None) -> int:
    """Steps in a life: the caller's or the world's. Raises InputError below 1."""
    count = world.steps(params) if steps is None else steps
    if count < 1:
        raise InputError(f"steps = {count} leaves no life to judge. Expected 1 or more; leave it out for the world's own number.")
    return int(count)


def genome_of(world: World, params: Record, sizes: Mapping[str, int]) -> Genome:
    """The world's own genome; without one, its Inputs, whose fields then need bounds. Raises InputError that names one without."""
    if world.genome is not None:
        return world.genome(params, sizes)
    for name, field in fields(world.inputs).items():
        cannot = f"World {world.name!r} has no genome, and its input {name!r}"
        if field.per != "lane":
            raise InputError(f"{cannot} is shared by several lanes. Expected inputs of one lane each; give the world a genome.")
        if not field.choices and (field.low is None or field.high is None):
            raise InputError(f"{cannot} has no bounds to evolve in. Give its Field low= and high=, or the world a genome.")
    return Genome(genes=world.inputs, sizes=sizes)


def ask(search: Search) -> tuple[Search, Batch]:
    """The next generation as lanes to run. Raises InputError where the last one has not been told."""
    if search.genes is not None:
        raise InputError(f"Generation {search.generation} was asked and not told. Expected its outcome first; tell it, then ask.")
    generation = search.generation + 1
    genes, state = search.strategy.ask(fold(fold(run_key(search.seed), generation), SEARCH), search.state)
    asked = replace(search, generation=generation, genes=genes, state=state)
    return asked, batch(asked)


def batch(search: Search) -> Batch:
    """The lanes of the generation that was asked."""
    own = {"genomes" if search.world.genome else "inputs": search.arrays}
    return Batch(
        world=search.world.name, version=search.world.version, mode=search.mode, settings=search.settings, sizes=search.sizes,
        keys=lane_keys(search.seed, search.generation, search.population), steps=search.steps, **own,
    )  # fmt: skip


def lane_keys(seed: int, generation: int, population: int) -> NDArray[np.uint64]:
    """A key for each individual of a generation [individual]."""
    individuals = fold(fold(run_key(seed), generation), np.arange(population))
    return np.asarray(fold(individuals, EPISODE), np.uint64)


def fitness(outcome: Record) -> NDArray[np.float64]:
    """Fitness that counts [lane]."""
    return counted(outcome.fitness, outcome.status)


def tell(search: Search, outcome: Record) -> Search:
    """The search that knows how its generation did. Raises InputError where none was asked, or the outcome is of another size."""
    if search.genes is None:
        raise InputError("An outcome was told for no generation. Expected one that was asked; ask first.")
    return replace(search, genes=None, state=search.strategy.tell(search.state, search.genes, fitness(outcome)))


def restored(search: Search, *, generation: int, genes: Arrays, state: State, outcome: Record | None = None) -> Search:
    """The search as it was after it had asked `generation`, or after it was told `outcome`.

    search: one begun with the same arguments. genes, state: as stored from search.arrays and search.state after ask.
    """
    asked = replace(search, generation=generation, genes=search.genome.genes(**genes), state=dict(state))
    return asked if outcome is None else tell(asked, outcome)
