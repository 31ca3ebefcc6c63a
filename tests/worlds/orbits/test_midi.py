"""A score as a MIDI file: every note is read back by another program (mido), and sounds at the pitch of the score."""

import io
from dataclasses import replace

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldloom.core.errors import InputError
from worldloom.worlds.orbits.midi import PROGRAMS, midi_bytes, quantity
from worldloom.worlds.orbits.score import INSTRUMENTS, Score, Voice

RESOLUTION = {"plain": 50.0, "mpe": 100 / 8192 / 2, "mts": 100 / 2**14 / 2}  # cents, at most


def scored(notes, voices=(("a", "bell"),), *, seconds=60.0, gain_t=(), gain=None):
    """notes: (voice, start, end, pitch, loudness), voices: (name, instrument, reverb, pan)."""
    voices = tuple(Voice(**dict(zip(("name", "instrument", "reverb", "pan"), voice, strict=False))) for voice in voices)
    columns = np.array(sorted(notes, key=lambda note: note[1]), float).reshape(-1, 5).T
    voice, start, end, pitch, loudness = columns
    return Score(
        seconds=seconds, voices=voices, start=start, end=end, voice=voice.astype(np.int64), pitch=pitch, loudness=loudness,
        cause=np.zeros(len(start), np.int64), bodies=np.full((len(start), 2), -1), gain_t=np.array(gain_t, float),
        gain=np.zeros((len(voices), 0)) if gain is None else np.array(gain, float),
    )  # fmt: skip


def many(voices=19, notes=300, seed=0):
    """A long score of bells, plucks and pads and one drum."""
    draw = np.random.default_rng(seed)
    kinds = [*(INSTRUMENTS[k % 3] for k in range(voices - 1)), "drum"]
    start = draw.random(notes) * 50
    rows = zip(
        draw.integers(0, voices, notes),
        start,
        start + draw.random(notes) * 2,
        draw.random(notes) * 127,
        draw.random(notes),
        strict=True,
    )
    moments = np.linspace(0, 60, 100)
    gain = 0.5 + 0.5 * np.sin(moments[None] * np.arange(voices)[:, None])
    return scored(rows, [(f"v{k}", kind, k / 20, k / 10 - 0.9) for k, kind in enumerate(kinds)], gain_t=moments, gain=gain)


class Receiver:
    """A synthesizer that knows bend, RPN 0, 1, 3 and 6, and tuning changes: plays the tracks and remembers what sounded."""

    def __init__(self, data):
        self.file = mido.MidiFile(file=io.BytesIO(data), charset="utf-8")
        self.state = [
            {"bend": 0.0, "range": 2.0, "fine": 0.0, "rpn": (127, 127), "program": 0, "tunings": None, "cc": {}} for _ in range(16)
        ]
        self.tunings, self.sounding, self.notes, self.members = {}, {}, [], 0
        messages = [(tick, track, place, m) for track, place, tick, m in self.absolute()]
        for tick, track, _, message in sorted(messages, key=lambda row: row[:3]):
            self.take(tick, track - 1, message)

    def absolute(self):
        for track, messages in enumerate(self.file.tracks):
            tick = 0
            for place, message in enumerate(messages):
                tick += message.time
                yield track, place, tick, message

    def take(self, tick, voice, m):
        if m.type == "sysex":
            self.retune(m.data)
        elif not m.is_meta:
            getattr(self, m.type)(tick, voice, m, self.state[m.channel])

    def retune(self, data):
        assert data[:4] == (0x7F, 0x7F, 8, 2) and data[5] == 1 and len(data) == 10
        self.tunings[data[4], data[6]] = data[7] + (data[8] * 128 + data[9]) / 2**14

    def control_change(self, tick, voice, m, state):
        state["cc"][m.control] = m.value
        if m.control in (100, 101):
            state["rpn"] = (m.value, state["rpn"][1]) if m.control == 101 else (state["rpn"][0], m.value)
        parameter = state["rpn"][1]
        if m.control in (6, 38):
            assert state["rpn"][0] == 0
            if parameter == 0:
                state["range"] = m.value if m.control == 6 else state["range"] + m.value / 100
            if parameter == 1:
                state["fine"] = (m.value * 128 - 8192) / 8192 if m.control == 6 else state["fine"] + m.value / 8192
            if parameter == 3:
                state["tunings"] = m.value
            if parameter == 6:
                assert m.channel == 0
                self.members = m.value

    def program_change(self, tick, voice, m, state):
        state["program"] = m.program

    def pitchwheel(self, tick, voice, m, state):
        state["bend"] = m.pitch / 8192

    def pitch(self, channel, key):
        state = self.state[channel]
        return self.tunings.get((state["tunings"], key), key) + state["bend"] * state["range"] + state["fine"]

    def note_on(self, tick, voice, m, state):
        assert m.velocity > 0
        assert (m.channel, m.note) not in self.sounding, "a key is struck while it sounds"
        note = {
            "voice": voice, "start": tick, "end": None, "channel": m.channel, "key": m.note, "velocity": m.velocity,
            "pitch": self.pitch(m.channel, m.note),
            "program": state["program"], "pan": state["cc"][10], "reverb": state["cc"][91], "expression": state["cc"][11],
        }  # fmt: skip
        self.sounding[m.channel, m.note] = note
        self.notes.append(note)

    def note_off(self, tick, voice, m, state):
        note = self.sounding.pop((m.channel, m.note))
        note["end"] = tick
        note["pitch at end"] = self.pitch(m.channel, m.note)


