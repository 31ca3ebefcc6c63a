"""The loop: reset, steps, finish, for many lanes at once. Fused in one launch where nothing outside acts, stepped where a policy does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldloom.core.elements import parameter_words
from worldloom.core.field import Arrays, Record, address, allocate, from_blocks, lane_count, lanes_of, sizes_of, to_blocks
from worldloom.core.launch import BEGIN, END, Driver, driver, edges_of, on_threads
from worldloom.core.policy import Policy
from worldloom.core.span import span
from worldloom.core.world import World


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Lanes to run, as plain data: a thread, a Ray worker and the service do the same with it.

    Either genomes (one individual a lane) or inputs; keys uint64 [lane]; settings are parameters on top of the mode's.
    """

    world: str
    version: int
    mode: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    keys: NDArray[np.uint64]
    steps: int
    genomes: Arrays | None = None
    inputs: Arrays | None = None

    @property
    def lanes(self) -> int:
        """How many lanes there are."""
        return len(self.keys)


class Rollout:
    """Lanes of one world with their memory, allocated once. Arrays at the edge are [lane, *shape].

    inputs in edge form; keys uint64 [lane]. Raises WorldAuthorError where the world does not compile.
    """

    def __init__(
        self,
        world: World,
        params: Record,
        inputs: Record,
        keys: NDArray[np.uint64],
        *,
        mode: str | None = None,
        width: int | None = None,
        threads: int = 1,
    ) -> None:
        self.world, self.params, self.lanes, self.threads, self.t = world, params, len(keys), threads, 0
        self.sizes = sizes_of(inputs)
        self._driver: Driver = driver(world, mode, self.sizes, width)
        self._edge = allocate(edges_of(world), self.lanes)
        self._inputs = allocate(world.inputs, self.lanes, self.sizes)
        self._state = allocate(world.state, self.lanes, self.sizes)
        self._outcome = allocate(world.outcome, self.lanes, self.sizes)
        self._table = self._listed()
        self.load(inputs, keys)

    def _listed(self) -> NDArray[np.uint64]:
        records = (self._edge, self._inputs, self._state, self._outcome)
        return np.array([*map(address, records), *parameter_words(self.params)], np.uint64)

    def load(self, inputs: Record, keys: NDArray[np.uint64]) -> None:
        """Other lanes of the same shapes in the same memory."""
        if lane_count(inputs) != self.lanes or len(keys) != self.lanes:
            raise ValueError(f"{lane_count(inputs)} lanes and {len(keys)} keys were given; this rollout holds {self.lanes}.")
        to_blocks(inputs, self._inputs)
        nothing = {name: np.zeros((self.lanes, *getattr(self._edge, name).shape[1:-1]), np.float32) for name in ("action", "obs")}
        to_blocks(type(self._edge)(key=np.asarray(keys, np.uint64), **nothing), self._edge)

    def _launch(self, t0: int, t1: int, phases: int) -> None:
        on_threads(self._driver.run, self.lanes, self.threads, t0, t1, phases, self._table)
        self.t = t1

    def run(self, steps: int) -> Record:
        """A whole life in one launch: reset, `steps` steps, finish. The Outcome in edge form."""
        with span("physics", lanes=self.lanes):
            self._launch(0, steps, BEGIN | END)
        return self.outcome()

    def reset(self) -> None:
        """To the start of a life."""
        self._launch(0, 0, BEGIN)

    def advance(self, steps: int = 1) -> None:
        """Some steps further with the present actions."""
        self._launch(self.t, self.t + steps, 0)

    def finish(self) -> Record:
        """The Outcome of the life so far, in edge form."""
        self._launch(self.t, self.t, END)
        return self.outcome()

    def outcome(self) -> Record:
        """The last Outcome, copied to edge form."""
        return from_blocks(self._outcome, self.lanes)

    def state(self) -> Record:
        """The present State, copied to edge form."""
        return from_blocks(self._state, self.lanes)

    def observation(self) -> NDArray[Any]:
        """The present observations [lane, *observation]."""
        return lanes_of(self._edge.obs, self.lanes)

    def act(self, action: NDArray[Any]) -> None:
        """The actions [lane, *action] of the steps to come."""
        shape = (self.lanes, *self._edge.action.shape[1:-1])
        padded = np.zeros((self._edge.action.shape[0] * self._edge.action.shape[-1], *shape[1:]), self._edge.action.dtype)
        padded[: self.lanes] = np.asarray(action, np.float32).reshape(shape)
        self._edge.action[...] = np.moveaxis(padded.reshape(-1, self._edge.action.shape[-1], *shape[1:]), 1, -1)

    def run_with(self, policy: Policy, weights: NDArray[Any], steps: int) -> Record:
        """A whole life with an outside policy: it observes and acts before each step."""
        memory = policy.start(self.lanes)
        self.reset()
        for _ in range(steps):
            action, memory = policy.act(weights, memory, self.observation())
            self.act(action)
            self.advance()
        return self.finish()
