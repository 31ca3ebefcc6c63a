"""`loom import`."""

from pathlib import Path
from typing import Annotated

import typer

from worldloom.cli.options import Json, StoreUrl, opened
from worldloom.cli.progress import Bar
from worldloom.cli.report import json_out


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.zip", help="What `loom export` wrote.", show_default=False)],
    store: StoreUrl = None,
    json: Json = False,
) -> None:
    """Add the run of a .zip to the store.

    A file that is damaged or cut short changes nothing.
    """
    from worldloom.runtime.travel import check_file, import_run

    check_file(file)  # before a store is made for it
    with opened(store, create=True) as there, Bar("importing"):
        run = import_run(there, file)
        count = len(there.generations(run.id))
    if json:
        json_out({"run": run.id, "name": run.name, "world": run.world, "generations": count, "file": str(file)})
    else:
        print(f"Run {run.id} ({run.name}, {run.world}) is here with {count} generations. See it: loom show {run.id}")
