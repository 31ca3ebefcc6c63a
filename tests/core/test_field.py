"""Records: their limits, their sizes, and the way between [lane, *shape] and blocks of 16 lanes."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldloom.core.errors import InputError, UnknownName, WorldAuthorError
from worldloom.core.field import (
    BLOCK,
    LINE,
    PAGE,
    Field,
    address,
    allocate,
    each,
    fields,
    fill,
    from_blocks,
    lane_count,
    lanes_of,
    layout,
    scalar,
    shape_of,
    sizes_of,
    to_blocks,
)


class Settings(NamedTuple):
    dt: np.float32 = Field("s", "time step", default=0.1, low=0.01, high=1)
    count: np.int32 = Field("1", "how many", dtype=np.int32, default=3, low=0)
    kind: np.int32 = Field("code", "which", dtype=np.int32, default="round", choices=("square", "round"))


class Body(NamedTuple):
    place: np.ndarray = Field("m", "of nodes", (3, "nodes"))
    mass: np.ndarray = Field("kg", "in all", (), dtype=np.float64)
    alive: np.ndarray = Field("code", "of nodes", ("nodes",), dtype=np.bool_)
    order: np.ndarray = Field("node", "shared by a block", ("nodes",), dtype=np.int32, per="block")


def body(lanes, nodes=5):
    rng = np.random.default_rng(lanes)
    return Body(
        rng.random((lanes, 3, nodes)).astype(np.float32), rng.random(lanes), rng.random((lanes, nodes)) > 0.5,
        rng.integers(0, 9, (-(-lanes // BLOCK), nodes)).astype(np.int32),
    )  # fmt: skip


@given(st.integers(1, 70), st.integers(1, 4))
def test_blocks_and_back_is_the_same_record_for_any_number_of_lanes(lanes, nodes):
    edge = body(lanes, nodes)
    memory = to_blocks(edge)
    back = from_blocks(memory, lanes)
    assert memory.place.shape == (-(-lanes // BLOCK), 3, nodes, BLOCK) and sizes_of(edge) == {"nodes": nodes}
    assert all(np.array_equal(getattr(edge, name), getattr(back, name)) for name in ("place", "mass", "alive"))
    assert np.array_equal(back.order, np.repeat(edge.order, BLOCK, axis=0)[:lanes])
    spare = np.moveaxis(memory.place, -1, 1).reshape(-1, 3, nodes)[lanes:]
    assert (spare == edge.place[0]).all()


@pytest.mark.parametrize("lanes", (1, 16, 17, 40))
def test_the_edge_form_is_a_copy_that_later_launches_cannot_change(lanes):
    memory = to_blocks(body(lanes))
    back, mass = from_blocks(memory, lanes), lanes_of(memory.mass, lanes)
    memory.mass[...], memory.place[...] = -1, -1
    assert (back.mass >= 0).all() and (back.place >= 0).all() and (mass >= 0).all()
    assert all(array.flags.c_contiguous for array in back)


@pytest.mark.parametrize("nodes", (1, 8, 13, 64))
def test_every_field_starts_on_a_cache_line_and_blocks_do_not_lie_whole_pages_apart(nodes):
    where, memory = layout(Body, {"nodes": nodes}), allocate(Body, 50, {"nodes": nodes})
    assert all(array.ctypes.data % LINE == 0 for array in memory) and address(memory) == memory.place.ctypes.data
    assert where.stride % LINE == 0 and where.stride % PAGE
    ends = [
        where.offsets[name] + np.prod(where.shapes[name]) * np.dtype(field.dtype).itemsize for name, field in fields(Body).items()
    ]
    assert all(end <= start for end, start in zip(ends, [*list(where.offsets.values())[1:], where.stride], strict=True))


def test_parameters_are_filled_from_defaults_choices_and_overrides_with_their_own_types():
    filled = fill(Settings, dt="0.5", kind="square")
    assert filled == (np.float32(0.5), 3, 0) and [type(n) for n in filled] == [np.float32, np.int32, np.int32]
    assert fill(Settings).kind == 1 and fill(Settings, kind=0).kind == 0 and next(iter(each(filled)))[2] == np.float32(0.5)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"dt": 2}, r"dt = 2 is out of range. Expected a number from 0.01 to 1 \(s: time step\)"),
        ({"dt": "soon"}, "dt = 'soon' is not a number. Expected time step in s"),
        ({"dt": float("nan")}, "dt = nan is out of range"),
        ({"count": 1.5}, "count = 1.5 is out of range. Expected a whole number from 0 to inf"),
        ({"kind": 2}, "kind = 2 is out of range. Expected a whole number from 0 to 1"),
    ],
)
def test_a_value_outside_its_limits_is_refused_and_the_limits_are_told(given, told):
    with pytest.raises(InputError, match=told):
        fill(Settings, **given)


def test_an_unknown_parameter_or_choice_is_told_with_the_nearest_name():
    with pytest.raises(UnknownName, match=r"Unknown parameter 'coutn'. Known: count, dt, kind. Did you mean 'count'"):
        fill(Settings, coutn=1)
    with pytest.raises(UnknownName, match="Did you mean 'round'"):
        fill(Settings, kind="rund")


def test_arrays_that_do_not_fit_their_record_are_refused():
    edge = body(5)
    with pytest.raises(InputError, match="alive has 4 along 'nodes'; expected 5"):
        sizes_of(edge._replace(alive=edge.alive[:, :4]))
    with pytest.raises(InputError, match=r"place has shape \(5, 3\); expected \[lane, 3, nodes\]"):
        sizes_of(edge._replace(place=edge.place[:, :, 0]))
    with pytest.raises(InputError, match="different numbers of lanes: place 5, mass 4, alive 5"):
        lane_count(edge._replace(mass=edge.mass[:4]))
    with pytest.raises(WorldAuthorError, match="Size 'nodes' of field 'of nodes' is not known"):
        shape_of(fields(Body)["alive"], {})


def test_a_member_without_a_field_is_the_authors_fault_and_the_remedy_is_told():
    class Bare(NamedTuple):
        x: np.ndarray

    with pytest.raises(WorldAuthorError, match=r"Bare.x has no Field. Write `x: np.ndarray = Field\(unit, doc\)`"):
        fields(Bare)


@pytest.mark.parametrize("value", [1e30, 10**400, -(10**30)])
def test_a_number_that_its_type_does_not_hold_is_refused(value):
    with pytest.raises(InputError, match="Expected"):
        scalar("rounds", Field("1", "a number without limits", dtype=np.int32), value)
