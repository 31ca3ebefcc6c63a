"""Lane code over arrays: the smallest driver, for tests of functions that belong to no world."""

from collections import namedtuple
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import njit

from worldloom.core.elements import lanes_at, record_in_table
from worldloom.core.field import Field, address, from_blocks, to_blocks


def record_of(**arrays: Any) -> Any:
    """A record in edge form [lane, *shape]; each array's Field follows from the array."""
    fields = tuple(Field("1", name, array.shape[1:], array.dtype) for name, array in arrays.items())
    return namedtuple("Arrays", tuple(arrays), defaults=fields)(**arrays)


@cache
def compiled(step: Callable[..., None], width: int, names: tuple[str, ...], fields: tuple[Field, ...]) -> Any:
    record_at = record_in_table(namedtuple("Arrays", names, defaults=fields), {})

    @njit(nogil=True, _nrt=False, error_model="numpy")
    def run(table, lanes):
        memory = record_at(table, 0)
        for lane in range(0, lanes, width):
            step(lanes_at(lane, width), memory)

    return run


def over_lanes(step: Callable[..., None], width: int, **arrays: Any) -> Any:
    """step(i, record) for every lane in registers of `width`; the record of arrays [lane, *shape] afterwards."""
    record = record_of(**arrays)
    lanes = len(record[0])
    memory = to_blocks(record)
    run = compiled(step, width, record._fields, tuple(record._field_defaults.values()))
    run(np.array([address(memory)], np.uint64), -(-lanes // 16) * 16)
    return from_blocks(memory, lanes)


def lane_by_lane(step: Callable[..., None], **arrays: Any) -> Any:
    """The same uncompiled: plain Python on NumPy scalars."""
    record = record_of(**{name: array.copy() for name, array in arrays.items()})
    for lane in range(len(record[0])):
        step(lane, record)
    return record


def same_bits(a: Any, b: Any) -> bool:
    """Whether two arrays agree bit for bit, NaN with NaN."""
    bits = np.dtype(f"u{a.dtype.itemsize}")
    return a.dtype == b.dtype and bool(((a.view(bits) == b.view(bits)) | ((a != a) & (b != b))).all())