def heard(score, **how):
    receiver = Receiver(midi_bytes(score, **how))
    assert not receiver.sounding
    return receiver.notes


def in_order(score):
    """Indices of notes as a player meets them: by tick, then by track."""
    return np.lexsort((score.voice, np.rint(score.start * 1920).astype(int)))


@pytest.mark.parametrize("tuning", RESOLUTION)
def test_every_note_is_read_back_at_its_time_with_its_loudness_and_instrument(tuning):
    score = many()
    notes = heard(score, tuning=tuning)
    order = in_order(score)
    assert len(notes) == score.notes
    assert [note["voice"] for note in notes] == score.voice[order].tolist()
    assert [note["start"] for note in notes] == np.rint(score.start[order] * 1920).astype(int).tolist()
    assert [note["velocity"] for note in notes] == np.maximum(np.rint(score.loudness[order] * 127), 1).astype(int).tolist()
    ends = np.maximum(np.rint(score.end[order] * 1920), np.rint(score.start[order] * 1920) + 1)
    assert sum(note["end"] == end for note, end in zip(notes, ends, strict=True)) > 0.9 * len(notes)  # others are struck again
    assert all(note["end"] <= end for note, end in zip(notes, ends, strict=True))
    for note in notes:
        voice = score.voices[note["voice"]]
        assert note["program"] == (0 if note["channel"] == 9 else PROGRAMS[voice.instrument])
        assert abs(note["pan"] - (64 + 63.5 * voice.pan)) <= 1
        assert abs(note["reverb"] - 127 * voice.reverb) <= 0.5


@pytest.mark.parametrize("tuning", RESOLUTION)
def test_sounding_pitch_is_that_of_the_score(tuning):
    score = many(voices=12)
    error = 100 * np.abs(np.array([note["pitch"] for note in heard(score, tuning=tuning)]) - score.pitch[in_order(score)])
    assert error.max() <= RESOLUTION[tuning] + 1e-9


@pytest.mark.parametrize("tuning", ["mpe", "mts"])
def test_a_note_keeps_its_pitch_to_its_end(tuning):
    notes = heard(many(voices=12, notes=150), tuning=tuning)
    assert max(abs(note["pitch at end"] - note["pitch"]) for note in notes) == 0


def test_voices_have_channels_of_their_own_and_drums_the_tenth():
    notes = heard(scored([(k, k, k + 1, 60, 1) for k in range(17)], [("v", "bell")] * 16 + [("d", "drum")]))
    assert [note["channel"] for note in notes] == [*range(9), *range(10, 16), 0, 9]


def test_mpe_gives_notes_that_sound_together_channels_of_one_zone_and_leaves_the_tenth_alone():
    score = scored([(0, 0, 10, 60 + k / 7, 1) for k in range(14)])
    receiver = Receiver(midi_bytes(score, tuning="mpe"))
    assert receiver.members == 15
    assert sorted(note["channel"] for note in receiver.notes) == [*range(1, 9), *range(10, 16)]
    assert {state["range"] for state in receiver.state[1:]} == {48}


def test_mpe_beyond_its_channels_shares_the_one_nearest_in_tuning_and_leaves_the_others_alone():
    score = scored([(0, k / 100, 10, 60 + k / 16, 1) for k in range(14)] + [(0, 1, 5, 71.26, 1)])
    notes = heard(score, tuning="mpe")
    assert notes[-1]["key"] == 71 and abs(notes[-1]["pitch"] - 71.25) < 1e-4
    assert all(abs(note["pitch at end"] - note["pitch"]) == 0 for note in notes)


def test_mpe_does_not_set_up_a_channel_twice_for_a_planet_that_repeats():
    once, often = (len(midi_bytes(scored([(0, k, k + 0.5, 60.3, 1) for k in range(count)]), tuning="mpe")) for count in (1, 41))
    assert often - once == 40 * (2 * 3 + 2 + 2)  # on, off and two delta times of two bytes


