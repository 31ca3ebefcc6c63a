"""Kepler's elements from states and states from elements, for ellipses, hyperbolas and the lines between them.

One set of formulas serves both: with A = |a|, q = |1 - e| and x the eccentric anomaly E (ellipse) or H (hyperbola), and with
S = sin x or sinh x, d = |1 - cos x| or |1 - cosh x| and |x - S|, each computed without cancellation,

    mean anomaly = q x + e |x - S|     r = A (q + e d)     X = A (q - d)     Y = A sqrt(q (1 + e)) S

so that nothing is lost near the periapsis of a comet, where E - e sin E has no digits left. Angles are rad. The reference plane is x-y,
nodes and periapses are counted from +x as in Murray and Dermott 1999, Solar System Dynamics, section 2.8.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldloom.core.errors import InputError

Array = NDArray[np.float64]
ITERATIONS = 6  # the start is good to 2e-3, each step triples its digits; six leave a margin for e = 1 - 1e-12
SERIES = 1.0  # rad; below, x - sin x comes from its series
TINY = 1e-14  # eccentricities and sines of inclinations below are rounding, and count as zero


class Elements(NamedTuple):
    """Elements [body] in the order in which `state_of` takes them: a in units of length, negative for hyperbolas; angles in rad."""

    a: Array
    e: Array
    inclination: Array
    node: Array
    periapsis: Array
    mean_anomaly: Array


def state_of(
    gm: ArrayLike,
    a: ArrayLike,
    e: ArrayLike,
    inclination: ArrayLike,
    node: ArrayLike,
    periapsis: ArrayLike,
    mean_anomaly: ArrayLike,
) -> tuple[Array, Array]:
    """Position and velocity [body, 3] relative to the central body, of orbits with gm = G times the mass of both.

    All arguments [body] or one number. a < 0 goes with e > 1; e = 1 is motion on a line, with the period that a says.
    Raises InputError where a and e contradict each other, gm is not positive or a number is not finite.
    """
    mu, axis, shape, *angles = alike(gm, a, e, inclination, node, periapsis, mean_anomaly)
    checked(mu, axis, shape, np.sum(angles, axis=0))
    size, gap, open_ = np.abs(axis), np.abs(1 - shape), axis < 0
    anomaly = eccentric_anomaly(angles[3], shape, hyperbolic=open_)
    sine, less_one = circular_or_hyperbolic(anomaly, open_)
    cosine = np.where(open_, 1 + less_one, 1 - less_one)
    distance, minor, pace = size * (gap + shape * less_one), np.sqrt(gap * (1 + shape)), np.sqrt(mu * size)
    if not np.all(distance > 0):
        raise InputError("A body is in the centre of its orbit (e = 1, mean_anomaly = 0). Expected another mean_anomaly.")
    towards, across = axes(*angles[:3])
    position = (size * (gap - less_one))[:, None] * towards + (size * minor * sine)[:, None] * across
    velocity = (-pace / distance * sine)[:, None] * towards + (pace / distance * minor * cosine)[:, None] * across
    return position, velocity


def alike(*values: ArrayLike) -> list[Array]:
    """Values as arrays [body] of one length."""
    return [np.atleast_1d(value) for value in np.broadcast_arrays(*(np.asarray(value, np.float64) for value in values))]


def checked(gm: Array, a: Array, e: Array, angles: Array) -> None:
    """Raises InputError unless each body has one orbit."""
    if not np.all(np.isfinite(gm) & (gm > 0)):
        raise InputError(
            f"gm = {gm.tolist()} is not positive everywhere. Expected G times the mass of the central body and the orbiting one."
        )
    fits = np.isfinite(a) & (a != 0) & np.isfinite(e) & (e >= 0) & ((e == 1) | ((a > 0) == (e < 1)))
    if not fits.all():
        k = int(np.argmin(fits))
        raise InputError(f"a = {a[k]:g} with e = {e[k]:g} is no orbit. Expected a > 0 with 0 <= e < 1, or a < 0 with e > 1.")
    if not np.isfinite(angles).all():
        raise InputError("An angle of an orbit is not finite. Expected rad.")


def axes(inclination: Array, node: Array, periapsis: Array) -> tuple[Array, Array]:
    """Unit vectors [body, 3] to the periapsis, and a right angle further along the orbit. Murray and Dermott 1999, section 2.8."""
    up, cross = np.cos(inclination), np.sin(inclination)
    node_cos, node_sin, peri_cos, peri_sin = np.cos(node), np.sin(node), np.cos(periapsis), np.sin(periapsis)
    towards = [node_cos * peri_cos - node_sin * peri_sin * up, node_sin * peri_cos + node_cos * peri_sin * up, peri_sin * cross]
    across = [-node_cos * peri_sin - node_sin * peri_cos * up, -node_sin * peri_sin + node_cos * peri_cos * up, peri_cos * cross]
    return np.stack(towards, axis=1), np.stack(across, axis=1)


def eccentric_anomaly(mean_anomaly: ArrayLike, e: ArrayLike, *, hyperbolic: ArrayLike) -> Array:
    """E with E - e sin E = mean_anomaly, reduced to -pi … pi, or where hyperbolic H with e sinh H - H = mean_anomaly.

    A fixed number of Halley steps from a start that is safe for every e and mean anomaly.
    Source: Mikkola 1987, A cubic approximation for Kepler's equation, Celestial Mechanics 40, 329 (start).
    """
    mean, shape, sides = alike(mean_anomaly, e, hyperbolic)
    open_, turn = sides > 0, 2 * np.pi
    mean = np.where(open_, mean, mean - turn * np.round(mean / turn))
    gap, x = np.abs(1 - shape), start(mean, shape, open_)
    for _ in range(ITERATIONS):
        sine, less_one = circular_or_hyperbolic(x, open_)
        slope = gap + shape * less_one
        slope = np.where(slope > 0, slope, 1.0)  # only at x = 0 of e = 1, which is the answer already
        newton = (gap * x + shape * excess(x, open_) - mean) / slope
        x = x - newton / np.maximum(1 - 0.5 * newton * shape * sine / slope, 0.5)
    return x


def start(mean: Array, e: Array, open_: NDArray[np.bool_]) -> Array:
    """First guess of the eccentric anomaly: the cubic that Kepler's equation is in the sine of a third of it."""
    scale = 4 * e + 0.5
    alpha, beta = np.abs(1 - e) / scale, 0.5 * np.abs(mean) / scale
    root = np.cbrt(beta + np.sqrt(beta * beta + alpha**3))
    s = root - alpha / np.where(root > 0, root, 1.0)
    bound = np.minimum(s, 1.0)  # sines of a third of pi stay below; keeps the other branch's s from overflowing
    bound = bound - 0.078 * bound**5 / (1 + e)
    ellipse = np.abs(mean) + e * (3 * bound - 4 * bound**3)
    s = s + 0.071 * s**5 / ((1 + 0.45 * s * s) * (1 + 4 * s * s) * np.maximum(e, 1.0))
    return np.copysign(np.where(open_, 3 * np.arcsinh(s), ellipse), mean)


