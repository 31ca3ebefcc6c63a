"""How documents travel: JSON for people, or named arrays as bytes for programs (forms.py), as Content-Type and Accept say."""

import re
from collections.abc import Mapping
from contextlib import nullcontext
from threading import Lock
from typing import Any
from zlib import compressobj

import numpy as np
import orjson
from fastapi import Request, Response

from worldloom.core.errors import InputError
from worldloom.service.forms import BINARY, JSON, Document, packed, unpacked

DEPTH = 32  # brackets within brackets
LISTS = 500_000  # brackets in a body: 4,096 lanes of twenty arrays in three axes have fewer; each costs memory while it is read
LARGE = 256 << 10  # bytes of JSON that are read one body at a time: the interpreter does nothing else meanwhile
UNPACKED = 64 << 20  # bytes of arrays in one request
GZIP_FROM = 1024  # bytes
GZIP_LEVEL, GZIP_FORM = 1, 31  # measured on genomes as JSON: level 6 takes 5x the time for a tenth less; zlib's number for gzip
TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.S)
NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_large = Lock()


def document_of(content_type: str, body: bytes) -> dict[str, Any]:
    """What a request's body says. Raises InputError for what is no document, StoreError for damaged arrays."""
    if content_type.partition(";")[0].strip().lower() == BINARY:
        return unpacked(body, limit=UNPACKED)
    check_depth(body)
    try:
        with _large if len(body) > LARGE else nullcontext():
            document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InputError(f"The body is not JSON: {error}. Expected one object. Check it with a JSON formatter.") from None
    if not isinstance(document, dict):
        raise InputError(f"The body is a JSON {type(document).__name__}. Expected an object with names and values.")
    return document


def check_depth(body: bytes) -> None:
    """Raises InputError where brackets stand deeper than DEPTH in each other; reads bytes only, so that nothing is built before."""
    brackets = np.frombuffer(TEXTS.sub(b"", body).translate(None, NO_BRACKETS), np.uint8)
    opening = (brackets == ord("[")) | (brackets == ord("{"))
    if len(brackets) > 2 * LISTS:
        raise InputError(
            f"The body has {len(brackets) // 2} lists and objects. Expected at most {LISTS}. Send bytes, or fewer lanes."
        )
    if len(brackets) and np.cumsum(np.where(opening, 1, -1)).max() > DEPTH:
        raise InputError(f"The body has brackets nested deeper than {DEPTH}. Expected at most that. Flatten it.")


def answer(request: Request, document: Document, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A document in the form that the request accepts: bytes where it names them, else JSON.

    In JSON a number that is not finite is null. Compressed where the request allows it and there is enough to compress.
    """
    binary = BINARY in request.headers.get("accept", "")
    content = packed(document) if binary else json_bytes(document)
    told = {**(headers or {}), "vary": "accept, accept-encoding"}
    if len(content) >= GZIP_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        content, told["content-encoding"] = gzipped(content), "gzip"
    return Response(content, status, told, media_type=BINARY if binary else JSON)


def json_bytes(document: Document) -> bytes:
    """A document as JSON."""
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):  # arrays that are not contiguous, half precision, NumPy scalars
        return value.tolist()
    raise TypeError(type(value).__name__)


def gzipped(content: bytes) -> bytes:
    """Gzip without a time stamp: the same content gives the same bytes."""
    press = compressobj(GZIP_LEVEL, wbits=GZIP_FORM)
    return press.compress(content) + press.flush()
