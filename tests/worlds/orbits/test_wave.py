"""A score as sound: the right frequencies at the right times, in a file that others can play, and nothing that clips or clicks."""

import hashlib
import io
import wave as standard
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldloom.core.errors import InputError
from worldloom.worlds.orbits.score import INSTRUMENTS, Score, Voice
from worldloom.worlds.orbits.voices import COLUMNS, TIMBRES, phasors, product, struck
from worldloom.worlds.orbits.wave import CEILING, DECAY, LEVEL, QUARTER, REACH, TAIL, add_faster, mixed, rendered, wav_bytes

RATE = 44100


def scored(notes, voices, *, seconds=6.0, gain_t=(), gain=None):
    """notes: (voice, start, end, pitch, loudness), voices: (instrument, reverb, pan)."""
    voice, start, end, pitch, loudness = np.array(notes, float).reshape(-1, 5).T
    return Score(
        seconds=seconds, voices=tuple(Voice(name="v", instrument=i, reverb=r, pan=p) for i, r, p in voices), start=start, end=end,
        voice=voice.astype(np.int64), pitch=pitch, loudness=loudness, cause=np.zeros(len(start), np.int64),
        bodies=np.full((len(start), 2), -1), gain_t=np.array(gain_t, float),
        gain=np.zeros((len(voices), 0)) if gain is None else np.array(gain, float),
    )  # fmt: skip


def one(instrument, pitch=69.3, *, start=1.0, end=3.0, reverb=0.0, pan=0.0, loudness=1.0, **more):
    return scored([(0, start, end, pitch, loudness)], [(instrument, reverb, pan)], **more)


def strongest(sound, rate=RATE):
    """Frequency of the strongest partial, Hz: the top of a parabola through the logarithms of a Gaussian window's spectrum."""
    n = len(sound)
    window = np.exp(-0.5 * ((np.arange(n) - n / 2) / (n / 8)) ** 2)
    spectrum = np.log(np.abs(np.fft.rfft(sound * window, 4 * n)) + 1e-30)
    k = int(np.argmax(spectrum))
    a, b, c = spectrum[k - 1 : k + 2]
    return (k + 0.5 * (a - c) / (a - 2 * b + c)) * rate / (4 * n)


@pytest.mark.parametrize("pitch", [33.0, 57.37, 69.3, 96.1, 119.5])
@pytest.mark.parametrize(
    ("instrument", "reverb"), [*((name, 0.0) for name in INSTRUMENTS), ("bell", 1.0), ("pluck", 1.0), ("pad", 1.0)]
)
def test_the_strongest_partial_is_the_note(instrument, pitch, reverb):
    score = one(instrument, pitch, reverb=reverb)
    window = (1.2, 1.6) if instrument == "drum" else (1.0, 3.0)
    sound = rendered(score)[:, 0].astype(float)[int(window[0] * RATE) : int(window[1] * RATE)]
    wanted = score.frequency()[0]
    assert abs(strongest(sound) - wanted) < max(0.5, wanted * (2 ** (2 / 1200) - 1))


@pytest.mark.parametrize("pitch", [40.0, 76.2, 110.0])
@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_a_note_begins_at_its_time_after_silence(instrument, pitch):
    sound = mixed(one(instrument, pitch, start=1.23456, reverb=0.7))[0]
    start = round(1.23456 * RATE)
    assert np.all(sound[: start - QUARTER * REACH - 2] == 0)
    assert np.abs(sound[: start - 4]).max() < 2e-3 * np.abs(sound).max()
    if instrument != "pad":
        first = np.argmax(np.abs(sound) > 0.02 * np.abs(sound).max())
        assert 0 <= first - start + 4 < 0.003 * RATE


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_a_note_is_over_after_its_release(instrument):
    sound = mixed(one(instrument, 57, start=0.5, end=1.0))[0]
    assert np.abs(sound[int(0.9 * RATE) : int(1.0 * RATE)]).max() > 1e-3 * LEVEL
    assert np.all(np.abs(sound[int(1.52 * RATE) :]) == 0)


@pytest.mark.parametrize("length", [0.0, 0.013, 0.3, 1.7, 6.0])
@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_nothing_clicks(instrument, length):
    """A step would be a jump of up to the loudness itself; a sine of 110 Hz and its partials move by a few percent a sample."""
    score = one(instrument, 45.37, start=0.501, end=0.501 + length, seconds=3)
    sound = mixed(score)[0]
    held = slice(int(0.501 * RATE) + 2000, None)
    jump = np.abs(np.diff(sound))
    assert jump[held].max(initial=0) < 0.06 * LEVEL
    assert jump.max() < (0.25 if instrument == "drum" else 0.06) * LEVEL
    assert np.abs(sound[-4:]).max() < 1e-4 * LEVEL


