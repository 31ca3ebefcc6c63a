"""What a run leaves behind, as plain frozen records: Run, Rows, Summary, Individual, Page, Keep.

A run is a chain of generations 0, 1, 2 …; an individual is named "<generation>-<index>", such as 12-307.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from numpy.typing import NDArray

from worldloom.core.errors import InputError, UnknownName

QUEUED, RUNNING, PAUSED, INTERRUPTED, FINISHED, FAILED, CANCELLED = STATUSES = (
    "queued",  # waits for a worker of a service
    "running",  # a process has its lease
    "paused",  # goes on when somebody resumes it
    "interrupted",  # as paused, because the process that executed it died; never stored, but seen by its lease
    "finished", "failed", "cancelled",
)  # fmt: skip
IMPORTING = "importing"  # a run that is still arriving: listed nowhere, found by its whole id only
ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # no 0 1 i l o: ids are read aloud and typed
ID_LETTERS = 10  # 31^10 = 8e14 ids: a million runs share one with a chance of 6e-4, and create() refuses a taken id

Arrays = Mapping[str, NDArray[Any]]


def fresh_id() -> str:
    """A short unique id for a run, such as 'k7m2xq94ab'. The only randomness that is not keyed: no result depends on it."""
    return "".join(secrets.choice(ALPHABET) for _ in range(ID_LETTERS))


def now() -> str:
    """The present in UTC as ISO 8601 text with microseconds; such texts sort in time."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run: everything needed to start it again, and where it stands.

    config and versions hold what JSON can hold. parent_run and parent_generation name what a fork was taken from.
    target: generations to come to, where that is not the planned number any more. error: why it failed.
    """

    id: str = field(default_factory=fresh_id)
    name: str
    world: str
    world_version: int
    seed: int
    config: Mapping[str, Any] = field(default_factory=dict)
    status: str = PAUSED
    created_at: str = field(default_factory=now)
    versions: Mapping[str, Any] = field(default_factory=dict)
    parent_run: str | None = None
    parent_generation: int | None = None
    target: int | None = None
    error: str = ""

    @property
    def goal(self) -> int:
        """How many generations it is to have."""
        return int(self.config["generations"] if self.target is None else self.target)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """One generation. Arrays run over its n individuals; those that a store gives back are read-only.

    digest: hexadecimal SHA-256 of the outcomes. keys [n] uint64. genomes {name: [n, ...]}. outcome {name: [n, ...]}, with
    fitness and status [n]. parents [n, 2] int32: index in the generation before, -1 for none. streak [n] int32: generations
    survived. memory {name: any shape}: what the strategy needs to go on.
    """

    generation: int
    digest: str
    keys: NDArray[Any]
    genomes: Arrays
    outcome: Arrays
    parents: NDArray[Any]
    streak: NDArray[Any]
    memory: Arrays = field(default_factory=dict)
    seconds: float = 0.0
    lane_steps: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One generation in a line. best is the individual of the highest fitness that counts; None where none does.

    statuses {status code: individuals}.
    """

    generation: int
    digest: str
    count: int
    best: int | None
    best_fitness: float | None
    median_fitness: float | None
    statuses: Mapping[int, int]
    seconds: float
    lane_steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Individual:
    """One individual without its arrays. fitness is None where it does not count; parents are names, such as 11-40."""

    id: str
    generation: int
    individual: int
    fitness: float | None
    status: int
    parents: tuple[str, ...]
    streak: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some individuals in order, and the cursor that continues after them; None at the end."""

    individuals: tuple[Individual, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Of which individuals of a generation frames are kept; the others are replayed when asked for."""

    top: int = 10
    random: int = 10
    bottom: int = 5
    everything: bool = False


def keep_from(text: str) -> Keep:
    """Keep from 'default', 'none', 'all' or three counts 'top,random,bottom' such as '10,10,5'."""
    named = {"default": Keep(), "none": Keep(top=0, random=0, bottom=0), "all": Keep(everything=True)}
    if text in named:
        return named[text]
    parts = text.split(",")
    if len(parts) == 3 and all(part.strip().isdecimal() for part in parts):
        top, random, bottom = (int(part) for part in parts)
        return Keep(top=top, random=random, bottom=bottom)
    if "," not in text:
        raise UnknownName("keep policy", text, named)
    raise InputError(f"Keep {text!r} is not three counts. Expected top,random,bottom. Write for example '10,10,5'.")


def individual_name(generation: int, individual: int) -> str:
    """The name of an individual: '12-307'."""
    return f"{generation}-{individual}"


def is_number(text: str) -> bool:
    """Whether a text is a whole number that a database's columns hold."""
    return text.isascii() and text.isdecimal() and len(text) < 10


def individual_from(name: str) -> tuple[int, int]:
    """(generation, index) of an individual's name. Raises InputError for anything else."""
    generation, dash, individual = name.partition("-")
    if not (dash and is_number(generation) and is_number(individual)):
        raise InputError(f"{name[:40]!r} names no individual. Expected <generation>-<index>. Write for example '12-307'.")
    return int(generation), int(individual)
