"""Named arrays as one compressed, checksummed block of bytes, and back. What stores, exports and caches are made of.

    magic "LOOM" | version u16 | form u16 | header length u32 | payload length u64 | BLAKE2b-128 of all the rest | header | payload

Little-endian. The header is JSON: size of the arrays in bytes, their names, types, shapes and places, and a small `meta` mapping.
The payload holds the arrays in C order, each starting at a multiple of 64 bytes: form 0, to be kept, is one Zstandard frame of them;
form 1, to be sent, has them as they are, and its checksum leaves them out (measured: both together take longer than sending). Nothing
in it can run code, and nothing is decompressed before its checksum and its declared size have been looked at.
"""

import struct
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, cast

import numpy as np
import orjson
import zstandard
from numpy.typing import NDArray

from worldloom.core.errors import InputError, StoreError
from worldloom.runtime.record import Rows

MAGIC, VERSION = b"LOOM", 1
KEPT, SENT = 0, 1  # forms
PREFIX = struct.Struct("<4sHHIQ")
CHECKSUM = 16  # bytes
LEVEL = 1  # measured on float32 genomes: level 3 takes 2.2x the time for 1 % less
ALIGN = 64  # bytes: arrays can be used where they lie
LIMIT = 1 << 30  # bytes of arrays in one blob unless the caller allows more
KINDS = "biuf"  # booleans, whole numbers and floats: what has one meaning on every machine
MAX_DIMENSIONS = 32


def pack(arrays: Mapping[str, Any], *, meta: Mapping[str, Any] | None = None, half: bool = False, form: int = KEPT) -> bytes:
    """One block of bytes from arrays by name. half: floats are stored, and come back, as float16. form: KEPT or SENT.

    The same arrays give the same bytes with the same zstd library. Raises InputError for an array that is not plain numbers, or
    too large for float16.
    """
    pieces: list[Any] = []
    listed, size = [], 0
    for name, given in arrays.items():
        array = np.ascontiguousarray(_halved(name, plain_array(name, given)) if half else plain_array(name, given))
        gap = -size % ALIGN
        pieces += [bytes(gap), array.reshape(-1).view(np.uint8)]
        listed.append([name, array.dtype.str, list(np.shape(given)), size + gap])
        size += gap + array.nbytes
    header = orjson.dumps({"size": size, "arrays": listed, "meta": dict(meta or {})})
    payload = b"".join(pieces)
    if form == KEPT:
        payload = zstandard.ZstdCompressor(level=LEVEL, write_content_size=True).compress(payload)
    else:
        header += b" " * (-(PREFIX.size + CHECKSUM + len(header)) % ALIGN)  # the arrays can be used where they lie
    prefix = PREFIX.pack(MAGIC, VERSION, form, len(header), len(payload))
    return b"".join((prefix, _checksum(form, prefix, header, payload), header, payload))


def unpack(blob: bytes, *, limit: int = LIMIT) -> dict[str, NDArray[Any]]:
    """The arrays of a block of bytes, read-only. limit: bytes of arrays that the caller is ready to hold.

    Raises StoreError for anything that pack did not write.
    """
    return unpack_with_meta(blob, limit=limit)[0]


