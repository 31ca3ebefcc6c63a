"""CUDA on a machine without a GPU: the PTX of a world's kernel and what it is made of, and Numba's simulator in a process of its own."""

import os
import pickle
import re
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numba.cloudpickle import dumps

from worldloom.core.errors import MachineError
from worldloom.core.field import fields
from worldloom.core.launch import edges_of, ptx, simulated_kernel
from worldloom.core.world import World
from worldloom.testing.compare import Numbers
from worldloom.testing.plain import Stretch

HOPPER = (9, 0)  # compute capability of sm_90
FUSED = r"(fma|mad)\.(\w+\.)*f(16|32|64)"  # one rounding where the source has two
LOOSE = r"(add|sub|mul|div|sqrt|rcp)\.(?!rn\.)(\w+\.)*f(32|64)|.*\.(approx|ftz)"  # rounding, or fusing, left to ptxas
ZERO_SIGN = r"(min|max)\.(\w+\.)*f(32|64)"  # gives -0.0 where a select gives +0.0
DOUBLE = r".*\.f64"


@dataclass(frozen=True)
class Instructions:
    """How often each instruction stands in a kernel."""

    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())

    def matching(self, pattern: str) -> dict[str, int]:
        """Those whose whole name begins as the pattern says."""
        return {name: count for name, count in self.counts.items() if re.match(pattern, name)}

    def faults(self, *, double: bool) -> dict[str, int]:
        """Those that may round otherwise than the CPU does; double: the world declares float64 numbers."""
        patterns = (FUSED, LOOSE, ZERO_SIGN) if double else (FUSED, LOOSE, ZERO_SIGN, DOUBLE)
        return self.matching("|".join(f"(?:{pattern})" for pattern in patterns))


def instructions(text: str) -> Instructions:
    """The instructions in a PTX text, those inside inline assembly among them."""
    plain = re.sub(r"//.*", "", text)
    return Instructions(
        Counter(re.findall(r"(?:^|[;{}])\s*(?:@!?%\w+\s+)?([a-z][a-z0-9]*(?:[.:]+[a-z0-9_]+)*)(?=[\s;])", plain, re.M))
    )


@contextmanager
def stand_in() -> Iterator[None]:
    """Lets numba-cuda compile without a GPU: it asks the current device for its compute capability, and this one has one to tell."""
    try:
        from numba.cuda import dispatcher
    except ImportError as error:
        raise MachineError(f"PTX cannot be compiled: {error}. Expected numba-cuda; run `pip install 'worldloom[gpu]'`.") from error
    real = dispatcher.get_current_device
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=HOPPER)
    try:
        yield
    finally:
        dispatcher.get_current_device = real


@lru_cache(maxsize=64)
def _ptx(world: World, mode: str | None, sizes: tuple[tuple[str, int], ...]) -> str:
    with stand_in():
        return ptx(world, mode, dict(sizes), HOPPER)


def kernel_ptx(world: World, mode: str | None = None, sizes: Mapping[str, int] | None = None) -> str:
    """PTX of a world's kernel for sm_90. Raises MachineError without numba-cuda and its NVVM."""
    return _ptx(world, mode, tuple(sorted((sizes or {}).items())))


def declares_double(world: World) -> bool:
    """Whether any number of a world is float64."""
    records = (world.params, world.inputs, world.state, world.outcome, edges_of(world))
    return any(np.dtype(field.dtype) == np.float64 for record in records for field in fields(record).values())


# ---- the simulator ---------------------------------------------------------------------------------------------------------------


def simulate(stretches: Sequence[Stretch]) -> list[Numbers]:
    """What Numba's CUDA simulator makes of some stretches: another interpreter, because the switch is read when Numba is imported.

    Raises MachineError where that process fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        asked, told = Path(folder, "asked"), Path(folder, "told")
        asked.write_bytes(dumps(list(stretches)))
        path = os.pathsep.join(place for place in sys.path if place)
        command = [sys.executable, "-c", "from worldloom.testing.cuda import serve; serve()", str(asked), str(told)]
        environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": path}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True)
        if ended.returncode:
            line = (ended.stderr.strip().splitlines() or ["no message"])[-1]
            raise MachineError(
                f"The CUDA simulator ended with {ended.returncode}: {line}. Expected results; run the step uncompiled."
            )
        found: list[Numbers] = pickle.loads(told.read_bytes())
        return found


def serve() -> None:
    """The simulator's process: stretches in the file named first, their numbers to the file named second."""
    from numba import cuda

    warnings.simplefilter("ignore", RuntimeWarning)  # NumPy mentions integers that wrap, and that the simulator fills few threads
    stretches: list[Stretch] = pickle.loads(Path(sys.argv[1]).read_bytes())
    for given in stretches:
        kernel = cuda.jit(simulated_kernel(given.world, given.mode))
        kernel[1, given.lanes](given.lanes, *given.arguments)
    Path(sys.argv[2]).write_bytes(pickle.dumps([given.numbers() for given in stretches]))
