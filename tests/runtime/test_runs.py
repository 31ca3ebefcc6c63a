"""Planning and starting runs: what is refused before anything is stored, and what a run remembers of how it was made."""

from dataclasses import replace

import pytest

from worldloom.cli.evolve import see_more
from worldloom.core.errors import InputError, WorldAuthorError
from worldloom.core.lane_types import lane_code
from worldloom.runtime.run import planned, start
from worldloom.runtime.store_memory import MemoryStore
from worldloom.runtime.versions import differences, versions
from worldloom.worlds.creatures import WORLD

FEW = {"population": 4, "generations": 2, "seed": 1}


@lane_code
def broken(i, key, t, params, inputs, action, state, obs):
    state.broken[i] = state.nowhere[i]


@pytest.mark.parametrize("generations", [0, -1, 10**20])
def test_a_number_of_generations_out_of_range_is_refused(generations):
    with pytest.raises(InputError, match="generations are out of range"):
        planned(WORLD, **{**FEW, "generations": generations})


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[31mred"])
def test_a_name_that_cannot_be_shown_is_refused(name):
    with pytest.raises(InputError, match="cannot be shown"):
        planned(WORLD, name=name, **FEW)


@pytest.mark.parametrize("name", ["a/b", " a", "a ", " ", ".", ".."])
def test_a_name_that_no_path_can_hold_is_refused(name):
    with pytest.raises(InputError, match="cannot be found again"):
        planned(WORLD, name=name, **FEW)


def test_a_population_that_no_store_could_hold_is_refused_before_it_begins():
    with pytest.raises(InputError, match=r"individuals of \d+ bytes each are too many .* at most \d+"):
        planned(WORLD, population=1_000_000, generations=1, seed=1)
    assert planned(WORLD, population=100_000, generations=1, seed=1).config["population"] == 100_000


def test_a_world_that_does_not_compile_leaves_no_run_behind():
    store, world = MemoryStore(), replace(WORLD, step=broken)
    with pytest.raises(WorldAuthorError, match="nowhere"):
        start(planned(world, **FEW), store, workers=1, world=world)
    assert store.runs() == []


def test_a_run_names_the_mode_that_it_is_computed_in():
    assert planned(WORLD, **FEW).config["mode"] == "accurate"


def test_a_run_remembers_the_code_that_made_it():
    made = versions(WORLD)
    assert differences(made, WORLD) == []
    assert differences(made, replace(WORLD, step=broken))[0].startswith("code ")
    assert differences({**made, "numba": "0.1"}, WORLD) == [f"numba 0.1 then, {made['numba']} now"]


def test_what_to_type_next_names_the_store():
    assert see_more("loom runs", None) == {"see more": "loom runs"}
    assert see_more("loom runs", "my runs.db") == {"see more": "loom runs --store 'my runs.db'"}
    assert see_more("loom runs", "memory:") == {}
