"""Contract tests for whoever writes a world or a store: `from worldloom.testing import check_world`.

Names are loaded when first used: the kit for worlds needs Numba, that for stores needs pytest.
"""

from importlib import import_module
from typing import Any

_HOME = {"StoreContract": "stores", "check_world": "worlds", "instructions": "cuda", "kernel_ptx": "cuda", "simulate": "cuda"}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'worldloom.testing' has no attribute {name!r}")
    return getattr(import_module(f"worldloom.testing.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
