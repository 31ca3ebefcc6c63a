"""Lanes to try a world with, in memory full of garbage, and what else may stand around them: orders, neighbours, policies."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldloom.core.errors import InputError
from worldloom.core.field import BLOCK, Field, Record, each, fields, lane_count, shape_of
from worldloom.core.genome import Genome, rows
from worldloom.core.keys import fold, permutation, run_key
from worldloom.core.rollout import Rollout
from worldloom.core.world import World
from worldloom.testing.compare import Numbers, numbers_of

Sampler = Callable[[np.uint64, int], Record]

FILLINGS: dict[str, int | None] = {"zeros": 0x00, "0xAA bytes": 0xAA, "NaN": None}


@dataclass(frozen=True, eq=False)
class Crowd:
    """Lanes of a world: a key for each, and its genes, or Inputs that stand for them. free: any lane may stand beside any other."""

    world: World
    mode: str | None
    params: Record
    keys: NDArray[np.uint64]
    people: Record
    express: Callable[[Record], Record] | None
    free: bool

    @property
    def lanes(self) -> int:
        """How many there are."""
        return len(self.keys)

    def inputs(self, chosen: NDArray[np.intp]) -> Record:
        """Inputs of the chosen lanes, in edge form."""
        if self.express is not None:
            return self.express(rows(self.people, chosen))
        picked = {n: a[chosen[::BLOCK] // BLOCK if f.per == "block" else chosen] for n, f, a in each(self.people)}
        return type(self.people)(**picked)

    def rollout(self, chosen: Any = None, *, width: int | None = None, threads: int = 1, filling: str = "0xAA bytes") -> Rollout:
        """Memory with the chosen lanes (default: all), full of garbage."""
        index = np.arange(self.lanes) if chosen is None else np.asarray(chosen)
        made = Rollout(self.world, self.params, self.inputs(index), self.keys[index], mode=self.mode, width=width, threads=threads)
        for array in (*made._state, *made._outcome, made._edge.obs):
            array[...] = filler(array.dtype, filling)
        return made

    def life(self, steps: int, chosen: Any = None, **how: Any) -> Numbers:
        """What a fused life of the chosen lanes leaves behind."""
        made = self.rollout(chosen, **how)
        made.run(steps)
        return numbers_of(made)


def gather(
    world: World,
    lanes: int,
    *,
    inputs: Sampler | None = None,
    settings: Mapping[str, Any] | None = None,
    sizes: Mapping[str, int] | None = None,
    mode: str | None = None,
) -> Crowd:
    """Lanes with inputs from the sampler, or else genes drawn from the world's genome, or from the bounds of its Inputs."""
    params, key = world.filled(mode, settings), run_key(1)
    keys = np.asarray(fold(key, np.arange(lanes)), np.uint64)
    if inputs is not None:
        people, express = inputs(key, lanes), None
        assert lane_count(people) == lanes, (
            f"World {world.name!r}: inputs(key, {lanes}) gave {lane_count(people)} lanes. Give {lanes}."
        )
    else:
        try:
            genome = (
                world.genome(params, world.sized(sizes)) if world.genome else Genome(genes=world.inputs, sizes=world.sized(sizes))
            )
            people, express = genome.sampled(key, lanes), genome.express if world.genome else None
        except InputError as error:
            raise AssertionError(f"World {world.name!r} cannot be sampled: {error} Or give check_world inputs=.") from error
    shared = any(field.per == "block" for field in fields(world.inputs).values())
    return Crowd(world, mode, params, keys, people, express, express is not None or not shared)


def filler(dtype: np.dtype[Any], filling: str) -> Any:
    """One number of garbage."""
    byte = FILLINGS[filling]
    if byte is not None:
        return np.frombuffer(bytes([byte]) * dtype.itemsize, dtype)[0]
    return np.nan if dtype.kind == "f" else True if dtype.kind == "b" else np.iinfo(dtype).max


def choices(crowd: Crowd) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Choices and orders of lanes; where Inputs are shared by blocks and no genome makes them, whole blocks stay together."""
    lanes, key = crowd.lanes, run_key(2)
    for lane in sorted({0, lanes // 2, lanes - 1}):
        yield "alone", np.array([lane])
    if crowd.free:
        yield "among 17", np.arange(lanes)[:: max(1, lanes // 17)][:17]
        yield "in reversed order", np.arange(lanes)[::-1]
        yield "in another order", permutation(key, lanes)
        return
    blocks = [np.arange(at, min(at + BLOCK, lanes)) for at in range(0, lanes, BLOCK)]
    moved = [blocks[k] for k in permutation(key, len(blocks) - 1)] + blocks[-1:]
    yield "in another order", np.concatenate([block[permutation(fold(key, k), len(block))] for k, block in enumerate(moved)])


class Still:
    """The policy that never acts."""

    size = 0

    def __init__(self, action: Field | None) -> None:
        self.shape = shape_of(action, {}) if action is not None else (1,)

    def start(self, lanes: int) -> None:
        """It remembers nothing."""

    def act(self, weights: Any, memory: Any, obs: NDArray[Any]) -> tuple[NDArray[Any], Any]:
        """Zeros."""
        return np.zeros((len(obs), *self.shape), np.float32), memory


class Push(Still):
    """A policy that acts on what it sees: any function will do that keeps lanes apart."""

    def act(self, weights: Any, memory: Any, obs: NDArray[Any]) -> tuple[NDArray[Any], Any]:
        """A bounded share of the first observations."""
        flat = np.nan_to_num(obs.reshape(len(obs), -1).astype(np.float32), posinf=1, neginf=-1)
        spread = flat[:, np.arange(math.prod(self.shape)) % flat.shape[1]]
        return np.clip(spread * np.float32(0.25), -1, 1).reshape(len(obs), *self.shape), memory
