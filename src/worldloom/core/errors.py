"""Every error that Worldloom raises on purpose. The class says whose move it is; `exit_code` is what `loom` ends with.

    WorldloomError
    ├── InputError            2  the caller: a name, number, file or genome that we cannot use
    │   ├── UnknownName       2  a world, mode, strategy, key, run … that does not exist; says the nearest one
    │   ├── StateError        2  a run that stands where this cannot be done: in other hands, finished, cancelled
    │   └── StoreError        2  a store that is missing, locked, corrupt or of another schema
    ├── WorldAuthorError      1  the author of a world: its record or kernels break the contract
    ├── MachineError          1  this machine lacks something: an extra, a driver, a server
    ├── BusyError             1  a service has as much to do as it can; says when to ask again
    └── JobError              1  the work itself failed

A message has three parts: what was wrong (with the value), what was expected, what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class WorldloomError(Exception):
    """Anything that Worldloom raises on purpose."""

    exit_code = 1


class InputError(WorldloomError, ValueError):
    """What the caller gave cannot be used."""

    exit_code = 2


class UnknownName(InputError):
    """A name that is not among those that exist. `kind` is the noun: world, mode, strategy."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        listed = ", ".join(names) if names else "none"
        super().__init__(f"Unknown {kind} {name!r}. Known: {listed}.{hint}")
        self.kind, self.name, self.nearest = kind, name, near[0] if near else None


class StateError(InputError):
    """A run stands where this cannot be done: another process has it, or it is finished or cancelled."""


class StoreError(InputError):
    """A store that is missing, locked, corrupt or of another schema."""


class WorldAuthorError(WorldloomError):
    """A world's record or kernels break the contract."""


class MachineError(WorldloomError):
    """This machine lacks something that was asked for."""


class BusyError(WorldloomError):
    """A service has as much to do as it can. seconds: when to ask again."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class JobError(WorldloomError):
    """The work itself failed."""
