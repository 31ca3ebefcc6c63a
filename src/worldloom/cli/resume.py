"""`loom resume`."""

from typing import TYPE_CHECKING, Annotated

import typer

from worldloom.cli.evolve import pass_on
from worldloom.cli.options import Json, RunName, StoreUrl, Workers
from worldloom.cli.progress import Bar
from worldloom.cli.report import tell

if TYPE_CHECKING:
    from worldloom.runtime.results import Results


def resume(
    run: RunName,
    generations: Annotated[
        int | None, typer.Option(metavar="G", help="How many in all; absent: as planned.", show_default=False)
    ] = None,
    workers: Workers = None,
    store: StoreUrl = None,
    json: Json = False,
) -> None:
    """Carry a stopped run on.

    It goes on from its last stored generation, to the same digest as if it had never stopped.
    """
    from worldloom.runtime.session import resume as carry_on

    worked: list[int] = []
    with Bar("resuming", generations) as bar:

        def listener(progress: object) -> None:
            worked.append(1)
            bar.generation(progress)

        with carry_on(run, generations=generations, workers=workers, store=store, progress=listener) as results:
            if not worked:
                count = len(results.store.generations(results.id))
                more = f"loom resume {results.id} --generations {2 * count}"
                tell(f"The run has its {count} generations; nothing was left to do. For more: {more}")
            for difference in changed(results):
                tell(f"Made and resumed under different conditions: {difference}. If results moved, start a new run.")
            pass_on(results, store, json=json)


def changed(results: "Results") -> list[str]:
    """What is not as it was when the run was made, where it can move results."""
    from worldloom.runtime.versions import differences

    return [text for text in differences(results.run.versions, results.world) if text.startswith(("code ", "keys "))]
