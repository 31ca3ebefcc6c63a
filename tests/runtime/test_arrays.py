"""The blob codec: what goes in comes out, and nothing else comes out."""

import struct

import numpy as np
import orjson
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from worldloom.core.errors import InputError, StoreError
from worldloom.runtime import arrays
from worldloom.runtime.arrays import pack, pack_rows, unpack, unpack_rows, unpack_with_meta
from worldloom.testing.stores import assert_same_rows, sample_rows

DTYPES = st.sampled_from(["?", "i1", "u1", "<i2", ">i4", "<u4", "<i8", "<u8", "<f2", "<f4", ">f8", "<f8"]).map(np.dtype)
ARRAYS = DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)))
NAMED = st.dictionaries(st.text(max_size=8), ARRAYS, max_size=4)
BLOB = pack({"a": np.arange(300, dtype=np.float32), "b": np.ones((3, 2), np.uint8)}, meta={"g": 1})


def forged(header, payload=None, size=None, form=arrays.KEPT):
    """A blob whose checksum is right and whose content need not be."""
    raw = orjson.dumps(header)
    packed = zstandard.ZstdCompressor().compress(b"\0" * (size or 0)) if payload is None else payload
    prefix = arrays.PREFIX.pack(arrays.MAGIC, arrays.VERSION, form, len(raw), len(packed))
    return prefix + arrays._checksum(form, prefix, raw, packed) + raw + packed


@settings(max_examples=60, deadline=None)
@given(NAMED, st.sampled_from([arrays.KEPT, arrays.SENT]))
def test_arrays_come_back_with_names_types_shapes_and_bits(named, form):
    found = unpack(pack(named, form=form))
    assert list(found) == list(named)
    for name, array in named.items():
        little = array.astype(array.dtype.newbyteorder("<"))
        assert (found[name].dtype, found[name].shape, found[name].tobytes()) == (little.dtype, array.shape, little.tobytes())
        assert not found[name].flags.writeable or found[name].size == 0


@settings(max_examples=60, deadline=None)
@given(NAMED)
def test_halved_floats_come_back_as_float16(named):
    floats = {name: array for name, array in named.items() if array.dtype.kind == "f"}
    try:
        found = unpack(pack(named, half=True))
    except InputError as error:
        assert "65504" in str(error) and any(np.any(np.abs(a[np.isfinite(a)]) >= 65504) for a in floats.values())
        return
    for name, array in named.items():
        with np.errstate(over="ignore"):
            expected = array.astype(np.float16) if name in floats else array
        assert found[name].dtype == expected.dtype.newbyteorder("<")
        np.testing.assert_array_equal(found[name], expected)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(BLOB) - 1), st.integers(0, 7))
def test_a_flipped_bit_is_found(place, bit):
    damaged = bytearray(BLOB)
    damaged[place] ^= 1 << bit
    with pytest.raises(StoreError, match="Expected"):
        unpack(bytes(damaged))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(BLOB) - 1))
def test_a_cut_or_lengthened_blob_is_found(length):
    for damaged in (BLOB[:length], BLOB + BLOB[:1] + BLOB[:length]):
        with pytest.raises(StoreError, match="Expected"):
            unpack(damaged)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_other_bytes_are_refused(noise):
    for blob in (noise, arrays.MAGIC + noise, BLOB[:36] + noise):
        with pytest.raises(StoreError, match="Expected"):
            unpack(blob)


JSON = st.recursive(st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5), st.lists, max_leaves=6)
ENTRIES = st.lists(
    st.tuples(st.text(max_size=3), st.sampled_from(["<f4", "|u1", "O", "<M8[s]", "V9", "", "<c16"]), JSON, JSON).map(list),
    max_size=3,
)
HEADERS = JSON | st.fixed_dictionaries({"size": st.just(64) | JSON, "arrays": ENTRIES | JSON, "meta": st.just({}) | JSON})


