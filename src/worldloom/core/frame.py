"""Shapes of one moment of one lane, as a world's `frame` gives them: plain data, drawn by whoever shows it.

Lengths are in the world's unit of length; y is up, z = 0 for a flat world.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Points:
    """Round things. xyz [n, 3]; radius one number or [n]; colour red, green, blue from 0 to 1, [3] or [n, 3].

    thread: the path of their centre is what the viewer follows; one shape of a frame at most.
    """

    name: str
    xyz: NDArray[Any]
    radius: NDArray[Any] | float = 0.05
    colour: NDArray[Any] | None = None
    thread: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Lines:
    """Lines between points of one shape. pairs [m, 2]: indices into the Points of that name; value [m] from -1 to 1 colours them."""

    name: str
    points: str
    pairs: NDArray[Any]
    value: NDArray[Any] | None = None
    width: float = 0.04


@dataclass(frozen=True, kw_only=True)
class Text:
    """Words, such as a score."""

    name: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of numbers or words under their headers."""

    name: str
    headers: Sequence[str]
    rows: Sequence[Sequence[Any]]


Shape = Points | Lines | Text | Table
