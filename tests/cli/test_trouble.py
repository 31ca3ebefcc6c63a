"""Bad input ends with exit code 2, one sentence on stderr, nothing on stdout, and nothing lost."""

import sqlite3
from contextlib import closing

import pytest
from small_run import SMALL

from worldloom.core.errors import JobError

EVOLVE = ("evolve", "creatures", *SMALL)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("evolve", "creaturs"), "Did you mean 'creatures'?"),
        ((*EVOLVE, "--mode", "fsat"), "Did you mean 'fast'?"),
        ((*EVOLVE, "--strategy", "genetc"), "Did you mean 'genetic'?"),
        ((*EVOLVE, "--set", "lief=1"), "Did you mean 'life'?"),
        ((*EVOLVE, "--set", "life"), "Expected key=value"),
        ((*EVOLVE, "--set", "=3"), "Expected key=value"),
        ((*EVOLVE, "--set", "life=abc"), "not a number"),
        ((*EVOLVE, "--set", "life=inf"), "out of range"),
        ((*EVOLVE, "--set", "nodes=2"), "out of range"),
        ((*EVOLVE, "--population", "0"), "out of range"),
        ((*EVOLVE, "--population", "-5"), "out of range"),
        ((*EVOLVE, "--population", "many"), "--population"),
        ((*EVOLVE, "--generations", "0"), "Expected 1 or more"),
        ((*EVOLVE, "--seed", "-1"), "Expected a whole number from 0"),
        ((*EVOLVE, "--workers", "0"), "Expected 1 or more"),
        ((*EVOLVE, "--keep", "some"), "Unknown keep policy"),
        ((*EVOLVE, "--device", "cuda"), "Expected auto or cpu"),
        ((*EVOLVE, "--device", "cpuu"), "Did you mean 'cpu'?"),
        ((*EVOLVE, "--cluster", "ray://head:10001"), "Expected local"),
        ((*EVOLVE, "--store", "/nowhere/at/all/runs.db"), "/nowhere/at/all"),
        ((*EVOLVE, "--poplation", "3"), "--population"),
        (("evlove",), "Did you mean 'evolve'?"),
        (("evolve",), "WORLD"),
        (("--bogus",), "--bogus"),
        (("creatures", "bogus"), "bogus"),
        (("creatures", "show", "none.json"), "none.json"),
        (("warm", "creaturs"), "Did you mean 'creatures'?"),
        (("runs",), "is not there"),
        (("show", "small"), "is not there"),
        (("import", "none.zip"), "none.zip"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(loom, args, told):
    ended = loom(*args)
    assert ended.code == 2 and ended.out == ""
    assert told in ended.err and ended.err.count("\n") == 1 and "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("show", "smal"), "Did you mean 'small'?"),
        (("show", "small", "--lineage", "7-0"), "generation 7"),
        (("show", "small", "--lineage", "1-99"), "no individual 1-99"),
        (("show", "small", "--lineage", "x"), "12-307"),
        (("replay", "small", "--individual", "1-99"), "no individual 99"),
        (("replay", "small", "--generation", "9"), "generation 9"),
        (("replay", "small", "--out", "life.mp4"), "Unknown kind of replay file '.mp4'"),
        (("replay", "small", "--out", "none/life.npz"), "no directory none"),
        (("fork", "small", "--generation", "3"), "no generation 3"),
        (("resume", "small", "--generations", "0"), "Expected 1 or more"),
        (("export", "small", "run.xlsx"), "Unknown kind of export"),
        (("export", "small", "none/run.zip"), "Cannot write"),
    ],
)
def test_a_stored_run_survives_bad_input(loom, finished, args, told):
    ended = loom(*args)
    assert ended.code == 2 and told in ended.err and ended.err.count("\n") == 1
    assert loom("show", "small", "--json").json["digest"] == finished["digest"]


def test_a_file_cut_short_is_not_imported(loom, finished, tmp_path):
    loom("export", "small", "run.zip")
    whole = (tmp_path / "run.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    ended = loom("import", "cut.zip", "--store", "other.db")
    assert ended.code == 2 and "cut short" in ended.err
    assert not (tmp_path / "other.db").exists()


def test_a_corrupt_store_is_one_sentence(loom, tmp_path):
    (tmp_path / "runs.db").write_bytes(b"no database at all" * 1000)
    for args in (("runs",), EVOLVE):
        ended = loom(*args)
        assert ended.code == 2 and "damaged" in ended.err and ended.err.count("\n") == 1


def test_an_unexpected_error_says_how_to_see_more(loom, monkeypatch):
    def broken(ref):
        raise ZeroDivisionError("in two\nlines")

    monkeypatch.setattr("worldloom.worlds.find.find", broken)
    ended = loom("creatures", "sample")
    assert ended.code == 1 and "ZeroDivisionError: in two lines" in ended.err and "LOOM_TRACEBACK=1" in ended.err
    assert "Traceback" not in ended.err
    monkeypatch.setenv("LOOM_TRACEBACK", "1")
    assert "Traceback" in loom("creatures", "sample").err


def test_a_failed_job_ends_with_1(loom, monkeypatch):
    def failing(*args, **named):
        raise JobError("The work failed.")

    monkeypatch.setattr("worldloom.runtime.session.evolve", failing)
    ended = loom(*EVOLVE)
    assert (ended.code, ended.err) == (1, "The work failed.\n")


def test_a_store_of_a_newer_version_is_left_alone(loom, finished, tmp_path):
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database, database:
        database.execute("UPDATE worldloom_schema SET version_num = '9999'")
    for args in (("runs",), EVOLVE):
        ended = loom(*args)
        assert ended.code == 2 and "Upgrade worldloom" in ended.err and ended.err.count("\n") == 1


@pytest.mark.slow
def test_a_locked_store_is_one_sentence(loom, finished, tmp_path):
    with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        ended = loom(*EVOLVE)
    assert ended.code == 2 and "is locked by another process" in ended.err and ended.err.count("\n") == 1
    assert loom("runs", "--json").json["total"] == 1
