"""Bodies and brains as genes: sampling, validity, and structural mutation. express.py turns them into the kernel's Inputs."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from worldloom.core import Genome, fold
from worldloom.core.field import each
from worldloom.core.keys import integers, normals, uniforms
from worldloom.worlds.creatures.express import edges_of, express, order, pairs, present
from worldloom.worlds.creatures.spec import Genes, Params, shapes

LEAST_NODES, LEAST_MUSCLES = 3, 2
# Explicit damping and semi-implicit Euler hold a node while dt2 K + 2 dt C < 4, with K = 2 sum(k) / m and C = 2 sum(c) / m over its
# muscles (Gershgorin's bound on the fastest oscillation). A quarter is kept in reserve.
HELD = 3.0
SPREAD = 0.9  # m: nodes are born within this distance of the centre, along each axis


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
    """Random connected bodies with small random brains."""
    nodes, muscles = sizes["nodes"], sizes["muscles"]
    shares = iter(fold(key, np.arange(100, 120)))

    def share(*shape):
        return uniforms(next(shares), count, *shape)

    position = ((share(nodes, 3) * 2 - 1) * SPREAD).astype(np.float32)
    alive, muscle, pair = skeleton(sizes, fold(key, np.arange(4)), count)
    genes = Genes(
        position=position,
        size=0.15 + 0.25 * share(nodes),
        mass=0.5 + share(nodes),
        friction=0.3 + 0.7 * share(nodes),
        alive=alive,
        pair=pair,
        muscle=muscle,
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
    return Genes(*(np.ascontiguousarray(array, field.dtype) for _, field, array in each(genes)))


def skeleton(sizes, keys, count):
    """(alive, muscle, pair): a random tree over the living nodes, then random further muscles."""
    nodes, muscles = sizes["nodes"], sizes["muscles"]
    first, second, number = pairs(nodes)
    least = fewest(nodes)
    living = np.minimum(least + np.floor(uniforms(keys[0], count) * (nodes + 1 - least)).astype(int), muscles + 1)
    alive = np.arange(nodes) < living[:, None]
    rank, parent = uniforms(keys[1], count, len(first)), np.floor(uniforms(keys[2], count, nodes) * np.arange(nodes)).astype(int)
    for node in range(1, nodes):
        rank[np.arange(count), number[parent[:, node], node]] -= 2  # the tree comes first
    rank = np.where(alive[:, first] & alive[:, second], rank, np.float32(9))
    wanted = living - 1 + np.floor(uniforms(keys[3], count) * (muscles + 2 - living)).astype(int)
    chosen = np.argsort(rank, axis=1, kind="stable")[:, :muscles]
    muscle = (np.arange(muscles) < np.maximum(wanted, LEAST_MUSCLES)[:, None]) & (np.take_along_axis(rank, chosen, 1) < 5)
    return alive.astype(np.int8), muscle.astype(np.int8), np.stack([first[chosen], second[chosen]], axis=-1).astype(np.int8)


def fewest(nodes):
    """Fewest nodes of bodies that are sampled or mutated: simpler ones learn sooner and would crowd out the others."""
    return max(LEAST_NODES, 5 * nodes // 8)


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
    for number, change in enumerate((add_muscle, drop_muscle, move_muscle, drop_node, add_node)):
        chosen = rows[kind == number]
        change(after, chosen, slot[chosen], ends[chosen])
    fresh = (after.pair != before.pair).any(-1) | (after.muscle > before.muscle)
    after = after._replace(rest=np.where(fresh, distances(after.position, after.pair), after.rest))
    enough = after.alive.sum(1) >= np.minimum(fewest(sizes["nodes"]), before.alive.sum(1))
    good = valid(after) & enough
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
