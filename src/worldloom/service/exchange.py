"""What a client's computing exchanges: generations and outcomes as records that lead from one request to the next, and their arrays."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldloom.core.errors import InputError
from worldloom.core.field import Arrays, Record
from worldloom.core.world import counted
from worldloom.service.calls import foreign
from worldloom.service.schemas import ReplayHandle

REPLAYS_KEPT = 64 << 20  # bytes


@dataclass(frozen=True, kw_only=True, eq=False)
class Generation:
    """Individuals, arrays [individual, ...] by name, with all that simulating them and breeding the next ones needs.

    parents [individual, 2]: who of the generation before, -1 nobody; streak: generations survived; both None in the first.
    state: what the strategy remembers; None makes a search begin here.
    """

    world: str
    genomes: Arrays = field(repr=False)
    seed: int = 1
    generation: int = 0
    mode: str | None = None
    strategy: str = "genetic"
    settings: Mapping[str, Any] = field(default_factory=dict)
    state: Any = field(default=None, repr=False)
    parents: NDArray[Any] | None = field(default=None, repr=False)
    streak: NDArray[Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class Simulated:
    """What became of lanes: outcomes, arrays [lane, ...] by name. digest: SHA-256 over them, the one of `worldloom.simulate`.

    run: the id under which they were kept, else None; replays: where those of kept lanes are.
    """

    world: str
    version: int
    mode: str | None
    seed: int
    generation: int
    lanes: int
    steps: int
    digest: str
    outcomes: Arrays = field(repr=False)
    run: str | None
    replays: tuple[ReplayHandle, ...] = field(repr=False)

    @property
    def fitness(self) -> NDArray[np.float64]:
        """Fitness that counts [lane]; -inf where a lane did not end well. Raises InputError for a world without it."""
        if "fitness" not in self.outcomes:
            raise InputError(f"World {self.world!r} gives no fitness. Expected a world that can evolve. Give numbers of your own.")
        return counted(self.outcomes["fitness"], self.outcomes["status"])


Lanes: TypeAlias = Mapping[str, ArrayLike] | Record | Generation


class Replays:
    """Replays that were fetched, with their ETags; the oldest go where there are too many bytes."""

    def __init__(self, limit: int = REPLAYS_KEPT) -> None:
        self._limit, self._lock = limit, Lock()
        self._kept: OrderedDict[str, tuple[str, dict[str, NDArray[Any]]]] = OrderedDict()

    def held(self, path: str) -> tuple[str, dict[str, NDArray[Any]]]:
        """(ETag, arrays); ('', {}) for a replay that is not held."""
        with self._lock:
            if path in self._kept:
                self._kept.move_to_end(path)
            return self._kept.get(path, ("", {}))

    def hold(self, path: str, tag: str, arrays: dict[str, NDArray[Any]]) -> None:
        """Remember a replay; one without an ETag cannot be."""
        with self._lock:
            self._kept.pop(path, None)
            if tag:
                self._kept[path] = tag, dict(arrays)
            while sum(array.nbytes for _, held in self._kept.values() for array in held.values()) > self._limit:
                self._kept.popitem(last=False)


def named(lanes: Lanes) -> dict[str, NDArray[Any]]:
    """Arrays by name. Raises InputError for what has no names, or no arrays of numbers."""
    if isinstance(lanes, Generation):
        lanes = lanes.genomes
    if not isinstance(lanes, Mapping):
        if not hasattr(lanes, "_asdict"):
            raise InputError(f"Lanes come as {type(lanes).__name__}. Expected arrays by name, or a record of genes or inputs.")
        lanes = lanes._asdict()
    return {str(name): array_of(f"Array {name!r}", values) for name, values in lanes.items()}


def array_of(what: str, values: Any, dtype: Any = None) -> NDArray[Any]:
    """An array. Raises InputError for lists that are no box of numbers."""
    try:
        return np.asarray(values, dtype)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{what} is no array: {str(error)[:200]}. Expected numbers, in lists of equal lengths. Correct it."
        ) from None


def arrays_in(group: Mapping[str, Any], place: str) -> dict[str, NDArray[Any]]:
    """A group of arrays of an answer. Raises MachineError for anything else."""
    for name, array in group.items():
        if not isinstance(array, np.ndarray):
            raise foreign(place, f"{name} that is no array")
    return dict(group)
