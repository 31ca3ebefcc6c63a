"""`loom export`."""

from pathlib import Path
from typing import Annotated

import typer

from worldloom.cli.options import Json, RunName, StoreUrl, opened
from worldloom.cli.progress import Bar
from worldloom.cli.report import json_out


def export(
    run: RunName,
    file: Annotated[Path, typer.Argument(metavar="FILE.zip|.csv|.parquet", help="Where to.", show_default=False)],
    store: StoreUrl = None,
    json: Json = False,
) -> None:
    """Write a run as one file.

    A .zip holds everything, for `loom import` elsewhere; .csv and .parquet hold its individuals.
    """
    from worldloom.runtime.travel import export_run

    with opened(store) as there, Bar("exporting"):
        found = export_run(there, run, file)
    size = file.stat().st_size
    if json:
        json_out({"run": found.id, "file": str(file), "bytes": size})
    else:
        print(
            f"Wrote run {found.id} to {file} ({size:,} bytes)."
            + (f" Read it with: loom import {file}" if file.suffix == ".zip" else "")
        )
