"""What lives leave behind, by name, and the comparison that every promise comes down to: the same bits, NaN counted equal."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldloom.core.field import Record, each
from worldloom.core.rollout import Rollout
from worldloom.core.world import World

Numbers = dict[str, NDArray[Any]]  # "state.angle", "outcome.fitness", "obs" -> [lane, *shape]


def named(outcome: Record, state: Record, obs: NDArray[Any]) -> Numbers:
    """Everything that a life leaves behind, by name."""
    records = {"outcome": outcome, "state": state}
    return {**{f"{kind}.{name}": array for kind, record in records.items() for name, _, array in each(record)}, "obs": obs}


def numbers_of(rollout: Rollout) -> Numbers:
    """Everything that a rollout's lanes have left behind."""
    return named(rollout.outcome(), rollout.state(), rollout.observation())


def differing(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    """Where two arrays differ in their bits, NaN counted equal."""
    bits = np.dtype(f"u{a.dtype.itemsize}")
    unlike: NDArray[np.bool_] = np.ascontiguousarray(a).view(bits) != np.ascontiguousarray(b).view(bits)
    unlike[(a != a) & (b != b)] = False
    return unlike


def must_agree(world: World, a: Numbers, b: Numbers, this: str, that: str, *, why: str, skip: Numbers | None = None) -> None:
    """Raises AssertionError that names the first number that differs between two lives."""
    for name in a:
        wrong = differing(a[name], b[name])
        if skip is not None:
            wrong &= ~skip[name]
        if wrong.any():
            lane, *place = (int(k) for k in np.argwhere(wrong)[0])
            values = repr(a[name][(lane, *place)].item()), repr(b[name][(lane, *place)].item())
            told = f"World {world.name!r}: {name}{place or ''} of lane {lane} is {values[0]} {this}, but {values[1]} {that}. {why}"
            raise AssertionError(told)


def of_lanes(numbers: Numbers, chosen: Any) -> Numbers:
    """The numbers of some lanes."""
    return {name: array[chosen] for name, array in numbers.items()}


def first(wrong: NDArray[np.bool_]) -> int | None:
    """The first lane of which anything is wrong."""
    found = np.argwhere(wrong)
    return int(found[0][0]) if len(found) else None
