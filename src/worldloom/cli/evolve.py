"""`loom evolve`."""

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worldloom.cli.options import Cluster, Device, Json, Seed, Settings, StoreUrl, Workers, WorldName, settings_from
from worldloom.cli.progress import Bar
from worldloom.cli.report import facts, generation_table, json_out, outcome_of

if TYPE_CHECKING:
    from worldloom.runtime.results import Results


def evolve(
    world: WorldName,
    population: Annotated[int, typer.Option(metavar="N", help="Individuals in each generation.")] = 200,
    generations: Annotated[int, typer.Option(metavar="G", help="How many generations.")] = 50,
    seed: Seed = 1,
    mode: Annotated[str | None, typer.Option(metavar="M", help="Accuracy for speed; absent: the world's first mode.")] = None,
    strategy: Annotated[str, typer.Option(metavar="NAME", help="How a generation follows from the one before.")] = "genetic",
    settings: Settings = None,
    workers: Workers = None,
    device: Device = "auto",
    cluster: Cluster = "local",
    store: StoreUrl = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="A name for the run; absent: its id.", show_default=False)] = "",
    keep: Annotated[
        str, typer.Option(metavar="default|none|all|T,R,B", help="Whose frames are kept: top, random, bottom.")
    ] = "default",
    json: Json = False,
) -> None:
    """Evolve a world's genomes; every generation is stored."""
    from worldloom.runtime.session import evolve as carry_out

    given: dict[str, Any] = {
        "population": population, "generations": generations, "seed": seed, "mode": mode, "strategy": strategy, "workers": workers,
        "device": device, "cluster": cluster, "store": store, "name": name, "keep": keep, "settings": settings_from(settings),
    }  # fmt: skip
    with Bar("first generation", generations) as bar, carry_out(world, progress=bar.generation, **given) as results:
        pass_on(results, store, json=json)


def pass_on(results: "Results", store: str | None, *, json: bool) -> None:
    """Print what came of a run."""
    from worldloom.runtime.record import FINISHED

    report = results.report
    if json:
        json_out(report)
        return
    run, config = results.run, results.run.config
    print(generation_table(results.store.generations(run.id)))
    print()
    made = {
        "run": run.id if run.name == run.id else f"{run.id} ({run.name})",
        "world": f"{run.world} version {run.world_version}, mode {config['mode'] or 'reference'}",
        "search": f"{config['strategy']}, population {config['population']}, seed {run.seed}",
    }
    if run.status != FINISHED:
        made["status"] = f"{run.status}, as somebody asked; go on with: loom resume {run.id}"
    print(facts({**made, **outcome_of(report), **see_more(f"loom replay {run.id} --out best.html", store)}))


def see_more(command: str, store: str | None) -> dict[str, str]:
    """A command that looks further into the run; nothing for a store that is gone by then."""
    if store in ("memory:", "memory://"):
        return {}
    return {"see more": command if store is None else f"{command} --store {shlex.quote(store)}"}
