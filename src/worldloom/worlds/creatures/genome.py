"""Bodies and brains as genes: sampling, structural mutation, repair, and how they become the kernel's Inputs.

Sums over nodes and muscles run one by one in index order: NumPy's own order differs between CPUs, and a body's bits must not.
"""

from collections.abc import Mapping
from functools import lru_cache, partial

import numpy as np

from worldloom.core import Genome, fold
from worldloom.core.field import BLOCK, blocks
from worldloom.core.keys import integers, normals, uniforms
from worldloom.worlds.creatures.spec import Genes, Inputs, Params, shapes

LEAST_NODES, LEAST_MUSCLES = 3, 2
# Explicit damping and semi-implicit Euler hold a node while dt2 K + 2 dt C < 4, with K = 2 sum(k) / m and C = 2 sum(c) / m over its
# muscles (Gershgorin's bound on the fastest oscillation). A quarter is kept in reserve.
HELD = 3.0
SHORTEST, LONGEST = np.float32(0.1), np.float32(10)  # m: a muscle's rest length stays within
SPREAD = 0.9  # m: nodes are born within this distance of the centre, along each axis


@lru_cache(maxsize=32)
def pairs(nodes):
    """(first, second, number): the nodes of each edge, and the edge of each pair of nodes, -1 for none."""
    first, second = np.triu_indices(nodes, 1)
    number = np.full((nodes, nodes), -1, np.int32)
    number[first, second] = number[second, first] = np.arange(len(first))
    return first.astype(np.int32), second.astype(np.int32), number


def genome(params: Params, sizes: Mapping[str, int]) -> Genome:
    """The genome of bodies of these sizes; params decide what the brain perceives and how stiff a body the time step holds."""
    known = shapes(params, sizes)
    return Genome(
        genes=Genes,
        sizes=known,
        express=partial(express, known, params.drive),
        sample=partial(sample, known),
        mutate=partial(mutate, known),
        repair=partial(held, float(params.dt)),
        order=order,
    )


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


# ---- expression ----------------------------------------------------------------------------------------------------------------


def total(values):
    """Sum over the second axis, in index order on every machine."""
    summed = values[:, 0].copy()
    for k in range(1, values.shape[1]):
        summed += values[:, k]
    return summed


def express(sizes, drive, genes) -> Inputs:
    """Genes to the kernel's Inputs, edge form: lane k is individual k."""
    lanes, nodes, edges = len(genes.tempo), sizes["nodes"], sizes["edges"]
    number = edges_of(genes)
    there, block = number >= 0, np.arange(lanes) // BLOCK
    used = np.zeros((blocks(lanes), edges + 1), bool)
    used[block[:, None], number] = True
    listed, place = edge_lists(used[:, :edges], nodes)
    rows, slots = np.nonzero(there)
    to = place[block[rows], number[rows, slots]]

    def spread(values, filler):
        spread_out = np.full((lanes, edges, *values.shape[2:]), filler, np.float32)
        spread_out[rows, to] = values[rows, slots]
        return spread_out

    reach = drive * np.minimum(genes.rest * genes.amplitude, np.minimum(genes.rest - SHORTEST, LONGEST - genes.rest))
    count = np.sqrt(np.maximum(there.sum(1), 1).astype(np.float32))[:, None]
    return Inputs(
        **listed,
        **bodies(genes),
        rest=spread(genes.rest, 1),
        reach=spread(reach, 0),
        toil=spread(np.where(reach > 0, 1 / (np.maximum(reach, 1e-9) * count), 0), 0),
        stiffness=spread(genes.stiffness, 0),
        damping=spread(genes.damping, 0),
        frequency=spread(genes.frequency * genes.tempo[:, None], 0),
        phase=spread(genes.phase, 0),
        tempo=genes.tempo,
        weights_in=genes.weights_in,
        weights_strain=strain_weights(genes, sizes, rows, to, slots),
        weights_motion=np.where(genes.alive[:, None, :, None] == 1, genes.weights_motion, 0)
        if sizes["felt_nodes"]
        else genes.weights_motion,
        bias_in=genes.bias_in + np.float32(0),  # -0 becomes 0: a sum that begins at -0 would notice absent muscles
        weights_out=spread(genes.weights_out, 0),
        bias_out=spread(genes.bias_out, 0),
    )


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


# ---- validity --------------------------------------------------------------------------------------------------------------------


