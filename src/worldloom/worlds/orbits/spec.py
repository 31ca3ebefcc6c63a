"""What a planetary system is, in numbers. Units: au, yr, solar mass; the reference plane is x-y; G = 4 pi^2, gm is G times mass.

Array axes: `bodies` counts stars, which come first, and planets, from the inside to the outside; `planets` the planets of a genome.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from worldloom.core import Field, Mode, Size, Status

Number = partial(Field, dtype=np.float64)
SCHEMES = ("leapfrog", "fourth", "sixth")
LIKELY = 0.9  # share of systems that a mode's error is claimed for; the rest are chaotic enough to differ by an orbit

SIZES = {"bodies": Size(doc="stars and planets of a system", default=8, low=1, high=64)}


class Params(NamedTuple):
    dt: np.float64 = Number("yr", "time step", default=5e-4, low=1e-9, high=1e6)
    life: np.float64 = Number("yr", "how long a system is watched", default=4.0, low=1e-9, high=1e12)
    scheme: np.int32 = Field("code", "how a step is composed", dtype=np.int32, default="sixth", choices=SCHEMES)
    softening: np.float64 = Number(
        "au", "added to distances, squared under the root; 0 is Newton's gravity", default=0.0, low=0, high=1e6
    )
    watch_every: np.int32 = Field(
        "steps", "from one look at orbits and distances to the next", dtype=np.int32, default=2, low=1, high=1_000_000
    )
    stars: np.int32 = Field("bodies", "how many bodies, the first ones, are stars", dtype=np.int32, default=1, low=1, high=64)


class Genes(NamedTuple):
    period: np.ndarray = Field("yr", "of the innermost planet", (), low=0.02, high=0.04)
    ratio: np.ndarray = Field("1", "period over that of the planet inside, less than an octave", ("gaps",), low=1.15, high=1.95)
    mass: np.ndarray = Field("log10 solar mass", "of planets", ("planets",), low=-6.0, high=-3.5)
    phase: np.ndarray = Field("turn", "eccentric anomaly at the start", ("planets",), low=0, high=1)
    eccentricity: np.ndarray = Field("1", "of orbits", ("planets",), low=0, high=0.1, spread=0.03)
    periapsis: np.ndarray = Field("turn", "from the node", ("planets",), low=0, high=1)
    inclination: np.ndarray = Field("rad", "to the reference plane", ("planets",), low=0, high=0.05)
    node: np.ndarray = Field("turn", "where the orbit rises through the reference plane", ("planets",), low=0, high=1)


class Inputs(NamedTuple):
    gm: np.ndarray = Number("au3/yr2", "G times mass", ("bodies",))
    position: np.ndarray = Number("au", "at the start", (3, "bodies"))
    velocity: np.ndarray = Number("au/yr", "at the start", (3, "bodies"))


class State(NamedTuple):
    position: np.ndarray = Number("au", "of bodies", (3, "bodies"))
    velocity: np.ndarray = Number("au/yr", "of bodies", (3, "bodies"))
    acceleration: np.ndarray = Number("au/yr2", "of bodies where they are", (3, "bodies"))
    energy: np.ndarray = Number("au5/yr4", "at the start, times G")
    momentum: np.ndarray = Number("au5/yr3", "angular momentum at the start, times G", (3,))
    axis: np.ndarray = Number("au", "semi-major axis at the start, about all that is further inside; 0 for stars", ("bodies",))
    inverse_axis: np.ndarray = Number("1/au", "1 / semi-major axis, summed over looks, the start among them", ("bodies",))
    migration: np.ndarray = Number("1", "largest relative change of a semi-major axis so far")
    gap: np.ndarray = Number("1", "least distance of two planets so far, in mutual Hill radii, to the sixth power")
    broken: np.ndarray = Field("code", "a planet was not bound, or a number not finite", (), dtype=np.bool_)


class Outcome(NamedTuple):
    fitness: np.ndarray = Number("1", "consonance, less for planets that come close or migrate; 0 to 1")
    energy_error: np.ndarray = Number("1", "relative change of the energy")
    angular_momentum_error: np.ndarray = Number("1", "relative change of the angular momentum")
    closest: np.ndarray = Number("mutual Hill radii", "least distance of two planets; at most 1000")
    migration: np.ndarray = Number("1", "largest relative change of a semi-major axis")
    consonance: np.ndarray = Number("1", "how near neighbours' mean period ratios are to simple just intervals; 1 for octaves")
    position: np.ndarray = Number("au", "of bodies at the end", (3, "bodies"))
    status: np.ndarray = Field("code", "0 OK, 1 UNSTABLE: a planet left, two met, or the step did not hold", dtype=np.int8)


MODES = {  # error: see `error`; what LIKELY systems stay below
    "accurate": Mode(doc="sixth order, 40 steps to the shortest period that genes allow"),
    "fast": Mode(
        doc="fourth order, 20 steps to it",
        params={"scheme": "fourth", "dt": 1e-3, "watch_every": 1},
        error={"position": 0.005, "fitness": 1e-4, "lost": 0.05},
    ),
    "ultra_fast": Mode(
        doc="fourth order, 10 steps to it",
        params={"scheme": "fourth", "dt": 2e-3, "watch_every": 1},
        error={"position": 0.1, "fitness": 0.005, "lost": 0.1},
    ),
    "extreme": Mode(
        doc="leapfrog, 40 steps to it: shapes of orbits hold, places on them do not",
        params={"scheme": "leapfrog"},
        error={"position": 2.5, "fitness": 0.01, "lost": 0.1},
    ),
}


def error(accurate: Outcome, other: Outcome) -> dict[str, float]:
    """position: largest displacement of a planet at the end, over its distance from the first star; fitness: its change.

    Both are what LIKELY systems stay below, of those that end well in both modes. lost: share of systems with another status.
    """
    kept = (accurate.status == Status.OK) & (other.status == Status.OK)
    lost = float((accurate.status != other.status).mean())
    if not kept.any() or accurate.position.shape[2] < 2:
        return {"position": 0.0, "fitness": 0.0, "lost": lost}
    place = accurate.position[kept]
    distance = np.sqrt(((place - place[:, :, :1]) ** 2).sum(1))[:, 1:]
    moved = np.sqrt(((other.position[kept] - place) ** 2).sum(1))[:, 1:]
    return {
        "position": float(np.quantile((moved / distance).max(1), LIKELY)),
        "fitness": float(np.quantile(np.abs(other.fitness - accurate.fitness)[kept], LIKELY)),
        "lost": lost,
    }
