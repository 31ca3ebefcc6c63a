"""A replay as a moving picture: bodies from the side, the ground with a mark at every metre, muscles by their activation."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldloom.core.errors import InputError, MachineError
from worldloom.runtime.replay import Replay

WIDTH, HEIGHT = 480, 270  # pixels
GROUND = 230  # pixels from the top
VIEW = 6.0  # m from the left edge to the right one, at least
FRAME_SECONDS = 0.04  # players round to hundredths of a second
MOST = 300  # pictures in a file
PAPER, EARTH, MARK, INK = (250, 250, 247), (205, 200, 188), (150, 145, 135), (90, 90, 90)
NODE, RIM = (222, 226, 232), (70, 78, 92)
SHORT, REST, LONG = (200, 60, 50), (150, 150, 160), (50, 95, 200)  # muscles: shortened, at rest, lengthened


def gif(replay: Replay, path: Path) -> None:
    """Write the picture. Raises MachineError without pillow, InputError for a replay that has no positions [frame, node, 3]."""
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        raise MachineError(
            "A .gif needs pillow, which is missing. Run: pip install 'worldloom[report]', or choose .html."
        ) from None
    arrays = replay.arrays
    positions = arrays.get("positions", np.empty(0))
    if positions.ndim != 3 or positions.shape[2] != 3:
        raise InputError(
            f"A replay of {replay.world.name!r} has no positions to draw from the side. Expected .html, .json or .npz."
        )
    chosen, pause = moments(replay.t)
    scale = WIDTH / max(VIEW, 1.5 * float(np.ptp(positions[0, :, 0])))
    pictures = []
    for k in chosen.tolist():
        picture = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
        paint(ImageDraw.Draw(picture), arrays, k, scale)
        ImageDraw.Draw(picture).text((8, 6), f"{replay.title}   {replay.t[k]:.1f} s", fill=INK)
        pictures.append(picture.quantize(64))
    pictures[0].save(path, format="GIF", save_all=True, append_images=pictures[1:], duration=round(pause * 1000), loop=0)


def moments(t: NDArray[Any]) -> tuple[NDArray[Any], float]:
    """(numbers of the frames to draw, seconds that each is shown): real time, with fewer pictures where a life is long."""
    length = float(t[-1] - t[0])
    count = int(np.clip(round(length / FRAME_SECONDS) + 1, 1, min(MOST, len(t))))
    times = np.linspace(t[0], t[-1], count)
    return np.searchsorted(t, times - 1e-9).clip(0, len(t) - 1), max(FRAME_SECONDS, round(length / max(count - 1, 1), 2))


def paint(draw: Any, arrays: dict[str, NDArray[Any]], k: int, scale: float) -> None:
    """One moment; the camera goes with the body's middle."""
    place = np.nan_to_num(arrays["positions"][k], posinf=0, neginf=0)
    left = float(place[:, 0].mean()) - WIDTH / 2 / scale
    draw.rectangle((0, GROUND, WIDTH, HEIGHT), fill=EARTH)
    for metre in range(int(np.ceil(left)), int(left + WIDTH / scale) + 1):
        x = (metre - left) * scale
        draw.line((x, GROUND, x, GROUND + 6), fill=MARK)
        draw.text((x + 2, GROUND + 8), str(metre), fill=MARK)
    across, up = (place[:, 0] - left) * scale, GROUND - place[:, 1] * scale
    radius = arrays.get("radius", np.full(len(place), 0.1)) * scale
    for x, y, r in zip(across.tolist(), up.tolist(), radius.tolist(), strict=True):
        draw.ellipse((x - r, y - r, x + r, y + r), fill=NODE, outline=RIM)
    activation = arrays.get("activation")
    for m, (a, b) in enumerate(arrays.get("muscles", np.empty((0, 2), int)).tolist()):
        colour = REST if activation is None else mixed(float(activation[k, m]))
        draw.line((across[a], up[a], across[b], up[b]), fill=colour, width=3)


def mixed(activation: float) -> tuple[int, ...]:
    """The colour of a muscle from -1, shortened, to 1, lengthened."""
    end, share = (LONG if activation > 0 else SHORT), min(abs(activation), 1.0)
    return tuple(round(a + (b - a) * share) for a, b in zip(REST, end, strict=True))
