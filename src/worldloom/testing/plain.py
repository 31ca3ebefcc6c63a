"""A stretch of a life on plain arrays: the same functions uncompiled, lane by lane, as an oracle for everything that compiles them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from worldloom.core.field import Record, each, from_blocks
from worldloom.core.launch import life_of
from worldloom.core.rollout import Rollout
from worldloom.core.world import World
from worldloom.testing.compare import Numbers, named


@dataclass(frozen=True, eq=False)
class Stretch:
    """Steps t0 to t1 of some lanes, with reset before or finish after them as `phases` says; records in edge form, to be written to."""

    world: World
    mode: str | None
    t0: int
    t1: int
    phases: int
    edge: Record
    params: Record
    inputs: Record
    state: Record
    outcome: Record

    @property
    def lanes(self) -> int:
        """How many lanes there are."""
        return len(self.edge.key)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What `live` takes after the lane number."""
        return self.t0, self.t1, self.phases, self.edge, self.params, self.inputs, self.state, self.outcome

    def numbers(self) -> Numbers:
        """What a stretch may change, by name."""
        return named(self.outcome, self.state, self.edge.obs)


def stretch(rollout: Rollout, mode: str | None, t0: int, t1: int, phases: int) -> Stretch:
    """The steps that a rollout is about to take, on copies of its memory."""
    records = (from_blocks(record, rollout.lanes) for record in (rollout._edge, rollout._inputs, rollout._state, rollout._outcome))
    edge, inputs, state, outcome = records
    shared = {name: array.astype(object) for name, field, array in each(inputs) if field.per == "block" and array.dtype.kind != "f"}
    params = type(rollout.params)(*(value if isinstance(value, np.floating) else int(value) for value in rollout.params))
    return Stretch(rollout.world, mode, t0, t1, phases, edge, params, inputs._replace(**shared), state, outcome)


def run_plainly(given: Stretch) -> Numbers:
    """The world's own functions in this interpreter, one lane after the other."""
    live = life_of(given.world, given.mode)
    with np.errstate(all="ignore"):
        for lane in range(given.lanes):
            live(lane, *given.arguments)
    return given.numbers()
