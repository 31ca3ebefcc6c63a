"""World: one small simulated world as a frozen record of data and functions. Nobody subclasses it; core/rollout.py drives it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldloom.core.errors import UnknownName, WorldAuthorError
from worldloom.core.field import Field, Record, fields, fill, scalar
from worldloom.core.genome import Genome

Kernel = Callable[..., None]


class Status(IntEnum):
    """How a lane ended; every Outcome has a `status` field. Fitness counts only with OK."""

    OK = 0
    UNSTABLE = 1  # left the range in which the physics means anything
    FULL = 2  # ran out of room in one of its arrays
    TIMEOUT = 3  # did not come to its end within the steps given


@dataclass(frozen=True, kw_only=True)
class Mode:
    """Parameters that trade accuracy for speed, with what that costs.

    error: {measure: bound} against the reference mode; `World.error` measures, `check_world` tests.
    step: another step function, where the mode must change code and not only numbers.
    """

    doc: str
    params: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, float] = field(default_factory=dict)
    step: Kernel | None = None


@dataclass(frozen=True, kw_only=True)
class Size:
    """A named number that shapes refer to: how many nodes, hidden cells, bodies."""

    doc: str
    default: int
    low: int = 1
    high: int = 4096


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """One world. The first mode is the reference; without modes the defaults of `params` are.

    reset(i, key, params, inputs, state)                     writes every number of state that step will read
    step(i, key, t, params, inputs, action, state, obs)      one step of one lane; t counts from 0
    finish(i, params, inputs, state, outcome)                writes every field of outcome, `status` among them
    frame(params, inputs, state, i) -> shapes to draw (core/frame.py); absent: the state fields over time
    track(params, inputs, states) -> named arrays of a replay; inputs of one lane, states [frame, *shape]; absent: the state fields
    error(accurate, other) -> {measure: value} between two Outcomes; absent: largest relative difference of fitness
    steps(params) -> how many steps a life has; version moves whenever any result moves.
    """

    name: str
    version: int
    doc: str = ""
    params: type
    inputs: type
    state: type
    outcome: type
    observation: Field | None = None
    action: Field | None = None
    modes: Mapping[str, Mode] = field(default_factory=dict)
    sizes: Mapping[str, Size] = field(default_factory=dict)
    reset: Kernel
    step: Kernel
    finish: Kernel
    frame: Callable[..., list[Any]] | None = None
    track: Callable[..., dict[str, Any]] | None = None
    error: Callable[[Record, Record], dict[str, float]] | None = None
    steps: Callable[[Record], int] = lambda params: 200
    genome: Callable[[Record, Mapping[str, int]], Genome] | None = None
    search: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # options that suit this world, by strategy
    scalar: bool = False  # its kernels branch on lane values, so they run one lane at a time
    commands: str = ""  # "package.module:app", the world's own Typer commands

    def __post_init__(self) -> None:
        outcome = fields(self.outcome)
        if "status" not in outcome:
            raise WorldAuthorError(f"World {self.name!r}: Outcome has no `status` field. Add one of dtype np.int8; 0 means OK.")
        for record in (self.params, self.inputs, self.state):
            fields(record)

    def mode(self, name: str | None) -> Mode:
        """The mode of that name; None or "reference" gives the first one, or the defaults."""
        if not self.modes or name is None:
            return next(iter(self.modes.values()), Mode(doc="the defaults")) if name in (None, "reference") else self._no_mode(name)
        return self.modes[name] if name in self.modes else self._no_mode(name)

    def _no_mode(self, name: str | None) -> Mode:
        raise UnknownName("mode", str(name), self.modes or ["reference"])

    def filled(self, mode: str | None = None, settings: Mapping[str, Any] | None = None) -> Record:
        """Params of a mode with the caller's settings on top."""
        return fill(self.params, **{**self.mode(mode).params, **(settings or {})})

    def sized(self, settings: Mapping[str, int] | None = None) -> dict[str, int]:
        """The world's sizes with the caller's on top, checked."""
        chosen = {name: size.default for name, size in self.sizes.items()}
        for name, value in (settings or {}).items():
            if name not in self.sizes:
                raise UnknownName("size", name, self.sizes)
            size = self.sizes[name]
            chosen[name] = int(scalar(name, Field("1", size.doc, dtype=int, low=size.low, high=size.high), value))
        return chosen


def counted(fitness: Any, status: Any) -> NDArray[np.float64]:
    """Fitness that counts [lane], higher is better: -inf where a lane did not end with OK, or where its fitness is not finite."""
    values = np.asarray(fitness, np.float64)
    return np.where((np.asarray(status) == Status.OK) & np.isfinite(values), values, -np.inf)
