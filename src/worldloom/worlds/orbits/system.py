"""System: the bodies of one planetary system, as plain arrays in consistent units. What loads, integrates, sonifies and draws shares it.

Units: "astro" is au, yr, solar mass, with G = 4 pi^2; "game" is that of POST /api/compute, where G = 0.01 and a star of massMs = 1 has
mass 100, so that its GM is 1 and P = 2 pi a^1.5; "plain" is whatever the G of a file of bodies means.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

ASTRO_G = 4 * math.pi**2  # au3 / (yr2 solar mass), to the 6e-6 that the Gaussian year differs from the Julian one
GAME_G, GAME_STAR = 0.01, 100.0  # its G, and the mass of a star of massMs = 1

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class System:
    """Bodies, stars first. mass [body]; position, velocity [body, 3]; radius [body], for the ear and the eye only.

    stars: how many. kinds: "star", "rocky" or "gas". sources: where the numbers come from. notes: what was assumed.
    """

    G: float
    units: str = "astro"
    stars: int = 1
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    colours: tuple[str, ...]
    mass: Array
    position: Array
    velocity: Array
    radius: Array
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def bodies(self) -> int:
        """How many bodies there are."""
        return len(self.mass)

    @property
    def gm(self) -> Array:
        """G times mass [body]."""
        return self.G * self.mass

    def centred(self) -> "System":
        """The same system with its centre of mass at rest in the origin. Massless systems stay where they are."""
        total = float(self.mass.sum())
        if total <= 0:
            return self
        weights = self.mass / total
        return replace(self, position=self.position - weights @ self.position, velocity=self.velocity - weights @ self.velocity)

    def chosen(self, **changes: Any) -> "System":
        """The same system with other arrays or names."""
        return replace(self, **changes)