def circular_or_hyperbolic(x: Array, open_: NDArray[np.bool_]) -> tuple[Array, Array]:
    """(sin x, 1 - cos x), or where open (sinh x, cosh x - 1)."""
    wide = np.where(open_, x, 0.0)
    half = np.where(open_, np.sinh(0.5 * wide), np.sin(0.5 * x))
    return np.where(open_, np.sinh(wide), np.sin(x)), 2 * half * half


def excess(x: Array, open_: NDArray[np.bool_]) -> Array:
    """x - sin x, or where open sinh x - x, to full relative accuracy."""
    sine, _ = circular_or_hyperbolic(x, open_)
    near = np.where(np.abs(x) < SERIES, x, 0.0)
    step = np.where(open_, 1.0, -1.0) * near * near
    series = np.ones_like(near)
    for n in (18, 16, 14, 12, 10, 8, 6, 4):
        series = 1 + step / (n * (n + 1)) * series
    return np.where(np.abs(x) < SERIES, near**3 / 6 * series, np.where(open_, sine - x, x - sine))


def elements_of(gm: ArrayLike, position: ArrayLike, velocity: ArrayLike) -> Elements:
    """Elements [body] of states [body, 3] relative to the central body; gm [body] = G times the mass of both.

    `state_of(gm, *elements_of(gm, x, v))` gives x and v back. Where an angle has no meaning it is chosen so that this stays true:
    circular, periapsis 0 and the anomaly counted from the node; planar, node 0; radial, e = 1 in the plane that leans least.
    mean_anomaly is -pi … pi, and before the periapsis negative. Angles node and periapsis are 0 … 2 pi.
    Raises InputError for a body in the centre, for a parabola, which has no a, and for numbers that are not finite.
    """
    x, v = np.atleast_2d(np.asarray(position, np.float64)), np.atleast_2d(np.asarray(velocity, np.float64))
    mu = np.broadcast_to(np.asarray(gm, np.float64), x.shape[:1])
    distance, speed2 = np.linalg.norm(x, axis=1), np.sum(v**2, axis=1)
    if not (np.isfinite(distance + speed2 + mu).all() and (distance > 0).all() and (mu > 0).all()):
        raise InputError(
            "A body has no orbit: it is in the centre, gm is not positive or a number is not finite. Expected a state."
        )
    momentum = np.cross(x, v)
    inverse = 2 / distance - speed2 / mu
    if (inverse == 0).any():
        raise InputError("An orbit is a parabola, which has no semi-major axis. Expected another speed.")
    a, outward = 1 / inverse, np.sum(x * v, axis=1)
    e_sine, e_cosine = outward / np.sqrt(mu * np.abs(a)), distance * speed2 / mu - 1
    latus = np.sum(momentum**2, axis=1) / mu
    e = eccentricity(a, e_sine, e_cosine, latus)
    true = np.where(e > 0, np.arctan2(np.sqrt(latus / mu) * outward / distance, latus / distance - 1), 0.0)
    inclination, node, argument = plane(x / distance[:, None], momentum / (distance * np.sqrt(speed2 + TINY**2))[:, None])
    mean = np.where(e > 0, mean_from(a, e, e_sine, e_cosine), np.remainder(argument + np.pi, 2 * np.pi) - np.pi)
    periapsis = np.where(e > 0, np.remainder(argument - true, 2 * np.pi), 0.0)
    return Elements(a, e, inclination, node, periapsis, mean)


