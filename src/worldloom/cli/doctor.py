"""`loom doctor`: what this machine has, and what to install for more. It never fails: a check that does says why."""

import os
import platform
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from worldloom.cli.options import Json
from worldloom.cli.report import json_out

EXTRAS = {  # package: (what it is for, the extra that installs it)
    "torch": ("policies and tensors", "torch"),
    "numba_cuda": ("lanes on NVIDIA GPUs", "gpu"),
    "ray": ("several machines", "cluster"),
    "pyarrow": ("export to .parquet", "table"),
    "pandas": ("to_pandas()", "table"),
    "polars": ("to_polars()", "table"),
    "PIL": ("replays as .gif", "report"),
    "matplotlib": ("plots in reports", "report"),
    "gymnasium": ("worlds as Gymnasium environments", "gym"),
}
DISTRIBUTION = {"PIL": "pillow", "numba_cuda": "numba-cuda"}
WAL_MENDED = (3, 51, 3)  # SQLite: earlier ones can, rarely, reset the log wrongly where two processes write and move it at once
GPU_SECONDS = 5.0  # a driver that hangs must not hang us


def doctor(json: Json = False) -> None:
    """What this machine has, and what it lacks."""
    found = {name: attempted(check) for name, check in CHECKS.items()}
    if json:
        json_out(found)
        return
    for name, told in found.items():
        pairs = told if isinstance(told, Mapping) else {"": told}
        for k, (part, text) in enumerate(pairs.items()):
            print(f"{name if k == 0 else '':<10}  {f'{part}: ' if part else ''}{text}")


def attempted(check: Callable[[], Mapping[str, str] | str]) -> Mapping[str, str] | str:
    """What a check finds, or why it could not."""
    try:
        return check()
    except Exception as error:
        return f"cannot tell: {type(error).__name__}: {' '.join(str(error).split())}"


def versions() -> dict[str, str]:
    """Versions that results depend on."""
    return {name: version(name) for name in ("worldloom", "numpy", "numba", "llvmlite")} | {"python": platform.python_version()}


def cpu() -> dict[str, str]:
    """The processor, and how many lanes go into one of its registers."""
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    simd = next((name for name in ("avx512f", "avx2", "avx", "neon", "sse2") if features.get(name)), "no vector unit that is known")
    return {"name": binding.get_host_cpu_name(), "machine": platform.machine(), **widths(simd)}


def widths(simd: str) -> dict[str, str]:
    """Lanes per register of each installed world."""
    from worldloom.core.launch import lane_width
    from worldloom.worlds.find import find, installed

    def told(name: str) -> str:
        world = find(name)
        why = "its kernels branch, so they run one lane at a time" if world.scalar else f"the CPU has {simd}"
        return f"{lane_width(world)} lanes at once, because {why}"

    return {name: str(attempted(lambda name=name: told(name))) for name in installed()}  # type: ignore[misc]


def cores() -> str:
    """Cores that this process may use, and the threads that a run takes."""
    from worldloom.runtime.run import default_workers

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{usable} usable, {default_workers()} worker(s) by default; WORLDLOOM_WORKERS or --workers changes that"


def gpu() -> str:
    """The NVIDIA GPUs that the driver reports."""
    if shutil.which("nvidia-smi") is None:
        return "none: nvidia-smi is not there. Lanes run on the CPU"
    asked = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    told = subprocess.run(asked, capture_output=True, text=True, timeout=GPU_SECONDS, check=False)
    if told.returncode:
        return f"none that works: nvidia-smi says {' '.join((told.stderr or told.stdout).split())}"
    return f"{'; '.join(told.stdout.strip().splitlines())}. Lanes run on the CPU in this version"


def kernels() -> dict[str, str]:
    """Compiled kernels on disk."""
    from worldloom.core.cache import folder

    files = list(folder().glob("*")) if folder().is_dir() else []
    size = sum(file.stat().st_size for file in files)
    return {"folder": str(folder()), "holds": f"{len(files)} files, {size / 1e6:.1f} MB; `loom warm` fills it, deleting it is safe"}


def store() -> dict[str, str]:
    """Where runs are kept."""
    told = os.environ.get("WORLDLOOM_STORE")
    if told:
        scheme, _, rest = told.partition("://")
        return {"WORLDLOOM_STORE": f"{scheme}://…@{rest.rpartition('@')[2]}" if "@" in rest else told}
    from platformdirs import user_data_path

    path = Path(user_data_path("worldloom")) / "runs.db"
    size = f"{path.stat().st_size / 1e6:.1f} MB" if path.exists() else "not there yet; the first run makes it"
    return {"file": f"{path} ({size})"}


def sqlite() -> str:
    """SQLite's version, and what to know about it."""
    known = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info >= WAL_MENDED:
        return known
    return f"{known}, older than 3.51.3 and its WAL-reset fix. Worldloom writes and checkpoints over one connection, which avoids that bug"


def postgresql() -> str:
    """Whether PostgreSQL's client is there; the platform itself does not need it."""
    client = shutil.which("psql")
    return f"psql at {client}" if client else "psql is not there. Optional: --store postgresql://… works without it"


def extras() -> dict[str, str]:
    """Optional packages: their version, or how to get them."""
    return {DISTRIBUTION.get(name, name): extra(name, *about) for name, about in EXTRAS.items()}


def extra(package: str, purpose: str, name: str) -> str:
    """One optional package."""
    if find_spec(package) is None:
        return f"missing ({purpose}); pip install 'worldloom[{name}]'"
    try:
        return f"{version(DISTRIBUTION.get(package, package))} ({purpose})"
    except PackageNotFoundError:
        return f"there ({purpose})"


CHECKS: Mapping[str, Callable[[], Mapping[str, str] | str]] = {
    "versions": versions, "cpu": cpu, "cores": cores, "gpu": gpu, "kernels": kernels, "store": store, "sqlite": sqlite,
    "postgresql": postgresql, "extras": extras,
}  # fmt: skip
