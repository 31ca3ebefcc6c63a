"""Gravity again, slow and obvious: NumPy over all pairs, and leapfrog in its plainest form. It shares no code with the kernels."""

import math

import numpy as np

from worldloom.worlds.orbits.system import System


def accelerations(gm, x):
    """Newton's law, body by body. gm [body], x [body, 3]."""
    found = np.zeros_like(x)
    for k in range(len(gm)):
        for j in range(len(gm)):
            if j != k:
                away = x[j] - x[k]
                found[k] += gm[j] * away / math.sqrt(away @ away) ** 3
    return found


def leapfrog(gm, x, v, dt, steps):
    """Kick, drift, kick: (x, v) after so many steps."""
    x, v = x.copy(), v.copy()
    a = accelerations(gm, x)
    for _ in range(steps):
        v += 0.5 * dt * a
        x += dt * v
        a = accelerations(gm, x)
        v += 0.5 * dt * a
    return x, v


def energy(gm, x, v):
    """Kinetic and potential energy, times G."""
    pairs = [(k, j) for k in range(len(gm)) for j in range(k)]
    return 0.5 * (gm * (v**2).sum(1)).sum() - sum(gm[k] * gm[j] / math.dist(x[k], x[j]) for k, j in pairs)


def system_of(mass, x, v, *, G=1.0, stars=1):
    """A System with no names to speak of."""
    count = len(mass)
    return System(
        G=G, units="plain", stars=stars, names=tuple(f"body {k}" for k in range(count)), kinds=("rocky",) * count,
        colours=("#ffffff",) * count, mass=np.array(mass, float), position=np.array(x, float), velocity=np.array(v, float),
        radius=np.ones(count),
    )  # fmt: skip


def planets(count, *, mass=1e-5, spread=0.35, seed=0, e=0.05):
    """A star of mass 1 with planets on orbits that are nearly circular and nearly in one plane; at rest as a whole. G = 1."""
    draw = np.random.default_rng(seed)
    x, v = [np.zeros(3)], [np.zeros(3)]
    for k in range(count):
        a, turn, tilt = (1 + spread) ** k, draw.uniform(0, 2 * math.pi), draw.normal(0, 0.02)
        out, along = np.array([math.cos(turn), math.sin(turn), tilt]), np.array([-math.sin(turn), math.cos(turn), 0.0])
        x.append(a * (1 - e) * out)
        v.append(math.sqrt((1 + e) / (1 - e) / a) * along)
    return system_of([1.0, *[mass] * count], x, v).centred()
