"""`loom show`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worldloom.cli.lineage import ancestors, tree
from worldloom.cli.options import Json, RunName, StoreUrl, opened
from worldloom.cli.report import facts, generation_table, json_out, outcome_of

if TYPE_CHECKING:
    from worldloom.runtime.record import Run
    from worldloom.runtime.store import Store


def show(
    run: RunName,
    lineage: Annotated[str | None, typer.Option(metavar="ID", help="Ancestors of an individual, such as 12-307, or best.")] = None,
    depth: Annotated[int, typer.Option(metavar="G", min=1, help="With --lineage: how many generations back.")] = 10,
    store: StoreUrl = None,
    json: Json = False,
) -> None:
    """What a run is and did; or an individual's ancestors."""
    with opened(store) as there:
        found = there.run(run)
        if lineage is None:
            show_run(there, found, json=json)
        else:
            show_lineage(there, found, lineage, depth, json=json)


def show_run(store: "Store", run: "Run", *, json: bool) -> None:
    """Everything about a run but its arrays."""
    from worldloom.runtime.run import report
    from worldloom.runtime.versions import differences
    from worldloom.worlds.find import find

    stored, told = store.generations(run.id), report(run, store)
    other = differences(run.versions, find(run.world))
    if json:
        json_out({**asdict(run), **told, "generations": [asdict(one) for one in stored], "differences": other})
        return
    config = run.config
    record = {
        "run": run.id if run.name == run.id else f"{run.id} ({run.name})",
        "status": run.status,
        "failed with": run.error,
        "created": run.created_at[:19].replace("T", " ") + " UTC",
        "world": f"{run.world} version {run.world_version}, mode {config.get('mode') or 'reference'}",
        "search": f"{config.get('strategy')}, population {config.get('population')}, seed {run.seed}",
        "planned": f"{run.goal} generations",
        "settings": listed({**config.get("settings", {}), **config.get("options", {})}),
        "sizes": listed(config.get("sizes", {})),
        "forked from": None if run.parent_run is None else f"{run.parent_run}, generation {run.parent_generation}",
        **outcome_of(told),
        "made with": "the same versions as here" if not other else "; ".join(other),
    }
    print(facts({name: value for name, value in record.items() if value not in (None, "")}))
    if stored:
        print()
        print(generation_table(stored))


def show_lineage(store: "Store", run: "Run", individual: str, depth: int, *, json: bool) -> None:
    """The ancestors of one individual, as a tree."""
    from worldloom.runtime.record import individual_name
    from worldloom.runtime.replay import chosen

    root = individual_name(*chosen(store, run.id, individual, None))
    found = ancestors(store, run.id, root, depth)
    if json:
        json_out({"run": run.id, "individual": root, "ancestors": [asdict(one) for one in found.values()]})
    else:
        print("\n".join(tree(root, found)))


def listed(pairs: dict[str, Any]) -> str:
    """Settings in a line."""
    return ", ".join(f"{name}={value}" for name, value in pairs.items())
