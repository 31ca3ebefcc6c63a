"""One step -> a CPU driver and a CUDA kernel. The only code that knows lane widths, threads and numba.cuda; no world loops over lanes.

A driver runs groups of `width` lanes: outermost over groups, so that a group stays in the L1 cache, inside over steps. It holds no GIL.
The threads take chunks from one list that starts coarse and ends fine, so lanes of uneven length balance; lanes do not meet, so results
cannot depend on it.
"""

import linecache
import re
import threading
from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite import binding
from numba import njit
from numba.core import config, types
from numba.core.errors import NumbaError
from numpy.typing import NDArray

from worldloom.core import lanes as _operators  # noqa: F401  a world may use + without importing a name from there
from worldloom.core.cache import CORE, KernelCache, source_digest, sources
from worldloom.core.elements import lanes_at, parameters_in_table, record_in_table
from worldloom.core.errors import WorldAuthorError
from worldloom.core.field import BLOCK, Field, fields
from worldloom.core.lane_types import lane_code
from worldloom.core.world import World

BEGIN, END = 1, 2  # phases: run reset first, run finish after the last step
SIGNATURE = (types.int64, types.int64, types.int64, types.int64, types.int64, types.Array(types.uint64, 1, "C"))


@lru_cache(maxsize=64)
def edges_of(world: World) -> type:
    """The record of what a lane exchanges with its surroundings: its key, action and observation."""
    key, nothing = Field("1", "the lane's random key", dtype=np.uint64), Field("1", "nothing", (1,))
    return namedtuple("Edges", ("key", "action", "obs"), defaults=(key, world.action or nothing, world.observation or nothing))


def life_of(world: World, mode: str | None) -> Callable[..., None]:
    """The whole life of one lane group as lane code: what every target runs."""
    reset, step, finish = world.reset, world.mode(mode).step or world.step, world.finish

    @lane_code
    def live(i, t0, t1, phases, edge, params, inputs, state, outcome):  # type: ignore[no-untyped-def]
        key = edge.key[i]
        if phases & BEGIN:
            reset(i, key, params, inputs, state)
        for t in range(t0, t1):
            step(i, key, t, params, inputs, edge.action, state, edge.obs)
        if phases & END:
            finish(i, params, inputs, state, outcome)

    return live  # type: ignore[no-any-return]


def records(world: World) -> tuple[type, type, type, type]:
    """The records whose addresses the table lists, in this order; the parameters follow."""
    return edges_of(world), world.inputs, world.state, world.outcome


def _readers(world: World, sizes: Mapping[str, int]) -> list[Any]:
    """Functions for compiled code that read the table: the four records, then the parameters."""
    return [*(record_in_table(record, sizes) for record in records(world)), parameters_in_table(world.params)]


def lane_width(world: World) -> int:
    """Lanes in one register on this CPU. Results do not depend on it; measured: float32 wants 16 from AVX2 up, float64 half of that."""
    if world.scalar:
        return 1
    features = config.CPU_FEATURES or host_features()
    doubles = sum(np.dtype(f.dtype).itemsize == 8 for f in fields(world.state).values()) * 2 > len(fields(world.state))
    if "+avx512f" in features:
        return 16
    if "+avx2" in features or "+avx" in features:
        return 4 if doubles else 16
    return 4


@lru_cache(maxsize=1)
def host_features() -> str:
    """What this CPU can do, as LLVM says it: asking takes 0.3 ms."""
    return str(binding.get_host_cpu_features().flatten())


@dataclass(frozen=True, eq=False)
class Driver:
    """Compiled code of one world, mode, set of sizes and width. run(first, last, t0, t1, phases, table) releases the GIL."""

    run: Callable[[int, int, int, int, int, NDArray[Any]], None]
    width: int
    from_disk: bool
    dispatcher: Any


def driver(world: World, mode: str | None, sizes: Mapping[str, int], width: int | None = None) -> Driver:
    """The CPU driver, compiled or from disk, made once a process. Modes that differ in numbers alone share one."""
    own = mode if world.mode(mode).step else None
    return _driver(world, own, tuple(sorted(sizes.items())), width or lane_width(world))


