"""Systems as genes, and genes as the kernel's Inputs.

Positions come from sines, roots and powers, whose last bits differ between NumPy's builds, and a run must not: a small world, BIRTH,
computes them in lane code, and what is left for NumPy is + - * / one by one in the order of the bodies.
"""

from collections.abc import Mapping
from functools import partial
from math import log2
from typing import NamedTuple

import numpy as np

from worldloom.core import Field, Genome, InputError, World, cast, cbrt, exp2, extent, lane_code, like, sincos, sincos_turns, sqrt
from worldloom.core.keys import fold, uniforms
from worldloom.core.rollout import Rollout
from worldloom.worlds.orbits.spec import Genes, Inputs, Number, Params
from worldloom.worlds.orbits.system import ASTRO_G

OCTAVES_OF_TEN = log2(10)


class Born(NamedTuple):
    gm: np.ndarray = Number("au3/yr2", "G times mass", ("planets",))
    position: np.ndarray = Number("au", "from the centre of mass of all further inside", (3, "planets"))
    velocity: np.ndarray = Number("au/yr", "relative to it", (3, "planets"))


class Nothing(NamedTuple):
    status: np.ndarray = Field("code", "always 0", dtype=np.int8)


@lane_code
def place(i, key, params, genes, born):
    """Orbits as positions and velocities about all that is further inside; the star has one solar mass."""
    period = cast(genes.period[i], np.float64)
    mass = like(period, 1)
    for planet in range(extent(born.gm, 0)):
        own = exp2(cast(genes.mass[i, planet], np.float64) * OCTAVES_OF_TEN)
        mass = mass + own
        if planet > 0:
            period = period * cast(genes.ratio[i, planet - 1], np.float64)
        born.gm[i, planet] = own * ASTRO_G
        ellipse(i, planet, cbrt(mass * period * period), mass * ASTRO_G, genes, born)


@lane_code
def ellipse(i, planet, a, mu, genes, born):
    """Murray and Dermott 1999, Solar System Dynamics, sections 2.4 and 2.8, from the eccentric anomaly."""
    e = cast(genes.eccentricity[i, planet], np.float64)
    sine, cosine = sincos_turns(cast(genes.phase[i, planet], np.float64))
    minor, distance = sqrt(1 - e * e), a * (1 - e * cosine)
    pace = sqrt(mu * a) / distance
    x, y, u, v = a * (cosine - e), a * minor * sine, -pace * sine, pace * minor * cosine
    peri_sine, peri_cosine = sincos_turns(cast(genes.periapsis[i, planet], np.float64))
    node_sine, node_cosine = sincos_turns(cast(genes.node[i, planet], np.float64))
    cross, up = sincos(cast(genes.inclination[i, planet], np.float64))
    x, y = x * peri_cosine - y * peri_sine, x * peri_sine + y * peri_cosine
    u, v = u * peri_cosine - v * peri_sine, u * peri_sine + v * peri_cosine
    born.position[i, 0, planet] = x * node_cosine - y * up * node_sine
    born.position[i, 1, planet] = x * node_sine + y * up * node_cosine
    born.position[i, 2, planet] = y * cross
    born.velocity[i, 0, planet] = u * node_cosine - v * up * node_sine
    born.velocity[i, 1, planet] = u * node_sine + v * up * node_cosine
    born.velocity[i, 2, planet] = v * cross


@lane_code
def pass_by(i, key, t, params, genes, action, born, obs):
    """No step is taken."""


@lane_code
def close(i, params, genes, born, nothing):
    nothing.status[i] = 0


BIRTH = World(
    name="orbits-birth", version=1, params=Params, inputs=Genes, state=Born, outcome=Nothing, reset=place, step=pass_by, finish=close,
)  # fmt: skip


def genome(params: Params, sizes: Mapping[str, int]) -> Genome:
    """The genome of one star with planets. Raises InputError where there are none, or more stars than one."""
    planets = sizes["bodies"] - 1
    if params.stars != 1 or planets < 2:
        raise InputError(
            f"{planets} planets about {int(params.stars)} stars cannot evolve. Expected one star and 2 planets or more."
        )
    known = {**sizes, "planets": planets, "gaps": planets - 1}
    return Genome(genes=Genes, sizes=known, express=partial(express, params), sample=partial(sample, known))


def sample(sizes, key, count) -> Genes:
    """Random systems: phases anywhere, orbits nearly circular and nearly in one plane, most with room between the planets."""
    planets = sizes["planets"]
    shares = iter(fold(key, np.arange(8)))

    def share(low, high, *shape):
        return (low + (high - low) * uniforms(next(shares), count, *shape)).astype(np.float32)

    return Genes(
        period=share(0.02, 0.04), ratio=share(1.25, 1.95, sizes["gaps"]), mass=share(-6, -4.5, planets), phase=share(0, 1, planets),
        eccentricity=share(0, 0.04, planets), periapsis=share(0, 1, planets), inclination=share(0, 0.03, planets),
        node=share(0, 1, planets),
    )  # fmt: skip


def express(params, genes) -> Inputs:
    """Genes to Inputs, edge form: star and planets with their centre of mass at rest in the origin."""
    count = len(genes.period)
    rollout = Rollout(BIRTH, params, genes, np.zeros(count, np.uint64))
    rollout.reset()
    born = rollout.state()
    gm = np.concatenate([np.full((count, 1), ASTRO_G), born.gm], axis=1)
    return Inputs(gm=gm, position=centred(gm, born.position), velocity=centred(gm, born.velocity))


def centred(gm, jacobi):
    """Jacobi coordinates [lane, 3, planet] to those about the centre of mass [lane, 3, body]."""
    bodies = np.zeros((len(gm), 3, gm.shape[1]))
    mass, centre = gm[:, :1].copy(), np.zeros((len(gm), 3))
    for planet in range(jacobi.shape[2]):
        own = gm[:, planet + 1 : planet + 2]
        bodies[:, :, planet + 1] = centre + jacobi[:, :, planet]
        mass = mass + own
        centre = centre + jacobi[:, :, planet] * (own / mass)
    return bodies - centre[:, :, None]
