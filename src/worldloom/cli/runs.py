"""`loom runs`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worldloom.cli.options import Json, StoreUrl, opened
from worldloom.cli.report import json_out, table

if TYPE_CHECKING:
    from worldloom.runtime.record import Run
    from worldloom.runtime.store import Store


def runs(
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many, newest first.")] = 50,
    store: StoreUrl = None,
    json: Json = False,
) -> None:
    """Stored runs, newest first."""
    with opened(store) as there:
        every = there.runs()
        found = [described(there, run) for run in every[:limit]]
    if json:
        json_out({"runs": found, "total": len(every)})
        return
    names = ("id", "name", "world", "seed", "status", "generations", "best", "created_at")
    print(table(names, [[str(run[name])[:19] if name == "created_at" else run[name] for name in names] for run in found]))
    if len(every) > limit:
        print(f"{len(every) - limit} older ones: loom runs --limit {len(every)}")


def described(store: "Store", run: "Run") -> dict[str, Any]:
    """A run in a line: its record, how many generations it has, and its best fitness."""
    stored = store.generations(run.id)
    fitness = [one.best_fitness for one in stored if one.best_fitness is not None]
    return {**asdict(run), "generations": len(stored), "best": max(fitness, default=None)}
