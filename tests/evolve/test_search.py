"""Search as a value: a world, a strategy, and how far they have come. Outcomes are made here; no kernel runs."""

import subprocess
import sys
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from evolve_problems import LIMBS, same

from worldloom.core.errors import InputError, UnknownName
from worldloom.core.field import Field
from worldloom.core.keys import fold, run_key
from worldloom.core.world import Mode, Size, World
from worldloom.evolve.search import ask, begin, fitness, genome_of, lane_keys, restored, tell
from worldloom.evolve.strategies.genetic import GeneticAlgorithm


class Params(NamedTuple):
    drag: np.float32 = Field("1/s", "drag", default=0.5, low=0.0, high=9.0)


class Inputs(NamedTuple):
    push: np.ndarray = Field("N", "push of each leg", ("legs",), low=-1.0, high=1.0)
    gait: np.ndarray = Field("code", "gait", dtype=np.int8, choices=("walk", "trot"))


class Unbounded(NamedTuple):
    push: np.ndarray = Field("N", "push", low=-1.0, high=1.0)
    torque: np.ndarray = Field("N m", "torque", low=0.0)


class Shared(NamedTuple):
    springs: np.ndarray = Field("1", "springs", (3,), low=0.0, high=1.0, per="block")


class State(NamedTuple):
    place: np.ndarray = Field("m", "place")


class Outcome(NamedTuple):
    fitness: np.ndarray = Field("m", "distance")
    status: np.ndarray = Field("code", "0 = OK", dtype=np.int8)


class Unjudged(NamedTuple):
    status: np.ndarray = Field("code", "0 = OK", dtype=np.int8)


def nothing(*_):
    """A kernel that is never run here."""


WALKER = World(
    name="walker", version=3, params=Params, inputs=Inputs, state=State, outcome=Outcome,
    reset=nothing, step=nothing, finish=nothing,
    modes={"accurate": Mode(doc="all steps"), "fast": Mode(doc="few steps", params={"drag": 1.0})},
    sizes={"legs": Size(doc="legs", default=4)}, steps=lambda params: int(100 / params.drag),
)  # fmt: skip


def started(world=WALKER, **arguments):
    return begin(world, **{"population": 12, "seed": 7, "strategy": GeneticAlgorithm, **arguments})


def judged(search):
    """An Outcome that depends on genes and keys; individual 2 did not end well, and the fitness of 5 is not a number."""
    values = search.arrays["push"].sum(axis=1) + (lane_keys(7, search.generation, 12) % np.uint64(97)).astype(np.float32) / 97
    values[5], status = np.nan, np.zeros(12, np.int8)
    values[2], status[2] = 1e9, 1
    return Outcome(values.astype(np.float32), status)


def run(search, generations):
    """(search after tell, what a store would hold of each generation)"""
    stored = []
    for _ in range(generations):
        search, _ = ask(search)
        copies = [{k: v.copy() for k, v in arrays.items()} for arrays in (search.arrays, search.state)]
        stored.append((search.generation, *copies, judged(search)))
        search = tell(search, judged(search))
    return search, stored


def test_a_batch_names_its_world_and_holds_a_lane_for_each_individual():
    search, batch = ask(started(mode="fast", settings={"drag": "2"}, sizes={"legs": 6}))
    assert (batch.world, batch.version, batch.mode, batch.settings, batch.sizes) == (
        "walker",
        3,
        "fast",
        {"drag": "2"},
        {"legs": 6},
    )
    assert batch.steps == 50
    assert batch.keys.dtype == np.uint64 and batch.keys.shape == (12,)
    assert batch.inputs["push"].shape == (12, 6)
    assert batch.genomes is None
    assert search.generation == 0


def test_a_world_with_a_genome_gives_genomes():
    search, batch = ask(started(replace(WALKER, genome=lambda params, sizes: LIMBS)))
    assert batch.inputs is None
    assert same(batch.genomes, search.arrays)


def test_keys_of_lanes_are_folded_from_seed_generation_individual_and_episode():
    keys = lane_keys(7, 3, 5)
    assert [int(k) for k in keys] == [int(fold(fold(fold(run_key(7), 3), i), 0)) for i in range(5)]
    assert (lane_keys(7, 3, 40)[:5] == keys).all()
    every = np.concatenate([lane_keys(s, g, 20) for s in range(3) for g in range(3)])
    assert len(set(every)) == len(every)


