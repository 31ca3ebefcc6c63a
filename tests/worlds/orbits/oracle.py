"""Slow and obvious references: gravity in long double with extrapolation, the energy, and the systems of the benchmarks."""

import math

import numpy as np

from worldloom.worlds.orbits.system import System

COLUMNS = 9  # substeps of the extrapolation: order 18


def plain(mass, position, velocity, G=1.0):
    """A System of bodies as they are."""
    bodies = len(mass)
    return System(
        G=G, units="plain", names=tuple(f"body {k}" for k in range(bodies)), kinds=("rocky",) * bodies, colours=("#fff",) * bodies,
        mass=np.asarray(mass, float), position=np.asarray(position, float).reshape(-1, 3),
        velocity=np.asarray(velocity, float).reshape(-1, 3), radius=np.ones(bodies),
    )  # fmt: skip


def baseline(planets, lighter=1.0):
    """The systems of the original: planets in a row on circular speeds around a star of mass 100, G = 0.01; masses / lighter."""
    a = 0.35 + 0.18 * np.arange(planets)
    nothing = np.zeros(planets)
    mass = np.concatenate([[100.0], (0.05 + 0.08 * np.arange(planets)) / lighter])
    position = np.vstack([np.zeros(3), np.stack([a, nothing, nothing], axis=1)])
    velocity = np.vstack([np.zeros(3), np.stack([nothing, np.sqrt(1.0 / a), nothing], axis=1)])
    return plain(mass, position, velocity, 0.01)


def energy(system, position, velocity):
    """Total energy in long double."""
    m, x, v = (np.asarray(array, np.longdouble) for array in (system.mass, position, velocity))
    first, second = np.triu_indices(len(m), 1)
    apart = np.sqrt(((x[first] - x[second]) ** 2).sum(axis=1))
    return (m * (v * v).sum(axis=1)).sum() / 2 - np.longdouble(system.G) * (m[first] * m[second] / apart).sum()


def accelerations(gm, x):
    """[body, 3] in the precision of x."""
    apart = x[None] - x[:, None]
    square = (apart * apart).sum(axis=2) + np.eye(len(gm), dtype=x.dtype)
    return (gm[None, :, None] * apart / (square * np.sqrt(square))[:, :, None]).sum(axis=1)


def reference(system, duration, steps):
    """Positions at the end in long double: leapfrog with 1, 2, … 9 substeps, extrapolated (Gragg 1965), in equal steps."""
    gm, x, v = (np.asarray(array, np.longdouble) for array in (system.gm, system.position, system.velocity))
    h = np.longdouble(duration) / steps
    weights = [
        math.prod(n * n / np.longdouble(n * n - m * m) for m in range(1, COLUMNS + 1) if m != n) for n in range(1, COLUMNS + 1)
    ]
    for _ in range(steps):
        found = np.zeros((2, *x.shape), np.longdouble)
        for n in range(1, COLUMNS + 1):
            place, speed, part = x.copy(), v.copy(), h / n
            for _ in range(n):
                place += part / 2 * speed
                speed += part * accelerations(gm, place)
                place += part / 2 * speed
            found += weights[n - 1] * np.stack([place, speed])
        x, v = found
    return x.astype(float)
