"""Memory of lane code: block-form indexing, scratch, per-block fields, and the table that hands records over."""

from typing import NamedTuple

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError
from over_lanes import lane_by_lane, over_lanes, same_bits

from worldloom.core.elements import (
    extent,
    lane_number,
    lanes_at,
    parameter_words,
    parameters_in_table,
    record_in_table,
    scratch,
    scratch_like,
)
from worldloom.core.field import Field, address, allocate, from_blocks, to_blocks
from worldloom.core.lanes import lane_code

WIDTHS = (1, 4, 8, 16)
EVERY_WIDTH = pytest.mark.parametrize("width", WIDTHS)


@lane_code
def transpose(i, m):
    """Every element moves; indices are constants and loop variables of several integer types."""
    for row in range(extent(m.a, 0)):
        for column in range(extent(m.a, 1)):
            m.b[i, column, row] = m.a[i, row, column]
    m.a[i, 0, 1] += m.a[i, 1, 0]


@EVERY_WIDTH
@pytest.mark.parametrize("kind", (np.float32, np.float64, np.int8, np.int32, np.uint64))
def test_an_index_reaches_every_element_of_every_lane(width, kind):
    a = (np.arange(37 * 6) % 50).reshape(37, 2, 3).astype(kind)
    got = over_lanes(transpose, width, a=a, b=np.zeros((37, 3, 2), kind))
    assert same_bits(got.b, np.ascontiguousarray(np.swapaxes(a, 1, 2)))
    assert same_bits(got.a[:, 0, 1].copy(), a[:, 0, 1] + a[:, 1, 0])
    assert same_bits(lane_by_lane(transpose, a=a, b=np.zeros((37, 3, 2), kind)).a, got.a)


@lane_code
def running_sums(i, m):
    """Scratch of one and two axes, written and read by number and by loop variable."""
    sums, grid = scratch(i, np.float32, 4), scratch(i, np.int32, 2, 3)
    sums[0] = m.x[i, 0]
    for k in range(1, 4):
        sums[k] = sums[k - 1] + m.x[i, k]
        sums[k] *= 2
    for row in range(2):
        for column in range(3):
            grid[row, column] = 10 * row + column
    copy = scratch_like(i, m.x, np.float64)
    for k in range(4):
        copy[k] = k
        m.y[i, k] = sums[k]
    m.n[i], m.d[i] = grid[0, 2] + grid[1, 1], copy[3] * 0.5


@EVERY_WIDTH
def test_scratch_is_private_memory_of_each_lane(width):
    arrays = {
        "x": np.arange(80, dtype=np.float32).reshape(20, 4), "y": np.zeros((20, 4), np.float32), "n": np.zeros(20, np.int32),
        "d": np.zeros(20),
    }  # fmt: skip
    got, expected = over_lanes(running_sums, width, **arrays), lane_by_lane(running_sums, **arrays)
    assert all(same_bits(a, b) for a, b in zip(got, expected, strict=True)) and got.n[0] == 13 and got.d[0] == 1.5


@lane_code
def wants_a_literal_shape(i, m):
    for k in range(3):
        m.x[i, k] = scratch(i, np.float32, k)[0]


def test_scratch_of_a_size_that_is_not_known_before_does_not_compile():
    with pytest.raises(TypingError, match="scratch"):
        over_lanes(wants_a_literal_shape, 4, x=np.zeros((4, 4), np.float32))


class Mixed(NamedTuple):
    count: np.ndarray = Field("1", "how many terms", dtype=np.int32, per="block")
    terms: np.ndarray = Field("1", "which ones", (4,), dtype=np.uint8, per="block")
    weight: np.ndarray = Field("1", "of the sum", per="block")
    half: np.ndarray = Field("1", "whether only half counts", dtype=np.bool_, per="block")
    x: np.ndarray = Field("1", "numbers", (4,))
    total: np.ndarray = Field("1", "weighted sum")


class Weights(NamedTuple):
    scale: np.float32 = Field("1", "a float32", default=0.1)
    fine: np.float64 = Field("1", "a float64", dtype=np.float64, default=0.1)
    count: np.int32 = Field("1", "a whole number", dtype=np.int32, default=-3)


@lane_code
def weighted_sum(i, m):
    total = m.x[i, 0] * 0
    for k in range(m.count[i]):
        total += m.x[i, m.terms[i, k]]
    if m.half[i]:
        total *= 0.5
    m.total[i] = total * m.weight[i]


