"""Replay: any individual of any generation, computed again from its genes and key, bit for bit, and written as a page or as arrays."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldloom.core.errors import InputError
from worldloom.core.field import Record, from_blocks
from worldloom.core.genome import rows
from worldloom.core.rollout import Batch, Rollout
from worldloom.core.world import World
from worldloom.runtime.evaluate import check_version, expressed, outcome_digest
from worldloom.runtime.record import individual_from, individual_name
from worldloom.runtime.store import Store
from worldloom.runtime.versions import differences
from worldloom.worlds.find import find

MOST_FRAMES = 600


@dataclass(frozen=True, kw_only=True, eq=False)
class Replay:
    """One life. t [frame] s; arrays as the world's `track` names them; states [frame, *shape], inputs and outcome of one lane.

    same: whether the outcome is what the run stored, bit for bit; None where nothing was stored.
    """

    world: World
    title: str
    params: Record
    inputs: Record
    outcome: Record
    t: NDArray[np.float64]
    states: Record
    facts: Mapping[str, Any] = field(default_factory=dict)
    same: bool | None = None
    notes: tuple[str, ...] = ()

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """`t` and the arrays that the world's `track` gives; without one the state's fields."""
        named = dict(zip(self.states._fields, self.states, strict=True))
        return {"t": self.t, **(self.world.track(self.params, self.inputs, self.states) if self.world.track else named)}

    def save(self, path: str | Path) -> Path:
        """Write .html, .json, .npz or .gif, whole or not at all. Raises InputError for another ending."""
        from worldloom.runtime.replay_files import save

        written: Path = save(self, Path(path))
        return written


def relive(
    world: World, batch: Batch, *, title: str = "", facts: Mapping[str, Any] | None = None, frames: int = MOST_FRAMES
) -> Replay:
    """Run a batch of one lane and keep up to `frames` moments of it, the first and the last among them."""
    params, inputs, _ = expressed(world, batch)
    rollout = Rollout(world, params, inputs, batch.keys, mode=batch.mode)
    every = max(1, -(-batch.steps // max(1, frames - 1)))
    rollout.reset()
    moments, states = [0], [rollout.state()]
    while rollout.t < batch.steps:
        rollout.advance(min(every, batch.steps - rollout.t))
        moments.append(rollout.t)
        states.append(rollout.state())
    stacked = world.state(*(np.concatenate(arrays) for arrays in zip(*states, strict=True)))
    dt = float(getattr(params, "dt", 1.0))
    return Replay(
        world=world, title=title or world.name, params=params, inputs=from_blocks(rollout._inputs, 1), outcome=rollout.finish(),
        t=np.asarray(moments) * dt, states=stacked, facts=facts or {},
    )  # fmt: skip


def replay(
    store: Store, ref: str, individual: str = "best", generation: int | None = None, *, world: World | None = None
) -> Replay:
    """The life of an individual of a stored run: "best" (of all generations, or of one), "12-307", or an index in `generation`."""
    run = store.run(ref)
    found = world or find(run.world)
    check_version(found, run.world_version)
    number, index = chosen(store, run.id, individual, generation)
    stored = store.rows(run.id, number)
    if not 0 <= index < len(stored.keys):
        raise InputError(f"Generation {number} has no individual {index}. Expected 0 to {len(stored.keys) - 1}.")
    one = slice(index, index + 1)
    genomes = {name: array[one] for name, array in stored.genomes.items()}
    config = run.config
    batch = Batch(
        world=run.world, version=run.world_version, mode=config["mode"], settings=config["settings"], sizes=config["sizes"],
        keys=np.asarray(stored.keys[one], np.uint64), steps=config["steps"], **{"genomes" if found.genome else "inputs": genomes},
    )  # fmt: skip
    name = individual_name(number, index)
    facts = {"run": run.name, "individual": name, "seed": run.seed, "generation": number}
    life = relive(found, batch, title=f"{run.world} {name}", facts=facts)
    before = rows(found.outcome(**stored.outcome), one)
    same = outcome_digest(life.outcome) == outcome_digest(before)
    return Replay(**{**life.__dict__, "same": same, "notes": () if same else tuple(differences(run.versions, found))})


def chosen(store: Store, run_id: str, individual: str, generation: int | None) -> tuple[int, int]:
    """(generation, index) of "best", of a name such as 12-307, or of an index in a generation."""
    if individual == "best":
        counted = [g for g in store.generations(run_id) if g.best is not None and generation in (None, g.generation)]
        if not counted:
            at = "" if generation is None else f" in generation {generation}"
            raise InputError(f"No individual with a finite fitness{at}. Name one by generation and index, such as 0-0.")
        best = max(counted, key=lambda g: (g.best_fitness or 0.0, -g.generation))
        return best.generation, int(best.best or 0)
    if individual.isdecimal() and generation is not None:
        return generation, int(individual)
    number, index = individual_from(individual)
    if generation not in (None, number):
        raise InputError(f"Individual {individual!r} is of generation {number}, not {generation}. Leave --generation out.")
    return number, index
