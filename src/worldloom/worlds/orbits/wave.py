"""Wave: a score as sound that any player plays, in NumPy alone. The same score gives the same bytes on the same machine.

Two rates: what sounds below EDGE (most of all partials, and all of the reverb) is added up at a quarter of the rate and brought to the full
rate once, at the end; only what lies above is added at the full rate, and it dies away soon. Struck notes (bell, pluck, drum) of one
voice mostly share a pitch: each different tone is computed once and added at every start. Pads are computed note by note, because their
gain differs. Starts and ends are rounded to the nearest of the slower samples (error <= 45 us at 44.1 kHz).

The reverb hears the slower part. Two lines a and b pass eleven stages (a, b) -> (a + g b', a - g b'), b' being b one delay earlier and
g = exp(-delay / DECAY): 2^11 echoes in each line for eleven additions, each echo on the same exponential as all others. Since the stages
are (but for g) rotations, the two lines, which become left and right, have together a flat spectrum and are unlike each other.
Source: Golay 1961, Complementary series, IRE Trans. Inf. Theory 7, 82-87; the decay is ours.
"""

import io
import struct
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldloom.core.errors import InputError
from worldloom.worlds.orbits.score import Array, Score, Voice
from worldloom.worlds.orbits.voices import COLUMNS, TIMBRES, Sound, checked, fall, phasors, product, struck

TAIL = 2.0  # s after the score in which its last notes and the reverb die away
LONGEST = 3600.0  # s: an hour takes some 3 GB of memory
RATES = (8000, 192000)  # Hz
LEVEL = 0.2  # of one note at full loudness
CEILING = 0.98  # the loudest sample; louder sound is scaled down as a whole
PIECE = 2**15  # samples that are worked on at a time: they stay in the cache
HEADER = 44  # bytes

QUARTER = 4  # the slower part keeps one sample of 4
EDGE, NYQUIST = 0.0875, 0.45  # of the rate: where the slower part ends, 70 % of what it could hold; where partials are left out
FRAME, REACH = 16, 8  # slower samples that are resampled at once; and how far a sample depends on those before and after
BLOCK = 16 * FRAME  # buses have a whole number of these
DELAYS = (0.599, 0.293, 0.151, 0.0719, 0.0371, 0.0173, 0.0091, 0.0049, 0.0023, 0.0013, 0.0007)  # s; the last make left unlike right
PREDELAY, DECAY = 0.012, 0.2  # s before the first echo; s in which echoes fall to 1 / e (60 dB in 1.4 s)


def wav_bytes(score: Score, *, rate: int = 44100) -> bytes:
    """A RIFF WAVE file: 16-bit PCM, stereo, seconds * rate samples and a tail of TAIL s.

    rate: samples a second, a whole number from 8,000 to 192,000. Raises InputError where the score or the rate cannot be used.
    """
    sound = rendered(score, rate).T
    samples = sound.shape[1]
    file = io.BytesIO(bytes(HEADER + 4 * samples))  # written in place: a copy of the file would cost as much as its rounding
    with file.getbuffer() as room:
        room[:HEADER] = header(samples, int(rate))
        write(sound, np.frombuffer(room, "<i2", offset=HEADER).reshape(-1, 2))
    return file.getvalue()


def write(sound: Sound, samples: NDArray[np.int16]) -> None:
    """Rounds sound [2, sample] from -1 to 1 into samples [sample, 2], a piece after the other."""
    for first in range(0, sound.shape[1], PIECE):
        piece = np.rint(sound[:, first : first + PIECE] * np.float32(32767))
        for side in range(2):
            samples[first : first + PIECE, side] = piece[side]


def header(samples: int, rate: int) -> bytes:
    """44 bytes before the samples. Source: Multimedia Programming Interface and Data Specifications 1.0, 1991, RIFF WAVE."""
    size = 4 * samples
    return struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 2, rate, 4 * rate, 4, 16, b"data", size)


def rendered(score: Score, rate: int = 44100) -> Sound:
    """Sound [sample, 2], left and right, within -CEILING to CEILING; no louder than `mixed`. Raises InputError."""
    sound = mixed(score, rate)
    peak = max(float(sound.max(initial=0.0)), -float(sound.min(initial=0.0)))
    if peak > CEILING:
        sound *= np.float32(CEILING / peak)
    return sound.T