def over_record(step, width, record, lanes):
    """step over all lanes of a block-form record."""
    at = record_in_table(type(record), {})

    @njit(nogil=True, _nrt=False)
    def run(table):
        memory = at(table, 0)
        for lane in range(0, lanes, width):
            step(lanes_at(lane, width), memory)

    run(np.array([address(record)], np.uint64))


@EVERY_WIDTH
def test_a_field_per_block_is_a_number_that_sixteen_lanes_share(width):
    edge = Mixed(
        count=np.array([1, 4, 2], np.int32), terms=np.array([[3, 0, 0, 0], [0, 1, 2, 3], [2, 2, 0, 0]], np.uint8),
        weight=np.array([0.1, 3, 1 / 3], np.float32), half=np.array([False, True, False]),
        x=np.random.default_rng(1).random((40, 4)).astype(np.float32), total=np.zeros(40, np.float32),
    )  # fmt: skip
    memory = to_blocks(edge)
    over_record(weighted_sum, width, memory, 48)
    block = np.arange(40) // 16
    chosen = [edge.x[np.arange(40), 3], edge.x[:, 0] + edge.x[:, 1] + edge.x[:, 2] + edge.x[:, 3], edge.x[:, 2] + edge.x[:, 2]]
    chosen[1] = chosen[1] * np.float32(0.5)
    assert same_bits(from_blocks(memory, 40).total, np.choose(block, chosen) * edge.weight[block])


@lane_code
def writes_a_shared_number(i, m):
    m.weight[i] = 1


def test_lane_code_cannot_write_what_a_block_shares():
    with pytest.raises(TypingError, match="setitem"):
        over_record(writes_a_shared_number, 16, allocate(Mixed, 16), 16)


@EVERY_WIDTH
def test_parameters_arrive_with_their_bits_and_floats_are_lanes(width):
    class Found(NamedTuple):
        scale: np.ndarray = Field("1", "scale times a third")
        fine: np.ndarray = Field("1", "fine times a third", dtype=np.float64)
        count: np.ndarray = Field("1", "count times 2", dtype=np.int64)

    parameters, found_at, found = parameters_in_table(Weights), record_in_table(Found, {}), allocate(Found, 16)
    third = 1 / 3

    @njit(nogil=True, _nrt=False)
    def run(table):
        memory = found_at(table, 0)
        for lane in range(0, 16, width):
            i = lanes_at(lane, width)
            params = parameters(table, 1, i)
            memory.scale[i], memory.fine[i], memory.count[i] = params.scale * third, params.fine * third, params.count * 2

    run(np.array([address(found), *parameter_words(Weights(np.float32(0.1), np.float64(0.1), np.int32(-3)))], np.uint64))
    assert (
        (found.scale == np.float32(0.1) * np.float32(1 / 3)).all()
        and (found.fine == 0.1 * (1 / 3)).all()
        and (found.count == -6).all()
    )


@lane_code
def numbers_of_lanes(i, m):
    m.first[i] = m.first[i] * 0 + lane_number(i)


@EVERY_WIDTH
def test_an_index_knows_the_number_of_its_first_lane(width):
    got = over_lanes(numbers_of_lanes, width, first=np.zeros(40, np.int64))
    assert got.first.tolist() == [lane // width * width for lane in range(40)]


def test_an_index_with_too_few_or_too_many_places_does_not_compile():
    @lane_code
    def too_many(i, m):
        m.x[i, 0, 0] = 1

    @lane_code
    def too_few(i, m):
        m.x[i] = 1

    for step in (too_many, too_few):
        with pytest.raises(TypingError, match="setitem"):
            over_lanes(step, 4, x=np.zeros((4, 2), np.float32))


def test_a_record_may_begin_with_a_field_of_no_size():
    class Hollow(NamedTuple):
        nothing: np.ndarray = Field("1", "an axis of length 0", ("none",))
        x: np.ndarray = Field("1", "a number")

    edge = Hollow(np.zeros((20, 0), np.float32), np.arange(20, dtype=np.float32))
    memory = to_blocks(edge)
    found = np.ctypeslib.as_array((np.ctypeslib.ctypes.c_float * 16).from_address(address(memory)))
    assert memory.nothing.shape == (2, 0, 16) and found.tolist() == list(range(16))
    assert from_blocks(memory, 20).x.tolist() == edge.x.tolist() and from_blocks(memory, 20).nothing.shape == (20, 0)