def test_ends_are_faded_and_not_cut():
    """Within two milliseconds after the end a bell still has most of its sound, which a cut would not leave."""
    sound = mixed(one("bell", 69, start=0, end=0.5))[0]
    around = [np.sqrt(np.mean(sound[int(t * RATE) : int((t + 0.02) * RATE)] ** 2)) for t in (0.48, 0.5, 0.65, 0.82)]
    assert around[1] > 0.9 * around[0] > 1.5 * around[2] > 0 and around[3] == 0


def test_a_pad_dies_away_over_half_a_second():
    sound, held = (mixed(one("pad", 57, start=0, end=end))[0] for end in (2, 6))
    left = [np.abs(sound[int(t * RATE) :][:500]).max() / np.abs(held[int(t * RATE) :][:500]).max() for t in (1.98, 2.25, 2.4, 2.5)]
    assert np.allclose(left, [1, 0.5, 0.104, 0], atol=0.03)


@pytest.mark.parametrize("band", [(0, 4000), (4000, 20000)])
@pytest.mark.parametrize("instrument", ["bell", "pluck", "drum"])
def test_a_struck_tone_that_is_held_ends_at_zero_by_itself(instrument, band):
    tone = struck(instrument, 1200, 9 * RATE, RATE, band)
    assert 0.1 * RATE < len(tone) <= TIMBRES[instrument].ring * RATE
    assert tone[-1] == 0 and np.abs(np.diff(tone[-40:])).max() < 1e-4


def test_a_gain_is_linear_between_the_edges_of_rows():
    gain = np.array([0, 1, 0.5, 0.5, 2, 0])
    samples = 5 * COLUMNS - 7
    made = phasors(TIMBRES["pad"], 300, samples, RATE, gain)
    wanted = phasors(TIMBRES["pad"], 300, samples, RATE) * np.interp(np.arange(samples) / COLUMNS, np.arange(6), gain)
    assert np.allclose(made, wanted, atol=1e-5) and np.abs(made).max() > 0.5


def test_full_chords_do_not_clip_and_quiet_ones_are_not_made_louder():
    loud = scored([(0, 1, 3, 60 + k / 3, 1) for k in range(40)], [("pluck", 0.3, 0.5)])
    assert np.isclose(np.abs(rendered(loud)).max(), CEILING, atol=1e-6) and np.abs(mixed(loud)).max() > 1
    quiet = one("bell", loudness=0.3)
    assert np.array_equal(rendered(quiet).T, mixed(quiet))


@pytest.mark.parametrize("pan", [-1.0, -0.4, 0.0, 1.0])
def test_pan_shares_the_same_power(pan):
    power = np.sum(mixed(one("pluck", pan=pan)).astype(float) ** 2, axis=1)
    total = np.sum(mixed(one("pluck")).astype(float) ** 2)
    assert np.isclose(power.sum(), total, rtol=1e-4)
    assert np.allclose(power / total, [np.cos((pan + 1) * np.pi / 4) ** 2, np.sin((pan + 1) * np.pi / 4) ** 2], atol=1e-5)


@pytest.mark.parametrize(("rate", "seconds"), [(44100, 2.0), (48000, 1.23457), (8000, 0.0), (96000, 0.5), (22050, 3.00001)])
def test_the_file_says_what_it_holds(rate, seconds):
    data = wav_bytes(one("bell", start=0, end=seconds, seconds=seconds), rate=rate)
    with standard.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, rate)
        assert file.getnframes() == round(seconds * rate) + round(TAIL * rate)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    sound = rendered(one("bell", start=0, end=seconds, seconds=seconds), rate)
    assert sound.shape == samples.shape and sound.dtype == np.float32
    assert np.abs(samples / 32767 - sound).max() < 0.51 / 32767


def test_an_empty_score_is_silence():
    sound = rendered(scored([], [], seconds=1))
    assert sound.shape == (round((1 + TAIL) * RATE), 2) and not sound.any()


def test_the_gain_of_a_voice_is_heard_in_its_pad():
    sound = mixed(one("pad", 57, start=0, end=6, gain_t=[0, 2, 4, 6], gain=[[1, 1, 0.25, 0.25]]))[0]
    loudness = [np.abs(sound[int(t * RATE) : int((t + 0.4) * RATE)]).max() for t in (1.5, 2.9, 4.6)]
    flat = mixed(one("pad", 57, start=0, end=6))[0]
    full = [np.abs(flat[int(t * RATE) : int((t + 0.4) * RATE)]).max() for t in (1.5, 2.9, 4.6)]
    assert np.allclose(np.divide(loudness, full), [1, 0.65, 0.25], atol=0.05)