def test_mts_keeps_two_pitches_on_one_key_apart():
    notes = heard(scored([(0, 0, 4, 60.1, 1), (0, 1, 3, 60.3, 1), (0, 2, 5, 59.9, 1)]), tuning="mts")
    assert np.allclose([note["pitch"] for note in notes], [60.1, 60.3, 59.9], atol=2**-15)
    assert len({note["key"] for note in notes}) == 3


@pytest.mark.parametrize("tuning", ["plain", "mts"])
def test_a_key_that_sounds_ends_before_it_is_struck_again(tuning):
    notes = heard(scored([(0, 0, 4, 60, 1), (0, 1, 3, 60, 0.5), (0, 3, 5, 60, 1)]), tuning=tuning)
    assert [(note["start"], note["end"]) for note in notes] == [(0, 1920), (1920, 5760), (5760, 9600)]


def test_voices_that_share_a_channel_and_a_key_at_one_tick_follow_the_order_of_the_tracks():
    notes = heard(scored([(15, 1, 2, 60, 1), (0, 1, 3, 60, 0.5)], [("v", "bell")] * 16))
    assert [(note["voice"], note["start"], note["end"]) for note in notes] == [(0, 1920, 1920), (15, 1920, 3840)]


def test_offs_come_before_ons_at_one_tick():
    score = scored([(0, 0, 1, 60, 1), (0, 0, 1, 64, 1), (0, 1, 2, 62, 1), (0, 1, 2, 60, 1)])
    track = mido.MidiFile(file=io.BytesIO(midi_bytes(score))).tracks[1]
    kinds = [(message.type, message.time) for message in track if message.type.startswith("note")]
    assert [kind for kind, _ in kinds] == ["note_on"] * 2 + ["note_off"] * 2 + ["note_on"] * 2 + ["note_off"] * 2


def test_a_note_of_no_length_lasts_one_tick_and_a_silent_one_has_velocity_one():
    (note,) = heard(scored([(0, 1, 1, 60, 0)]))
    assert (note["start"], note["end"], note["velocity"]) == (1920, 1921, 1)


def test_expression_follows_the_gain_of_a_pad_and_is_sent_only_where_it_changes():
    gain = [[1, 1, 0.5, 0.5, 0.501, 0, 1]]
    score = scored([(0, 0.5, 5.5, 60, 1)], [("pad", "pad")], gain_t=range(7), gain=gain)
    track = mido.MidiFile(file=io.BytesIO(midi_bytes(score))).tracks[1]
    ticks = np.cumsum([message.time for message in track])
    sent = [(tick / 1920, m.value) for tick, m in zip(ticks, track, strict=True) if m.type == "control_change" and m.control == 11]
    assert sent == [(0.5, 127), (2, 64), (5, 0)]


def test_a_bell_that_shares_the_channel_of_a_pad_has_full_expression():
    voices = [("pad", "pad"), *[("v", "bell")] * 15]
    notes = heard(scored([(0, 0, 1, 60, 1), (15, 2, 3, 60, 1), (0, 4, 5, 60, 1)], voices, gain_t=[0, 9], gain=[[0.2, 0.2]] * 16))
    assert [note["channel"] for note in notes] == [0, 0, 0]
    assert [note["expression"] for note in notes] == [25, 127, 25]


def test_times_do_not_depend_on_the_tempo():
    score = scored([(0, 1.25, 2.5, 60, 1)])
    for tempo in (33.3, 120, 977):
        file = mido.MidiFile(file=io.BytesIO(midi_bytes(score, tempo=tempo)))
        beat = file.tracks[0][1].tempo
        (note,) = heard(score, tempo=tempo)
        assert abs(note["start"] * beat / 960e6 - 1.25) <= beat / 960e6 / 2
        assert abs(file.length - 60) <= beat / 960e6


