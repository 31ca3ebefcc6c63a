"""Voices: what bell, pluck, pad and drum sound like, and which scores can be written at all. For midi.py and wave.py.

A tone is a sum of partials, each a phasor z^n with z = exp(2 pi i f / rate - 1 / (tau rate)). With n = row * COLUMNS + column the sum over
the partials of Im(z^(row COLUMNS) z^column) is a matrix product of rank 2 x partials: some 0.05 ms for a second of sound where sines
take 10. A gain that is linear within each row doubles the rank and costs no further pass.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from worldloom.core.errors import InputError
from worldloom.worlds.orbits.score import INSTRUMENTS, Array, Score

Sound = NDArray[np.float32]
COLUMNS = 128  # samples of a row: 3 ms at 44.1 kHz, 12 ms at a quarter of it
SMALL = 2**18  # OpenBLAS shares a product of more multiplications among threads, which wait for each other; ours stay below
FAINT = 1e-3  # of a full tone: partials end below it
RAMP = 0.0015  # s in which a struck tone sets in
ENDING = 0.02  # s in which a tone that has rung out is faded


@dataclass(frozen=True, kw_only=True)
class Timbre:
    """Partials of an instrument and its times.

    ratio, amplitude, decay [partial]: of the frequency of the note, 1 in sum, s (inf for none).
    attack, release: s before it is all there, and after the end of a note. ring: s after which a struck tone is over.
    """

    ratio: Array
    amplitude: Array
    decay: Array
    attack: float = RAMP
    release: float
    ring: float = np.inf

    def between(self, frequency: float, band: tuple[float, float]) -> "Timbre":
        """Only the partials of that note within a band, lowest to below highest Hz; rings until the last of them is faint."""
        inside = (self.ratio * frequency >= band[0]) & (self.ratio * frequency < band[1])
        ratio, amplitude, decay = self.ratio[inside], self.amplitude[inside], self.decay[inside]
        audible = float((decay * np.log(amplitude / FAINT)).max(initial=0.0))
        return replace(self, ratio=ratio, amplitude=amplitude, decay=decay, ring=min(self.ring, audible))


def plucked(partials: int = 16, place: float = 0.2) -> Timbre:
    """An ideal string, plucked at some part of its length. Source: Fletcher and Rossing 1998, chapter 2."""
    k = np.arange(1.0, partials + 1)
    amplitude = np.abs(np.sin(k * np.pi * place)) / k**2
    return Timbre(
        ratio=k, amplitude=amplitude / amplitude.sum(), decay=0.7 / (1.0 + 0.4 * (k - 1.0)), release=0.12, ring=2.5
    )  # fmt: skip


def pad(cents: float = 1.5) -> Timbre:
    """Three harmonics, each as a pair detuned by some cents up and down, so that it beats slowly."""
    apart = 2.0 ** (np.array([-cents, cents]) / 1200.0)
    ratio = np.outer([1.0, 2.0, 3.0], apart).ravel()
    amplitude = np.repeat([0.33, 0.12, 0.05], 2)
    return Timbre(ratio=ratio, amplitude=amplitude, decay=np.full(6, np.inf), attack=0.4, release=0.5)


BAR = np.array(
    [1.0, 2.756, 5.404, 8.933]
)  # of a free bar, bending. Source: Fletcher and Rossing 1998, The Physics of Musical Instruments, chapter 2
TIMBRES = {
    "bell": Timbre(
        ratio=BAR, amplitude=np.array([0.6, 0.22, 0.12, 0.06]), decay=np.array([0.9, 0.45, 0.22, 0.1]), release=0.3, ring=4.0
    ),
    "pluck": plucked(),
    "pad": pad(),
    "drum": Timbre(ratio=np.ones(1), amplitude=np.ones(1), decay=np.array([0.13]), release=0.08, ring=0.8),
}  # fmt: skip
SWEEP, SWEEP_TIME = 1.5, 0.03  # a drum begins at 1 + SWEEP times its frequency and settles within some SWEEP_TIME, s
RATTLE, RATTLE_TIME = 0.3, 0.02  # noise of a drum: its share, and its decay, s


def struck(instrument: str, frequency: float, samples: int, rate: float, band: tuple[float, float]) -> Sound:
    """What a bell, a pluck or a drum has within a band, Hz, at full loudness [sample]: at most samples, at most while it rings."""
    timbre = TIMBRES[instrument] if instrument == "drum" else TIMBRES[instrument].between(frequency, band)
    ring = round(timbre.ring * rate)
    samples = min(samples, ring)
    if not samples:
        return np.zeros(0, np.float32)
    tone = drum(frequency, samples, rate, band) if instrument == "drum" else phasors(timbre, frequency, samples, rate)
    ramp, ending = round(timbre.attack * rate), min(round(ENDING * rate), ring)
    tone[:ramp] *= 1 - fall(ramp)[:samples]
    tone[ring - ending :] *= fall(ending)[: max(samples - ring + ending, 0)]
    return tone


def fall(samples: int) -> Sound:
    """From 1 to 0 without a corner [sample]; the last is 0."""
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * np.arange(1, samples + 1) / samples), np.float32)


def phasors(timbre: Timbre, frequency: float, samples: int, rate: float, gain: Array | None = None) -> Sound:
    """Sum of the partials [sample], each a sine from phase 0. gain [row + 1]: factor at the edges of rows, linear between."""
    z = np.exp((2j * np.pi * frequency * timbre.ratio - 1.0 / timbre.decay) / rate)
    along = powers(z, COLUMNS)
    down = powers(z**COLUMNS, -(-samples // COLUMNS)) * timbre.amplitude[:, None]
    left, right = np.concatenate([down.imag, down.real]), np.concatenate([along.real, along.imag])
    if gain is not None:
        left = np.concatenate([left * gain[:-1], left * np.diff(gain)])
        right = np.concatenate([right, right * (np.arange(COLUMNS) / COLUMNS)])
    return product(left.T, right).ravel()[:samples]


def powers(z: NDArray[np.complex128], count: int) -> NDArray[np.complex128]:
    """z^0 … z^(count - 1) of each z [partial, count]; relative error some 1e-16 each."""
    made = np.repeat(z[:, None], count, axis=1)
    made[:, :1] = 1.0
    return np.multiply.accumulate(made, axis=1)


def product(left: NDArray[np.floating], right: Array) -> Sound:
    """Matrix product in float32, in pieces so SMALL that one thread computes each: no waiting, and no bits that depend on threads."""
    rows, inner = left.shape
    together = max(SMALL // max(inner * right.shape[1], 1), 1)
    padded = np.zeros((-(-rows // together) * together, inner), np.float32)
    padded[:rows] = left
    pieces = padded.reshape(-1, together, inner) @ right.astype(np.float32)
    return pieces.reshape(-1, right.shape[1])[:rows]


def drum(frequency: float, samples: int, rate: float, band: tuple[float, float]) -> Sound:
    """Within a band: a sine that falls to its frequency, if it begins there, and a rattle if the band does not begin at 0 [sample]."""
    t = np.arange(samples) / rate
    sound = np.zeros(samples, np.float32)
    top = frequency * (1.0 + SWEEP)
    if top < band[1] if band[0] == 0 else top >= band[0] and frequency < band[1]:
        sweep = min(SWEEP, band[1] / frequency - 1.0)
        turns = frequency * (t + sweep * SWEEP_TIME * (1.0 - np.exp(-t / SWEEP_TIME)))
        membrane = np.sin((2.0 * np.pi * (turns % 1.0)).astype(np.float32))
        sound += np.float32(1.0 - RATTLE) * membrane * np.exp(-t / TIMBRES["drum"].decay[0]).astype(np.float32)
    return sound + rattle(samples, rate) if band[0] > 0 else sound


def rattle(samples: int, rate: float) -> Sound:
    """Decaying noise [sample]: the fractions of n^2 times the golden ratio have a flat spectrum; a short mean takes off its top."""
    n = np.arange(float(samples))
    white = (n * n * ((np.sqrt(5.0) - 1.0) / 2.0)) % 1.0 - 0.5
    sums = np.cumsum(np.concatenate([np.zeros(4), white]))
    return np.asarray(RATTLE * (sums[4:] - sums[:-4]) * np.exp(-n / (RATTLE_TIME * rate)), np.float32)


BOUNDS = {
    "start": (0.0, np.inf, "s"),
    "end": (0.0, np.inf, "s"),
    "pitch": (0.0, 127.0, "MIDI note number"),
    "loudness": (0.0, 1.0, "of full loudness"),
    "gain_t": (-np.inf, np.inf, "s"),
    "gain": (0.0, 1.0, "of the loudness of pads"),
}


def checked(score: Score) -> Score:
    """The score as it is; InputError that names its first fault where it cannot be written."""
    if not 0.0 <= score.seconds < np.inf:
        raise InputError(f"seconds = {score.seconds:g} is no length of a score. Expected a finite number of at least 0.")
    shapes(score)
    for name, (low, high, unit) in BOUNDS.items():
        values = getattr(score, name)
        wrong = np.argwhere(~((values >= low) & (values <= high) & np.isfinite(values)))
        if len(wrong):
            at = "".join(f"[{k}]" for k in wrong[0])
            raise InputError(f"{name}{at} = {values[tuple(wrong[0])]:g} is outside {low:g} to {high:g} ({unit}).")
    early = np.flatnonzero(score.end < score.start)
    if len(early):
        k = early[0]
        raise InputError(f"end[{k}] = {score.end[k]:g} s comes before start[{k}] = {score.start[k]:g} s.")
    if np.any(np.diff(score.gain_t) < 0):
        raise InputError("gain_t goes back in time. Expected moments in order.")
    voices(score)
    return score


def shapes(score: Score) -> None:
    """Raises InputError unless every array has a number for each note, or each voice and moment."""
    for name in ("start", "end", "voice", "pitch", "loudness"):
        if np.shape(getattr(score, name)) != (score.notes,):
            found = list(np.shape(getattr(score, name)))
            raise InputError(f"{name} has shape {found}. Expected one number for each of {score.notes} notes.")
    moments = len(score.gain_t)
    if np.shape(score.gain_t) != (moments,) or (moments and np.shape(score.gain) != (len(score.voices), moments)):
        raise InputError(f"gain has shape {list(np.shape(score.gain))}. Expected one number for each voice and moment of gain_t.")


def voices(score: Score) -> None:
    """Raises InputError unless every note has a voice and every voice an instrument, a reverb and a pan that there are."""
    strange = np.flatnonzero((score.voice < 0) | (score.voice >= len(score.voices)))
    if len(strange):
        raise InputError(f"voice[{strange[0]}] = {score.voice[strange[0]]} is not one of {len(score.voices)} voices.")
    for k, voice in enumerate(score.voices):
        if voice.instrument not in INSTRUMENTS:
            raise InputError(f"voices[{k}].instrument = {voice.instrument!r} is not known. Expected {', '.join(INSTRUMENTS)}.")
        for name, low in (("reverb", 0.0), ("pan", -1.0)):
            value = getattr(voice, name)
            if not low <= value <= 1.0:
                raise InputError(f"voices[{k}].{name} = {value:g} is outside {low:g} to 1.")
