"""`loom fork`."""

from typing import Annotated

import typer

from worldloom.cli.options import Json, RunName, StoreUrl, opened
from worldloom.cli.report import json_out


def fork(
    run: RunName,
    generation: Annotated[int, typer.Option(metavar="G", help="The last generation that both runs share.", show_default=False)],
    seed: Annotated[
        int | None, typer.Option(metavar="S", help="Chance from there on; absent: the same.", show_default=False)
    ] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="A name for the new run.", show_default=False)] = "",
    store: StoreUrl = None,
    json: Json = False,
) -> None:
    """A new run that begins with the first generations of another."""
    from worldloom.runtime.run import fork as branch

    with opened(store) as there:
        child = branch(run, there, generation, name=name, seed=seed)
    if json:
        json_out(
            {
                "run": child.id,
                "name": child.name,
                "parent": child.parent_run,
                "generation": child.parent_generation,
                "seed": child.seed,
            }
        )
    else:
        print(f"Run {child.id} ({child.name}) shares generations 0 to {generation} with {child.parent_run}.")
        print(f"Its seed is {child.seed}. Go on with: loom resume {child.id}")