_compiling = threading.RLock()  # Numba compiles one function at a time; without it two threads would do the same work twice


@lru_cache(maxsize=256)
def _driver(world: World, mode: str | None, sizes: tuple[tuple[str, int], ...], width: int) -> Driver:
    with _compiling:
        advance, cache = _advance(world, mode, dict(sizes), width), _kernel_cache(world, mode, sizes, width)
        if cache is not None:  # the name becomes a symbol: code of two files must not share one
            advance.__name__ = advance.__qualname__ = re.sub(r"\W", "_", cache.path.stem)
        dispatcher = njit(nogil=True, _nrt=False, error_model="numpy")(advance)
        if cache is not None:
            dispatcher._cache = cache
        try:
            dispatcher.compile(SIGNATURE)
        except NumbaError as error:
            raise WorldAuthorError(f"World {world.name!r} does not compile: {telling_line(str(error))}") from error
        dispatcher.disable_compile()
        return Driver(dispatcher, width, bool(dispatcher.stats.cache_hits), dispatcher)


def _advance(world: World, mode: str | None, sizes: Mapping[str, int], width: int) -> Callable[..., None]:
    live = life_of(world, mode)
    edge_at, inputs_at, state_at, outcome_at, params_at = _readers(world, sizes)

    def advance(first, last, t0, t1, phases, table):  # type: ignore[no-untyped-def]
        edge, inputs, state, outcome = edge_at(table, 0), inputs_at(table, 1), state_at(table, 2), outcome_at(table, 3)
        for lane in range(first, last, width):
            i = lanes_at(lane, width)
            live(i, t0, t1, phases, edge, params_at(table, 4, i), inputs, state, outcome)

    return advance


def _kernel_cache(world: World, mode: str | None, sizes: tuple[tuple[str, int], ...], width: int) -> KernelCache | None:
    """Where a driver is kept on disk; None for functions that have no file, or that were made inside another function."""
    functions = [world.reset, world.mode(mode).step or world.step, world.finish]
    files = sources(functions)
    if files is None or any(function.__closure__ for function in functions):
        return None
    names = [f"{function.__module__} {function.__qualname__} {function.__code__.co_firstlineno}" for function in functions]
    shapes = [(name, f.dtype, f.shape, f.per) for record in (*records(world), world.params) for name, f in fields(record).items()]
    return KernelCache(f"{world.name}-{width}", source_digest(files), *names, f"{shapes} {sizes} {width}")


# ---- errors ----------------------------------------------------------------------------------------------------------------------

HINTS = {  # what Numba says -> what to do
    r"^i?floordiv\(Lane\(float": "Python's // on fractions is not floor(a / b): write floor(a / b) if that is meant",
    r"^(truth|bool)\(Lane\(bool": "A mask has no truth value over several lanes: write where(mask, a, b), or give the World scalar=True",
    r"^setitem\(Block.*(slice|Lane\(\w+, \d+\)\), )": "An index is i and one plain integer for each axis",
    r"^(getitem|setitem)\(Block": "Expected one index for each axis of the field, and its own type",
    r"^\w+\(Lane.*Lane": "Two types do not mix: write cast(x, np.float32)",
    r"^\w+\(Lane\(u?int\d+, \d+\), float": "A whole number beside a fraction: write cast(x, np.float32) first",
    r"^(empty|zeros|ones|full|array)\(|^NRT": "Lane code allocates nothing: write scratch(i, np.float32, 3)",
}  # fmt: skip
TOLD = r"(?:Cannot unify|NameError:|Unknown attribute|NRT required|Use of unsupported|undefined variable).*"
OURS = {CORE, Path(numba.__file__).parent}


