"""Installed worlds, by entry point: `[project.entry-points."worldloom.worlds"] pendulum = "my_pendulum:WORLD"`. The only registry."""

from importlib.metadata import EntryPoint

from worldloom.core.errors import UnknownName, WorldAuthorError
from worldloom.core.plugins import plugins
from worldloom.core.world import World

GROUP = "worldloom.worlds"


def installed() -> dict[str, EntryPoint]:
    """Entry points of all installed worlds, by name; nothing is imported."""
    return plugins(GROUP)


def find(name: str | World) -> World:
    """The world of that name; a World is itself. Raises UnknownName, or WorldAuthorError where it cannot be imported."""
    if isinstance(name, World):
        return name
    known = installed()
    if name not in known:
        raise UnknownName("world", name, known)
    try:
        world = known[name].load()
    except Exception as error:
        raise WorldAuthorError(
            f"World {name!r} cannot be imported from {known[name].value}: {error}. Mend or uninstall it."
        ) from error
    if not isinstance(world, World):
        raise WorldAuthorError(f"{known[name].value} is {type(world).__name__}. Expected a worldloom.core.World.")
    return world
