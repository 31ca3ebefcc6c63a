"""Midi: a score as a Standard MIDI File of format 1, a conductor track and one track for each voice, at 960 ticks a quarter note.

Times are rounded to the nearest tick (0.52 ms at tempo 120: error <= 0.26 ms); a note lasts at least one. At one tick offs come before ons.
A key that sounds already on the same channel ends before it is struck again. Loudness becomes velocity (1 at least: 0 would be silence),
reverb CC 91, pan CC 10, the gain of pads CC 11 (at the moments where its 7 bits change, while the pad sounds).

plain  the nearest key. Each voice has a channel of its own, drums channel 10; a sixteenth voice and later ones share the channels again,
       from the first, and set up the channel before each of their notes.
mts    keys and channels as plain, each retuned before the note that needs it (real-time single note tuning change, steps of
       100 / 2^14 cents). Every channel has a tuning program of its own; a key that sounds with another pitch is left for the next free one.
mpe    one zone, manager channel 1, a member channel to each note at a time: pitch bend with a range of 48 semitones, and channel fine
       tuning (RPN 1) for what its steps of 0.59 cents leave: within 0.0062 cents, or 0.3 for a receiver without fine tuning. Channel 10 is
       left out (drum kits), so 14 notes sound exactly at once; one more takes the channel whose tuning and instrument are nearest.

Source: MIDI 1.0 Detailed Specification 4.2; Standard MIDI Files 1.0; MIDI Polyphonic Expression 1.0; MIDI Tuning Standard, CA-020.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import cycle

import numpy as np

from worldloom.core.errors import InputError, UnknownName
from worldloom.worlds.orbits.score import Score, Voice
from worldloom.worlds.orbits.voices import checked

QUARTER = 960  # ticks a quarter note
LAST = 2**28 - 1  # ticks: no more fit into a variable-length quantity
DRUMS, MANAGER = 9, 0  # channels 10 and 1, counted from 0
MELODIC = tuple(channel for channel in range(16) if channel != DRUMS)
MEMBERS = tuple(channel for channel in MELODIC if channel != MANAGER)
PROGRAMS = {"bell": 14, "pluck": 46, "pad": 89, "drum": 116}  # General MIDI from 0: tubular bells, harp, warm pad, taiko
KIT = 0  # what a program means on channel 10: the standard drum kit
BEND = 48  # semitones of a full bend, and steps of fine tuning in one of bend
FINE = 8192  # steps of fine tuning in a semitone
UNKNOWN = -1  # a setting that the notes themselves change
OFFS, GAINS, ONS = range(3)  # the order of events at one tick


@dataclass(slots=True, eq=False)
class Note:
    """A note in ticks. channel and key once it has a seat."""

    voice: int
    start: int
    end: int
    pitch: float
    velocity: int
    channel: int = -1
    key: int = -1
    cut: bool = False  # another note on its key has ended it


@dataclass(slots=True, eq=False)
class Channel:
    """What a receiver knows: settings by name (by key for tunings), the last note of each key, and when the last of all ends."""

    number: int
    settings: dict[str | int, int] = field(default_factory=dict)
    keys: dict[int, Note] = field(default_factory=dict)
    last: Note | None = None
    until: int = 0


@dataclass(slots=True)
class Track:
    """Events as they come: (tick, order, number, bytes)."""

    name: str
    events: list[tuple[int, int, int, bytes]] = field(default_factory=list)

    def add(self, tick: int, order: int, event: bytes) -> None:
        """One more event; events of one tick and order stay in the order in which they were added."""
        self.events.append((tick, order, len(self.events), event))

    def chunk(self, last: int = 0) -> bytes:
        """The track as bytes of the file. last: tick at which it ends, if nothing comes later."""
        text = self.name.encode(errors="replace")
        parts, now = [b"\x00\xff\x03" + quantity(len(text)) + text], 0
        for tick, _, _, event in sorted(self.events):
            parts.append(quantity(tick - now) + event)
            now = tick
        data = b"".join(parts) + quantity(max(last - now, 0)) + b"\xff\x2f\x00"
        return b"MTrk" + struct.pack(">I", len(data)) + data


Seat = tuple[Channel, int, dict[str | int, int]]  # channel, key and the settings that tune it


def midi_bytes(score: Score, *, tuning: str = "plain", tempo: float = 120.0) -> bytes:
    """A Standard MIDI File. tuning: plain, mpe or mts. tempo: quarter notes a minute, for the eye; times in seconds stay.

    Raises InputError where a number of the score or the tempo cannot be written; UnknownName for another tuning.
    """
    checked(score)
    if tuning not in TUNINGS:
        raise UnknownName("tuning", tuning, TUNINGS)
    if not 60e6 / (2**24 - 1) <= tempo <= 60e6:
        raise InputError(f"tempo = {tempo:g} quarter notes a minute cannot be written. Expected 3.6 to 60000000.")
    beat = round(60e6 / tempo)
    notes = in_ticks(score, QUARTER * 1e6 / beat)
    conductor = Track("Worldloom orbits")
    conductor.add(0, OFFS, b"\xff\x51\x03" + beat.to_bytes(3, "big"))
    for event in OPENINGS[tuning]():
        conductor.add(0, ONS, event)
    tracks = [Track(voice.name) for voice in score.voices]
    perform(notes, tracks, score.voices, tuning)
    fade(notes, tracks, score, QUARTER * 1e6 / beat)
    chunks = [conductor.chunk(round(score.seconds * QUARTER * 1e6 / beat)), *(track.chunk() for track in tracks)]
    return b"MThd" + struct.pack(">IHHH", 6, 1, len(chunks), QUARTER) + b"".join(chunks)


def in_ticks(score: Score, a_second: float) -> list[Note]:
    """Notes in order of their start and, at one tick, of their voice: the order in which a player merges the tracks."""
    if max(score.seconds, score.end.max(initial=0.0)) * a_second >= LAST:
        raise InputError(
            f"The score lasts beyond {LAST / a_second:g} s. Expected less, or a slower tempo: a file holds {LAST} ticks."
        )
    start = np.rint(score.start * a_second).astype(np.int64)
    end = np.maximum(np.rint(score.end * a_second).astype(np.int64), start + 1)
    velocity = np.maximum(np.rint(127.0 * score.loudness).astype(np.int64), 1)
    order = np.lexsort((score.voice, start))
    columns = (score.voice, start, end, score.pitch, velocity)
    return [Note(*row) for row in zip(*(column[order].tolist() for column in columns), strict=True)]


def perform(notes: list[Note], tracks: list[Track], voices: tuple[Voice, ...], tuning: str) -> None:
    """Gives every note its seat, and the tracks its events: what differs from the settings of the channel, on and off."""
    channels = [Channel(number) for number in range(16)]
    melodic = cycle(MELODIC)
    homes = [DRUMS if voice.instrument == "drum" else next(melodic) for voice in voices]
    for note in notes:
        channel, key, tuned = TUNINGS[tuning](note, channels, homes, voices)
        note.channel, note.key = channel.number, key
        track, before = tracks[note.voice], channel.keys.get(key)
        if before and before.end >= note.start and not before.cut:
            track.add(note.start, OFFS if before.start < note.start else ONS, off(before))
            before.cut, before.end = True, note.start
        wanted = {**character(voices[note.voice], channel), **tuned}
        for name, value in wanted.items():
            if value != UNKNOWN and channel.settings.get(name) != value:
                track.add(note.start, ONS, setting(channel.number, name, value))
        channel.settings.update(wanted)
        track.add(note.start, ONS, bytes((0x90 | channel.number, key, note.velocity)))
        channel.keys[key], channel.last, channel.until = note, note, max(channel.until, note.end)
    for note in notes:
        if not note.cut:
            tracks[note.voice].add(note.end, OFFS, off(note))


def off(note: Note) -> bytes:
    """Note off, with the release velocity of those who know none."""
    return bytes((0x80 | note.channel, note.key, 64))


def character(voice: Voice, channel: Channel) -> dict[str | int, int]:
    """Settings that a voice needs on a channel. A pad sends its expression itself, so that it is unknown after it."""
    program = KIT if channel.number == DRUMS else PROGRAMS[voice.instrument]
    settings: dict[str | int, int] = {
        "program": program,
        "pan": round(64 + 63 * voice.pan) if voice.pan > 0 else round(64 + 64 * voice.pan),
        "reverb": round(127 * voice.reverb),
    }
    return settings | {"expression": UNKNOWN if voice.instrument == "pad" else 127}


def setting(channel: int, name: str | int, value: int) -> bytes:
    """The message that makes a setting; a number for a name is the key to tune."""
    if isinstance(name, int):
        return retuned(channel, name, value)
    return MESSAGES[name](channel, value)


def control(channel: int, number: int, value: int) -> bytes:
    """Control change."""
    return bytes((0xB0 | channel, number, value))


def registered(channel: int, number: int, coarse: int, fine: int | None = None) -> bytes:
    """A registered parameter, its data in one byte or two; one message after the other, no time between."""
    messages = [control(channel, 101, 0), control(channel, 100, number), control(channel, 6, coarse)]
    return b"\x00".join(messages if fine is None else [*messages, control(channel, 38, fine)])


def retuned(program: int, key: int, steps: int) -> bytes:
    """Real-time single note tuning change: a key of a tuning program to a pitch in steps of 1 / 2^14 semitone."""
    data = bytes((0x7F, 0x7F, 0x08, 0x02, program, 1, key, steps >> 14, steps >> 7 & 127, steps & 127, 0xF7))
    return b"\xf0" + quantity(len(data)) + data


MESSAGES: Mapping[str, Callable[[int, int], bytes]] = {
    "program": lambda channel, value: bytes((0xC0 | channel, value)),
    "pan": lambda channel, value: control(channel, 10, value),
    "reverb": lambda channel, value: control(channel, 91, value),
    "expression": lambda channel, value: control(channel, 11, value),
    "fine": lambda channel, value: registered(channel, 1, value >> 7, value & 127),
    "bend": lambda channel, value: bytes((0xE0 | channel, value & 127, value >> 7)),
}


def nearest(pitch: float) -> int:
    """The key closest to a pitch; halves go up."""
    return min(max(int(np.floor(pitch + 0.5)), 0), 127)


def plain(note: Note, channels: list[Channel], homes: list[int], voices: tuple[Voice, ...]) -> Seat:
    """The nearest key on the channel of the voice."""
    return channels[homes[note.voice]], nearest(note.pitch), {}


def mts(note: Note, channels: list[Channel], homes: list[int], voices: tuple[Voice, ...]) -> Seat:
    """The nearest key that does not sound with another tuning, and its tuning."""
    channel, steps = channels[homes[note.voice]], round(note.pitch * 2**14)
    taken = {key for key, other in channel.keys.items() if other.end > note.start and channel.settings.get(key) != steps}
    key = nearest(note.pitch)
    if key in taken:
        key = min(set(range(128)) - taken, key=lambda other: (abs(other - key), other), default=key)
    return channel, key, {key: steps}


def mpe(note: Note, channels: list[Channel], homes: list[int], voices: tuple[Voice, ...]) -> Seat:
    """A channel of the zone that is silent, best the one where this voice had this pitch, else the one silent for longest."""
    members = [channels[number] for number in MEMBERS]
    silent = [channel for channel in members if channel.until <= note.start]
    if not silent:
        return shared(note, members, voices)
    same = (channel for channel in silent if channel.last and (channel.last.voice, channel.last.pitch) == (note.voice, note.pitch))
    channel = next(same, None) or min(silent, key=lambda channel: channel.until)
    key = nearest(note.pitch)
    steps = round((note.pitch - key) * FINE)
    bend = round(steps / BEND)
    return channel, key, {"fine": 8192 + steps - BEND * bend, "bend": 8192 + bend}


def shared(note: Note, members: list[Channel], voices: tuple[Voice, ...]) -> Seat:
    """A channel that sounds already, which keeps its tuning: that of the same instrument if there is one, and the nearest in tuning."""

    def strangeness(channel: Channel) -> tuple[bool, float]:
        key = nearest(note.pitch - offset(channel))
        other = channel.last is not None and voices[channel.last.voice].instrument != voices[note.voice].instrument
        return other, abs(key + offset(channel) - note.pitch)

    channel = min(members, key=strangeness)
    return channel, nearest(note.pitch - offset(channel)), {}


def offset(channel: Channel) -> float:
    """Semitones by which bend and fine tuning move the keys of a channel."""
    return ((channel.settings["bend"] - 8192) * BEND + channel.settings["fine"] - 8192) / FINE


def zone() -> list[bytes]:
    """MPE configuration message, and the bend range of every member; a receiver without MPE needs it on each."""
    return [registered(MANAGER, 6, 15), *(registered(channel, 0, BEND, 0) for channel in range(1, 16))]


def programs() -> list[bytes]:
    """Each channel's own tuning program, of bank 0."""
    return [message for channel in range(16) for message in (registered(channel, 4, 0), registered(channel, 3, channel))]


