"""A replay as a file: .html to look at, .json and .npz to compute with, .gif to send. The file appears whole or not at all."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from worldloom.core.errors import InputError, UnknownName
from worldloom.runtime.replay import Replay

Writer = Callable[[Replay, Path], None]


def save(replay: Replay, path: Path) -> Path:
    """Write a replay in the way that the path's ending names; the path.

    Raises UnknownName for another ending, InputError for a place that cannot be written, MachineError where a package is missing.
    """
    write = writer(path)
    if not path.parent.is_dir():
        raise InputError(f"There is no directory {path.parent}. Expected one that exists. Make it, or choose another place.")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(replay, part)
        os.replace(part, path)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}. Expected a directory with room. Choose another place.") from None
    finally:
        with suppress(OSError):
            part.unlink()
    return path


def writer(path: Path) -> Writer:
    """What writes files of this ending. Raises UnknownName."""
    if path.suffix.lower() not in WRITERS:
        raise UnknownName("kind of replay file", path.suffix, WRITERS)
    return WRITERS[path.suffix.lower()]


def write_json(replay: Replay, path: Path) -> None:
    """One document: what it is, `t`, and the arrays as nested lists; a number that is not finite is null."""
    import orjson

    arrays = {name: np.ascontiguousarray(array) for name, array in replay.arrays.items()}
    document = {
        "world": replay.world.name,
        "version": replay.world.version,
        "title": replay.title,
        "facts": dict(replay.facts),
        "same": replay.same,
        "outcome": {name: array[0].tolist() for name, array in replay.outcome._asdict().items()},
        "t": arrays.pop("t"),
        "arrays": arrays,
    }
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY, default=str))


def write_npz(replay: Replay, path: Path) -> None:
    """All arrays by name, compressed."""
    with path.open("wb") as file:
        np.savez_compressed(file, **replay.arrays)  # type: ignore[arg-type]


def write_html(replay: Replay, path: Path) -> None:
    """One page that needs nothing else."""
    path.write_text(page_of(replay), encoding="utf-8")


def page_of(replay: Replay) -> Any:
    """The page's text."""
    from worldloom.runtime.replay_page import page

    return page(replay)


def write_gif(replay: Replay, path: Path) -> None:
    """A side view that moves."""
    from worldloom.runtime.replay_gif import gif

    gif(replay, path)


WRITERS: dict[str, Writer] = {".html": write_html, ".json": write_json, ".npz": write_npz, ".gif": write_gif}