def test_a_tiny_file_is_as_computed_by_hand():
    data = midi_bytes(scored([(0, 0, 0.5, 69, 1)], [("A", "bell", 0, 0)], seconds=1))
    head = b"MThd" + bytes([0, 0, 0, 6, 0, 1, 0, 2, 3, 192])
    conductor = b"\x00\xff\x03\x10Worldloom orbits" + b"\x00\xff\x51\x03\x07\xa1\x20" + b"\x8f\x00\xff\x2f\x00"
    voice = (
        b"\x00\xff\x03\x01A" + b"\x00\xc0\x0e" + b"\x00\xb0\x0a\x40" + b"\x00\xb0\x5b\x00" + b"\x00\xb0\x0b\x7f"
        + b"\x00\x90\x45\x7f" + b"\x87\x40\x80\x45\x40" + b"\x00\xff\x2f\x00"
    )  # fmt: skip
    tracks = (b"MTrk" + len(track).to_bytes(4, "big") + track for track in (conductor, voice))
    assert data == head + b"".join(tracks)


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "00"), (0x40, "40"), (0x7F, "7f"), (0x80, "8100"), (0x2000, "c000"), (0x3FFF, "ff7f"), (0x4000, "818000"),
     (0xFFFFFFF, "ffffff7f")],
)  # fmt: skip
def test_variable_length_quantities_are_those_of_the_specification(value, written):
    assert quantity(value).hex() == written


def test_an_empty_score_is_a_file():
    file = mido.MidiFile(file=io.BytesIO(midi_bytes(scored([], []))))
    assert len(file.tracks) == 1 and file.length == 60


CASES = st.lists(
    st.tuples(
        st.integers(0, 16), st.floats(0, 3), st.floats(0, 2),
        st.sampled_from([0, 60, 60.2, 60.5, 61, 127]) | st.floats(0, 127), st.floats(0, 1)
    ),
    max_size=40,
)  # fmt: skip


@pytest.mark.parametrize("tuning", RESOLUTION)
@given(rows=CASES)
@settings(max_examples=60, deadline=None)
def test_any_score_is_read_back(tuning, rows):
    rows = [(voice, start, start + length, pitch, loudness) for voice, start, length, pitch, loudness in rows]
    score = scored(rows, [(f"v{k}", INSTRUMENTS[k % 4]) for k in range(17)])
    notes = heard(score, tuning=tuning)
    order = in_order(score)
    assert [(n["voice"], n["start"]) for n in notes] == list(
        zip(score.voice[order], np.rint(score.start[order] * 1920), strict=True)
    )
    assert all(n["end"] >= n["start"] for n in notes)
    errors = 100 * np.abs(np.array([n["pitch"] for n in notes]) - score.pitch[order])
    together = max((np.sum((score.start <= t + 1e-3) & (score.end >= t - 1e-3)) for t in score.start), default=0)
    if tuning != "mpe" or together <= 14:
        assert errors.max(initial=0) <= RESOLUTION[tuning] + 1e-9
    assert midi_bytes(score, tuning=tuning) == midi_bytes(score, tuning=tuning)


@pytest.mark.parametrize(
    ("spoiled", "told"),
    [
        ({"pitch": np.array([np.nan])}, r"pitch\[0\] = nan is outside 0 to 127"),
        ({"pitch": np.array([127.5])}, r"pitch\[0\] = 127.5 is outside"),
        ({"start": np.array([-1.0])}, r"start\[0\] = -1 is outside"),
        ({"end": np.array([0.5])}, r"end\[0\] = 0.5 s comes before start\[0\] = 1 s"),
        ({"end": np.array([np.inf])}, r"end\[0\] = inf is outside"),
        ({"end": np.array([1e9])}, "The score lasts beyond"),
        ({"loudness": np.array([1.1])}, r"loudness\[0\] = 1.1 is outside 0 to 1"),
        ({"voice": np.array([1])}, r"voice\[0\] = 1 is not one of 1 voices"),
        ({"pitch": np.array([1.0, 2.0])}, r"pitch has shape \[2\]"),
        ({"seconds": np.nan}, "seconds = nan is no length"),
        ({"gain_t": np.array([0.0, 1.0])}, r"gain has shape \[1, 0\]"),
        ({"gain_t": np.array([1.0, 0.0]), "gain": np.ones((1, 2))}, "gain_t goes back in time"),
        ({"gain_t": np.array([1.0]), "gain": np.full((1, 1), 2.0)}, r"gain\[0\]\[0\] = 2 is outside"),
        ({"voices": (Voice(name="a", instrument="kazoo"),)}, "instrument = 'kazoo' is not known"),
        ({"voices": (Voice(name="a", instrument="bell", pan=-2),)}, "pan = -2 is outside -1 to 1"),
    ],
)
def test_bad_numbers_are_named(spoiled, told):
    with pytest.raises(InputError, match=told):
        midi_bytes(replace(scored([(0, 1, 2, 60, 1)]), **spoiled))


@pytest.mark.parametrize("how", [{"tuning": "just"}, {"tempo": 0}, {"tempo": float("nan")}, {"tempo": 3.0}, {"tempo": 1e9}])
def test_bad_settings_are_named(how):
    with pytest.raises(InputError, match=r"just|tempo = "):
        midi_bytes(scored([]), **how)