def eccentricity(a: Array, e_sine: Array, e_cosine: Array, latus: Array) -> Array:
    """Eccentricity [body], for both small ones and ones near 1; e_sine and e_cosine are e times sin E and cos E (sinh and cosh)."""
    rough = np.sqrt(np.maximum(e_cosine**2 + np.where(a > 0, 1, -1) * e_sine**2, 0.0))
    e = np.where(rough > 0.5, 1 - latus / (a * (1 + rough)), rough)
    e = np.where(a < 0, np.maximum(e, 1.0), np.minimum(e, 1.0))
    return np.where(e < TINY, 0.0, e)


def mean_from(a: Array, e: Array, e_sine: Array, e_cosine: Array) -> Array:
    """Mean anomaly [body]."""
    open_ = a < 0
    anomaly = np.where(open_, np.arcsinh(e_sine / np.where(open_, e, 1.0)), np.arctan2(e_sine, e_cosine))
    return np.abs(1 - e) * anomaly + e * excess(anomaly, open_)


def plane(outward: Array, momentum: Array) -> tuple[Array, Array, Array]:
    """(inclination, node, angle from node to body) [body], from directions [body, 3]; momentum may be nothing but rounding."""
    upright = np.array([0.0, 0.0, 1.0]) - outward * outward[:, 2:]
    upright = np.where(np.linalg.norm(upright, axis=1, keepdims=True) > TINY, upright, [1.0, 0.0, 0.0])
    normal = np.where(np.linalg.norm(momentum, axis=1, keepdims=True) > TINY, momentum, upright)
    normal = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    lean = np.hypot(normal[:, 0], normal[:, 1])
    flat = lean < TINY
    node = np.where(flat, 0.0, np.remainder(np.arctan2(normal[:, 0], -normal[:, 1]), 2 * np.pi))
    inclination = np.where(flat, np.where(normal[:, 2] > 0, 0.0, np.pi), np.arctan2(lean, normal[:, 2]))
    along = np.stack([np.cos(node), np.sin(node), np.zeros_like(node)], axis=1)
    beyond = np.cross(normal, along)
    return inclination, node, np.arctan2(np.sum(outward * beyond, axis=1), np.sum(outward * along, axis=1))
