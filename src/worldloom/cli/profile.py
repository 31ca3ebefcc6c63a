"""`loom profile`."""

from pathlib import Path
from typing import Annotated

import typer

from worldloom.cli.options import Json
from worldloom.cli.report import json_out, table, tell
from worldloom.core.errors import InputError


def profile(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO|compare", help="What to measure; or `compare OLD NEW`.", show_default=False)
    ],
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[OLD NEW]", help="With compare: two files of measurements.")
    ] = None,
    runs: Annotated[int, typer.Option(metavar="N", min=1, max=100_000, help="Warm requests.")] = 10,
    out: Annotated[Path, typer.Option(metavar="FILE.csv", help="Where rows are added.")] = Path("profiling_runs.csv"),
    fail_above: Annotated[str, typer.Option(metavar="SHARE", help="With compare: how much more is too much, such as 5%.")] = "",
    json: Json = False,
) -> None:
    """Measure the service, phase by phase."""
    if scenario == "compare":
        compared(files or [], fail_above, json=json)
        return
    if files:
        raise InputError(f"{files[0]} stands after a scenario. Expected nothing there. Write: loom profile compare OLD NEW")
    from worldloom.profile.measure import measure
    from worldloom.profile.scenarios import scenario as named
    from worldloom.profile.traces import append, rows

    found = rows(measure(named(scenario), runs=runs))
    append(out, found)
    if json:
        json_out({"scenario": scenario, "rows": found})
        return
    columns = ("phase", "state", "count", "min", "p50", "p95", "p99", "max", "bytes")
    print(
        table(
            ["phase", "state", "count", "min ms", "p50", "p95", "p99", "max", "bytes"],
            [[row[name] for name in columns] for row in found],
        )
    )
    print(f"\nadded to {out}")


def compared(files: list[Path], fail_above: str, *, json: bool) -> None:
    """Print what changed from one file to the other; ends with 1 where something grew by too much."""
    from worldloom.profile.traces import compare, share, worse

    if len(files) != 2:
        raise InputError(f"compare got {len(files)} files. Expected two. Write: loom profile compare OLD NEW")
    bound = share(fail_above) if fail_above else None
    found = compare(*files)
    if json:
        json_out({"rows": found})
    else:
        lines = [
            (r["scenario"], r["phase"], r["state"], r["figure"], r["old"], r["new"], f"{100 * r['change']:+.1f} %") for r in found
        ]
        print(table(["scenario", "phase", "state", "figure", "old", "new", "change"], lines))
    if bound is not None and (slower := worse(found, bound)):
        names = ", ".join(f"{row['scenario']} {row['phase']}" for row in slower[:5])
        tell(f"{len(slower)} figures grew by more than {100 * bound:g} %: {names}. Expected none. See the table.")
        raise typer.Exit(1)