def telling_line(message: str) -> str:
    """The line of a Numba error that a world's author can act on: what has no meaning, where, and what to write instead.

    Numba reports from the inside out: the first place that is not ours is the author's, and what stands before it is the cause.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", message)
    places = [m for m in re.finditer(r"During: .*? at (.+) \((\d+)\)", text) if not OURS & set(Path(m[1]).parents)]
    before = text[: places[0].start()] if places else text
    calls, told = re.findall(r">>> (.+?)\s*$", before, re.M), re.findall(TOLD, before)
    last = calls[-1] if calls else text.strip().partition("\n")[0]
    cause = re.sub(r"(of type \w+)\(.*", r"\1", told[-1].strip()) if told else last
    line = f"{cause}{'' if told or not calls else ' has no meaning'}"
    if places and not cause.startswith("NameError"):  # of which Numba tells no place
        file, number = places[0].groups()
        line += f", at {file}:{number}: {linecache.getline(file, int(number)).strip()}"
    elif told and calls:
        line += f", in {last.partition('(')[0]}"
    hint = next((hint for pattern, hint in HINTS.items() if re.search(pattern, cause)), None)
    return f"{line}. {hint}." if hint else f"{line}."


# ---- threads ---------------------------------------------------------------------------------------------------------------------


def chunks(lanes: int, threads: int) -> list[tuple[int, int]]:
    """(first, last) of chunks of whole blocks, coarse first and fine at the end: a third of the remaining share each time."""
    first, last, found = 0, -(-lanes // BLOCK) * BLOCK, []
    while first < last:
        size = max(1, (last - first) // BLOCK // (3 * threads)) * BLOCK if threads > 1 else last
        found.append((first, min(first + size, last)))
        first += size
    return found


def on_threads(run: Callable[..., None], lanes: int, threads: int, *args: Any) -> None:
    """run(first, last, *args) over all chunks, on this thread and `threads - 1` more. The first error is raised after all have stopped."""
    if threads <= 1:
        run(0, -(-lanes // BLOCK) * BLOCK, *args)
        return
    waiting = iter(chunks(lanes, threads))
    errors: list[BaseException] = []
    lock = threading.Lock()

    def work() -> None:
        try:
            while not errors:
                with lock:
                    chunk = next(waiting, None)
                if chunk is None:
                    return
                run(*chunk, *args)
        except BaseException as error:
            errors.append(error)

    helpers = [threading.Thread(target=work, daemon=True) for _ in range(min(threads, -(-lanes // BLOCK)) - 1)]
    for helper in helpers:
        helper.start()
    work()
    for helper in helpers:
        helper.join()
    if errors:
        raise errors[0]


# ---- CUDA -------------------------------------------------------------------------------------------------------------------------


def cuda_kernel(world: World, mode: str | None, sizes: Mapping[str, int]) -> Callable[..., None]:
    """The body of a CUDA kernel: one thread, one lane, the same lane code at width 1."""
    from numba import cuda

    live = life_of(world, mode)
    edge_at, inputs_at, state_at, outcome_at, params_at = _readers(world, sizes)

    def kernel(lanes, t0, t1, phases, table):  # type: ignore[no-untyped-def]
        lane = cuda.grid(1)
        if lane < lanes:
            i = lanes_at(lane, 1)
            edge, inputs, state, outcome = edge_at(table, 0), inputs_at(table, 1), state_at(table, 2), outcome_at(table, 3)
            live(i, t0, t1, phases, edge, params_at(table, 4, i), inputs, state, outcome)

    return kernel


def simulated_kernel(world: World, mode: str | None) -> Callable[..., None]:
    """The same kernel over plain arrays [lane, *shape], for Numba's CUDA simulator: the functions run as plain Python.

    The simulator finds numba.cuda among the kernel's globals and puts its own threads there.
    """
    global cuda
    from numba import cuda

    live = life_of(world, mode)

    def kernel(lanes, t0, t1, phases, edge, params, inputs, state, outcome):  # type: ignore[no-untyped-def]
        lane = cuda.grid(1)
        if lane < lanes:
            live(lane, t0, t1, phases, edge, params, inputs, state, outcome)

    return kernel


def ptx(world: World, mode: str | None, sizes: Mapping[str, int], compute_capability: tuple[int, int] = (9, 0)) -> str:
    """PTX of the world's CUDA kernel. No GPU is needed where numba.cuda finds a device for its defaults, or a stand-in for one."""
    from numba import cuda

    signature = types.void(types.int64, *SIGNATURE[2:])
    text, _ = cuda.compile(
        cuda_kernel(world, mode, sizes), signature, device=False, abi="numba", cc=compute_capability, output="ptx"
    )
    return text if isinstance(text, str) else str(text.decode())