def load(dt, genes):
    """[individual, node] -> dt2 K + 2 dt C: what the time step has to hold."""
    there, rows = edges_of(genes) >= 0, np.arange(len(genes.pair))
    strength = np.where(there, dt * dt * genes.stiffness + 2 * dt * genes.damping, 0).astype(np.float32) * np.float32(2)
    loads = np.zeros(genes.mass.shape, np.float32)
    for k in range(genes.pair.shape[1]):
        for end in range(2):
            loads[rows, np.where(there[:, k], genes.pair[:, k, end], 0)] += strength[:, k]
    return loads / genes.mass


def held(dt, genes) -> Genes:
    """Genes whose muscles are soft enough for the time step; nothing else is changed."""
    loads = load(dt, genes)
    if not (loads > HELD).any():
        return genes
    rows = np.arange(len(loads))[:, None]
    ends = np.minimum(genes.pair, loads.shape[1] - 1)
    worst = np.maximum(loads[rows, ends[..., 0]], loads[rows, ends[..., 1]])
    softer = np.minimum(np.float32(HELD) / np.maximum(worst, np.float32(1e-9)), 1).astype(np.float32)
    return genes._replace(stiffness=np.maximum(genes.stiffness * softer, 1), damping=genes.damping * softer)


def connected(alive, joined):
    """[individual] -> whether all living nodes hang together. joined [individual, node, node] bool, symmetric."""
    nodes = alive.shape[1]
    reach = (joined | np.eye(nodes, dtype=bool)).astype(np.float32)
    for _ in range(int(np.ceil(np.log2(max(nodes - 1, 2))))):
        reach = np.minimum(reach @ reach, 1)
    both = alive[:, :, None] & alive[:, None, :]
    return ((reach > 0) | ~both).all((1, 2))


def valid(genes):
    """[individual] -> at least 3 nodes and 2 muscles, all connected, no two muscles on one pair of nodes, no muscle to nowhere."""
    nodes = genes.alive.shape[1]
    number, there = edges_of(genes), genes.muscle == 1
    first, second, _ = pairs(nodes)
    found = present(genes, len(first))
    joined = np.zeros((len(found), nodes, nodes), bool)
    joined[:, first, second] = joined[:, second, first] = found
    alive = genes.alive == 1
    whole = (number >= 0).sum(1) == there.sum(1)
    single = found.sum(1) == there.sum(1)
    return whole & single & (alive.sum(1) >= LEAST_NODES) & (there.sum(1) >= LEAST_MUSCLES) & connected(alive, joined)


# ---- sampling --------------------------------------------------------------------------------------------------------------------