@settings(max_examples=150, deadline=None)
@given(HEADERS)
def test_a_forged_header_is_refused_or_stays_within_its_bytes(header):
    try:
        found = unpack(forged(header, size=64))
    except StoreError:
        return
    assert sum(array.nbytes for array in found.values()) <= 64 * len(found)


@pytest.mark.parametrize(
    ("kind", "shape", "start"),
    [
        ("<f4", [17], 0),
        ("<f4", [2**62, 4], 0),
        ("<f4", [-1], 0),
        ("|u1", [1], -64),
        ("|u1", [1], 32),
        ("|u1", [1], 64),
        ("O", [1], 0),
    ],
)
def test_an_array_that_reaches_outside_is_refused(kind, shape, start):
    with pytest.raises(StoreError, match="header does not describe"):
        unpack(forged({"size": 64, "arrays": [["x", kind, shape, start]], "meta": {}}, size=64))


def test_a_bomb_is_refused_before_it_is_unpacked():
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 20))
    with pytest.raises(StoreError, match="another size"):
        unpack(forged({"size": 64, "arrays": [], "meta": {}}, bomb))
    with pytest.raises(StoreError, match="too large"):
        unpack(forged({"size": 1 << 20, "arrays": [], "meta": {}}, bomb), limit=1 << 19)
    with pytest.raises(StoreError, match="too large"):
        unpack(BLOB, limit=100)


@pytest.mark.parametrize("size", [0, 63, 65, 1 << 40])
def test_sent_arrays_whose_size_is_a_lie_are_refused(size):
    with pytest.raises(StoreError, match=r"another size|too large"):
        unpack(forged({"size": size, "arrays": [], "meta": {}}, bytes(64), form=arrays.SENT))


def test_sent_arrays_are_read_where_they_lie():
    numbers = np.arange(300, dtype=np.float32)
    blob = pack({"a": numbers}, form=arrays.SENT)
    found = unpack(blob)["a"]
    assert found.flags.aligned and np.shares_memory(found, np.frombuffer(blob, np.uint8)) and not found.flags.writeable
    assert found.tobytes() == numbers.tobytes() and blob.endswith(numbers.tobytes())


def test_a_frame_that_lies_about_its_size_is_refused():
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(64))
    for payload in (unsized, zstandard.ZstdCompressor().compress(bytes(64)) + b"more", b"", b"no frame"):
        with pytest.raises(StoreError, match="Expected"):
            unpack(forged({"size": 64, "arrays": [], "meta": {}}, payload))


def test_another_version_says_what_to_do():
    later = bytearray(BLOB)
    struct.pack_into("<H", later, 4, 2)
    with pytest.raises(StoreError, match=r"version 2\..*Upgrade worldloom"):
        unpack(bytes(later))


@pytest.mark.parametrize(
    "array", [np.array([object()]), np.array(["text"]), np.array([1j]), np.array(["2026"], "M8[D]"), np.zeros(2, "f4,i4")]
)
def test_arrays_that_are_no_plain_numbers_are_refused(array):
    with pytest.raises(InputError, match="Expected booleans, whole numbers or floats"):
        pack({"x": array})


def test_meta_travels_along():
    assert unpack_with_meta(pack({}, meta={"digest": "ab", "n": 3})) == ({}, {"digest": "ab", "n": 3})


def test_a_generation_comes_back_whole():
    assert_same_rows(unpack_rows(pack_rows(sample_rows(3))), sample_rows(3))


def test_arrays_that_are_no_generation_are_refused():
    for blob in (BLOB, pack({"keys": np.zeros(1)}, meta={"generation": 0}), pack({"other/x": np.zeros(1)})):
        with pytest.raises(StoreError, match="holds no generation"):
            unpack_rows(blob)


def test_strided_and_fortran_arrays_come_back_in_their_own_order():
    grid = np.arange(24).reshape(4, 6)
    for array in (grid[::2, ::-1], np.asfortranarray(grid), grid.T):
        np.testing.assert_array_equal(unpack(pack({"x": array}))["x"], array)
