"""Field: what one number or array of a record is. Records are NamedTuples whose defaults are Fields.

    class State(NamedTuple):
        position: np.ndarray = Field("m", "node positions", (3, "nodes"))

A shape holds whole numbers and names of sizes ("nodes"), which each batch fixes. Arrays exist in two forms:

* at the edge, [lane, *shape]: what users, stores and tests see;
* in kernels, [block, *shape, 16]: blocks of 16 neighbouring lanes, 64-byte aligned (core/elements.py indexes them).

A Field with per="block" is [block, *shape]: plain numbers that the 16 lanes of a block share, such as the list of springs to visit.
They may change how much work is done, never what a lane computes.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from worldloom.core.errors import InputError, UnknownName, WorldAuthorError

BLOCK = 16  # lanes in one block on every machine: a 64-byte line of float32; every lane width divides it
LINE = 64  # bytes in a cache line; a load that straddles two costs 30 % of the creature step
PAGE = 4096  # bytes; blocks that lie whole pages apart would share their places in the L1 cache

Record = Any  # a NamedTuple of arrays or scalars; its class carries the Fields
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Field:
    """Unit and meaning of one number or array.

    low and high are inclusive limits for input; spread is the width that mutation scales by, where the limits are wider than what
    usually helps (default: high - low); choices names the values 0, 1, 2 … of an integer field.
    per: "lane", or "block" for plain numbers shared by 16 neighbouring lanes.
    """

    unit: str
    doc: str
    shape: tuple[int | str, ...] = ()
    dtype: DTypeLike = np.float32
    default: Any = None
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    choices: tuple[str, ...] = ()
    per: str = "lane"


def fields(record: type | Record) -> dict[str, Field]:
    """The Fields of a record class or of one of its instances, by name."""
    cls = record if isinstance(record, type) else type(record)
    found: dict[str, Any] = getattr(cls, "_field_defaults", {})
    names: tuple[str, ...] = getattr(cls, "_fields", ())
    missing = [name for name in names if not isinstance(found.get(name), Field)]
    if missing:
        raise WorldAuthorError(f"{cls.__name__}.{missing[0]} has no Field. Write `{missing[0]}: np.ndarray = Field(unit, doc)`.")
    return {name: found[name] for name in names}


def shape_of(field: Field, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The field's shape with the names of sizes replaced by their numbers."""
    unknown = [n for n in field.shape if isinstance(n, str) and n not in sizes]
    if unknown:
        raise WorldAuthorError(
            f"Size {unknown[0]!r} of field {field.doc!r} is not known. Known sizes: {', '.join(sizes) or 'none'}."
        )
    return tuple(sizes[n] if isinstance(n, str) else n for n in field.shape)


def sizes_of(record: Record) -> dict[str, int]:
    """The named sizes that the shapes of an edge-form record [lane, *shape] imply."""
    sizes: dict[str, int] = {}
    for name, field in fields(record).items():
        array = getattr(record, name)
        if np.ndim(array) != 1 + len(field.shape):
            raise InputError(f"{name} has shape {np.shape(array)}; expected [{field.per}{''.join(f', {n}' for n in field.shape)}].")
        for expected, found in zip(field.shape, array.shape[1:], strict=True):
            known = sizes.setdefault(expected, found) if isinstance(expected, str) else expected
            if known != found:
                raise InputError(f"{name} has {found} along {expected!r}; expected {known}, as the other fields have.")
    return sizes


def fill(record: type, **overrides: Any) -> Record:
    """Scalars of a Params record: the defaults, with overrides by name, checked against limits.

    Raises UnknownName for a name that is not in the record and InputError for a value outside its limits.
    """
    known = fields(record)
    for name in overrides:
        if name not in known:
            raise UnknownName("parameter", name, known)
    return record(**{name: scalar(name, field, overrides.get(name, field.default)) for name, field in known.items()})


def scalar(name: str, field: Field, value: Any) -> Any:
    """One number of the field's type from a number, a numeric text or one of its choices."""
    if isinstance(value, str) and field.choices:
        if value not in field.choices:
            raise UnknownName(name, value, field.choices)
        value = field.choices.index(value)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} = {value!r} is not a number. Expected {field.doc} in {field.unit}.") from None
    low, high = (0, len(field.choices) - 1) if field.choices else (field.low, field.high)
    whole = np.issubdtype(np.dtype(field.dtype), np.integer)
    if number != number or (low is not None and number < low) or (high is not None and number > high) or (whole and number % 1):
        limits = f"from {-np.inf if low is None else low:g} to {np.inf if high is None else high:g}"
        raise InputError(
            f"{name} = {value} is out of range. Expected a {'whole ' if whole else ''}number {limits} ({field.unit}: {field.doc})."
        )
    try:
        return np.dtype(field.dtype).type(value if isinstance(value, int) else number)  # type: ignore[arg-type]
    except OverflowError:
        raise InputError(f"{name} = {value} is out of range. Expected what {np.dtype(field.dtype)} holds ({field.doc}).") from None