def test_reverb_rings_on_and_dies_away():
    dry, wet = (mixed(one("pluck", 69, start=0, end=0.05, reverb=reverb)) for reverb in (0, 1))
    late = [np.sum(wet[:, int(t * RATE) : int((t + 0.2) * RATE)].astype(float) ** 2) for t in (0.4, 0.6, 0.8)]
    assert not dry[:, int(0.4 * RATE) :].any()
    assert late[0] > 0
    expected = np.exp(-2 * 0.2 / DECAY)
    assert 0.3 * expected < late[1] / late[0] < 3 * expected and late[2] < late[1]


def test_both_sides_have_reverb_of_their_own():
    left, right = mixed(one("pluck", 60, start=0, end=0.05, reverb=1))[:, int(0.4 * RATE) : int(1.2 * RATE)].astype(float)
    assert abs(np.dot(left, right)) < 0.5 * np.sqrt(np.dot(left, left) * np.dot(right, right))
    assert 0.3 < np.dot(left, left) / np.dot(right, right) < 3


def test_two_voices_are_the_sum_of_both():
    voices = [("bell", 0.3, -0.5), ("pad", 0.8, 0.7)]
    rows = [(0, 0.5, 1, 70, 0.6), (0, 0.7, 2, 70, 0.6), (1, 0.2, 4, 50.3, 1)]
    both, bell, pad = (mixed(scored(part, voices)) for part in (rows, rows[:2], rows[2:]))
    assert np.abs(both - bell - pad).max() < 1e-6
    assert min(np.abs(bell).max(), np.abs(pad).max()) > 0.01


def test_a_repeated_note_sounds_as_each_of_them_alone():
    starts = (0.5, 0.9, 2.00001)
    apart = [mixed(one("bell", start=start, end=start + 0.3, reverb=0.4)) for start in starts]
    together = mixed(scored([(0, start, start + 0.3, 69.3, 1) for start in starts], [("bell", 0.4, 0)]))
    assert np.abs(together - sum(apart)).max() < 1e-6


def faster(sound):
    made = np.zeros(QUARTER * len(sound), np.float32)
    add_faster(made, sound)
    return made


def test_bringing_sound_to_the_full_rate_leaves_it_as_it_is():
    """A sine stays that sine: images and ripple lie 60 dB below, up to 70 % of what the slower part can hold."""
    for share in (0.01, 0.2, 0.5, 0.7):
        angle = np.pi * share * np.arange(4096)
        wanted = np.sin(np.pi * share * np.arange(4 * 4096) / 4)
        assert np.abs(faster(np.sin(angle).astype(np.float32)) - wanted)[200:-200].max() < 2e-3
    assert np.allclose(faster(np.ones(1024, np.float32))[200:-200], 1, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 1), (700, 12, 128), (5000, 32, 64), (3, 300, 2000)])
def test_a_product_in_pieces_is_the_product(shape):
    rows, inner, columns = shape
    draw = np.random.default_rng(1)
    left, right = draw.standard_normal((rows, inner)), draw.standard_normal((inner, columns))
    assert np.allclose(product(left, right), left @ right, atol=1e-4)


CASES = st.lists(
    st.tuples(st.integers(0, 3), st.floats(0, 1.5), st.floats(0, 1), st.floats(0, 127), st.floats(0, 1)), max_size=6
)  # fmt: skip


@given(rows=CASES, rate=st.sampled_from([8000, 11025, 22050]), seconds=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_any_score_sounds(rows, rate, seconds):
    rows = [(voice, start, start + length, pitch, loudness) for voice, start, length, pitch, loudness in rows]
    score = scored(rows, [(instrument, k / 3, k / 2 - 1) for k, instrument in enumerate(INSTRUMENTS)], seconds=seconds)
    sound = rendered(score, rate)
    assert sound.shape == (round(seconds * rate) + round(TAIL * rate), 2)
    assert np.all(np.isfinite(sound)) and np.abs(sound).max() <= CEILING + 1e-6
    before = int(score.start.min(initial=9) * rate) - QUARTER * REACH - 4
    assert not sound[: max(before, 0)].any()
    digests = {hashlib.sha256(wav_bytes(score, rate=rate)).digest() for _ in range(2)}
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("spoiled", "how", "told"),
    [
        ({"pitch": np.array([np.nan])}, {}, r"pitch\[0\] = nan"),
        ({"end": np.array([0.0])}, {}, r"end\[0\] = 0 s comes before"),
        ({"seconds": 1e9}, {}, "seconds = 1e\\+09 is too long"),
        ({}, {"rate": 0}, "rate = 0 samples"),
        ({}, {"rate": 44100.5}, "rate = 44100.5 samples"),
        ({}, {"rate": float("nan")}, "rate = nan samples"),
    ],
)
def test_bad_input_is_named(spoiled, how, told):
    with pytest.raises(InputError, match=told):
        wav_bytes(replace(one("bell"), **spoiled), **how)
