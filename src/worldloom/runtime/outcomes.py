"""Outcomes: what became of many lanes, as arrays by name, and as tables for pandas, polars and notebooks."""

from collections.abc import Iterator, Mapping
from html import escape
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldloom.core.errors import InputError, MachineError
from worldloom.core.field import BLOCK, fields
from worldloom.core.rollout import Batch
from worldloom.core.world import World
from worldloom.runtime.evaluate import outcome_digest
from worldloom.runtime.replay import Replay, relive

SHOWN = 10  # lanes in a notebook's table


class Outcomes(Mapping[str, NDArray[Any]]):
    """One number or array for each lane, by name: `outcomes["fitness"]` or `outcomes.fitness`.

    batch: the lanes that were run, so that each of them can be replayed.
    """

    def __init__(self, world: World, arrays: Mapping[str, Any], batch: Batch) -> None:
        self.world, self.batch = world, batch
        self._arrays = {name: np.asarray(array) for name, array in arrays.items()}

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[name]

    def __getattr__(self, name: str) -> NDArray[Any]:
        arrays: dict[str, NDArray[Any]] = self.__dict__.get("_arrays", {})
        if name not in arrays:
            raise AttributeError(f"These outcomes have no {name!r}. They have: {', '.join(arrays)}.")
        return arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._arrays]

    @property
    def lanes(self) -> int:
        """How many lanes there are."""
        return self.batch.lanes

    @property
    def digest(self) -> str:
        """SHA-256 over all of them."""
        return outcome_digest(self.world.outcome(**self._arrays))

    @property
    def units(self) -> dict[str, str]:
        """The unit of each array."""
        return {name: field.unit for name, field in fields(self.world.outcome).items()}

    def replay(self, lane: int) -> Replay:
        """One lane's life again, to look at. Raises InputError for a lane that is not there."""
        if not 0 <= lane < self.lanes:
            raise InputError(f"There is no lane {lane}. Expected 0 to {self.lanes - 1}.")
        return relive(self.world, one_of(self.world, self.batch, lane), title=f"{self.world.name} {lane}", facts={"lane": lane})

    def to_pandas(self) -> Any:
        """A pandas.DataFrame, one row a lane."""
        return frame("pandas", columns(self._arrays))

    def to_polars(self) -> Any:
        """A polars.DataFrame, one row a lane."""
        return frame("polars", columns(self._arrays))

    def __repr__(self) -> str:
        return f"Outcomes of {self.lanes} lanes of {self.world.name}: {', '.join(self._arrays)}"

    def _repr_html_(self) -> str:
        head = {name: array[:SHOWN] for name, array in columns(self._arrays).items()}
        more = f", the first {SHOWN}" if self.lanes > SHOWN else ""
        rows = [[k, *(cell(array[k]) for array in head.values())] for k in range(min(SHOWN, self.lanes))]
        return html_table(f"{self.world.name}: {self.lanes} lanes{more}", ["lane", *head], rows)


def one_of(world: World, batch: Batch, lane: int) -> Batch:
    """A batch of one lane of a batch."""
    per = {name: field.per for name, field in fields(world.inputs).items()}

    def at(arrays: Any, *, blocks: bool) -> Any:
        chosen = {name: lane // BLOCK if blocks and per[name] == "block" else lane for name in arrays or {}}
        return None if arrays is None else {name: np.asarray(array)[chosen[name]][None] for name, array in arrays.items()}

    return Batch(
        world=batch.world, version=batch.version, mode=batch.mode, settings=batch.settings, sizes=batch.sizes, steps=batch.steps,
        keys=batch.keys[lane : lane + 1], genomes=at(batch.genomes, blocks=False), inputs=at(batch.inputs, blocks=True),
    )  # fmt: skip


def columns(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Arrays [lane, ...] as columns; an array of more than one axis becomes name_0, name_1 …"""
    found = {}
    for name, array in arrays.items():
        flat = array.reshape(len(array), -1)
        found.update({name: array} if array.ndim == 1 else {f"{name}_{k}": flat[:, k] for k in range(flat.shape[1])})
    return found


def frame(library: str, data: Mapping[str, NDArray[Any]]) -> Any:
    """A DataFrame of that library. Raises MachineError where it is missing."""
    try:
        module = import_module(library)
    except ImportError:
        raise MachineError(f"to_{library} needs {library}, which is missing. Run: pip install 'worldloom[table]'") from None
    return module.DataFrame(dict(data))


def cell(value: Any) -> str:
    """A number for a table."""
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def html_table(caption: str, headers: list[str], rows: list[list[Any]]) -> str:
    """A table for notebooks."""
    head = "".join(f"<th>{escape(str(name))}</th>" for name in headers)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(value))}</td>" for value in row) + "</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
