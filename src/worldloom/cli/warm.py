"""`loom warm`."""

from typing import Annotated

import typer

from worldloom.cli.options import Json
from worldloom.cli.progress import Bar
from worldloom.cli.report import json_out, tell


def warm(
    world: Annotated[str | None, typer.Argument(metavar="[WORLD]", help="Only this one; absent: all.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """Compile all kernels ahead, into the disk cache."""
    from worldloom.core.cache import folder
    from worldloom.runtime.warming import warm as compile_all

    done = []
    with Bar("compiling") as bar:
        for one in compile_all([world] if world else None):
            done.append(one)
            bar.update(len(done), doing=f"compiled {one.name}")
            if one.problem:
                tell(one.problem)
            elif not json:
                print(f"{one.name}: {'ready' if one.from_disk else 'compiled'}, {one.seconds:.2f} s", flush=True)
    if json:
        json_out({"folder": str(folder()), "kernels": [one._asdict() for one in done]})
    else:
        print(f"Kernels are in {folder()}.")
    if any(one.problem for one in done):
        raise typer.Exit(1)
