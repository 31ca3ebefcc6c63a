"""Forms of documents on the wire: their media types, and documents as named arrays. Client and service share it; it needs no framework.

A document is a mapping of plain values, and of groups of arrays: {"world": "creatures", "seed": 7, "genomes": {"position": …}}.
In bytes (application/vnd.worldloom, runtime/arrays.py) the plain values are the meta mapping, and an array of a group is called
"group/name".
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldloom.runtime.arrays import SENT, pack, unpack_with_meta

BINARY, JSON, PROBLEM = "application/vnd.worldloom", "application/json", "application/problem+json"
HTML, EVENTS = "text/html", "text/event-stream"

Document = Mapping[str, Any]


def split(document: Document) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """(plain values, arrays by name or "group/name") of a document."""
    plain, arrays = {}, {}
    for name, value in document.items():
        if isinstance(value, np.ndarray):
            arrays[name] = value
        elif isinstance(value, Mapping) and value and all(isinstance(member, np.ndarray) for member in value.values()):
            arrays |= {f"{name}/{member}": array for member, array in value.items()}
        else:
            plain[name] = value
    return plain, arrays


def packed(document: Document) -> bytes:
    """A document as bytes."""
    plain, arrays = split(document)
    return pack(arrays, meta=plain, form=SENT)


def unpacked(content: bytes, *, limit: int) -> dict[str, Any]:
    """The document that bytes hold; limit: bytes of arrays. Raises StoreError for damaged ones."""
    arrays, document = unpack_with_meta(content, limit=limit)
    for path, array in arrays.items():
        group, slash, name = path.partition("/")
        if not slash:
            document[path] = array
        elif isinstance(members := document.setdefault(group, {}), dict):
            members[name] = array
    return document
