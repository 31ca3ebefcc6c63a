"""Worldloom: write one step of one small world; run a million of them with the same bits everywhere.

    run = worldloom.evolve("creatures", population=1000, generations=50, seed=7)
    run.best.replay().save("walk.html")

Names are loaded when first used: `import worldloom` waits for neither Numba nor a database.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worldloom.core.errors import BusyError as BusyError
    from worldloom.core.errors import InputError as InputError
    from worldloom.core.errors import JobError as JobError
    from worldloom.core.errors import MachineError as MachineError
    from worldloom.core.errors import StateError as StateError
    from worldloom.core.errors import StoreError as StoreError
    from worldloom.core.errors import UnknownName as UnknownName
    from worldloom.core.errors import WorldAuthorError as WorldAuthorError
    from worldloom.core.errors import WorldloomError as WorldloomError
    from worldloom.runtime.outcomes import Outcomes as Outcomes
    from worldloom.runtime.results import Results as Results
    from worldloom.runtime.session import Stopped as Stopped
    from worldloom.runtime.session import evolve as evolve
    from worldloom.runtime.session import fork as fork
    from worldloom.runtime.session import results as results
    from worldloom.runtime.session import resume as resume
    from worldloom.runtime.session import runs as runs
    from worldloom.runtime.session import sample as sample
    from worldloom.runtime.session import simulate as simulate
    from worldloom.runtime.session import worlds as worlds
    from worldloom.service.client import Client as Client

_ERRORS = (
    "BusyError", "InputError", "JobError", "MachineError", "StateError", "StoreError", "UnknownName", "WorldAuthorError",
    "WorldloomError",
)  # fmt: skip
_SESSION = ("Stopped", "evolve", "fork", "results", "resume", "runs", "sample", "simulate", "worlds")
_HOME = {
    **dict.fromkeys(_ERRORS, "worldloom.core.errors"),
    **dict.fromkeys(_SESSION, "worldloom.runtime.session"),
    "Client": "worldloom.service.client",
    "Outcomes": "worldloom.runtime.outcomes",
    "Results": "worldloom.runtime.results",
}

__all__ = sorted([*_HOME, "__version__"])


class _CallablePackage(ModuleType):
    """`worldloom.evolve` and `worldloom.worlds` are packages, and users call the functions of the same names. So they are both."""

    def __call__(self, *args: Any, **named: Any) -> Any:
        function = getattr(import_module("worldloom.runtime.session"), self.__name__.rpartition(".")[2])
        return function(*args, **named)


for _name in ("evolve", "worlds"):
    import_module(f"worldloom.{_name}").__class__ = _CallablePackage


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("worldloom")
    if name not in _HOME:
        raise AttributeError(f"module 'worldloom' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
