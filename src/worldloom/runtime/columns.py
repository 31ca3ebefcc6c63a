"""Records as the columns of a database's tables, and back."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from worldloom.runtime.arrays import pack_rows
from worldloom.runtime.lease import Standing
from worldloom.runtime.record import QUEUED, Rows, Run, Summary
from worldloom.runtime.store import json_text, listed_fitness, summary_of

PEOPLE = ("run_id", "generation", "individual", "fitness", "status", "parent_a", "parent_b", "streak")


def run_columns(run: Run) -> dict[str, Any]:
    """A run as its row of `runs`. The seed is text: no integer column holds 2^64 - 1."""
    texts = {"seed": str(run.seed), "config": json_text("config", run.config)}
    return asdict(run) | texts | {"versions": json_text("versions", run.versions), "job": run.status == QUEUED}


def run_from(columns: Mapping[str, Any], now: float) -> Run:
    """The run that a row of `runs` holds, with the status that it has now."""
    decoded: dict[str, Any] = {"seed": int(columns["seed"])} | {name: json.loads(columns[name]) for name in ("config", "versions")}
    standing = Standing(**{one.name: columns[one.name] for one in fields(Standing)})
    rest = {one.name: columns[one.name] for one in fields(Run)}
    return Run(**{**rest, **decoded, "status": standing.shown(now)})


def generation_columns(run_id: str, rows: Rows) -> dict[str, Any]:
    """A generation as its row of `generations`: its summary, and all its arrays as one blob."""
    columns = asdict(summary_of(rows))
    return columns | {"run_id": run_id, "statuses": json.dumps(columns["statuses"]), "results": pack_rows(rows)}


def summary_from(columns: Mapping[str, Any]) -> Summary:
    """The summary that a row of `generations` holds."""
    return Summary(**{**columns, "statuses": {int(code): count for code, count in json.loads(columns["statuses"]).items()}})


def people_columns(run_id: str, rows: Rows) -> list[tuple[Any, ...]]:
    """A generation's individuals as rows of `individuals`: PEOPLE, in the tuples that drivers take."""
    count = len(rows.keys)
    fitness, status = listed_fitness(rows), rows.outcome["status"].tolist()
    numbers = (range(count), fitness, status, *rows.parents.T.tolist(), rows.streak.tolist())
    return list(zip([run_id] * count, [rows.generation] * count, *numbers, strict=True))
