"""Results: a stored run in hand. What came out, who was best, its life again, and the way on."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from worldloom.core.errors import InputError
from worldloom.core.rollout import Batch
from worldloom.core.world import World, counted
from worldloom.runtime import run as runs
from worldloom.runtime.outcomes import Outcomes, cell, columns, frame, html_table
from worldloom.runtime.record import Rows, Run, individual_name
from worldloom.runtime.replay import Replay, chosen, replay
from worldloom.runtime.store import Store
from worldloom.runtime.travel import export_run


@dataclass(frozen=True, kw_only=True, eq=False)
class Member:
    """One individual of a run."""

    results: "Results"
    generation: int
    individual: int

    @property
    def id(self) -> str:
        """Its name, such as 12-307."""
        return individual_name(self.generation, self.individual)

    @property
    def fitness(self) -> float:
        """What it earned; NaN where that does not count."""
        rows = self._rows
        value = float(counted(rows.outcome["fitness"][self.individual], rows.outcome["status"][self.individual]))
        return value if np.isfinite(value) else float("nan")

    @property
    def outcome(self) -> dict[str, Any]:
        """Its whole outcome, by name."""
        return {name: array[self.individual] for name, array in self._rows.outcome.items()}

    @property
    def genes(self) -> dict[str, NDArray[Any]]:
        """Its genes [1, ...], by name: `simulate` takes them."""
        return {name: array[self.individual : self.individual + 1] for name, array in self._rows.genomes.items()}

    @property
    def parents(self) -> tuple[str, ...]:
        """Names of its parents."""
        pair = self._rows.parents[self.individual].tolist()
        return tuple(individual_name(self.generation - 1, parent) for parent in pair if parent >= 0)

    def replay(self) -> Replay:
        """Its life again, bit for bit."""
        return replay(self.results.store, self.results.id, self.id, world=self.results.world)

    @property
    def _rows(self) -> Rows:
        return self.results.rows(self.generation)

    def __repr__(self) -> str:
        return f"{self.id} of run {self.results.id}, fitness {cell(self.fitness)}"


class Results:
    """A run and the store that it is in. Close it, or use it in a `with`, to let go of the store's files."""

    def __init__(self, run: Run, store: Store, world: World) -> None:
        self.run, self.store, self.world = run, store, world
        self._kept: tuple[int, Rows] | None = None

    @property
    def id(self) -> str:
        """The run's id, for `loom` and for `worldloom.results`."""
        return self.run.id

    @property
    def report(self) -> dict[str, Any]:
        """{run, world, seed, generations, best: {individual, generation, fitness}, digest, seconds, lane_steps}."""
        return runs.report(self.run, self.store)

    @property
    def best(self) -> Member:
        """The individual of the highest fitness in the whole run. Raises InputError where nobody has a finite one."""
        return self["best"]

    def __getitem__(self, name: str) -> Member:
        generation, individual = chosen(self.store, self.id, name, None)
        count = len(self.rows(generation).keys)
        if individual >= count:
            raise InputError(f"Generation {generation} has no individual {individual}. Expected 0 to {count - 1}.")
        return Member(results=self, generation=generation, individual=individual)

    def rows(self, generation: int | None = None) -> Rows:
        """A generation as it is stored; absent: the last one."""
        if self._kept is None or generation != self._kept[0]:
            rows = self.store.rows(self.id, generation)
            self._kept = rows.generation, rows
        return self._kept[1]

    def generation(self, number: int | None = None) -> Outcomes:
        """The outcomes of a generation; absent: of the last one."""
        rows, config = self.rows(number), self.run.config
        own = {"genomes" if self.world.genome else "inputs": rows.genomes}
        batch = Batch(
            world=self.run.world, version=self.run.world_version, mode=config["mode"], settings=config["settings"],
            sizes=config["sizes"], keys=rows.keys, steps=config["steps"], **own,
        )  # fmt: skip
        return Outcomes(self.world, rows.outcome, batch)

    @property
    def outcomes(self) -> Outcomes:
        """The outcomes of the last generation, as arrays by name."""
        return self.generation()

    @property
    def history(self) -> dict[str, NDArray[Any]]:
        """{generation, best, median, seconds}: arrays [generation]; NaN where nobody had a finite fitness."""
        stored = self.store.generations(self.id)

        def numbers(name: str) -> NDArray[Any]:
            return np.array([np.nan if (value := getattr(one, name)) is None else value for one in stored], float)

        best, median = numbers("best_fitness"), numbers("median_fitness")
        return {"generation": np.arange(len(stored)), "best": best, "median": median, "seconds": numbers("seconds")}

    def table(self) -> dict[str, NDArray[Any]]:
        """All individuals of all generations as columns: generation, individual, parents, streak, and the outcomes."""
        parts = [self._columns(one.generation) for one in self.store.generations(self.id)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}

    def _columns(self, generation: int) -> dict[str, NDArray[Any]]:
        rows = self.store.rows(self.id, generation)
        people: dict[str, NDArray[Any]] = {
            "generation": np.full(len(rows.keys), generation), "individual": np.arange(len(rows.keys)),
            "parent_a": rows.parents[:, 0], "parent_b": rows.parents[:, 1], "streak": rows.streak,
        }  # fmt: skip
        return {**people, **columns(rows.outcome)}

    def to_pandas(self) -> Any:
        """All individuals as a pandas.DataFrame."""
        return frame("pandas", self.table())

    def to_polars(self) -> Any:
        """All individuals as a polars.DataFrame."""
        return frame("polars", self.table())

    def export(self, path: str | Path) -> Path:
        """Write the run as .zip (everything), .csv or .parquet (its individuals)."""
        export_run(self.store, self.id, path)
        return Path(path)

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        best = self.report["best"]
        told = "no finite fitness" if best is None else f"best {cell(best['fitness'])} by {best['individual']}"
        return f"Run {self.id} of {self.run.world}: {len(self.store.generations(self.id))} generations, {told}"

    def _repr_html_(self) -> str:
        stored = self.store.generations(self.id)
        shown = [*stored[:3], *stored[3:][-7:]]
        rows = [[one.generation, one.count, number(one.best_fitness), number(one.median_fitness)] for one in shown]
        return html_table(repr(self), ["generation", "individuals", "best", "median"], rows)


def number(value: float | None) -> str:
    """A number for a table, '-' for none."""
    return "-" if value is None else cell(value)
