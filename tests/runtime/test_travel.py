"""A run travels as one file, whole or not at all; its individuals also as a table."""

import csv
import io
import json
import sys
import zipfile
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from worldloom.core.errors import InputError, MachineError, UnknownName
from worldloom.runtime.arrays import pack, pack_rows
from worldloom.runtime.lease import claim
from worldloom.runtime.record import IMPORTING
from worldloom.runtime.store import open_store
from worldloom.runtime.store_memory import MemoryStore
from worldloom.runtime.travel import export_run, import_run
from worldloom.testing.stores import assert_same_rows, sample_rows, sample_run

GENERATIONS = 3


@pytest.fixture
def store():
    store = MemoryStore()
    store.create(sample_run(id="traveller", status="finished"))
    for generation in range(GENERATIONS):
        store.append("traveller", generation, sample_rows(generation))
    return store


@pytest.fixture
def file(store, tmp_path):
    export_run(store, "traveller", tmp_path / "run.zip")
    return tmp_path / "run.zip"


def rewritten(file, **changes):
    """The file with members changed: name -> function of its bytes, or None to leave it out."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            change = changes.get(name.replace("/", "_").partition(".")[0], lambda same: same)
            if change is not None:
                archive.writestr(name, change(data))
    return file


def with_manifest(file, edit):
    def change(data):
        manifest = json.loads(data)
        edit(manifest)
        return json.dumps(manifest)

    return rewritten(file, manifest=change)


def with_generation(file, generation, blob):
    """The file with another generation, and a manifest whose checksum fits it."""

    def edit(manifest):
        manifest["generations"][generation] |= {"bytes": len(blob), "sha256": sha256(blob).hexdigest()}

    return with_manifest(rewritten(file, **{f"generations_{generation:06d}": lambda _: blob}), edit)


def refused(file, words):
    """Importing is refused with these words and leaves nothing behind."""
    target = MemoryStore()
    with pytest.raises(InputError, match=words) as caught:
        import_run(target, file)
    assert target.runs() == [] and not target._runs
    return str(caught.value)


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgresql"])
def test_a_run_arrives_as_it_left(store, file, kind, tmp_path, request):
    url = {"memory": "memory:", "sqlite": str(tmp_path / "to.db")}.get(kind) or request.getfixturevalue("database")
    target = open_store(url)
    assert import_run(target, file) == store.run("traveller") == target.run("traveller")
    assert target.generations("traveller") == store.generations("traveller")
    for generation in range(GENERATIONS):
        assert_same_rows(target.rows("traveller", generation), sample_rows(generation))
    export_run(target, "traveller", tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == file.read_bytes()
    target.close()


def test_a_run_that_was_running_arrives_paused(store, tmp_path):
    claim(store, "traveller")
    export_run(store, "traveller", tmp_path / "run.zip")
    assert import_run(MemoryStore(), tmp_path / "run.zip").status == "paused"


def test_a_run_without_generations_travels(tmp_path):
    store = MemoryStore()
    store.create(sample_run(id="new"))
    export_run(store, "new", tmp_path / "run.zip")
    export_run(store, "new", tmp_path / "run.csv")
    assert import_run(MemoryStore(), tmp_path / "run.zip").id == "new"
    assert (tmp_path / "run.csv").read_text() == "generation,individual,fitness,status,parents,streak\n"
    with pytest.raises(InputError, match="no generation yet"):
        export_run(store, "new", tmp_path / "run.parquet")


def test_importing_twice_changes_nothing(store, file):
    assert import_run(store, file) == store.run("traveller")
    store.append("traveller", GENERATIONS, sample_rows(GENERATIONS))  # gone on since
    claim(store, "traveller")
    assert import_run(store, file).status == "running" and len(store.generations("traveller")) == GENERATIONS + 1


def test_a_run_id_that_is_taken_by_other_content_is_refused(store, file):
    other = MemoryStore()
    other.create(store.run("traveller"))
    other.append("traveller", 0, sample_rows(0, salt=1))
    record = MemoryStore()
    record.create(replace(store.run("traveller"), seed=1))
    shorter = MemoryStore()
    shorter.create(store.run("traveller"))
    for target in (other, record, shorter):
        before = target.generations("traveller")
        with pytest.raises(InputError, match="already with other content"):
            import_run(target, file)
        assert target.generations("traveller") == before


class Stop(Exception):
    """Stands for the end of the process."""


class Stopping(MemoryStore):
    """A store whose process ends at the second append."""

    def append(self, run_id, generation, rows):
        if generation == 1:
            raise Stop
        super().append(run_id, generation, rows)


@pytest.mark.parametrize("salt", [0, 1])
def test_an_import_that_was_killed_shows_nothing_and_is_continued(file, tmp_path, salt):
    target = Stopping()
    with pytest.raises(Stop):
        import_run(target, file)
    assert target.runs() == [] and target.run("traveller").status == IMPORTING
    target.append = lambda *words: MemoryStore.append(target, *words)
    if salt:  # the next file holds another run under the same id
        source = MemoryStore()
        source.create(sample_run(id="traveller", seed=5))
        source.append("traveller", 0, sample_rows(0, salt=salt))
        export_run(source, "traveller", file)
    run = import_run(target, file)
    assert target.runs() == [run] and len(target.generations("traveller")) == (1 if salt else GENERATIONS)


def test_a_file_cut_short_anywhere_is_refused(file):
    whole = file.read_bytes()
    for length in [*range(0, len(whole), 997), len(whole) - 1]:
        file.write_bytes(whole[:length])
        refused(file, "cannot be imported")


def test_a_flipped_bit_is_refused_or_changes_nothing(store, file):
    whole, random, refusals = file.read_bytes(), np.random.default_rng(3), 0
    for place in random.integers(0, len(whole), 150):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << random.integers(0, 8)
        file.write_bytes(damaged)
        target = MemoryStore()
        try:
            run = import_run(target, file)
        except InputError:
            refusals += 1
            assert not target._runs
            continue
        assert run == store.run("traveller")
        for generation in range(GENERATIONS):
            assert_same_rows(target.rows("traveller", generation), sample_rows(generation))
    assert refusals > 100


def test_other_files_are_refused(tmp_path):
    (tmp_path / "notes.zip").write_text("no archive")
    refused(tmp_path / "notes.zip", "no .zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(tmp_path / "other.zip", "manifest.json is missing")
    with pytest.raises(InputError, match="Cannot read"):
        import_run(MemoryStore(), tmp_path / "none.zip")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda m: m.update(format="photos"), "its format is 'photos'"),
        (lambda m: m.update(version=2), "format version 2"),
        (lambda m: m.pop("run"), "manifest is damaged"),
        (lambda m: m["run"].pop("seed"), "manifest is damaged"),
        (lambda m: m["run"].update(seed="7"), "manifest is damaged"),
        (lambda m: m["run"].update(status="asleep"), "Unknown status"),
        (lambda m: m["run"].update(id="../etc"), "cannot be used"),
        (lambda m: m["generations"].pop(), "its members are not"),
        (lambda m: m["generations"].reverse(), "manifest is damaged"),
        (lambda m: m["generations"][1].update(digest="0" * 64), "digest of generation 1 does not fit"),
        (lambda m: m["generations"][1].update(sha256="0" * 64), "checksum of generation 1 does not fit"),
        (lambda m: m["generations"][1].update(bytes=10), "larger than 10 bytes"),
        (lambda m: m["generations"][1].update(bytes=1 << 60), "manifest is damaged"),
        (lambda m: m["generations"][1].update(bytes="10"), "manifest is damaged"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(file, edit, words):
    refused(with_manifest(file, edit), words)


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format": NaN}'])
def test_a_manifest_that_is_no_manifest_is_refused(file, text):
    refused(rewritten(file, manifest=lambda _: text), "cannot be imported")


def test_a_missing_or_extra_member_is_refused(file):
    whole = file.read_bytes()
    refused(rewritten(file, generations_000001=None), "members are not")
    file.write_bytes(whole)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("../../outside", "x")
    refused(file, "members are not")


def test_generations_that_do_not_hold_together_are_refused(file):
    whole, rows = file.read_bytes(), sample_rows(1)
    far = rows.parents.copy()
    far[3, 1] = 8
    strays = {
        "parents": pack_rows(replace(rows, parents=far)),
        "generation 2 were given as generation 1": pack_rows(sample_rows(2)),
        "holds no generation": pack({"x": np.zeros(3)}),
        "digest of generation 1": pack_rows(sample_rows(1, salt=1)),
        "status is missing": pack_rows(replace(rows, outcome={"fitness": rows.outcome["fitness"]})),
    }
    for words, blob in strays.items():
        file.write_bytes(whole)
        refused(with_generation(file, 1, blob), words)


def test_a_bomb_is_refused_without_unpacking_it(file):
    whole = file.read_bytes()
    rows = replace(sample_rows(1), memory={"zeros": np.zeros(1 << 24, np.uint8)})
    with_generation(file, 1, pack_rows(rows))
    with pytest.raises(InputError, match="too large"):
        import_run(MemoryStore(), file, limit=1 << 20)
    file.write_bytes(whole)
    deflated = io.BytesIO()
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in archive.namelist():
            bomb.writestr(name, bytes(1 << 24) if name.endswith("1.loom") else archive.read(name))
    file.write_bytes(deflated.getvalue())
    refused(file, "larger than")


def test_an_export_appears_whole_or_not_at_all(store, tmp_path, monkeypatch):
    (tmp_path / "run.zip").write_bytes(b"the one before")
    monkeypatch.setattr(store, "rows", lambda *_: (_ for _ in ()).throw(Stop))
    with pytest.raises(Stop):
        export_run(store, "traveller", tmp_path / "run.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["run.zip"]
    assert (tmp_path / "run.zip").read_bytes() == b"the one before"


def test_an_export_that_cannot_be_written_is_said(store, tmp_path):
    with pytest.raises(InputError, match="Cannot write"):
        export_run(store, "traveller", tmp_path / "none" / "run.zip")
    with pytest.raises(UnknownName, match=r"Unknown kind of export '\.xls'"):
        export_run(store, "traveller", tmp_path / "run.xls")
    with pytest.raises(UnknownName, match="Did you mean 'traveller'"):
        export_run(store, "travell3r", tmp_path / "run.zip")


def test_a_csv_holds_every_individual(store, tmp_path):
    export_run(store, "traveller", tmp_path / "run.csv")
    lines = list(csv.DictReader((tmp_path / "run.csv").read_text().splitlines()))
    assert list(lines[0]) == ["generation", "individual", "fitness", "status", "parents", "streak"]
    assert len(lines) == GENERATIONS * 8
    line, rows = lines[8 + 5], sample_rows(1)
    assert (line["generation"], line["individual"], line["parents"], line["streak"]) == ("1", "5", "0-2 0-1", "1")
    assert np.float32(line["fitness"]) == rows.outcome["fitness"][5] and lines[1]["fitness"] == "nan"


def test_a_parquet_file_holds_every_individual_and_scalar_outcome(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    store = MemoryStore()
    store.create(sample_run(id="traveller"))
    for generation in range(GENERATIONS):
        rows = sample_rows(generation)
        extra = {"distance": np.arange(8, dtype=np.float64), "streak": np.ones(8, bool)}
        store.append("traveller", generation, replace(rows, outcome={**rows.outcome, **extra}))
    export_run(store, "traveller", tmp_path / "run.parquet")
    table = parquet.read_table(tmp_path / "run.parquet")
    names = ["generation", "individual", "fitness", "status", "parents", "streak", "distance", "outcome_streak"]
    assert table.column_names == names and table.num_rows == GENERATIONS * 8
    np.testing.assert_array_equal(table["fitness"].to_numpy()[8:16], sample_rows(1).outcome["fitness"])
    assert table["parents"].to_pylist()[8 + 5] == "0-2 0-1" and table["distance"].to_pylist()[:2] == [0.0, 1.0]


def test_parquet_without_pyarrow_says_what_to_install(store, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MachineError, match=r"pip install 'worldloom\[table\]'"):
        export_run(store, "traveller", tmp_path / "run.parquet")
    assert list(tmp_path.iterdir()) == []