def test_only_finite_fitness_of_lanes_that_ended_well_counts():
    outcome = Outcome(np.array([1.5, 9, np.nan, np.inf, -2], np.float32), np.array([0, 1, 0, 0, 0], np.int8))
    assert fitness(outcome).tolist() == [1.5, -np.inf, -np.inf, -np.inf, -2]


def test_an_individual_that_did_not_end_well_has_no_children():
    search, _ = run(started(), 1)
    search, _ = ask(search)
    assert not {2, 5} & set(search.state["parents"].ravel())


def test_the_same_arguments_give_the_same_search_and_another_seed_another():
    first, second, other = (run(started(seed=seed), 4)[1] for seed in (7, 7, 8))
    for a, b in zip(first, second, strict=True):
        assert same(a[1], b[1]) and same(a[2], b[2])
    assert not same(first[0][1], other[0][1])


@pytest.mark.parametrize("generation", [0, 1, 2, 5])
def test_a_search_restored_at_any_generation_continues_with_the_same_bits(generation):
    search, stored = run(started(), 8)
    number, genes, state, outcome = stored[generation]
    again = restored(started(), generation=number, genes=genes, state=state, outcome=outcome)
    again, rest = run(again, 7 - generation)
    assert same(again.state, search.state)
    for a, b in zip(rest, stored[generation + 1 :], strict=True):
        assert a[0] == b[0]
        assert same(a[1], b[1]) and same(a[2], b[2])


def test_a_search_restored_without_outcome_waits_for_it():
    _, stored = run(started(), 3)
    number, genes, state, outcome = stored[2]
    waiting = restored(started(), generation=number, genes=genes, state=state)
    with pytest.raises(InputError, match="Generation 2 was asked and not told"):
        ask(waiting)
    told = tell(waiting, outcome)
    assert told.genes is None
    with pytest.raises(InputError, match="told for no generation"):
        tell(told, outcome)


def test_ask_and_tell_do_not_change_the_search_they_are_given():
    before = started()
    asked, _ = ask(before)
    told = tell(asked, judged(asked))
    assert (before.generation, before.genes) == (-1, None)
    assert "fitness" in told.state and "fitness" not in asked.state


def test_a_world_without_genome_evolves_its_bounded_inputs():
    genome = genome_of(WALKER, WALKER.filled(), {"legs": 4})
    genes = genome.sampled(run_key(1), 100)
    assert genes.push.shape == (100, 4)
    assert set(genes.gait) == {0, 1}
    assert genome.express(genes) is genes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": Unbounded}, "World 'walker' has no genome, and its input 'torque' has no bounds.*low= and high="),
        ({"inputs": Shared}, "input 'springs' is shared by several lanes"),
        ({"outcome": Unjudged}, "World 'walker' cannot evolve: its Outcome has no `fitness`"),
    ],
)
def test_a_world_that_cannot_evolve_is_refused_with_the_field_that_prevents_it(change, message):
    with pytest.raises(InputError, match=message):
        started(replace(WALKER, **change))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"population": 0}, InputError, "population = 0 is out of range"),
        ({"population": -3}, InputError, "population = -3 is out of range"),
        ({"seed": -1}, InputError, "Seed -1"),
        ({"steps": 0}, InputError, "steps = 0 leaves no life"),
        ({"mode": "accurat"}, UnknownName, "Did you mean 'accurate'"),
        ({"settings": {"drug": 1}}, UnknownName, "Did you mean 'drag'"),
        ({"settings": {"drag": 10}}, InputError, "drag = 10"),
        ({"sizes": {"leg": 3}}, UnknownName, "Did you mean 'legs'"),
        ({"options": {"elits": 1}}, UnknownName, "Did you mean 'elites'"),
        ({"strategy": "no such strategy"}, UnknownName, "Unknown strategy"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        started(**arguments)


def test_an_outcome_of_another_size_is_refused():
    search, _ = ask(started())
    with pytest.raises(InputError, match=r"Fitness has shape \[3\] for 12 individuals"):
        tell(search, Outcome(np.zeros(3, np.float32), np.zeros(3, np.int8)))


def test_evolve_imports_no_world_and_no_runtime():
    code = "import sys, worldloom.evolve.search, worldloom.evolve.strategies.genetic\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    wrong = [
        name for name in loaded if name.startswith(("worldloom.worlds.", "worldloom.runtime", "worldloom.policies", "torch", "ray"))
    ]
    assert wrong == []
