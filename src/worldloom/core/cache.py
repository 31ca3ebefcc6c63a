"""Compiled kernels on disk, one file each, named by everything that went into them.

Numba's own `cache=True` stamps the one file that the driver is in: an edit to a world, or to a module that it imports, would run old
code. Here the name holds a digest of all sources (core, the world's package and what its modules import), the versions and the CPU: an edit
is another file.
"""

import ast
import hashlib
import os
import pickle
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import numba
import numpy as np
from llvmlite import binding
from numba.core import config
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps


def folder() -> Path:
    """Where kernels are kept: WORLDLOOM_CACHE, or the user's cache directory."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("WORLDLOOM_CACHE")
    return Path(chosen) if chosen else user_cache_path("worldloom") / "kernels"


CORE = Path(__file__).parent
UNUSED_SECONDS = 30 * 86400.0  # after which a kernel is removed
VERSIONED = {"numba", "numpy", "llvmlite", *sys.stdlib_module_names}  # `machine` names their versions


def sources(functions: Iterable[Callable[..., Any]]) -> list[Path] | None:
    """All Python files behind some functions: core, their packages, and what those modules import. None where one has no file."""
    waiting, read = [sys.modules.get(function.__module__) for function in functions], set[Path]()
    packages = {CORE}
    while waiting:
        module = waiting.pop()
        path = Path(getattr(module, "__file__", None) or "")
        if module is None or path.suffix != ".py":
            return None
        if path not in read:
            read.add(path)
            packages |= {path.parent} if (path.parent / "__init__.py").exists() else set()
            waiting += [other for other in _imported(module, path) if _may_hold_lane_code(other, module)]
    return sorted(read.union(*(package.rglob("*.py") for package in packages)))


def _imported(module: ModuleType, path: Path) -> list[ModuleType]:
    """The loaded modules that a module's text imports, at whatever depth the statement stands."""
    state = path.stat()
    names = _import_names(path, state.st_size, state.st_mtime_ns, module.__package__ or "")
    return [sys.modules[name] for name in names if name in sys.modules]


def _may_hold_lane_code(module: ModuleType, importer: ModuleType) -> bool:
    """Whether a world's code may come from a module: one of its own package or folder, or one that uses Worldloom's core."""
    root, path = module.__name__.partition(".")[0], Path(getattr(module, "__file__", None) or "")
    ours = root == __name__.partition(".")[0] and not module.__name__.startswith("worldloom.worlds.")  # core is there already
    if root in VERSIONED or path.suffix != ".py" or ours:
        return False
    near = root == importer.__name__.partition(".")[0] or path.parent == Path(importer.__file__ or "").parent
    return near or any(str(getattr(value, "__module__", "")).startswith("worldloom.core") for value in vars(module).values())


@lru_cache(maxsize=1024)
def _import_names(path: Path, size: int, changed: int, package: str) -> tuple[str, ...]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
            start = ".".join(part for part in (above if node.level else "", node.module or "") if part)
            names += [start, *(f"{start}.{alias.name}" for alias in node.names)]
    return tuple(dict.fromkeys(names))


@lru_cache(maxsize=1024)
def _text_digest(path: Path, size: int, changed: int) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def source_digest(files: Iterable[Path]) -> str:
    """A name for the present text of these files."""
    digest = hashlib.sha256()
    for path in files:
        state = path.stat()
        digest.update(path.name.encode() + b"\0" + _text_digest(path, state.st_size, state.st_mtime_ns))
    return digest.hexdigest()


def machine() -> str:
    """What compiled code depends on besides its source: versions and CPU."""
    cpu = config.CPU_NAME or binding.get_host_cpu_name()
    features = config.CPU_FEATURES if config.CPU_FEATURES is not None else binding.get_host_cpu_features().flatten()
    return f"{numba.__version__} {llvmlite.__version__} {np.__version__} {platform.python_version()} {platform.machine()} {cpu} {features}"


def forget_unused(place: Path) -> None:
    """Remove kernels that nobody has loaded for a month: each edit of a source leaves one behind."""
    oldest = time.time() - UNUSED_SECONDS
    for file in place.glob("*.kernel"):
        with suppress(OSError):  # another process was faster
            if file.stat().st_mtime < oldest:
                file.unlink()


class KernelCache(_Cache):  # type: ignore[misc]
    """Numba's cache interface over one file. Unreadable files are treated as absent; writes are atomic."""

    def __init__(self, label: str, *parts: str) -> None:
        name = hashlib.sha256("\0".join([machine(), *parts]).encode()).hexdigest()[:24]
        self.path = folder() / f"{label}-{name}.kernel"
        self.hit = False

    @property
    def cache_path(self) -> str:
        return str(self.path)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            with self.path.open("rb") as file:
                payload = pickle.load(file)
            target_context.refresh()
            loaded = CompileResult._rebuild(target_context, *payload)
        except Exception:  # cut short, or written by another build: compile again and replace it
            return None
        self.hit = True
        with suppress(OSError):
            os.utime(self.path)  # used today: see forget_unused
        return loaded

    def save_overload(self, sig: Any, data: Any) -> None:
        payload, unfinished = dumps(data._reduce()), None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.path.parent, delete=False) as file:
                unfinished = Path(file.name)
                file.write(payload)
            unfinished.replace(self.path)
            forget_unused(self.path.parent)
        except OSError:  # a full or read-only disk costs compile time, not results
            if unfinished is not None:
                with suppress(OSError):
                    unfinished.unlink()

    def enable(self) -> None: ...

    def disable(self) -> None: ...

    def flush(self) -> None:
        self.path.unlink(missing_ok=True)
