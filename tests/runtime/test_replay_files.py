"""Replays as files: what they hold, and that they appear whole or not at all."""

import json
import sys

import numpy as np
import pytest

import worldloom
from worldloom.core.errors import InputError, MachineError, UnknownName
from worldloom.runtime import replay_files


@pytest.fixture(scope="module")
def life():
    settings = {"life": 2, "settle_steps": 24}
    with worldloom.evolve("creatures", population=16, generations=1, settings=settings, workers=1, store="memory:") as results:
        return results.best.replay()


def test_npz_holds_the_documented_arrays(life, tmp_path):
    arrays = np.load(life.save(tmp_path / "life.npz"))
    frames, nodes, muscles = len(arrays["t"]), arrays["positions"].shape[1], len(arrays["muscles"])
    assert arrays["positions"].shape == (frames, nodes, 3) and arrays["muscles"].shape == (muscles, 2)
    assert arrays["activation"].shape == (frames, muscles) and arrays["t"][-1] == pytest.approx(2.0)
    assert np.array_equal(arrays["positions"], life.arrays["positions"])


def test_json_is_one_document_of_time_arrays_and_facts(life, tmp_path):
    document = json.loads(life.save(tmp_path / "life.json").read_text())
    assert set(document) == {"world", "version", "title", "facts", "same", "outcome", "t", "arrays"}
    assert document["same"] is True and document["facts"]["individual"].startswith("0-")
    assert np.array(document["arrays"]["positions"]).shape == life.arrays["positions"].shape


def test_the_same_replay_gives_the_same_bytes(life, tmp_path):
    for suffix in (".npz", ".json", ".gif"):
        first, second = life.save(tmp_path / f"a{suffix}"), life.save(tmp_path / f"b{suffix}")
        assert first.read_bytes() == second.read_bytes()


def test_gif_moves_in_real_time(life, tmp_path):
    image = pytest.importorskip("PIL.Image")
    with image.open(life.save(tmp_path / "life.gif")) as picture:
        assert picture.n_frames > 20 and picture.size == (480, 270)
        total = 0
        for k in range(picture.n_frames):
            picture.seek(k)
            total += picture.info["duration"]
        assert total == pytest.approx(2000, abs=200)


def test_gif_without_pillow_says_what_to_install(life, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MachineError, match=r"pip install 'worldloom\[report\]'"):
        life.save(tmp_path / "life.gif")
    assert not list(tmp_path.iterdir())


def test_html_is_one_page(life, tmp_path):
    pytest.importorskip("worldloom.runtime.replay_page")
    text = life.save(tmp_path / "life.html").read_text()
    assert text.lstrip().lower().startswith("<!doctype html>") and "http://" not in text.replace("http://www.w3.org", "")


def test_a_missing_directory_and_another_ending_are_named(life, tmp_path):
    with pytest.raises(InputError, match="no directory"):
        life.save(tmp_path / "none" / "life.npz")
    with pytest.raises(UnknownName, match=r"\.mp4"):
        life.save(tmp_path / "life.mp4")


def test_a_file_that_cannot_be_finished_leaves_the_old_one(life, tmp_path, monkeypatch):
    path = life.save(tmp_path / "life.json")
    before = path.read_bytes()

    def full(replay, place):
        place.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(replay_files.WRITERS, ".json", full)
    with pytest.raises(InputError, match="No space left"):
        life.save(path)
    assert path.read_bytes() == before and [one.name for one in tmp_path.iterdir()] == ["life.json"]
