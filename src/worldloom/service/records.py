"""Runs, generations and individuals as the documents that endpoints answer with."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldloom.core.world import counted
from worldloom.runtime.record import Individual, Rows, Run, Summary, individual_name
from worldloom.runtime.run import report
from worldloom.runtime.store import Store


def run_info(run: Run, done: int) -> dict[str, Any]:
    """A RunInfo."""
    config = run.config
    return {
        "id": run.id, "name": run.name, "world": run.world, "world_version": run.world_version, "seed": run.seed,
        "status": run.status, "error": run.error, "created_at": run.created_at, "population": config.get("population", 0),
        "generations": run.goal, "done": done, "mode": config.get("mode"), "strategy": config.get("strategy", ""),
        "settings": {**config.get("settings", {}), **config.get("options", {})}, "sizes": config.get("sizes", {}),
        "keep": config.get("keep", "default"), "versions": dict(run.versions), "parent_run": run.parent_run,
        "parent_generation": run.parent_generation,
    }  # fmt: skip


def run_report(run: Run, store: Store) -> dict[str, Any]:
    """A RunReport."""
    told = report(run, store)
    return {**run_info(run, told["generations"]), **{name: told[name] for name in ("best", "digest", "seconds", "lane_steps")}}


def generation_info(summary: Summary) -> dict[str, Any]:
    """A GenerationInfo."""
    return {**asdict(summary), "statuses": {str(code): count for code, count in summary.statuses.items()}}


def individual_whole(rows: Rows, individual: int) -> dict[str, Any]:
    """An IndividualWhole; arrays stay arrays."""
    fitness = float(counted(rows.outcome["fitness"][individual], rows.outcome["status"][individual]))
    pair = rows.parents[individual].tolist()
    return {
        "id": individual_name(rows.generation, individual), "generation": rows.generation, "individual": individual,
        "fitness": fitness if np.isfinite(fitness) else None, "status": int(rows.outcome["status"][individual]),
        "parents": [individual_name(rows.generation - 1, parent) for parent in pair if parent >= 0],
        "streak": int(rows.streak[individual]),
        "genome": {name: np.asarray(array[individual]) for name, array in rows.genomes.items()},
        "outcome": {name: np.asarray(array[individual]) for name, array in rows.outcome.items()},
    }  # fmt: skip


def columns(records: Sequence[dict[str, Any]], names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Numbers of many records as arrays by name, for programs; a number that is missing is NaN, or -1 where it counts."""
    return {name: _column([record[name] for record in records], name) for name in names}


def _column(values: list[Any], name: str) -> NDArray[Any]:
    if "fitness" in name or name == "seconds":
        return np.array([np.nan if value is None else value for value in values], np.float64)
    return np.array([-1 if value is None else value for value in values], np.int64)


GENERATION_NUMBERS = ("generation", "count", "best", "best_fitness", "median_fitness", "seconds", "lane_steps")
INDIVIDUAL_NUMBERS = ("generation", "individual", "fitness", "status", "streak")


def individual_info(one: Individual) -> dict[str, Any]:
    """An IndividualInfo."""
    return asdict(one) | {"parents": list(one.parents)}
