"""What each command prints and leaves behind."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from small_run import SMALL

from worldloom.cli.main import COMMANDS
from worldloom.runtime.store import open_store


def test_the_help_lists_every_command_and_world(loom):
    ended = loom("--help")
    assert ended.code == 0
    for name in (*COMMANDS, "creatures"):
        assert f"\n  {name} " in ended.out
    assert "..." not in ended.out.partition("Commands:")[2]  # no line is cut


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help(loom, name):
    ended = loom(name, "--help")
    assert ended.code == 0 and f"Usage: loom {name}" in ended.out


def test_worlds_are_listed_with_version_and_modes(loom):
    assert "soft bodies" in loom("worlds").out
    (creatures,) = [world for world in loom("worlds", "--json").json if world["name"] == "creatures"]
    assert set(creatures) == {"name", "version", "doc", "modes", "problem"} and creatures["modes"][0] == "accurate"


def test_the_report_of_a_run_has_the_documented_shape(finished):
    assert set(finished) == {"run", "world", "seed", "generations", "best", "digest", "seconds", "lane_steps"}
    assert set(finished["best"]) == {"individual", "generation", "fitness"}
    assert (finished["world"], finished["seed"], finished["generations"]) == ("creatures", 1, 3)
    assert finished["lane_steps"] == 3 * 16 * 120 and len(finished["digest"]) == 64 and finished["seconds"] > 0
    assert finished["best"]["individual"].startswith(f"{finished['best']['generation']}-")


def test_the_same_seed_gives_the_same_digest_and_another_seed_another(loom, finished):
    assert loom("evolve", "creatures", *SMALL, "--json").json["digest"] == finished["digest"]
    assert loom("evolve", "creatures", *SMALL, "--json", "--seed", "2").json["digest"] != finished["digest"]


def test_evolve_prints_a_table_the_seed_and_the_digest(loom, finished):
    ended = loom("evolve", "creatures", *SMALL)
    assert "generation  individuals" in ended.out and "seed 1" in ended.out and finished["digest"] in ended.out
    assert ended.err == ""  # no progress bar where nobody looks


def test_runs_are_listed_newest_first(loom, finished):
    second = loom("evolve", "creatures", *SMALL, "--json").json["run"]
    listed = loom("runs", "--json").json
    assert listed["total"] == 2 and [run["id"] for run in listed["runs"]] == [second, finished["run"]]
    assert listed["runs"][1]["best"] == pytest.approx(finished["best"]["fitness"])
    assert "1 older" in loom("runs", "--limit", "1").out


def test_a_run_is_shown_by_name_or_by_the_beginning_of_its_id(loom, finished):
    for ref in ("small", finished["run"], finished["run"][:5]):
        shown = loom("show", ref)
        assert shown.code == 0 and finished["digest"] in shown.out and "life=0.5" in shown.out
    told = loom("show", "small", "--json").json
    assert [one["generation"] for one in told["generations"]] == [0, 1, 2] and told["differences"] == []


def test_the_ancestors_of_an_individual_reach_the_first_generation(loom, finished):
    told = loom("show", "small", "--lineage", "2-15", "--json").json
    known = {one["id"]: one for one in told["ancestors"]}
    assert told["ancestors"][0]["id"] == "2-15"
    for one in known.values():
        assert bool(one["parents"]) == (one["generation"] > 0)
        assert all(parent in known for parent in one["parents"])
    drawn = loom("show", "small", "--lineage", "2-15").out
    assert drawn.startswith("2-15  fitness") and all(name in drawn for name in known)


def test_lineage_goes_as_far_back_as_asked(loom, finished):
    told = loom("show", "small", "--lineage", "2-15", "--depth", "1", "--json").json
    assert {one["generation"] for one in told["ancestors"]} == {2, 1}
    assert "(further back)" in loom("show", "small", "--lineage", "2-15", "--depth", "1").out


def test_a_replay_is_the_stored_life_bit_for_bit(loom, finished):
    ended = loom("replay", "small", "--json")
    assert ended.json["same"] is True and ended.json["facts"]["individual"] == finished["best"]["individual"]
    assert "yes, bit for bit" in loom("replay", "small", "--generation", "1", "--individual", "4").out


def test_a_replay_is_written_as_arrays_and_as_json(loom, finished, tmp_path):
    assert "Wrote life.npz" in loom("replay", "small", "--individual", "1-4", "--out", "life.npz").out
    loom("replay", "small", "--individual", "1-4", "--out", "life.json")
    arrays, document = np.load(tmp_path / "life.npz"), json.loads((tmp_path / "life.json").read_text())
    assert np.allclose(arrays["t"], document["t"])
    assert np.allclose(arrays["positions"], document["arrays"]["positions"])


def test_a_fork_with_the_same_seed_goes_the_same_way_and_with_another_its_own(loom, finished):
    same = loom("fork", "small", "--generation", "1", "--json").json
    assert same["parent"] == finished["run"] and same["generation"] == 1
    assert loom("resume", same["run"], "--json").json["digest"] == finished["digest"]
    other = loom("fork", "small", "--generation", "1", "--seed", "9", "--name", "other", "--json").json
    assert loom("resume", other["run"], "--json").json["digest"] != finished["digest"]
    assert "forked from" in loom("show", "other").out


def test_resuming_a_finished_run_says_that_nothing_was_left(loom, finished):
    ended = loom("resume", "small", "--json")
    assert ended.code == 0 and ended.json == finished and "nothing was left to do" in ended.err


def test_a_run_goes_on_to_more_generations_as_if_it_had_been_planned_so(loom, finished):
    longer = [*SMALL, "--generations", "5"]
    expected = loom("evolve", "creatures", *longer, "--json").json["digest"]
    assert loom("resume", "small", "--generations", "5", "--json").json["digest"] == expected


def test_a_run_travels_as_one_file(loom, finished, tmp_path):
    assert "loom import run.zip" in loom("export", "small", "run.zip").out
    other = str(tmp_path / "other.db")
    assert loom("import", "run.zip", "--store", other, "--json").json["generations"] == 3
    assert loom("show", "small", "--store", other, "--json").json["digest"] == finished["digest"]
    loom("export", "small", "run.csv")
    with (tmp_path / "run.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 48


def test_doctor_never_fails_and_says_what_is_missing(loom, monkeypatch):
    monkeypatch.setenv("PATH", "")
    ended = loom("doctor")
    assert ended.code == 0 and "nvidia-smi is not there" in ended.out and "lanes at once, because" in ended.out
    assert set(loom("doctor", "--json").json) >= {"versions", "cpu", "cores", "gpu", "kernels", "store", "sqlite", "extras"}


def test_doctor_hides_the_password_of_a_store(loom, monkeypatch):
    monkeypatch.setenv("WORLDLOOM_STORE", "postgresql://me:secret@host/runs")
    assert "secret" not in loom("doctor").out


def test_doctor_survives_a_check_that_breaks(loom, monkeypatch):
    monkeypatch.setenv("WORLDLOOM_WORKERS", "many")
    ended = loom("doctor")
    assert ended.code == 0 and "cannot tell: InputError" in ended.out


def test_warm_leaves_kernels_in_the_folder_that_it_names(loom):
    told = loom("warm", "creatures", "--json").json
    assert [one["problem"] for one in told["kernels"]] == ["", ""] and list(Path(told["folder"]).glob("creatures-*.kernel"))
    assert f"Kernels are in {told['folder']}." in loom("warm").out


def test_a_creature_that_was_drawn_can_be_shown(loom, tmp_path):
    drawn = loom("creatures", "sample", "--seed", "3", "--set", "nodes=5")
    (tmp_path / "one.json").write_text(drawn.out)
    shown = loom("creatures", "show", "one.json")
    assert shown.code == 0 and " nodes, " in shown.out and "stiffness N/m" in shown.out
    assert loom("creatures", "show", "one.json", "--json").json == drawn.json


def test_demo_writes_a_page_and_both_distances(loom, monkeypatch, tmp_path):
    pytest.importorskip("worldloom.runtime.replay_page")
    monkeypatch.setattr("worldloom.cli.demo.POPULATION", 32)
    monkeypatch.setattr("worldloom.cli.demo.GENERATIONS", 6)
    ended = loom("demo", "--workers", "1")
    assert ended.code == 0 and (tmp_path / "out" / "demo.html").stat().st_size > 1000
    for part in ("first generation", "last generation", "digest", "out/demo.html", "loom runs", "loom show", "loom replay"):
        assert part in ended.out


def test_reading_commands_make_no_store(loom, tmp_path):
    assert loom("runs").code == 2 and not list(tmp_path.iterdir())


def test_a_store_can_be_named_by_option(loom, finished, tmp_path):
    elsewhere = f"sqlite:///{tmp_path}/elsewhere.db"
    loom("evolve", "creatures", *SMALL, "--store", elsewhere, "--name", "there")
    assert loom("show", "there", "--store", elsewhere).code == 0 and loom("show", "there").code == 2
    store = open_store(elsewhere)
    assert [run.name for run in store.runs()] == ["there"]
    store.close()
