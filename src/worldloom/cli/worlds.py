"""`loom worlds`."""

from worldloom.cli.options import Json
from worldloom.cli.report import json_out, table


def worlds(json: Json = False) -> None:
    """Installed worlds, one line each."""
    from worldloom.runtime.session import worlds as installed

    found = installed()
    if json:
        json_out([world._asdict() for world in found])
        return
    rows = [(world.name, world.version, ", ".join(world.modes), world.problem or world.doc) for world in found]
    print(table(("world", "version", "modes", "what"), rows))
