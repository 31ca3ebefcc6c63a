"""From numbers to pictures: shapes of one moment, and a whole replay as named arrays. Plain data, nothing is drawn here."""

import numpy as np

from worldloom.worlds.creatures.express import edges_of
from worldloom.worlds.creatures.spec import Genes


def frame(params, inputs, state, i):
    """Shapes of lane i: nodes, muscles coloured by activation."""
    from worldloom.core import Lines, Points

    there = inputs.lightness[i] > 0
    place = np.cumsum(there) - 1
    muscle = np.nonzero(inputs.reach[i] + inputs.stiffness[i] > 0)[0]
    pairs = np.stack([place[inputs.first[i, muscle]], place[inputs.second[i, muscle]]], axis=1)
    return [
        Points(name="nodes", xyz=state.position[i].T[there], radius=inputs.radius[i][there], colour=paint(inputs, i), thread=True),
        Lines(name="muscles", points="nodes", pairs=pairs, value=activation(inputs, state, i)[muscle]),
    ]


def paint(inputs, i):
    """[node, 3] of living nodes: the creature's colour, darker where a node grips the ground better."""
    grip = inputs.friction[i][inputs.lightness[i] > 0][:, None]
    return (0.25 + 0.6 * inputs.colour[i]) * (1.15 - 0.5 * grip)


def activation(inputs, state, i):
    """-1 (shortened as far as it goes) to 1 (lengthened), per edge."""
    reach = np.where(inputs.reach[i] > 0, inputs.reach[i], 1)
    return np.clip((state.length[i] - inputs.rest[i]) / reach, -1, 1)


def track(params, inputs, states):
    """positions [frame, node, 3] m, velocities alike, muscles [muscle, 2], activation [frame, muscle]; living nodes and muscles only."""
    there = inputs.lightness[0] > 0
    place = np.cumsum(there) - 1
    muscle = np.nonzero(inputs.reach[0] + inputs.stiffness[0] > 0)[0]
    reach = np.where(inputs.reach[0, muscle] > 0, inputs.reach[0, muscle], 1)
    return {
        "positions": np.ascontiguousarray(np.swapaxes(states.position, 1, 2)[:, there]),
        "velocities": np.ascontiguousarray(np.swapaxes(states.velocity, 1, 2)[:, there]),
        "radius": inputs.radius[0][there],
        "muscles": np.stack([place[inputs.first[0, muscle]], place[inputs.second[0, muscle]]], axis=1).astype(np.int32),
        "activation": np.clip((states.length[:, muscle] - inputs.rest[0, muscle]) / reach, -1, 1).astype(np.float32),
    }


def batched(genes: Genes, states=None):
    """A batch as arrays: positions and velocities [B, nodes, 3], masses, node_mask [B, nodes], spring_indices [B, muscles, 2],
    spring_params [B, muscles, 6] = rest, stiffness, damping, frequency, amplitude, phase; rows of absent muscles are 0."""
    there = edges_of(genes) >= 0
    position = genes.position if states is None else np.ascontiguousarray(np.swapaxes(states.position, 1, 2))
    velocity = np.zeros_like(position) if states is None else np.ascontiguousarray(np.swapaxes(states.velocity, 1, 2))
    frequency = genes.frequency * genes.tempo[:, None]
    springs = np.stack([genes.rest, genes.stiffness, genes.damping, frequency, genes.amplitude, genes.phase], axis=-1)
    return {
        "positions": position,
        "velocities": velocity,
        "masses": np.where(genes.alive == 1, genes.mass, 0).astype(np.float32),
        "node_mask": genes.alive == 1,
        "spring_indices": np.where(there[..., None], genes.pair, 0).astype(np.int64),
        "spring_params": np.where(there[..., None], springs, 0).astype(np.float32),
    }
