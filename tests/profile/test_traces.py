"""Measurements as rows: what is written is read, the latest counts, and what grew is found."""

import csv

import pytest

from worldloom.cli.main import run as loom
from worldloom.core.errors import InputError, UnknownName
from worldloom.profile.measure import Measured
from worldloom.profile.scenarios import SCENARIOS, scenario
from worldloom.profile.traces import COLUMNS, append, compare, latest, rows, share, worse


def measured(seconds, size=1000, phase="request"):
    found = Measured("creatures_100")
    for value in seconds:
        found.add(phase, value, 10)
    found.payload = {"json": size}
    return found


def written(path, *measurements):
    for one in measurements:
        append(path, rows(one))
    return path


def test_cold_and_warm_are_rows_of_their_own():
    cold, warm, payload = rows(measured([9.0, 0.001, 0.002, 0.003]))
    assert (cold["state"], cold["count"], cold["p50"]) == ("cold", 1, 9000.0)
    assert (warm["state"], warm["count"], warm["min"], warm["max"], warm["mean"]) == ("warm", 3, 1.0, 3.0, 2.0)
    assert warm["p50"] == pytest.approx(2.0, rel=0.05) and warm["p99"] == pytest.approx(3.0, rel=0.05)
    assert (payload["phase"], payload["bytes"]) == ("payload.json", 1000) and set(cold) == set(COLUMNS)


def test_rows_are_added_to_a_file_with_one_header(tmp_path):
    path = written(tmp_path / "runs.csv", measured([1.0, 0.5]), measured([1.0, 0.25]))
    with path.open(newline="") as file:
        lines = list(csv.reader(file))
    assert lines[0] == list(COLUMNS) and len(lines) == 1 + 2 * 3
    assert float(latest(path)["creatures_100", "request", "warm"]["max"]) == 250.0


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "\x00\x01", "time,commit\n"])
def test_a_file_of_something_else_is_left_alone(tmp_path, text):
    path = tmp_path / "other.csv"
    path.write_text(text)
    with pytest.raises(InputError, match="Expected the columns"):
        append(path, rows(measured([1.0])))
    with pytest.raises(InputError, match="holds no measurements"):
        compare(path, path)
    assert path.read_text() == text


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(InputError, match="Cannot write"):
        append(tmp_path / "nowhere" / "runs.csv", rows(measured([1.0])))


def test_what_grew_by_more_than_a_bound_is_found_and_cold_noise_is_not(tmp_path):
    old = written(tmp_path / "old.csv", measured([1.0, 0.100, 0.100]))
    new = written(tmp_path / "new.csv", measured([9.0, 0.110, 0.110], size=1030))
    found = compare(old, new)
    by_place = {(row["phase"], row["state"]): row["change"] for row in found}
    assert by_place["request", "warm"] == pytest.approx(0.1, rel=0.01) and by_place["request", "cold"] == pytest.approx(8.0)
    assert [row["phase"] for row in worse(found, 0.05)] == ["request"]
    assert [row["phase"] for row in worse(found, 0.01)] == ["request", "payload.json"] and worse(found, 0.2) == []


def test_files_without_a_common_measurement_are_refused(tmp_path):
    other = Measured("creatures_500")
    other.add("request", 1.0)
    with pytest.raises(InputError, match="no measurement in common"):
        compare(written(tmp_path / "a.csv", measured([1.0])), written(tmp_path / "b.csv", other))


@pytest.mark.parametrize("text, value", [("5%", 0.05), ("0.05", 0.05), ("0", 0.0), (" 12.5 % ", 0.125)])
def test_a_share_is_a_percentage_or_a_number(text, value):
    assert share(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "x", "-1%", "nan", "inf", "5%%"])
def test_a_share_that_is_none_is_refused(text):
    with pytest.raises(InputError, match="is no share"):
        share(text)


def test_an_unknown_scenario_is_named_with_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'creatures_100'"):
        scenario("creatures_10")
    assert {"creatures_100", "creatures_500", "creatures_1000"} <= set(SCENARIOS)


def test_the_command_compares_and_ends_with_1_where_something_grew(tmp_path, capsys):
    old, new = written(tmp_path / "old.csv", measured([1.0, 0.1])), written(tmp_path / "new.csv", measured([1.0, 0.2]))
    assert loom(["profile", "compare", str(old), str(new)]) == 0 and "+100.0 %" in capsys.readouterr().out
    assert loom(["profile", "compare", str(old), str(new), "--fail-above", "5%"]) == 1
    assert "grew by more than 5 %: creatures_100 request" in capsys.readouterr().err
    for words in (["compare", str(old)], ["creatures_100", str(old)], ["creatures_10"]):
        assert loom(["profile", *words]) == 2


@pytest.mark.slow
def test_a_scenario_is_measured_from_spawn_to_warm_with_its_phases(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert loom(["profile", "creatures_100", "--runs", "3"]) == 0
    found = latest(tmp_path / "profiling_runs.csv")
    phases = {(phase, state) for _, phase, state in found}
    assert {("spawn", "cold"), ("ready", "cold"), ("request", "cold"), ("request", "warm"), ("server.physics", "warm")} <= phases
    sizes = {phase: int(row["bytes"]) for (_, phase, _), row in found.items() if phase.startswith("payload.")}
    assert 0 < sizes["payload.gzip"] < sizes["payload.binary"] < sizes["payload.json"]
    warm = found["creatures_100", "request", "warm"]
    assert warm["count"] == "3" and 0 < float(warm["min"]) <= float(warm["p50"]) <= float(warm["max"])
    assert "added to profiling_runs.csv" in capsys.readouterr().out