def unpack_with_meta(blob: bytes, *, limit: int = LIMIT) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays and the meta mapping of a block of bytes; as unpack."""
    form, header, payload = _verified(blob)
    try:
        size, listed, meta = int(header["size"]), header["arrays"], dict(header["meta"])
        if not 0 <= size <= limit:
            raise StoreError(
                f"Stored arrays of {size} bytes are too large. Expected at most {limit}. Raise the limit if they are yours."
            )
        data = _decompressed(payload, size) if form == KEPT else _whole(payload, size)
        return {str(name): _placed(data, str(kind), shape, int(start)) for name, kind, shape, start in listed}, meta
    except (KeyError, TypeError, ValueError, OverflowError, zstandard.ZstdError) as error:
        if isinstance(error, StoreError):
            raise
        raise _broken("its header does not describe its content") from None


def plain_array(name: str, given: Any) -> NDArray[Any]:
    """The array in the machine-independent form that is stored: little-endian numbers. Raises InputError for other types."""
    array = np.asarray(given)
    if array.dtype.kind not in KINDS or array.dtype.itemsize > 8:
        raise InputError(f"Array {name!r} has type {array.dtype}. Expected booleans, whole numbers or floats of up to 64 bits.")
    if array.ndim > MAX_DIMENSIONS:
        raise InputError(f"Array {name!r} has {array.ndim} dimensions. Expected at most {MAX_DIMENSIONS}.")
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _halved(name: str, array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind != "f":
        return array
    with np.errstate(over="ignore", under="ignore"):
        small = array.astype("<f2")
    if np.any(np.isinf(small) & np.isfinite(array)):
        raise InputError(f"Array {name!r} has numbers beyond float16. Expected at most 65504 in size. Store it whole.")
    return small


def _checksum(form: int, prefix: bytes | memoryview, header: bytes | memoryview, payload: bytes | memoryview) -> bytes:
    digest = blake2b(prefix, digest_size=CHECKSUM)
    digest.update(header)
    if form == KEPT:
        digest.update(payload)
    return digest.digest()


def _broken(why: str) -> StoreError:
    return StoreError(
        f"Stored arrays are damaged: {why}. Expected a whole block of version {VERSION}. Restore it from an export or backup."
    )


def _verified(blob: bytes) -> tuple[int, dict[str, Any], memoryview]:
    start = PREFIX.size + CHECKSUM
    if len(blob) < start or bytes(blob[:4]) != MAGIC:
        raise _broken("it is cut short or something else")
    view = memoryview(blob)
    _, version, form, header_bytes, payload_bytes = PREFIX.unpack(view[: PREFIX.size])
    if version != VERSION or form not in (KEPT, SENT):
        raise StoreError(f"Stored arrays have version {version}. Expected {VERSION}. Upgrade worldloom to read them.")
    if len(blob) != start + header_bytes + payload_bytes:
        raise _broken(f"it has {len(blob)} bytes, not {start + header_bytes + payload_bytes}")
    header, payload = view[start : start + header_bytes], view[start + header_bytes :]
    if _checksum(form, view[: PREFIX.size], header, payload) != bytes(view[PREFIX.size : start]):
        raise _broken("its checksum does not fit")
    try:
        return form, cast(dict[str, Any], orjson.loads(header)), payload
    except orjson.JSONDecodeError:
        raise _broken("its header is not JSON") from None


def _whole(payload: memoryview, size: int) -> memoryview:
    if len(payload) != size:
        raise _broken("its payload has another size than its header says")
    return payload


def _decompressed(payload: memoryview, size: int) -> bytes:
    if zstandard.get_frame_parameters(payload).content_size != size:  # the library would allocate whatever the frame claims
        raise _broken("its payload has another size than its header says")
    data = zstandard.ZstdDecompressor().decompress(payload, max_output_size=size, allow_extra_data=False)
    if len(data) != size:
        raise _broken("its payload has another size than its header says")
    return data


def _placed(data: bytes | memoryview, kind: str, shape: list[int], start: int) -> NDArray[Any]:
    dtype = np.dtype(kind)
    if dtype.kind not in KINDS or dtype.itemsize > 8 or start % ALIGN or len(shape) > MAX_DIMENSIONS or any(n < 0 for n in shape):
        raise ValueError(kind)
    count = 1
    for number in shape:  # Python's own integers: a product of shapes must not wrap around
        count *= int(number)
    if start < 0 or start + count * dtype.itemsize > len(data):
        raise ValueError(shape)
    if count == 0:
        return np.empty(shape, dtype)
    return np.frombuffer(data, dtype, count, start).reshape(shape)


def pack_rows(rows: Rows) -> bytes:
    """One generation as one block of bytes."""
    arrays: dict[str, Any] = {"keys": rows.keys, "parents": rows.parents, "streak": rows.streak}
    for group, members in (("genomes", rows.genomes), ("outcome", rows.outcome), ("memory", rows.memory)):
        arrays |= {f"{group}/{name}": array for name, array in members.items()}
    meta = {
        "generation": rows.generation,
        "digest": rows.digest,
        "seconds": float(rows.seconds),
        "lane_steps": int(rows.lane_steps),
    }
    return pack(arrays, meta=meta)


def unpack_rows(blob: bytes, *, limit: int = LIMIT) -> Rows:
    """The generation that pack_rows wrote. Raises StoreError for anything else."""
    arrays, meta = unpack_with_meta(blob, limit=limit)
    groups: dict[str, dict[str, NDArray[Any]]] = {"genomes": {}, "outcome": {}, "memory": {}}
    try:
        for path, array in arrays.items():
            group, slash, name = path.partition("/")
            if slash:
                groups[group][name] = array
        keys, parents, streak = arrays["keys"], arrays["parents"], arrays["streak"]
        numbers = {"generation": int(meta["generation"]), "seconds": float(meta["seconds"]), "lane_steps": int(meta["lane_steps"])}
        return Rows(digest=str(meta["digest"]), keys=keys, parents=parents, streak=streak, **groups, **numbers)  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError):
        raise _broken("it holds no generation") from None