def blocks(lanes: int) -> int:
    """How many blocks hold this many lanes."""
    return -(-lanes // BLOCK)


def aligned(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An uninitialised array that starts on a cache line; NumPy promises only 16 bytes."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(size + LINE, np.uint8)
    return np.ndarray(shape, dtype, room, -start_of(room) % LINE)


def start_of(array: NDArray[Any]) -> int:
    """The address of an array's first number; array.ctypes.data is the same at three times the cost."""
    return int(array.__array_interface__["data"][0])


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the fields of a record lie: a block's numbers are contiguous, so its kernel works on one stretch of memory.

    offsets: bytes from the start of a block, by name; stride: bytes from block to block.
    Arrays of their own would start at equal page offsets and push each other out of the L1 cache: a third of the creature step.
    """

    offsets: Mapping[str, int]
    shapes: Mapping[str, tuple[int, ...]]
    stride: int


def layout(record: type, sizes: Mapping[str, int]) -> Layout:
    """The layout of a record whose named sizes are known."""
    offsets, shapes, end = {}, {}, 0
    for name, field in fields(record).items():
        shapes[name] = (*shape_of(field, sizes), *((BLOCK,) if field.per == "lane" else ()))
        offsets[name] = end
        end += -(-math.prod(shapes[name]) * np.dtype(field.dtype).itemsize // LINE) * LINE
    return Layout(offsets, shapes, max(end, LINE) + (LINE if end % PAGE == 0 else 0))


def allocate(record: type, lanes: int, sizes: Mapping[str, int] | None = None) -> Record:
    """Block-form arrays for a record, uninitialised: views [block, *shape, 16], or [block, *shape] where the field is per block."""
    where, count = layout(record, sizes or {}), blocks(lanes)
    room = np.empty(max(count, 1) * where.stride + LINE, np.uint8)
    room = room[-start_of(room) % LINE :]
    arrays = {}
    for name, field in fields(record).items():
        inner = np.empty(where.shapes[name], field.dtype).strides
        shape, strides = (count, *where.shapes[name]), (where.stride, *inner)
        arrays[name] = np.ndarray(shape, field.dtype, room, where.offsets[name], strides)
    return record(**arrays)


def address(record: Record) -> int:
    """Where the memory of a block-form record begins: its first field lies at offset 0."""
    return start_of(record[0])


def to_blocks(record: Record, into: Record | None = None) -> Record:
    """Edge form [lane, *shape] to block form; the lanes that fill up the last block repeat lane 0.

    Fields that are per block come as [block, *shape] and are copied as they are.
    """
    lanes = lane_count(record)
    into = into or allocate(type(record), lanes, sizes_of(record))
    for name, field in fields(record).items():
        source, target = getattr(record, name), getattr(into, name)
        if field.per == "block":
            target[...] = source
            continue
        by_lane = np.moveaxis(target, -1, 1)
        whole = lanes // BLOCK
        by_lane[:whole] = source[: whole * BLOCK].reshape(whole, BLOCK, *source.shape[1:])
        if lanes % BLOCK:
            by_lane[whole, : lanes % BLOCK] = source[whole * BLOCK :]
            by_lane[whole, lanes % BLOCK :] = source[0]
    return into


def from_blocks(record: Record, lanes: int) -> Record:
    """Block form back to [lane, *shape], contiguous copies; a per-block field is repeated for its lanes."""
    return type(record)(**{name: lanes_of(getattr(record, name), lanes, per=field.per) for name, field in fields(record).items()})


def lanes_of(array: NDArray[Any], lanes: int, *, per: str = "lane") -> NDArray[Any]:
    """One block-form array as [lane, *shape], a contiguous copy."""
    if per == "block":
        return np.repeat(array, BLOCK, axis=0)[:lanes]
    by_lane = np.moveaxis(array, -1, 1)
    whole = by_lane.reshape(len(array) * BLOCK, *array.shape[1:-1])
    return np.array(
        whole[:lanes], order="C"
    )  # a copy always: one block reshapes to a view of the memory that the next launch changes


def lane_count(record: Record) -> int:
    """How many lanes an edge-form record holds; raises InputError where its fields disagree."""
    counts = {name: len(getattr(record, name)) for name, field in fields(record).items() if field.per == "lane"}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise InputError(f"The arrays of {type(record).__name__} have different numbers of lanes: {listed}. Expected one number.")
    return next(iter(counts.values()), 0)


def each(record: Record) -> Iterator[tuple[str, Field, Any]]:
    """(name, Field, value) of every member of a record."""
    for name, field in fields(record).items():
        yield name, field, getattr(record, name)
