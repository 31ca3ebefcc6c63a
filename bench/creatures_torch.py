"""The yardstick: the same creatures as batched, padded torch tensors, one eager operation for each arithmetic step.

This is how soft bodies are usually batched. It computes what worlds/creatures computes with a pure brain that ticks every step, and
`bench/creatures.py` checks that both agree before it compares their speed.
"""

import torch


class Batch:
    """Bodies of one shape: node arrays [body, node, …], muscle arrays [body, muscle], network weights [body, row, column]."""

    def __init__(self, bodies, params):
        t = {name: torch.from_numpy(array.copy()) for name, array in bodies.items()}
        self.p, self.t = params, t
        self.first = t["pair"][:, :, 0].long().unsqueeze(-1).expand(-1, -1, 3).contiguous()
        self.second = t["pair"][:, :, 1].long().unsqueeze(-1).expand(-1, -1, 3).contiguous()
        self.share = (t["mass"] / t["mass"].sum(1, keepdim=True)).unsqueeze(-1)
        self.lightness = (1 / t["mass"]).unsqueeze(-1)
        self.reach = torch.minimum(t["rest"] * t["amplitude"], torch.minimum(t["rest"] - 0.1, 10 - t["rest"]))
        self.position, self.velocity = t["born"].clone(), torch.zeros_like(t["born"])
        self.length = t["rest"].clone()
        self.target = torch.tensor([float(params.target), 0.0, 0.0])

    def think(self, t):
        """The rest length that each muscle makes for."""
        p, w = self.p, self.t
        x, v = (self.position * self.share).sum(1), (self.velocity * self.share).sum(1)
        way = self.target - x
        distance = torch.sqrt((way * way).sum(-1, keepdim=True)) + 1e-6
        phase = torch.sin(2 * torch.pi * (t * float(p.dt)) * w["tempo"]).unsqueeze(-1)
        seen = torch.cat([v, way / distance, distance * 0.05, phase], 1)
        hidden = torch.tanh(torch.bmm(w["weights_in"], seen.unsqueeze(-1)).squeeze(-1) + w["bias_in"])
        told = torch.tanh(torch.bmm(w["weights_out"], hidden.unsqueeze(-1)).squeeze(-1) + w["bias_out"])
        return w["rest"] + self.reach * told

    def step(self, t):
        """One time step of all bodies."""
        p, w, x, v = self.p, self.t, self.position, self.velocity
        dt, fall, fastest = float(p.dt), float(p.gravity) * float(p.dt), float(p.speed) * float(p.dt)
        self.length = self.length + ((self.think(t) - self.length) * (float(p.response) * dt)).clamp(-fastest, fastest)
        along = x.gather(1, self.second) - x.gather(1, self.first)
        length = torch.sqrt((along * along).sum(-1) + 1e-12)
        along = along / length.unsqueeze(-1)
        rate = ((v.gather(1, self.second) - v.gather(1, self.first)) * along).sum(-1)
        pull = (w["stiffness"] * (length - self.length) + w["damping"] * rate).unsqueeze(-1) * along
        force = torch.zeros_like(x).scatter_add_(1, self.first, pull).scatter_add_(1, self.second, -pull)
        self.velocity = (v + force * self.lightness * dt) * (1 - float(p.drag) * dt)
        self.land(dt, fall)

    def land(self, dt, fall):
        """Gravity, restitution and friction on the ground."""
        w, (vx, vy, vz) = self.t, self.velocity.unbind(-1)
        floor, vy = w["size"] * 0.5, vy + fall
        y = self.position[..., 1] + vy * dt
        touching = y < floor
        vy = torch.where(touching, torch.where(vy < 2 * fall, -float(self.p.restitution) * vy, 0.0), vy)
        sliding = torch.sqrt(vx * vx + vz * vz) + 1e-9
        kept = torch.where(touching, (1 + w["friction"] * fall / sliding).clamp(min=0), 1.0)
        vx, vz = vx * kept, vz * kept
        self.velocity = torch.stack([vx, vy, vz], -1)
        self.position = torch.stack([self.position[..., 0] + vx * dt, torch.maximum(y, floor), self.position[..., 2] + vz * dt], -1)


def run(bodies, params, steps, threads):
    """Positions [body, node, 3] after some steps."""
    torch.set_num_threads(threads)
    with torch.inference_mode():
        batch = Batch(bodies, params)
        for t in range(steps):
            batch.step(t)
        return batch.position.numpy()
