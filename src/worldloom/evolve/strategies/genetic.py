"""The genetic algorithm: generations of elites, children and immigrants. It needs only a genome's bounds, so it suits every world.

    rank → survivors unchanged │ parents → crossover → mutation → the world's own mutation → clip, repair │ immigrants

State after start: asked, best, stagnant. After ask also parents, streak. After tell also fitness and the genes ("genes.<name>").
"""

from dataclasses import MISSING, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldloom.core.errors import InputError
from worldloom.core.field import fields
from worldloom.core.genome import Genes, Genome, clipped, rows
from worldloom.core.keys import fold, uniforms
from worldloom.evolve import mutation, select
from worldloom.evolve.crossover import INTERPOLATION, UNIFORM, Crossing, crossed, simulated_binary
from worldloom.evolve.mutation import Steps
from worldloom.evolve.strategy import State, option, settle, told

FRESH, FIRST, SECOND, PAIR, CROSS, SCALE, MUTATE, STRUCTURE, SLOTS = range(9)  # random slots of one ask
NAMES = "genes."  # prefix of the gene arrays in the state


@dataclass(frozen=True, kw_only=True)
class GeneticAlgorithm:
    """Genetic algorithm over the float genes of a genome; whole-number genes follow the first parent and the world's own mutate.

    The best individual never gets lost: unless the population is 1, at least `elites` survive unchanged.
    Raises InputError for an option that is out of its limits and UnknownName for a choice that does not exist.
    Source: Goldberg 1989; the operators name their own.
    """

    genome: Genome
    population: int = option(MISSING, "individuals in each generation", low=1, high=10_000_000, whole=True)
    elites: int | None = option(None, "individuals that survive; absent: one and one in fifty more", high=10_000_000, whole=True)
    selection: str = option("truncation", "how parents are chosen", choices=("truncation", "tournament", "rank", "species"))
    share: float = option(0.2, "share of the ranked that may become parents, with truncation", low=1e-6)
    rivals: int = option(4, "individuals in one tournament; also within species", low=1, high=1000, whole=True)
    pressure: float = option(1.8, "offspring of the best relative to the average, with rank", low=1.0, high=2.0)
    reach: float = option(0.1, "mean difference of two species' genes, as a share of each range")
    species: int = option(8, "most species at a time", low=1, high=1000, whole=True)
    crossover: str = option("uniform", "how the genes of two parents mix", choices=("uniform", "interpolation", "sbx"))
    pairs: float = option(0.9, "share of children that have two parents")
    sbx_eta: int = option(2, "how near to their parents children of sbx are; higher is nearer", high=63, whole=True)
    mutation: str = option("gaussian", "shape of a mutation step", choices=("gaussian", "polynomial"))
    rate: float = option(0.1, "probability that a float gene mutates; raised to 2 genes a child in a small genome; 0: none")
    scale: float = option(0.1, "standard deviation of a step as a share of the gene's range", high=10.0)
    octaves: int = option(6, "each child's scale is halved 0 to octaves - 1 times, at random", low=1, high=24, whole=True)
    mutation_eta: int = option(20, "how peaked a polynomial step is; higher has more small ones", high=63, whole=True)
    structure: float = option(0.2, "share of children that the world's own mutation touches")
    decay: str = option("none", "how mutation falls over the generations", choices=("none", "linear", "exponential"))
    decays: str = option("scale", "what falls", choices=("scale", "rate", "both"))
    horizon: int = option(50, "generations until the floor is reached", unit="generations", low=1, high=1_000_000, whole=True)
    floor: float = option(0.1, "what is left of the rate or scale then", low=1e-6)
    patience: int = option(8, "without a new best before the boost", unit="generations", low=1, high=1_000_000, whole=True)
    boost: float = option(2.0, "factor on rate and scale while stagnant; 1: none", low=1.0, high=100.0)
    immigrants: float = option(0.0, "share of each generation that is new at random")

    def __post_init__(self) -> None:
        settle(self)
        if self.elites is not None and self.elites >= max(1, self.population):
            raise InputError(
                f"elites = {self.elites} leaves no room for children in a population of {self.population}. "
                f"Expected fewer elites than individuals; set elites to {self.population - 1} or less."
            )

    def start(self, key: np.uint64) -> State:
        """State before the first generation."""
        return {"asked": np.zeros(1, np.int64), "best": np.full(1, -np.inf), "stagnant": np.zeros(1, np.int64)}

    def tell(self, state: State, genes: Genes, fitness: NDArray[Any]) -> State:
        """State with the generation's genes and fitness, as they are needed by the next ask."""
        values = told(genes, fitness)
        best = values.max(initial=-np.inf)
        better = best > state["best"][0]
        stagnant = state["stagnant"] * 0 if better else state["stagnant"] + 1
        known = {NAMES + name: array for name, array in zip(genes._fields, genes, strict=True)}
        return {**state, "best": np.maximum(state["best"], best), "stagnant": stagnant, "fitness": values, **known}

    def ask(self, key: np.uint64, state: State) -> tuple[Genes, State]:
        """Genes of the next generation: survivors first, best first, then children, then immigrants."""
        keys = fold(key, np.arange(SLOTS))
        fitness = state.get("fitness", np.empty(0))
        ranks = select.ranked(fitness)
        memory = {**{name: state[name] for name in ("best", "stagnant")}, "asked": state["asked"] + 1}
        if not len(ranks):  # the first generation, or nobody has a finite fitness
            genes = self.genome.sampled(keys[FRESH], self.population)
            return genes, {**memory, **lineage(np.full((self.population, 2), -1), np.zeros(self.population))}
        old = self.genome.genes(**{name: state[NAMES + name] for name in fields(self.genome.genes)})
        survivors, parents = self.chosen(keys, old, fitness, ranks)
        children = self.bred(keys, old, parents, state) if len(parents) else rows(old, slice(0))
        strangers = self.population - len(survivors) - len(parents)
        groups = [tuple(array[survivors] for array in old), children]
        groups += [self.genome.sampled(keys[FRESH], strangers)] if strangers else []
        streak = state.get("streak", np.zeros(len(fitness), np.int32))[survivors] + 1
        genes = self.genome.genes(*(np.concatenate(arrays) for arrays in zip(*groups, strict=True)))
        kept = np.stack([survivors, np.full(len(survivors), -1)], axis=1)
        parents = np.concatenate([kept, parents, np.full((strangers, 2), -1)])
        return genes, {**memory, **lineage(parents, np.append(streak, np.zeros(self.population - len(survivors))))}

    def chosen(self, keys: NDArray[np.uint64], genes: Genes, fitness: NDArray[Any], ranks: select.Indices) -> tuple[Any, Any]:
        """Survivors [survivor] and the parents of children [child, 2], indices of the generation before."""
        elites = self.elites if self.elites is not None else min(self.population - 1, 1 + self.population // 50)
        survivors = select.elites(ranks, elites)
        room = self.population - len(survivors)
        if self.selection == "species":
            species = select.speciated(genes, ranks, reach=self.reach, limit=self.species)
            seeds = species.seeds[~np.isin(species.seeds, survivors)][: max(0, room - 1)]
            survivors, room = np.append(survivors, seeds), room - len(seeds)
            children = room - int(self.immigrants * room)
            first, second = select.within((keys[FIRST], keys[SECOND]), fitness, ranks, species, children, size=self.rivals)
        else:
            children = room - int(self.immigrants * room)
            draw = self.drawn()
            first, second = draw(keys[FIRST], ranks, children), draw(keys[SECOND], ranks, children)
        paired = (uniforms(keys[PAIR], children) < np.float32(self.pairs)) & (first != second)
        return survivors, np.stack([first, np.where(paired, second, -1)], axis=1)

    def drawn(self) -> select.Selection:
        """The way of choosing parents, without species."""
        if self.selection == "truncation":
            return partial(select.truncation, share=self.share)
        if self.selection == "tournament":
            return partial(select.tournament, size=self.rivals)
        return partial(select.ranking, pressure=self.pressure)

    def bred(self, keys: NDArray[np.uint64], genes: Genes, parents: NDArray[Any], state: State) -> Genes:
        """Valid children of parents [child, 2]."""
        children = crossed(keys[CROSS], genes, parents, self.crossing())
        rate, scale = self.strength(int(state["asked"][0]), int(state["stagnant"][0]))
        scales = mutation.scales(keys[SCALE], len(parents), scale=scale, octaves=self.octaves)
        mutation.mutate(keys[MUTATE], children, rate=mutation.enough(self.genome, rate), scale=scales, steps=self.steps())
        if self.genome.mutate is not None:
            boost = mutation.boosted(int(state["stagnant"][0]), patience=self.patience, boost=self.boost)
            children = self.genome.mutate(keys[STRUCTURE], children, min(1.0, self.structure * boost))
        return self.genome.repair(clipped(children))

    def crossing(self) -> Crossing:
        """The crossover operator."""
        if self.crossover == "sbx":
            return simulated_binary(self.sbx_eta)
        return UNIFORM if self.crossover == "uniform" else INTERPOLATION

    def steps(self) -> Steps:
        """The mutation operator."""
        return mutation.gaussian if self.mutation == "gaussian" else partial(mutation.polynomial, eta=self.mutation_eta)

    def strength(self, generation: int, stagnant: int) -> tuple[float, float]:
        """(rate, scale) for children of this generation: decayed, and boosted while no new best is found."""
        decay = mutation.decayed(self.decay, generation, horizon=self.horizon, floor=self.floor)
        boost = mutation.boosted(stagnant, patience=self.patience, boost=self.boost)
        rate = self.rate * boost * (decay if self.decays != "scale" else 1.0)
        return min(1.0, rate), self.scale * boost * (decay if self.decays != "rate" else 1.0)


def lineage(parents: NDArray[Any], streak: NDArray[Any]) -> State:
    """The part of the state that says where everyone comes from."""
    return {"parents": parents.astype(np.int32), "streak": streak.astype(np.int32)}