class Mix(NamedTuple):
    """slow [left right send, sample / 4]: what is below EDGE, and what of it the reverb hears; fast [left right, sample]: the rest."""

    slow: Sound
    fast: Sound


def mixed(score: Score, rate: int = 44100) -> Sound:
    """Sound [2, sample] as it adds up, of any loudness: the mix of two scores is the sum of their mixes. Raises InputError."""
    checked(score)
    if not RATES[0] <= rate <= RATES[1] or rate != int(rate):
        raise InputError(
            f"rate = {rate!r} samples a second cannot be written. Expected a whole number from {RATES[0]} to {RATES[1]}."
        )
    if score.seconds > LONGEST:
        raise InputError(f"seconds = {score.seconds:g} is too long for one file. Expected at most {LONGEST:g}.")
    samples = round(score.seconds * rate) + round(TAIL * rate)
    slower = -(-samples // (QUARTER * BLOCK)) * BLOCK
    mix = Mix(np.zeros((3, slower), np.float32), np.zeros((2, slower * QUARTER), np.float32))
    for (voice, pitch, loudness), notes in alike(score).items():
        play = sustain if score.voices[voice].instrument == "pad" else strike
        play(mix, score, np.array(notes), 440.0 * 2.0 ** ((pitch - 69.0) / 12.0), gains(score.voices[voice], loudness), rate)
    if mix.slow[2].any():
        reverberate(mix.slow, rate / QUARTER)
    for slow, fast in zip(mix.slow[:2], mix.fast, strict=True):
        add_faster(fast, slow)
    sound = mix.fast[:, :samples]
    ending = round(0.25 * TAIL * rate)
    sound[:, samples - ending :] *= fall(ending)
    return sound


def alike(score: Score) -> dict[tuple[int, float, float], list[int]]:
    """{(voice, pitch, loudness): notes that have them}, in order of the first note."""
    found: dict[tuple[int, float, float], list[int]] = {}
    for k, key in enumerate(zip(score.voice.tolist(), score.pitch.tolist(), score.loudness.tolist(), strict=True)):
        found.setdefault(key, []).append(k)
    return found


def gains(voice: Voice, loudness: float) -> Sound:
    """Factors for left, right and reverb [3]: equal power whatever the pan; reverb 1 sends half of the sound there."""
    angle, wet = (voice.pan + 1.0) * np.pi / 4.0, voice.reverb / 2.0
    return np.array([np.cos(angle) * (1.0 - wet), np.sin(angle) * (1.0 - wet), wet], np.float32) * np.float32(LEVEL * loudness)


def strike(mix: Mix, score: Score, notes: NDArray[np.int64], frequency: float, factors: Sound, rate: int) -> None:
    """Adds struck notes that are alike. A note that ends before it has rung out is damped over the release of its instrument."""
    instrument = score.voices[score.voice[notes[0]]].instrument
    release = TIMBRES[instrument].release
    starts, ends = slower(score.start[notes], mix, rate), slower(score.end[notes], mix, rate)
    for buses, times, band in parts(mix, rate):
        damping = fall(round(release * times * rate / QUARTER))
        longest = int((ends - starts).max()) * times + len(damping)
        tone = struck(instrument, frequency, longest, times * rate / QUARTER, band)
        tone = factors[: len(buses), None] * tone
        for start, length in zip((starts * times).tolist(), ((ends - starts) * times).tolist(), strict=True):
            add(buses, start, tone[:, :length])
            damped = tone[:, length : length + len(damping)]
            add(buses, start + length, damped * damping[: damped.shape[1]])


def slower(times: Array, mix: Mix, rate: int) -> NDArray[np.int64]:
    """The nearest of the slower samples; the end of the mix for what lies past it."""
    return np.rint(np.minimum(times * (rate / QUARTER), mix.slow.shape[1])).astype(np.int64)


def parts(mix: Mix, rate: int) -> tuple[tuple[Sound, int, tuple[float, float]], ...]:
    """(buses, how many times faster than the slower part, band in Hz) of both parts."""
    return (mix.slow, 1, (0.0, EDGE * rate)), (mix.fast, QUARTER, (EDGE * rate, NYQUIST * rate))


def sustain(mix: Mix, score: Score, notes: NDArray[np.int64], frequency: float, factors: Sound, rate: int) -> None:
    """Adds pads: each swells over the attack, follows the gain of its voice, and dies away over the release."""
    for buses, times, band in parts(mix, rate):
        timbre = TIMBRES["pad"].between(frequency, band)
        starts = slower(score.start[notes], mix, rate) * times
        ends = slower(score.end[notes] + timbre.release, mix, rate) * times
        for note, start, samples in zip(notes.tolist(), starts.tolist(), (ends - starts).tolist(), strict=True):
            if samples and len(timbre.ratio):
                gain = swell(score, note, -(-samples // COLUMNS), COLUMNS * QUARTER / (times * rate))
                tone = phasors(timbre, frequency, samples, times * rate / QUARTER, gain)
                for first in range(0, samples, PIECE):
                    add(buses, start + first, factors[: len(buses), None] * tone[first : first + PIECE])


def swell(score: Score, note: int, rows: int, row: float) -> Array:
    """Gain of a pad at the edges of its rows [row + 1]; linear between moments. row: s of one."""
    timbre = TIMBRES["pad"]
    since = np.arange(rows + 1) * row
    length = score.end[note] - score.start[note]
    rise = np.clip(since / timbre.attack, 0.0, 1.0)
    left = np.clip((length + timbre.release - since) / timbre.release, 0.0, 1.0)
    gain = rise * rise * (3.0 - 2.0 * rise) * left * left * (3.0 - 2.0 * left)
    if len(score.gain_t):
        gain *= np.interp(score.start[note] + since, score.gain_t, score.gain[score.voice[note]])
    return gain


def add(buses: Sound, start: int, sound: Sound) -> None:
    """Adds sound [3, sample] to the buses from a sample on; what lies past their end is dropped."""
    room = max(buses.shape[1] - start, 0)
    buses[:, start : start + sound.shape[1]] += sound[:, :room]


def reverberate(buses: Sound, rate: float) -> None:
    """Adds the echoes of the third bus to the first two."""
    late = round(PREDELAY * rate)
    a = np.concatenate([np.zeros(late, np.float32), buses[2, :-late]])
    b, spare = a.copy(), np.empty_like(a)
    power = 1.0
    for delay in DELAYS:
        samples, g = max(round(delay * rate), 1), np.exp(-delay / DECAY)
        echo = np.multiply(b[:-samples], np.float32(g), out=spare[samples:])
        b[:samples] = a[:samples]
        np.subtract(a[samples:], echo, out=b[samples:])
        a[samples:] += echo
        power *= 1.0 + g * g
    for bus, line in zip(buses, (a, b), strict=False):
        line *= np.float32(power**-0.5)
        bus += line


def add_faster(fast: Sound, slow: Sound) -> None:
    """Adds slow [sample] at four times its rate to fast: a frame and its margins, times the filters, is a frame four times as long."""
    padded = np.zeros(len(slow) + 2 * REACH, np.float32)
    padded[REACH:-REACH] = slow
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME + 2 * REACH)[::FRAME]
    many = PIECE // (FRAME * QUARTER)
    for first in range(0, len(frames), many):
        sound = product(frames[first : first + many], filters()).ravel()
        fast[first * FRAME * QUARTER :][: len(sound)] += sound


@lru_cache(maxsize=1)
def filters() -> Array:
    """Filters [FRAME + 2 REACH, 4 FRAME]: sinc under a Kaiser window; a constant stays as it is, images lie 70 dB below."""
    wanted = np.arange(FRAME * QUARTER) / QUARTER
    apart = wanted[None, :] - (np.arange(FRAME + 2 * REACH) - REACH)[:, None]
    window = np.i0(6.5 * np.sqrt(np.maximum(1.0 - (apart / REACH) ** 2, 0.0)))
    weight = np.where(np.abs(apart) < REACH, np.sinc(apart) * window, 0.0)
    return np.asarray(weight / weight.sum(0))
