"""The Python API: evolve, simulate, replay, in three lines each."""

import inspect
import json

import numpy as np
import pytest

import worldloom
from worldloom.core.errors import InputError, JobError, MachineError, UnknownName
from worldloom.core.genome import rows
from worldloom.core.world import World
from worldloom.runtime import evaluate
from worldloom.runtime.evaluate import Threads, outcome_digest
from worldloom.runtime.session import Stopped
from worldloom.worlds.find import find

SMALL = {"population": 16, "generations": 3, "settings": {"life": 0.5}, "workers": 1}


@pytest.fixture(scope="module")
def results():
    with worldloom.evolve("creatures", **SMALL, store="memory:") as results:
        yield results


def test_public_names_are_sorted_and_all_there():
    assert worldloom.__all__ == sorted(worldloom.__all__) and dir(worldloom) == worldloom.__all__
    assert all(getattr(worldloom, name) is not None for name in worldloom.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = worldloom.nothing


def test_evolve_and_worlds_are_functions_and_still_packages():
    import worldloom.evolve.search as search

    assert callable(worldloom.evolve) and worldloom.evolve.search is search and inspect.ismodule(worldloom.evolve)
    assert [world.name for world in worldloom.worlds()] == ["creatures", "orbits"] and worldloom.worlds.find.find is find


def test_a_run_gives_its_report_outcomes_and_history(results):
    assert results.report["generations"] == 3 and results.report["run"] == results.id
    outcomes = results.outcomes
    assert set(outcomes) >= {"fitness", "distance", "status"} and outcomes["fitness"].shape == (16,)
    assert outcomes.fitness is outcomes["fitness"] and outcomes.units["distance"] == "m"
    assert results.history["best"].shape == (3,) and np.all(np.diff(results.history["best"]) >= 0)


def test_the_best_individual_lives_its_life_again(results):
    best = results.best
    assert best.id == results.report["best"]["individual"] and best.fitness == results.report["best"]["fitness"]
    life = best.replay()
    assert life.same is True and life.outcome.fitness[0] == np.float32(best.fitness)


def test_an_individual_is_found_by_name(results):
    one = results["2-15"]
    assert (one.generation, one.individual) == (2, 15) and all(parent.startswith("1-") for parent in one.parents)
    assert one.outcome["fitness"] == results.outcomes["fitness"][15]
    with pytest.raises(InputError, match="no individual 16"):
        _ = results["2-16"]


def test_simulate_gives_the_bits_of_the_run(results):
    stored = results.generation(1)
    again = worldloom.simulate("creatures", results.rows(1).genomes, seed=1, generation=1, settings={"life": 0.5}, workers=1)
    assert again.digest == stored.digest and len(again) == len(stored) and again.lanes == 16


def test_sample_gives_generation_0_of_a_run(results):
    sampled = worldloom.sample("creatures", 16, seed=1, settings={"life": 0.5, "elites": 3})
    stored = results.rows(0).genomes
    assert sampled.keys() == stored.keys()
    assert all(np.array_equal(array, stored[name]) for name, array in sampled.items())
    again = worldloom.simulate("creatures", sampled, seed=1, settings={"life": 0.5}, workers=1)
    assert again.digest == results.generation(0).digest


def test_a_sample_of_nobody_is_refused():
    with pytest.raises(InputError, match="0 individuals are none"):
        worldloom.sample("creatures", 0)


@pytest.mark.parametrize("slice_steps", [1, 16 * 7, 16 * 120, 1 << 22])
@pytest.mark.parametrize("workers", [1, 2])
def test_slices_change_no_bit(results, monkeypatch, slice_steps, workers):
    monkeypatch.setattr(evaluate, "SLICE", slice_steps)
    asked, threads = [], Threads(workers)
    for number in (0, 1, 0):  # the memory is used again
        batch = results.generation(number).batch
        found = threads.outcome(batch, stopped=lambda: bool(asked.append(1)))
        assert outcome_digest(found) == results.generation(number).digest
    assert threads.compiled == 0.0
    steps = max(1, slice_steps * workers // 16)
    assert len(asked) == (0 if steps >= 120 else 3 * -(-120 // steps))


def test_a_batch_stops_between_slices_and_its_memory_is_good_for_the_next(results, monkeypatch):
    monkeypatch.setattr(evaluate, "SLICE", 16 * 10)
    asked, threads, stored = [], Threads(1), results.generation(1)
    with pytest.raises(JobError, match="stopped after 30 of 120 steps"):
        threads.outcome(stored.batch, stopped=lambda: len(asked) == 3 or asked.append(1))
    assert outcome_digest(threads.outcome(stored.batch)) == stored.digest


def test_simulate_takes_records_samples_and_inputs():
    sampled = worldloom.sample("creatures", 4, seed=3)
    world = find("creatures")
    settings = {"life": 0.5}
    by_name = worldloom.simulate("creatures", sampled, mode="fast", settings=settings)
    genome = world.genome(world.filled("fast", settings), world.sized())
    genes = genome.genes(**sampled)
    assert worldloom.simulate(world, genes, mode="fast", settings=settings).digest == by_name.digest
    assert worldloom.simulate(world, genome.express(genes), mode="fast", settings=settings).digest == by_name.digest
    assert genome.genes(*rows(genes, slice(0, 1))).tempo.shape == (1,)


def test_a_lane_of_a_simulation_can_be_replayed():
    world, settings = find("creatures"), {"life": 0.5}
    sampled = worldloom.sample("creatures", 20)
    genome = world.genome(world.filled(None, settings), world.sized())
    for lanes in (sampled, genome.express(genome.genes(**sampled))):
        outcomes = worldloom.simulate("creatures", lanes, settings=settings)
        assert outcomes.replay(17).outcome.fitness[0] == outcomes["fitness"][17]
    with pytest.raises(InputError, match="no lane 20"):
        outcomes.replay(20)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda genes: {**genes, "tempo": genes["tempo"][:1]}, "different numbers"),
        (lambda genes: {**genes, "mass": genes["mass"] * 1000}, r"mass\[0\]\[0\]"),
        (lambda genes: {**genes, "weight": genes["mass"]}, "weight"),
        (lambda genes: {name: array[:0] for name, array in genes.items()}, "no lane"),
        (lambda genes: [1, 2, 3], "Expected arrays by name"),
    ],
)
def test_lanes_that_do_not_fit_are_named(change, told):
    with pytest.raises(InputError, match=told):
        worldloom.simulate("creatures", change(worldloom.sample("creatures", 2)))


def test_settings_that_do_not_exist_are_named():
    with pytest.raises(UnknownName, match="life"):
        worldloom.simulate("creatures", worldloom.sample("creatures", 2), settings={"lief": 1})
    with pytest.raises(InputError, match="CPU threads"):
        worldloom.evolve("creatures", **SMALL, device="cuda", store="memory:")


def test_progress_is_told_after_each_generation():
    told = []
    with worldloom.evolve("creatures", **SMALL, store="memory:", progress=told.append) as results:
        assert [one.generation for one in told] == [0, 1, 2] and told[-1].generations == 3
        assert told[-1].best_fitness == results.history["best"][-1]


def test_ctrl_c_leaves_a_run_that_resumes_to_the_same_digest(tmp_path, results):
    def interrupt(progress):
        if progress.generation == 1:
            raise KeyboardInterrupt

    url = str(tmp_path / "runs.db")
    with pytest.raises(Stopped) as caught:
        worldloom.evolve("creatures", **SMALL, store=url, progress=interrupt)
    assert caught.value.generations == 2
    assert str(caught.value) == f"Saved 2 generations. Go on with: loom resume {caught.value.run}"
    (run,) = worldloom.runs(store=url)
    assert run.id == caught.value.run and run.status == "paused"
    with worldloom.resume(run.id, store=url, workers=1) as resumed:
        assert resumed.report["digest"] == results.report["digest"] and resumed.run.status == "finished"
    with worldloom.results(run.name, store=url) as stored, worldloom.fork(run.id, 1, seed=5, store=url) as forked:
        assert stored.report["digest"] == results.report["digest"] and forked.run.parent_generation == 1


def test_a_world_that_is_not_installed_evolves_and_replays(results):
    plain = find("creatures")
    own = World(**{**{name: getattr(plain, name) for name in plain.__dataclass_fields__}, "name": "mine"})
    with worldloom.evolve(own, **SMALL, store="memory:") as mine:
        assert mine.report["digest"] == results.report["digest"] and mine.best.replay().same is True


def test_tables_for_pandas_have_a_row_for_each_individual(results):
    pandas = pytest.importorskip("pandas")
    table = results.to_pandas()
    assert isinstance(table, pandas.DataFrame) and len(table) == 48 and list(table["generation"].unique()) == [0, 1, 2]
    assert table["fitness"].max() == np.float32(results.best.fitness) and len(results.outcomes.to_pandas()) == 16


def test_a_missing_library_is_named_with_its_extra(results, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "polars", None)
    with pytest.raises(MachineError, match=r"pip install 'worldloom\[table\]'"):
        results.outcomes.to_polars()


def test_notebooks_show_tables(results):
    for shown in (results, results.outcomes):
        html = shown._repr_html_()
        assert html.startswith("<table>") and html.endswith("</table>") and html.count("<tr>") > 3
    assert results.id in repr(results) and "16 lanes" in repr(results.outcomes) and results.best.id in repr(results.best)


def test_a_run_exports_itself(results, tmp_path):
    assert results.export(tmp_path / "run.zip").stat().st_size > 1000


def test_a_creature_from_json_simulates(results):
    from worldloom.worlds.creatures.schema import genome_from_json, genome_to_json

    world = find("creatures")
    genes = world.genome(world.filled(None), world.sized()).genes(**results.best.genes)
    text = genome_to_json(genes)
    back, settings = genome_from_json(text)
    outcomes = worldloom.simulate("creatures", back, settings={**settings, "life": 0.5})
    assert outcomes.lanes == 1 and json.loads(text)["format"]
