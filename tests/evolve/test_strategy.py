"""Strategies by name, their options from text, and what is said about bad ones."""

import numpy as np
import pytest
from evolve_problems import numbers

from worldloom.core.errors import InputError, UnknownName
from worldloom.core.keys import run_key
from worldloom.evolve.strategies.genetic import GeneticAlgorithm
from worldloom.evolve.strategy import find, made, names, options


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """An installed package that brings a strategy."""
    folder = tmp_path / "wanderer-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: wanderer\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[worldloom.strategies]\nwanderer = worldloom.evolve.strategies.genetic:GeneticAlgorithm\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


def test_a_strategy_of_an_installed_package_is_found_by_name(installed):
    assert "wanderer" in names()
    assert find("wanderer") is GeneticAlgorithm
    assert made("wanderer", numbers(2), 10, {"elites": "4"}).elites == 4


def test_an_unknown_strategy_is_named_with_the_nearest(installed):
    with pytest.raises(UnknownName, match=r"Unknown strategy 'wandrer'.*Did you mean 'wanderer'"):
        find("wandrer")


def test_options_come_as_text_or_numbers():
    texts = {"elites": "4", "share": "0.25", "crossover": "sbx", "pairs": "1", "horizon": "30"}
    strategy = made(GeneticAlgorithm, numbers(2), 10, texts)
    assert (strategy.elites, strategy.share, strategy.crossover, strategy.pairs, strategy.horizon) == (4, 0.25, "sbx", 1.0, 30)
    assert strategy == made(
        GeneticAlgorithm, strategy.genome, 10, {"elites": 4, "share": 0.25, "crossover": "sbx", "pairs": 1, "horizon": 30}
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"elite": 4}, "Unknown strategy option 'elite'.*Did you mean 'elites'"),
        ({"population": 4}, "Unknown strategy option 'population'"),
        ({"genome": 4}, "Unknown strategy option 'genome'"),
        ({"selection": "tournamnt"}, "Unknown selection 'tournamnt'. Known: .*Did you mean 'tournament'"),
        ({"crossover": "sxb"}, "Unknown crossover 'sxb'"),
        ({"mutation": ""}, "Unknown mutation ''"),
        ({"decay": "cubic"}, "Unknown decay 'cubic'"),
        ({"decays": "all"}, "Unknown decays 'all'"),
        ({"elites": "many"}, "elites = 'many' is not a number"),
        ({"elites": -1}, "elites = -1 is out of range"),
        ({"elites": 2.5}, "elites = 2.5 is out of range.*whole number"),
        ({"elites": 10}, "elites = 10 leaves no room for children in a population of 10"),
        ({"share": 0}, "share = 0 is out of range"),
        ({"share": 1.1}, "share = 1.1"),
        ({"rivals": 0}, "rivals = 0"),
        ({"pressure": 2.5}, "pressure = 2.5"),
        ({"pairs": -0.1}, "pairs = -0.1"),
        ({"rate": "nan"}, "rate = nan"),
        ({"scale": "inf"}, "scale = inf"),
        ({"octaves": 0}, "octaves = 0"),
        ({"sbx_eta": 64}, "sbx_eta = 64"),
        ({"mutation_eta": 1.5}, "mutation_eta = 1.5"),
        ({"horizon": 0}, "horizon = 0"),
        ({"floor": 0}, "floor = 0"),
        ({"patience": 0}, "patience = 0"),
        ({"boost": 0.5}, "boost = 0.5"),
        ({"immigrants": 2}, "immigrants = 2"),
        ({"structure": None}, "structure = None is not a number"),
    ],
)
def test_a_bad_option_is_refused_in_one_sentence_that_names_it(settings, message):
    with pytest.raises(InputError, match=message):
        made(GeneticAlgorithm, numbers(2), 10, settings)


@pytest.mark.parametrize("population", [0, -5, 2.5, "none"])
def test_a_population_below_one_is_refused(population):
    with pytest.raises(InputError, match=f"population = '?{population}'? is"):
        made(GeneticAlgorithm, numbers(2), population)


def test_every_option_says_what_it_means():
    known = options(GeneticAlgorithm)
    assert {"elites", "selection", "crossover", "mutation", "decay", "boost", "immigrants"} < set(known)
    assert all(meaning.doc and meaning.unit for meaning in known.values())


def test_fitness_of_another_length_is_refused():
    strategy = GeneticAlgorithm(genome=numbers(2), population=4)
    genes, state = strategy.ask(run_key(1), strategy.start(run_key(1)))
    for fitness in (np.zeros(3), np.zeros((4, 1)), np.float32(1)):
        with pytest.raises(InputError, match=r"for 4 individuals. Expected one number each"):
            strategy.tell(state, genes, fitness)
