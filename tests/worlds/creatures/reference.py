"""The creature step again, slow and obvious: one body at a time, float64, vectors as NumPy arrays, written from the README's equations.

It shares no code with the kernel. Trajectories are chaotic, so it is compared over short horizons.
"""

import numpy as np


class Body:
    """One body from the kernel's Inputs, lane `k`; living nodes and present muscles only."""

    def __init__(self, inputs, k):
        block = k // 16
        edges = range(int(inputs.edge_count[block]))
        self.x = inputs.born[k].T.astype(float).copy()
        self.v = np.zeros_like(self.x)
        self.radius, self.friction = inputs.radius[k].astype(float), inputs.friction[k].astype(float)
        self.mass = np.array([1 / w if w > 0 else np.inf for w in inputs.lightness[k].astype(float)])
        self.muscles = []
        for e in edges:
            if inputs.stiffness[k, e] > 0:
                rest = float(inputs.rest[k, e])
                self.muscles.append({
                    "ends": (int(inputs.first[block, e]), int(inputs.second[block, e])), "rest": rest, "length": rest, "goal": rest,
                    "reach": float(inputs.reach[k, e]), "k": float(inputs.stiffness[k, e]), "c": float(inputs.damping[k, e]),
                    "f": float(inputs.frequency[k, e]), "phase": float(inputs.phase[k, e]),
                })  # fmt: skip


def command(body, t, p):
    """Oscillators only: each muscle makes for rest + reach sin(2 pi (f t + phase))."""
    for m in body.muscles:
        goal = m["rest"] + m["reach"] * np.sin(2 * np.pi * (m["f"] * t * float(p.dt) + m["phase"])) * float(p.drive)
        m["goal"] = min(max(goal, 0.1), 10.0)


def step(body, t, p):
    """One time step of one body."""
    dt = float(p.dt)
    if t >= p.settle_steps and (t - p.settle_steps) % p.control_every == 0:
        command(body, t, p)
    force = np.zeros_like(body.x)
    for m in body.muscles:
        a, b = m["ends"]
        fastest = float(p.speed) * dt
        m["length"] += min(max((m["goal"] - m["length"]) * float(p.response) * dt, -fastest), fastest)
        along = body.x[b] - body.x[a]
        length = np.sqrt(along @ along + 1e-12)
        along = along / length
        rate = (body.v[b] - body.v[a]) @ along
        pull = (m["k"] * (length - m["length"]) + m["c"] * rate) * along
        force[a] += pull
        force[b] -= pull
    for n in range(len(body.x)):
        move(body, n, force[n], p, dt)


def move(body, n, force, p, dt):
    """Semi-implicit Euler, air drag, restitution, friction of at most mu m g dt."""
    v = (body.v[n] + force / body.mass[n] * dt) * (1 - float(p.drag) * dt)
    fall = float(p.gravity) * dt
    v[1] += fall
    y = body.x[n, 1] + v[1] * dt
    if y < body.radius[n]:
        v[1] = -float(p.restitution) * v[1] if v[1] < 2 * fall else 0.0
        y = body.radius[n]
        sliding = np.hypot(v[0], v[2])
        grip = min(body.friction[n] * -fall, sliding)
        if sliding > 0:
            v[[0, 2]] *= 1 - grip / sliding
    body.v[n] = v
    body.x[n] = [body.x[n, 0] + v[0] * dt, y, body.x[n, 2] + v[2] * dt]


def energy(positions, velocities, inputs, k, lengths, gravity):
    """Kinetic + potential + elastic energy of lane k, J."""
    alive = inputs.lightness[k] > 0
    mass = np.where(alive, 1 / np.where(alive, inputs.lightness[k], 1), 0).astype(float)
    kinetic = 0.5 * (mass * (velocities**2).sum(0)).sum()
    potential = -gravity * (mass * positions[1]).sum()
    elastic = 0.0
    for e in range(int(inputs.edge_count[k // 16])):
        a, b = inputs.first[k // 16, e], inputs.second[k // 16, e]
        stretch = np.linalg.norm(positions[:, b] - positions[:, a]) - lengths[e]
        elastic += 0.5 * float(inputs.stiffness[k, e]) * stretch**2
    return kinetic + potential + elastic
