"""Trajectory: motion of all bodies as polynomials between knots, so that a position is known at every time and not only at steps.

Between two knots the position is the polynomial of degree 5 that has their positions, velocities and accelerations (quintic Hermite; its
error is of order h^6), or, where the integrator knows more, its own of any degree: with s = (t - t0) / h and the acceleration
a0 + s b0 + s^2 b1 + …,

    x(s) = x0 + s h v0 + s^2 h^2 (a0 / 2 + s b0 / 6 + s^2 b1 / 12 + s^3 b2 / 20 + … + s^(k + 1) b_k / ((k + 2) (k + 3)) + …)

Source: Rein and Spiegel 2015, IAS15, equation 9, which ends with b6; Hermite interpolation: de Boor 1978.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectory:
    """t [knot], growing; position, velocity, acceleration [knot, body, 3]; higher [segment, term, body, 3]: b0, b1 …, or None.

    energy_error [knot]: relative, since the start. horizon: time from which on positions are one possible future; inf for none.
    early: why the last knot comes before the end that was asked for, "collision" or "1000 steps"; empty where it does not.
    """

    t: Array
    position: Array
    velocity: Array
    acceleration: Array
    higher: Array | None = None
    energy_error: Array
    angular_momentum_error: float = 0.0
    horizon: float = np.inf
    integrator: str = ""
    evaluations: int = 0
    early: str = ""

    @property
    def ended(self) -> float:
        """The time until which it is valid: the last knot."""
        return float(self.t[-1])

    def at(self, times: ArrayLike) -> Array:
        """Positions [time, body, 3]; times within the knots, in any order."""
        powers, coefficients = self._local(np.asarray(times, np.float64))
        return np.einsum("tp,tpbk->tbk", powers, coefficients)

    def velocity_at(self, times: ArrayLike) -> Array:
        """Velocities [time, body, 3]."""
        wanted = np.asarray(times, np.float64)
        powers, coefficients = self._local(wanted)
        step = np.diff(self.t)[self.segment(wanted)]
        degree = np.arange(powers.shape[1])
        slopes = np.where(degree > 0, np.roll(powers, 1, axis=1) * degree, 0.0)
        return np.einsum("tp,tpbk->tbk", slopes, coefficients) / step[:, None, None]

    def segment(self, times: Array) -> NDArray[np.intp]:
        """The segment in which each time lies."""
        return np.clip(np.searchsorted(self.t, times, side="right") - 1, 0, len(self.t) - 2)

    def coefficients(self, first: int = 0, last: int | None = None) -> Array:
        """Polynomials in s = 0 … 1 of some segments [segment, degree + 1, body, 3], lowest power first."""
        k = slice(first, len(self.t) - 1 if last is None else last)
        return self._polynomials(np.arange(len(self.t) - 1)[k])

    def _local(self, times: Array) -> tuple[Array, Array]:
        where = self.segment(times)
        coefficients = self._polynomials(where)
        s = (times - self.t[where]) / np.diff(self.t)[where]
        return s[:, None] ** np.arange(coefficients.shape[1]), coefficients

    def _polynomials(self, where: NDArray[np.intp]) -> Array:
        h = np.diff(self.t)[where][:, None, None]
        x0, v0, a0 = self.position[where], h * self.velocity[where], 0.5 * h * h * self.acceleration[where]
        if self.higher is not None:
            term = np.arange(self.higher.shape[1])
            rest = self.higher[where] * (1.0 / ((term + 2.0) * (term + 3.0)))[None, :, None, None] * (h * h)[:, None]
            return np.concatenate([np.stack([x0, v0, a0], axis=1), rest], axis=1)
        x1, v1, a1 = self.position[where + 1], h * self.velocity[where + 1], 0.5 * h * h * self.acceleration[where + 1]
        gap, turn, bend = x1 - x0 - v0 - a0, v1 - v0 - 2 * a0, a1 - a0
        return np.stack(
            [x0, v0, a0, 10 * gap - 4 * turn + bend, -15 * gap + 7 * turn - 2 * bend, 6 * gap - 3 * turn + bend], axis=1
        )
