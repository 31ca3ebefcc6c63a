"""From a Batch to its Outcome, in this process; and what every executor promises."""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from worldloom.core.errors import InputError, JobError
from worldloom.core.field import Record, lane_count, sizes_of
from worldloom.core.genome import rows
from worldloom.core.launch import driver
from worldloom.core.rollout import Batch, Rollout
from worldloom.core.span import span
from worldloom.core.world import World
from worldloom.worlds.find import find

SLICE = 1 << 22  # lane-steps on each thread between two looks: 0.2 s of creatures


class Evaluator(Protocol):
    """Runs batches somewhere. An Outcome has its lanes in the batch's order; outcomes come in the order of the batches."""

    def evaluate(self, batches: Iterable[Batch]) -> Iterator[Record]:
        """Outcomes in edge form, one for each batch."""


class Threads:
    """The batch's lanes over threads of this process. Memory is kept from batch to batch of the same shapes.

    world: for one that is not installed, such as a World made in a notebook.
    compiled: seconds that the last batch waited for its kernel to be made; almost none where that was ready.
    """

    def __init__(self, workers: int = 1, world: World | None = None) -> None:
        if workers < 1:
            raise InputError(f"{workers} workers cannot do anything. Expected 1 or more; leave it out for all cores but one.")
        self.workers, self.world, self.compiled = workers, world, 0.0
        self._kept: tuple[Any, Rollout] | None = None

    def evaluate(self, batches: Iterable[Batch]) -> Iterator[Record]:
        """Outcomes in edge form, one for each batch."""
        for batch in batches:
            yield self.outcome(batch)

    def outcome(self, batch: Batch, *, stopped: Callable[[], bool] | None = None) -> Record:
        """The outcome of one batch. stopped: asked between slices of a long batch; the bits do not depend on it.

        Raises JobError once `stopped` says so.
        """
        rollout, order = self.prepare(batch)
        steps = max(1, SLICE * self.workers // batch.lanes)
        if stopped is None or batch.steps <= steps:
            outcome = rollout.run(batch.steps)
        else:
            outcome = sliced(rollout, batch.steps, steps, stopped)
        return outcome if order is None else unordered(outcome, order)

    def prepare(self, batch: Batch) -> tuple[Rollout, NDArray[Any] | None]:
        """The batch's lanes in memory, the code compiled; and the order in which its lanes lie there."""
        world = self.world if self.world is not None and self.world.name == batch.world else find(batch.world)
        check_version(world, batch.version)
        with span("express", lanes=batch.lanes):
            params, inputs, order = expressed(world, batch)
            keys = batch.keys if order is None else batch.keys[order]
            return self._rollout(world, batch, params, inputs, keys), order

    def _rollout(self, world: World, batch: Batch, params: Record, inputs: Record, keys: NDArray[Any]) -> Rollout:
        name = (world, batch.mode, tuple(params), tuple(array.shape for array in inputs))
        self.compiled = 0.0
        if self._kept is not None and self._kept[0] == name:
            self._kept[1].load(inputs, keys)
            return self._kept[1]
        started = time.perf_counter()
        driver(world, batch.mode, sizes_of(inputs))
        self.compiled = time.perf_counter() - started
        rollout = Rollout(world, params, inputs, keys, mode=batch.mode, threads=self.workers)
        self._kept = (name, rollout)
        return rollout


def sliced(rollout: Rollout, steps: int, at_once: int, stopped: Callable[[], bool]) -> Record:
    """A whole life, so many steps at once; the bits of one launch. Raises JobError as soon as `stopped` says so between two slices."""
    with span("physics", lanes=rollout.lanes):
        rollout.reset()
        while rollout.t < steps:
            if stopped():
                raise JobError(
                    f"A batch was stopped after {rollout.t} of {steps} steps. Expected time for all. Ask for fewer lanes or steps."
                )
            rollout.advance(min(at_once, steps - rollout.t))
        return rollout.finish()


def check_version(world: World, version: int) -> None:
    """Raises InputError where work for another version of the world is asked for: its results would differ."""
    if world.version != version:
        raise InputError(
            f"World {world.name!r} is installed in version {world.version}; this needs version {version}. "
            f"Results of two versions do not mix: install that version, or start a new run."
        )


def expressed(world: World, batch: Batch) -> tuple[Record, Record, NDArray[Any] | None]:
    """(params, inputs, order): lane k of the inputs is lane order[k] of the batch; order None: as they are."""
    params = world.filled(batch.mode, batch.settings)
    if batch.inputs is not None:
        return params, inputs_from(world, batch.inputs), None
    if batch.genomes is None or world.genome is None:
        raise InputError(f"The batch for world {world.name!r} has neither genomes nor inputs that fit it. Give one of them.")
    genome = world.genome(params, world.sized(batch.sizes))
    genes = genome.genes(**batch.genomes)
    order = genome.order(genes) if genome.order else None
    return params, genome.express(genes if order is None else rows(genes, order)), order


def inputs_from(world: World, arrays: Mapping[str, Any]) -> Record:
    """The world's Inputs from {name: array [lane, *shape]}. Raises InputError for names and lane counts that do not fit."""
    known = world.inputs._field_defaults  # type: ignore[attr-defined]
    for name in [*known, *arrays]:
        if name not in known or name not in arrays:
            what = "missing" if name in known else "unknown"
            raise InputError(f"Inputs of {world.name!r}: {name!r} is {what}. Expected {', '.join(known)}.")
    record = world.inputs(**{name: np.asarray(arrays[name], field.dtype) for name, field in known.items()})
    lane_count(record)
    return record


def unordered(outcome: Record, order: NDArray[Any]) -> Record:
    """Outcomes back in the batch's order."""
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return rows(outcome, back)


def outcome_digest(outcome: Record) -> str:
    """SHA-256 over the names, types, shapes and bytes of an Outcome. Every NaN counts as one and the same."""
    digest = hashlib.sha256()
    for name, array in zip(outcome._fields, outcome, strict=True):
        plain = np.ascontiguousarray(array)
        if np.issubdtype(plain.dtype, np.floating):
            plain = np.where(np.isnan(plain), np.array(np.nan, plain.dtype), plain)
        digest.update(f"{name} {plain.dtype.newbyteorder('<').str} {plain.shape}\n".encode())
        digest.update(plain.astype(plain.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def run_digest(generations: Iterable[str]) -> str:
    """One digest for a run from those of its generations, in order."""
    digest = hashlib.sha256()
    for text in generations:
        digest.update(bytes.fromhex(text))
    return digest.hexdigest()
