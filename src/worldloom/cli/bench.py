"""`loom bench`: our speed beside a peer's, in one run. The benchmarks come with the repository, not with the package."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from worldloom.cli.options import Json
from worldloom.cli.report import json_out, table
from worldloom.core.errors import InputError, MachineError, UnknownName

BENCHES = {
    "creatures": "creature-steps/s beside batched torch",
    "generation": "a generation beside its simulation",
    "service": "an empty request, and a batch over HTTP beside the same call in Python",
    "overload": "four times more work than the service can do; a round is ten seconds of it",
    "orbits": "systems at once, a dense request, and the outer planets for 100,000 years",
}


def bench(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help=f"One of: {', '.join(BENCHES)}; absent: all.")] = "",
    threads: Annotated[int, typer.Option("--threads", metavar="N", help="Threads of both contenders.")] = 2,
    rounds: Annotated[int, typer.Option("--rounds", metavar="N", help="Rounds; the rates are medians over them.")] = 7,
    json: Json = False,
) -> None:
    """Our speed on this machine, beside a peer's."""
    if name and name not in BENCHES:
        raise UnknownName("benchmark", name, BENCHES)
    if threads < 1 or rounds < 1:
        raise InputError(f"{threads} threads and {rounds} rounds measure nothing. Expected 1 or more of both.")
    found = {chosen: measured(chosen, threads, rounds) for chosen in ([name] if name else BENCHES)}
    if json:
        json_out({title: [dict(zip(made["columns"], row, strict=True)) for row in made["rows"]] for title, made in found.items()})
        return
    for title, made in found.items():
        print(f"{title}: {BENCHES[title]}\n{table(made['columns'], made['rows'])}\n{made['note']}\n")


def measured(name: str, threads: int, rounds: int) -> dict[str, Any]:
    """Run the benchmark of that name from the repository's bench/ folder."""
    folder = Path(__file__).parents[3] / "bench"
    if not (folder / f"{name}.py").exists():
        raise MachineError(f"There is no {folder}. Benchmarks come with the repository. Clone it and run `make bench`.")
    sys.path.insert(0, str(folder))
    try:
        found: dict[str, Any] = import_module(name).measure(threads=threads, rounds=rounds)
    except ModuleNotFoundError as error:
        raise MachineError(f"The yardstick needs {error.name!r}, which is not installed. Run `make install`.") from error
    return found