def sample(sizes, key, count) -> Genes:
    """Random connected bodies: a random tree over the living nodes, then random further muscles; small random brains."""
    nodes, muscles = sizes["nodes"], sizes["muscles"]
    first, second, number = pairs(nodes)
    draw = iter(range(100))

    def share(*shape):
        return uniforms(fold(key, next(draw)), count, *shape)

    living = max(LEAST_NODES, nodes // 2) + np.floor(share() * (nodes + 1 - max(LEAST_NODES, nodes // 2))).astype(int)
    living = np.minimum(living, muscles + 1)
    alive = np.arange(nodes) < living[:, None]
    rank = share(len(first))
    parent = np.floor(share(nodes) * np.arange(nodes)).astype(int)
    rows = np.arange(count)
    for node in range(1, nodes):
        rank[rows, number[parent[:, node], node]] -= 2  # the tree comes first
    rank = np.where(alive[:, first] & alive[:, second], rank, np.float32(9))
    wanted = living - 1 + np.floor(share() * (muscles + 2 - living)).astype(int)
    chosen = np.argsort(rank, axis=1, kind="stable")[:, :muscles]
    muscle = (np.arange(muscles) < np.maximum(wanted, LEAST_MUSCLES)[:, None]) & (np.take_along_axis(rank, chosen, 1) < 5)
    position = ((share(nodes, 3) * 2 - 1) * SPREAD).astype(np.float32)
    pair = np.stack([first[chosen], second[chosen]], axis=-1).astype(np.int8)
    genes = Genes(
        position=position,
        size=0.2 + 0.3 * share(nodes),
        mass=0.5 + share(nodes),
        friction=0.3 + 0.7 * share(nodes),
        alive=alive.astype(np.int8),
        pair=pair,
        muscle=muscle.astype(np.int8),
        rest=distances(position, pair),
        stiffness=50 + 250 * share(muscles),
        damping=1 + 4 * share(muscles),
        frequency=0.5 + 2 * share(muscles),
        amplitude=0.1 + 0.4 * share(muscles),
        phase=share(muscles),
        tempo=0.7 + 0.6 * share(),
        colour=share(3),
        **brains(sizes, key, count),
    )
    return Genes(
        *(np.ascontiguousarray(array, field.dtype) for array, field in zip(genes, Genes._field_defaults.values(), strict=True))
    )


def brains(sizes, key, count):
    """Normal weights, scaled so that cells neither saturate nor sleep."""
    shape = {
        "weights_in": (sizes["hidden"], sizes["senses"]),
        "weights_strain": (sizes["hidden"], sizes["felt_muscles"]),
        "weights_motion": (sizes["hidden"], sizes["felt_nodes"], 4),
        "bias_in": (sizes["hidden"],),
        "weights_out": (sizes["muscles"], sizes["hidden"]),
        "bias_out": (sizes["muscles"],),
    }
    return {
        name: np.clip(normals(fold(key, 200 + k), count, *dims), -5, 5) if np.prod(dims) else np.zeros((count, *dims), np.float32)
        for k, (name, dims) in enumerate(shape.items())
    }


def distances(position, pair):
    """[individual, muscle] -> distance between the ends at birth, within the limits of a rest length."""
    rows = np.arange(len(pair))[:, None]
    between = position[rows, pair[..., 0]] - position[rows, pair[..., 1]]
    square = between[..., 0] * between[..., 0] + between[..., 1] * between[..., 1] + between[..., 2] * between[..., 2]
    return np.clip(np.sqrt(square), 0.1, 10).astype(np.float32)


# ---- structural mutation -----------------------------------------------------------------------------------------------------------


def mutate(sizes, key, genes, rate) -> Genes:
    """A share `rate` of individuals gets one change of structure: a muscle more, less or moved, a node more or less.

    A change that would leave an invalid body is not made.
    """
    count = len(genes.tempo)
    touched = np.nonzero(uniforms(fold(key, 0), count) < rate)[0]
    if not len(touched):
        return genes
    before = Genes(*(array[touched] for array in genes))
    after = Genes(*(array.copy() for array in before))
    kind = integers(fold(key, 1), 5, len(touched))
    slot = integers(fold(key, 2), sizes["muscles"], len(touched))
    ends = integers(fold(key, 3), sizes["nodes"], len(touched), 3)
    rows = np.arange(len(touched))
    joined = kind < 3
    for change in (add_muscle, drop_muscle, move_muscle, drop_node, add_node):
        chosen = rows[kind == (add_muscle, drop_muscle, move_muscle, drop_node, add_node).index(change)]
        change(after, chosen, slot[chosen], ends[chosen])
    fresh = (after.pair != before.pair).any(-1) | (after.muscle > before.muscle)
    after = after._replace(rest=np.where(fresh, distances(after.position, after.pair), after.rest))
    good = valid(after) & (joined | (kind >= 3))
    changed = [array.copy() for array in genes]
    for target, source in zip(changed, after, strict=True):
        target[touched[good]] = source[good]
    return Genes(*changed)


def add_muscle(genes, rows, slot, ends):
    """A muscle in a free slot between two of the drawn nodes."""
    free = np.argmin(genes.muscle[rows], axis=1)
    free = np.where(genes.muscle[rows, free] == 0, free, slot)
    genes.pair[rows, free] = np.sort(ends[:, :2], axis=1)
    genes.muscle[rows, free] = 1


def drop_muscle(genes, rows, slot, ends):
    """One muscle less."""
    genes.muscle[rows, slot] = 0


def move_muscle(genes, rows, slot, ends):
    """One end of a muscle at another node."""
    moved = genes.pair[rows, slot]
    moved[:, 0] = ends[:, 0]
    genes.pair[rows, slot] = np.sort(moved, axis=1)


def drop_node(genes, rows, slot, ends):
    """One node less, and its muscles with it."""
    gone = ends[:, 0]
    genes.alive[rows, gone] = 0
    at = (genes.pair[rows] == gone[:, None, None]).any(-1)
    genes.muscle[rows] = np.where(at, 0, genes.muscle[rows])


def add_node(genes, rows, slot, ends):
    """One node more, held by muscles to two others."""
    born = np.argmin(genes.alive[rows], axis=1)
    genes.alive[rows, born] = 1
    for end in range(1, 3):
        free = np.argmin(genes.muscle[rows], axis=1)
        genes.pair[rows, free] = np.sort(np.stack([born, ends[:, end]], axis=1), axis=1)
        genes.muscle[rows, free] = 1
