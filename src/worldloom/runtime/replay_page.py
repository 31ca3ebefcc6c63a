"""A replay as one page that needs nothing else: no network, no library. Drawing and
playing: replay_page.js; figures and curves: replay_page_figures.js; buttons and keys: replay_page_hands.js; look: replay_page.css."""

import base64
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldloom.core.field import Field, Record, fields
from worldloom.core.frame import Lines, Points, Text
from worldloom.runtime.replay import Replay

HERE = Path(__file__).parent
GAP = -32768  # stands for what is not finite
FINEST = 5e-4  # of the unit of length: half a millimetre
MOST_SERIES, MOST_NUMBERS = 12, 32  # curves in one chart; a field of more numbers is not charted


def page(replay: Replay) -> str:
    """The page's text."""
    fillings = {
        "title": html.escape(replay.title),
        "css": part("replay_page.css"),
        "scene": json.dumps(scene_of(replay), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        "js": "".join(part(f"replay_page{name}.js") for name in ("", "_figures", "_hands")),
    }
    return re.sub(r"{{(\w+)}}", lambda found: fillings[found[1]], part("replay_page.html"))  # in one pass: a title may hold braces


def part(name: str) -> str:
    """A file that the page is made of."""
    return (HERE / name).read_text(encoding="utf-8")


def scene_of(replay: Replay) -> dict[str, Any]:
    """All that the page shows, as JSON has it."""
    frames = frames_of(replay)
    return {
        "title": replay.title,
        "world": f"{replay.world.name} {replay.world.version}",
        "facts": [[name, str(value)] for name, value in replay.facts.items()],
        "same": replay.same,
        "notes": list(replay.notes),
        "frames": len(replay.t),
        "t": packed(replay.t, "f4"),
        "points": [points_of(shapes) for shapes in named(frames, Points)],
        "lines": [lines_of(shapes) for shapes in named(frames, Lines)],
        "texts": [[shape.text if shape else "" for shape in shapes] for shapes in named(frames, Text)],
        "series": series_of(replay),
        "outcome": outcome_of(replay),
    }


def frames_of(replay: Replay) -> list[list[Any]]:
    """The world's shapes at each moment; none without a `frame`."""
    if replay.world.frame is None:
        return []
    moments = (replay.world.state(*(array[k : k + 1] for array in replay.states)) for k in range(len(replay.t)))
    return [replay.world.frame(replay.params, replay.inputs, state, 0) for state in moments]


def named(frames: Sequence[Sequence[Any]], kind: type[Any]) -> list[list[Any]]:
    """For each shape of a kind its moments in order, None where it is absent."""
    names = list(dict.fromkeys(shape.name for shapes in frames for shape in shapes if isinstance(shape, kind)))
    return [[next((s for s in shapes if isinstance(s, kind) and s.name == name), None) for shapes in frames] for name in names]


def stacked(arrays: Sequence[NDArray[Any] | None], width: int) -> NDArray[np.float64]:
    """[frame, width, ...] from arrays of different lengths; what is missing is NaN."""
    inner = next((np.shape(array)[1:] for array in arrays if array is not None), ())
    whole = np.full((len(arrays), width, *inner), np.nan)
    for k, array in enumerate(arrays):
        if array is not None:
            whole[k, : len(array)] = array
    return whole


def points_of(shapes: Sequence[Points | None]) -> dict[str, Any]:
    """Places as 16-bit steps about their middle, [frame, point, axis]."""
    some = [shape for shape in shapes if shape is not None]
    count, one = max(len(shape.xyz) for shape in some), max(some, key=lambda shape: len(shape.xyz))
    xyz = stacked([None if shape is None else shape.xyz for shape in shapes], count)
    finite = xyz[np.isfinite(xyz)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    middle, step = (low + high) / 2, max((high - low) / 65000, FINEST)
    colour = None if one.colour is None else np.broadcast_to(np.asarray(one.colour, float), (count, 3)).round(3).tolist()
    return {
        "name": one.name, "count": count, "middle": middle, "step": step, "xyz": packed(quantised((xyz - middle) / step), "i2"),
        "radius": np.broadcast_to(np.asarray(one.radius, float), (count,)).round(4).tolist(), "colour": colour, "thread": one.thread,
    }  # fmt: skip


def lines_of(shapes: Sequence[Lines | None]) -> dict[str, Any]:
    """Pairs of the fullest moment, and values as hundredths, [frame, line]."""
    one = max((shape for shape in shapes if shape is not None), key=lambda shape: len(shape.pairs))
    values = [None if shape is None or shape.value is None else np.asarray(shape.value, float) * 100 for shape in shapes]
    coloured = any(value is not None for value in values)
    return {
        "name": one.name, "points": one.points, "pairs": np.asarray(one.pairs, int).tolist(), "width": float(one.width),
        "value": packed(quantised(stacked(values, len(one.pairs))), "i2") if coloured else None,
    }  # fmt: skip


def quantised(steps: NDArray[np.float64]) -> NDArray[np.int16]:
    """Whole steps as int16, GAP for what is not finite."""
    whole = np.where(np.isfinite(steps), np.clip(np.rint(steps), -32767, 32767), GAP)
    return whole.astype(np.int16)


def packed(array: NDArray[Any], kind: str) -> str:
    """Little-endian bytes in base64."""
    return base64.b64encode(np.ascontiguousarray(array, f"<{kind}").tobytes()).decode()


def series_of(replay: Replay) -> list[dict[str, Any]]:
    """The state's fields over time: name, unit, meaning, and [frame, curve] as float32; what is not finite is a gap."""
    found = []
    for name, field in fields(replay.world.state).items():
        values = getattr(replay.states, name).reshape(len(replay.t), -1).astype(np.float32)
        if 0 < values.shape[1] <= MOST_NUMBERS:
            values = values[:, :MOST_SERIES]
            found.append(
                {"name": name, "unit": field.unit, "doc": field.doc, "curves": values.shape[1], "values": packed(values, "f4")}
            )
    return found


def outcome_of(replay: Replay) -> list[list[str]]:
    """[name, value, unit, meaning] of each field of the outcome that is one number."""
    found: dict[str, Field] = fields(replay.world.outcome)
    outcome: Record = replay.outcome
    single = {name: field for name, field in found.items() if not field.shape}
    return [[name, f"{float(getattr(outcome, name)[0]):.4g}", field.unit, field.doc] for name, field in single.items()]
