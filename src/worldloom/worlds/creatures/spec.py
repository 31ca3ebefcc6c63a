"""What a creature is, in numbers. Units: SI; y is up, the ground is y = 0, creatures walk towards +x.

Array axes: `nodes` and `muscles` are the most that a body may have; `edges` is every pair of nodes, in the order (0,1), (0,2) …;
`senses` is what the brain perceives. A muscle lies on one edge, so two bodies that differ in topology differ in numbers only.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from worldloom.core import Field, Mode, Size

BRAINS = ("oscillator", "hybrid", "pure")
TASKS = ("distance", "pellets")
CLOCKS = ("none", "cyclic", "sin", "raw")
BASIC_SENSES = 7  # velocity 3, direction to the target 3, distance to it 1
CLOCK_SENSES = {"none": 0, "cyclic": 2, "sin": 1, "raw": 1}

SIZES = {
    "nodes": Size(doc="most nodes of a body", default=8, low=3, high=20),
    "muscles": Size(doc="most muscles of a body", default=15, low=2, high=50),
    "hidden": Size(doc="cells in the brain's hidden layer", default=8, low=1, high=64),
}


class Params(NamedTuple):
    dt: np.float32 = Field("s", "time step", default=1 / 240, low=1e-4, high=0.05)
    life: np.float32 = Field("s", "how long a life lasts", default=10.0, low=0.1, high=3600)
    settle_steps: np.int32 = Field(
        "steps", "muscles rest while the body falls into place", dtype=np.int32, default=480, low=0, high=100000
    )
    control_every: np.int32 = Field("steps", "from one brain tick to the next: 15 Hz", dtype=np.int32, default=16, low=1, high=240)
    watch_every: np.int32 = Field(
        "steps", "from one check of limits and pellets to the next", dtype=np.int32, default=16, low=1, high=240
    )
    gravity: np.float32 = Field("m/s2", "vertical acceleration", default=-9.8, low=-30, high=-1)
    drag: np.float32 = Field("1/s", "share of velocity lost to air in a second", default=0.5, low=0, high=20)
    restitution: np.float32 = Field("1", "speed kept when a node bounces", default=0.1, low=0, high=1)
    drive: np.float32 = Field("1", "strength of the muscles' rhythm; 0 switches them off", default=1.0, low=0, high=1)
    response: np.float32 = Field("1/s", "how fast a muscle follows the brain", default=20.0, low=0.1, high=240)
    speed: np.float32 = Field("m/s", "fastest change of a muscle's rest length", default=3.0, low=0.01, high=100)
    effort_cost: np.float32 = Field("m", "fitness lost at full mean effort", default=0.0, low=0, high=100)
    target: np.float32 = Field("m", "how far away the goal of `distance` is; more does not count", default=45.0, low=1, high=45)
    pellet_gap: np.float32 = Field(
        "m", "from one pellet to the next; each is further by as much again", default=2.0, low=0.5, high=10
    )
    pellet_radius: np.float32 = Field("m", "a pellet is collected within this distance", default=0.75, low=0.1, high=5)
    brain: np.int32 = Field("code", "what drives the muscles", dtype=np.int32, default="hybrid", choices=BRAINS)
    task: np.int32 = Field("code", "what earns fitness", dtype=np.int32, default="distance", choices=TASKS)
    clock: np.int32 = Field("code", "how the brain perceives time", dtype=np.int32, default="sin", choices=CLOCKS)
    proprioception: np.int32 = Field(
        "code", "the brain feels strain, node velocity and contact", dtype=np.int32, default="no", choices=("no", "yes")
    )


class Genes(NamedTuple):
    position: np.ndarray = Field("m", "where nodes are at birth", ("nodes", 3), low=-2, high=2)
    size: np.ndarray = Field("m", "diameter of nodes", ("nodes",), low=0.1, high=2, spread=0.15)
    mass: np.ndarray = Field("kg", "mass of nodes", ("nodes",), low=0.3, high=3, spread=1)
    friction: np.ndarray = Field("1", "Coulomb coefficient of nodes", ("nodes",), low=0, high=1)
    alive: np.ndarray = Field("code", "1 where the node exists", ("nodes",), dtype=np.int8, low=0, high=1)
    pair: np.ndarray = Field("node", "the two nodes that a muscle joins", ("muscles", 2), dtype=np.int8, low=0, high=19)
    muscle: np.ndarray = Field("code", "1 where the muscle exists", ("muscles",), dtype=np.int8, low=0, high=1)
    rest: np.ndarray = Field("m", "rest length", ("muscles",), low=0.1, high=10, spread=1)
    stiffness: np.ndarray = Field("N/m", "spring constant", ("muscles",), low=1, high=1000, spread=300)
    damping: np.ndarray = Field("N s/m", "axial damping", ("muscles",), low=0, high=10)
    frequency: np.ndarray = Field("Hz", "of the muscle's own rhythm", ("muscles",), low=0.1, high=5)
    amplitude: np.ndarray = Field(
        "1", "largest change of the rest length, as a share of it", ("muscles",), low=0, high=1, spread=0.5
    )
    phase: np.ndarray = Field("turn", "of the muscle's own rhythm", ("muscles",), low=0, high=1)
    tempo: np.ndarray = Field("1", "multiplies all frequencies", (), low=0.2, high=3)
    colour: np.ndarray = Field("1", "red, green, blue", (3,), low=0, high=1)
    weights_in: np.ndarray = Field("1", "brain: senses to hidden cells", ("hidden", "senses"), low=-5, high=5, spread=4)
    weights_strain: np.ndarray = Field(
        "1", "brain: strain of muscles to hidden cells", ("hidden", "felt_muscles"), low=-5, high=5, spread=4
    )
    weights_motion: np.ndarray = Field(
        "1", "brain: velocity and contact of nodes to hidden cells", ("hidden", "felt_nodes", 4), low=-5, high=5, spread=4
    )
    bias_in: np.ndarray = Field("1", "brain: hidden cells", ("hidden",), low=-5, high=5, spread=4)
    weights_out: np.ndarray = Field("1", "brain: hidden cells to muscles", ("muscles", "hidden"), low=-5, high=5, spread=4)
    bias_out: np.ndarray = Field("1", "brain: muscles", ("muscles",), low=-5, high=5, spread=4)


class Inputs(NamedTuple):
    edge_count: np.ndarray = Field(
        "edges", "how many edges any creature of the block has a muscle on", (), dtype=np.int32, per="block"
    )
    node_count: np.ndarray = Field(
        "nodes", "one more than the last node that any creature of the block has", (), dtype=np.int32, per="block"
    )
    edge: np.ndarray = Field("edge", "which edges these are, ascending", ("edges",), dtype=np.int32, per="block")
    first: np.ndarray = Field("node", "where such an edge begins", ("edges",), dtype=np.int32, per="block")
    begins: np.ndarray = Field(
        "edges", "where the edges that begin at a node start in these lists", ("nodes",), dtype=np.int32, per="block"
    )
    ends: np.ndarray = Field("edges", "where they end", ("nodes",), dtype=np.int32, per="block")
    second: np.ndarray = Field("node", "where it ends", ("edges",), dtype=np.int32, per="block")
    born: np.ndarray = Field("m", "position at birth", (3, "nodes"))
    radius: np.ndarray = Field("m", "of the node", ("nodes",))
    lightness: np.ndarray = Field("1/kg", "1 / mass; 0 where there is no node", ("nodes",))
    share: np.ndarray = Field("1", "of the body's mass; 0 where there is no node", ("nodes",))
    friction: np.ndarray = Field("1", "Coulomb coefficient", ("nodes",))
    rest: np.ndarray = Field("m", "rest length; 1 where there is no muscle", ("edges",))
    reach: np.ndarray = Field(
        "m", "largest change of the rest length, which stays within 0.1 to 10 m; 0 where there is no muscle", ("edges",)
    )
    toil: np.ndarray = Field("1/m", "1 / (reach sqrt(number of muscles)); 0 where there is no muscle", ("edges",))
    stiffness: np.ndarray = Field("N/m", "0 where there is no muscle", ("edges",))
    damping: np.ndarray = Field("N s/m", "0 where there is no muscle", ("edges",))
    frequency: np.ndarray = Field("Hz", "times the tempo", ("edges",))
    phase: np.ndarray = Field("turn", "of the rhythm", ("edges",))
    tempo: np.ndarray = Field("Hz", "the clock that the brain perceives", ())
    colour: np.ndarray = Field("1", "red, green, blue; for the eye alone", (3,))
    weights_in: np.ndarray = Field("1", "senses to hidden cells", ("hidden", "senses"))
    weights_strain: np.ndarray = Field("1", "strain of muscles to hidden cells", ("hidden", "felt_edges"))
    weights_motion: np.ndarray = Field("1", "velocity and contact of nodes to hidden cells", ("hidden", "felt_nodes", 4))
    bias_in: np.ndarray = Field("1", "hidden cells", ("hidden",))
    weights_out: np.ndarray = Field("1", "hidden cells to muscles", ("edges", "hidden"))
    bias_out: np.ndarray = Field("1", "muscles", ("edges",))


class State(NamedTuple):
    position: np.ndarray = Field("m", "of nodes", (3, "nodes"))
    velocity: np.ndarray = Field("m/s", "of nodes", (3, "nodes"))
    length: np.ndarray = Field("m", "present rest length of muscles", ("edges",))
    goal: np.ndarray = Field("m", "rest length that the brain wants", ("edges",))
    rear: np.ndarray = Field("m", "x of the body's hindmost edge when the muscles woke", ())
    front: np.ndarray = Field("m", "x of its foremost edge then", ())
    effort: np.ndarray = Field("1", "mean square activation, summed over checks", ())
    pellet: np.ndarray = Field("m", "x and z of the present pellet", (2,))
    gap: np.ndarray = Field("m", "distance to the pellet when it appeared", ())
    collected: np.ndarray = Field("pellets", "collected so far", ())
    broken: np.ndarray = Field("code", "left the arena, or not finite", (), dtype=np.bool_)


class Outcome(NamedTuple):
    fitness: np.ndarray = Field("m", "what the task pays")
    distance: np.ndarray = Field("m", "progress towards +x of the end of the body that lags")
    collected: np.ndarray = Field("pellets", "how many were collected")
    effort: np.ndarray = Field("1", "mean square activation, 0 to 1")
    status: np.ndarray = Field("code", "0 OK, 1 UNSTABLE: left the arena or not finite", dtype=np.int8)


MODES = {  # error: 1 - Spearman's rank correlation of fitness with the accurate mode, over random bodies that the mode holds
    "accurate": Mode(doc="1/240 s"),
    "fast": Mode(
        doc="1/120 s", params={"dt": 1 / 120, "settle_steps": 240, "control_every": 8, "watch_every": 8}, error={"rank": 0.2}
    ),
    "ultra_fast": Mode(
        doc="1/60 s", params={"dt": 1 / 60, "settle_steps": 120, "control_every": 4, "watch_every": 4}, error={"rank": 0.4}
    ),
    "extreme": Mode(
        doc="1/30 s", params={"dt": 1 / 30, "settle_steps": 60, "control_every": 2, "watch_every": 2}, error={"rank": 0.5}
    ),
}


def error(accurate: Outcome, other: Outcome) -> dict[str, float]:
    """rank: 1 - Spearman's correlation of fitness, 0 for the same ranking."""
    ranks = [np.argsort(np.argsort(found.fitness, kind="stable"), kind="stable").astype(float) for found in (accurate, other)]
    return {"rank": float(1 - np.corrcoef(ranks[0], ranks[1])[0, 1])}


def shapes(params: Params, sizes: Mapping[str, int]) -> dict[str, int]:
    """All sizes that follow from the chosen ones: edges, senses, and what proprioception adds."""
    nodes, muscles = sizes["nodes"], sizes["muscles"]
    edges, feels = nodes * (nodes - 1) // 2, bool(params.proprioception)
    return {
        **sizes,
        "muscles": min(muscles, edges),
        "edges": edges,
        "senses": BASIC_SENSES + CLOCK_SENSES[CLOCKS[int(params.clock)]],
        "felt_muscles": min(muscles, edges) * feels,
        "felt_edges": edges * feels,
        "felt_nodes": nodes * feels,
    }
