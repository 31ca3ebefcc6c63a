"""How genes become what the kernel computes with: springs by edge, nodes on the ground, weights by muscle.

Sums over nodes and muscles run one by one in index order: NumPy's own order differs between CPUs, and a body's bits must not.
"""

from functools import lru_cache

import numpy as np

from worldloom.core.field import BLOCK, blocks
from worldloom.worlds.creatures.spec import Inputs

SHORTEST, LONGEST = np.float32(0.1), np.float32(10)  # m: a muscle's rest length stays within


@lru_cache(maxsize=32)
def pairs(nodes):
    """(first, second, number): the nodes of each edge, and the edge of each pair of nodes, -1 for none."""
    first, second = np.triu_indices(nodes, 1)
    number = np.full((nodes, nodes), -1, np.int32)
    number[first, second] = number[second, first] = np.arange(len(first))
    return first.astype(np.int32), second.astype(np.int32), number


def edges_of(genes):
    """[individual, muscle] -> number of the edge that the muscle lies on; -1 where there is no muscle."""
    rows, (a, b) = np.arange(len(genes.pair))[:, None], (genes.pair[..., 0], genes.pair[..., 1])
    nodes = genes.alive.shape[1]
    inside = (genes.muscle == 1) & (a < nodes) & (b < nodes)
    a, b = np.where(inside, a, 0), np.where(inside, b, 0)
    there = inside & (genes.alive[rows, a] == 1) & (genes.alive[rows, b] == 1)
    return np.where(there, pairs(nodes)[2][a, b], -1)


def present(genes, edges):
    """[individual, edge] -> whether a muscle lies on that edge."""
    found = np.zeros((len(genes.pair), edges + 1), bool)
    found[np.arange(len(found))[:, None], edges_of(genes)] = True
    return found[:, :edges]


def order(genes):
    """Bodies of like topology side by side: a block visits the union of its bodies' edges."""
    nodes = genes.alive.shape[1]
    return np.lexsort(np.packbits(present(genes, nodes * (nodes - 1) // 2), axis=1).T)


def total(values):
    """Sum over the second axis, in index order on every machine."""
    summed = values[:, 0].copy()
    for k in range(1, values.shape[1]):
        summed += values[:, k]
    return summed


def express(sizes, drive, genes) -> Inputs:
    """Genes to the kernel's Inputs, edge form: lane k is individual k. drive scales how far muscles reach."""
    lanes, edges = len(genes.tempo), sizes["edges"]
    number = edges_of(genes)
    there, block = number >= 0, np.arange(lanes) // BLOCK
    used = np.zeros((blocks(lanes), edges + 1), bool)
    used[block[:, None], number] = True
    listed, place = edge_lists(used[:, :edges], sizes["nodes"])
    rows, slots = np.nonzero(there)
    to = place[block[rows], number[rows, slots]]

    def spread(values, filler):
        spread_out = np.full((lanes, edges, *values.shape[2:]), filler, np.float32)
        spread_out[rows, to] = values[rows, slots]
        return spread_out

    muscles = {name: spread(values, 1 if name == "rest" else 0) for name, values in by_slot(genes, there, drive).items()}
    alone = {name: getattr(genes, name) for name in ("tempo", "colour", "weights_in")}
    return Inputs(
        **listed,
        **bodies(genes),
        **muscles,
        **alone,
        weights_strain=strain_weights(genes, sizes, rows, to, slots),
        weights_motion=motion_weights(genes),
        bias_in=genes.bias_in + np.float32(0),  # -0 becomes 0: a sum that begins at -0 would notice absent muscles
    )


def by_slot(genes, there, drive):
    """{input: [individual, muscle]} of all that belongs to a muscle."""
    reach = drive * np.minimum(genes.rest * genes.amplitude, np.minimum(genes.rest - SHORTEST, LONGEST - genes.rest))
    count = np.sqrt(np.maximum(there.sum(1), 1).astype(np.float32))[:, None]
    return {
        "rest": genes.rest,
        "reach": reach,
        "toil": np.where(reach > 0, 1 / (np.maximum(reach, 1e-9) * count), 0),
        "stiffness": genes.stiffness,
        "damping": genes.damping,
        "frequency": genes.frequency * genes.tempo[:, None],
        "phase": genes.phase,
        "weights_out": genes.weights_out,
        "bias_out": genes.bias_out,
    }


def edge_lists(used, nodes):
    """What the blocks visit: counts and nodes of their edges; and the place of each edge in its block's list."""
    first, second, _ = pairs(nodes)
    block, edge = np.nonzero(used)
    place = np.cumsum(used, 1, dtype=np.int32) - 1
    listed = {name: np.zeros(used.shape, np.int32) for name in ("edge", "first", "second")}
    at = place[block, edge]
    listed["edge"][block, at], listed["first"][block, at], listed["second"][block, at] = edge, first[edge], second[edge]
    at_node = np.stack([used[:, first == node].sum(1) for node in range(nodes)], axis=1)
    ends = np.cumsum(at_node, 1).astype(np.int32)
    bounds = {"begins": ends - at_node.astype(np.int32), "ends": ends}
    return {**listed, **bounds, "edge_count": ends[:, -1], "node_count": np.full(len(used), nodes, np.int32)}, place


def strain_weights(genes, sizes, rows, to, slots):
    """weights_strain [individual, hidden, muscle] -> [individual, hidden, edge]; of no width without proprioception."""
    spread_out = np.zeros((len(genes.tempo), sizes["hidden"], sizes["felt_edges"]), np.float32)
    if sizes["felt_edges"]:
        spread_out[rows, :, to] = genes.weights_strain[rows, :, slots]
    return spread_out


def motion_weights(genes):
    """weights_motion [individual, hidden, node, 4], 0 where there is no node: its place must not be felt."""
    if not genes.weights_motion.shape[2]:
        return genes.weights_motion
    return np.where(genes.alive[:, None, :, None] == 1, genes.weights_motion, 0)


def bodies(genes):
    """Nodes: dropped to the ground, the centre of mass above x = z = 0."""
    alive = genes.alive == 1
    radius, mass = genes.size * np.float32(0.5), np.where(alive, genes.mass, 0).astype(np.float32)
    share = mass / total(mass)[:, None]
    x, y, z = (np.where(alive, genes.position[:, :, axis], 0).astype(np.float32) for axis in range(3))
    lowest = np.where(alive, y - radius, np.float32(np.inf)).min(1)
    born = np.stack([x - total(x * share)[:, None], y - lowest[:, None], z - total(z * share)[:, None]], axis=1)
    born = np.where(alive[:, None, :], born, 0)
    born[:, 1] = np.maximum(born[:, 1], radius)
    lightness = np.where(alive, np.float32(1) / genes.mass, 0).astype(np.float32)
    return {"born": born, "radius": radius, "lightness": lightness, "share": share, "friction": genes.friction}