TUNINGS = {"plain": plain, "mpe": mpe, "mts": mts}
OPENINGS: Mapping[str, Callable[[], list[bytes]]] = {"plain": list, "mpe": zone, "mts": programs}


def fade(notes: list[Note], tracks: list[Track], score: Score, a_second: float) -> None:
    """Adds expression to pads: where they begin, and at those moments at which its 7 bits change while they sound."""
    moments = np.rint(score.gain_t * a_second)
    for note in notes:
        if score.voices[note.voice].instrument != "pad":
            continue
        level = np.array([1.0])
        first, last = np.searchsorted(moments, [note.start, note.end], side="right")
        ticks = np.concatenate([[note.start], moments[first:last]])
        if len(moments):
            level = np.interp(ticks / a_second, score.gain_t, score.gain[note.voice])
        values = np.rint(127.0 * level).astype(np.int64)
        changed = np.concatenate([[True], np.diff(values) != 0])
        for tick, value in zip(ticks[changed].astype(np.int64).tolist(), values[changed].tolist(), strict=True):
            tracks[note.voice].add(tick, GAINS, MESSAGES["expression"](note.channel, value))


def quantity(value: int) -> bytes:
    """Variable-length quantity: seven bits a byte, highest first, all but the last marked."""
    parts = [value & 127]
    while value := value >> 7:
        parts.append(value & 127 | 128)
    return bytes(reversed(parts))
