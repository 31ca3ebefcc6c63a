"""Score: the music of a system as plain arrays, between music.py, which computes it, and midi.py and wave.py, which write it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
INSTRUMENTS = ("bell", "pluck", "pad", "drum")


@dataclass(frozen=True, kw_only=True)
class Voice:
    """Who sounds: one voice for each planet, and one for the drum. reverb from 0 (dry) to 1; pan from -1 (left) to 1."""

    name: str
    instrument: str
    reverb: float = 0.2
    pan: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Score:
    """Notes in order of their start, and how loud pads are over time.

    start, end [note]: s of hearing. voice [note]: index into voices. pitch [note]: MIDI note number with its fraction; 69 is 440 Hz.
    loudness [note]: 0 to 1. cause [note]: index into CAUSES. bodies [note, 2]: which bodies made it, -1 for none.
    gain_t [moment], gain [voice, moment]: factor on the loudness of pads, 0 to 1; moments may be none.
    """

    seconds: float
    voices: tuple[Voice, ...]
    start: Array
    end: Array
    voice: NDArray[np.int64]
    pitch: Array
    loudness: Array
    cause: NDArray[np.int64]
    bodies: NDArray[np.int64]
    gain_t: Array
    gain: Array

    @property
    def notes(self) -> int:
        """How many notes there are."""
        return len(self.start)

    def frequency(self) -> Array:
        """Hz of each note [note]."""
        return np.asarray(440.0 * 2.0 ** ((self.pitch - 69.0) / 12.0))


CAUSES = ("orbit", "transit", "conjunction", "pad")
