"""From numbers to pictures: bodies and their orbits at one moment, and a replay as named arrays. Plain data, nothing is drawn here."""

import numpy as np

from worldloom.core.frame import Lines, Points
from worldloom.worlds.orbits.system import ASTRO_G

SIDES = 64  # of the polygon that shows an orbit
STAR, DOT = 0.03, 0.012  # radii on the picture, shares of its size: to scale nothing would be seen
STAR_COLOUR = (1.0, 0.85, 0.45)


def frame(params, inputs, state, i):
    """Shapes of lane i: stars, planets, and the ellipses on which planets would go on without each other."""
    stars, place = int(params.stars), state.position[i].T
    size = float(np.abs(np.where(np.isfinite(place), place, 0)).max()) or 1.0
    planets = np.arange(stars, len(place))
    path, pairs = orbits(inputs.gm[i], place, state.velocity[i].T, stars)
    return [
        Points(name="stars", xyz=place[:stars], radius=STAR * size, colour=np.array(STAR_COLOUR)),
        Points(name="planets", xyz=place[stars:], radius=radii(inputs.gm[i, planets], size), colour=colours(len(planets))),
        Points(name="path", xyz=path, radius=0.0),
        Lines(name="orbits", points="path", pairs=pairs, width=0.003 * size),
    ]


def radii(gm, size):
    """[planet]: bodies of more mass are drawn larger, those of 1e-6 solar masses as DOT."""
    return DOT * size * np.clip(np.cbrt(gm / ASTRO_G / 1e-6), 0.5, 3) ** 0.5


def colours(count):
    """[planet, 3]: from warm inside to cold outside."""
    share = (np.arange(count) / max(count - 1, 1))[:, None]
    return (1 - share) * np.array([0.95, 0.55, 0.35]) + share * np.array([0.4, 0.65, 0.95])


def orbits(gm, place, velocity, stars):
    """(path [point, 3], pairs [line, 2]) of the bound planets' ellipses about the stars' centre of mass."""
    weights = gm[:stars] / max(gm[:stars].sum(), 1e-300)
    centre, drift = weights @ place[:stars], weights @ velocity[:stars]
    rings = [ring(gm[:stars].sum() + gm[k], place[k] - centre, velocity[k] - drift) for k in range(stars, len(gm))]
    rings = [centre + found for found in rings if found is not None]
    starts = SIDES * np.arange(len(rings))[:, None]
    corner = np.arange(SIDES)
    pairs = np.stack([starts + corner, starts + (corner + 1) % SIDES], axis=-1).reshape(-1, 2).astype(np.int32)
    return np.concatenate(rings) if rings else np.zeros((0, 3)), pairs


def ring(mu, x, v):
    """[SIDES, 3] of an ellipse about the origin, or None where it is not one. Directions from the eccentricity vector."""
    distance = np.sqrt(x @ x)
    inverse = 2 / distance - v @ v / mu if distance > 0 else -1.0
    if not (np.isfinite(inverse) and inverse > 0):
        return None
    a, towards = 1 / inverse, (v @ v / mu - 1 / distance) * x - (x @ v) / mu * v
    e = min(np.sqrt(towards @ towards), 1.0)
    first = towards / e if e > 1e-9 else x / distance
    second = np.cross(np.cross(x, v), first)
    second = second / max(np.sqrt(second @ second), 1e-300)
    angle = 2 * np.pi * np.arange(SIDES)[:, None] / SIDES
    return a * ((np.cos(angle) - e) * first + np.sqrt(1 - e * e) * np.sin(angle) * second)


def track(params, inputs, states):
    """positions [frame, body, 3] au, velocities alike, gm [body] au3/yr2, stars: how many of the bodies."""
    return {
        "positions": np.ascontiguousarray(np.swapaxes(states.position, 1, 2)),
        "velocities": np.ascontiguousarray(np.swapaxes(states.velocity, 1, 2)),
        "gm": inputs.gm[0],
        "stars": np.int32(params.stars),
    }
