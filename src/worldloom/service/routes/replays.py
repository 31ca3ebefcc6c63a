"""Replays: an individual's life again, computed on demand; as arrays, as JSON, or as a page to look at."""

import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import blake2b, sha256

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from worldloom.runtime.arrays import unpack_with_meta
from worldloom.runtime.frames import frames
from worldloom.runtime.record import Run, individual_name
from worldloom.runtime.replay import replay
from worldloom.runtime.replay_page import page
from worldloom.runtime.store import Store
from worldloom.service.forms import BINARY, HTML, JSON
from worldloom.service.problems import refusals
from worldloom.service.routes.runs import Known, Stored, placed
from worldloom.service.wire import json_bytes

router = APIRouter(prefix="/api/runs", tags=["runs"], responses=refusals(503))


def preferred(accept: str) -> str:
    """The form of a replay for an Accept header: a page for browsers, JSON where it is named, else bytes."""
    for kind in (BINARY, HTML, JSON):
        if kind in accept:
            return kind
    return BINARY


def as_bytes(store: Store, run: Run, generation: int, index: int) -> bytes:
    """The replay's arrays in half precision, from the cache or computed."""
    return frames(store, run.id, generation, index)


def as_json(store: Store, run: Run, generation: int, index: int) -> bytes:
    """The same arrays as JSON."""
    arrays, meta = unpack_with_meta(as_bytes(store, run, generation, index))
    return json_bytes({**meta, "arrays": arrays})


def as_page(store: Store, run: Run, generation: int, index: int) -> bytes:
    """A page that plays it."""
    return page(replay(store, run.id, individual_name(generation, index))).encode()


def policy(text: str) -> str:
    """The Content-Security-Policy under which a page's own styles and scripts run, and nothing else."""

    def hashes(tag: str) -> str:
        parts = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", text, re.S)
        return " ".join(f"'sha256-{b64encode(sha256(part.encode()).digest()).decode()}'" for part in parts)

    return f"default-src 'none'; style-src {hashes('style')}; script-src {hashes('script')}; img-src data:; frame-ancestors 'self'"


FORMS: dict[str, Callable[[Store, Run, int, int], bytes]] = {BINARY: as_bytes, JSON: as_json, HTML: as_page}
CONTENT = {
    BINARY: {"schema": {"type": "string", "format": "binary"}},
    JSON: {"schema": {"type": "object"}},
    HTML: {"schema": {"type": "string"}},
}
TAG = {"ETag": {"description": "hash of the content", "required": True, "schema": {"type": "string"}}}


@router.get(
    "/{run}/individuals/{individual}/replay",
    response_class=Response,
    responses={
        200: {"content": CONTENT, "description": "its arrays over time", "headers": TAG},
        304: {"description": "as you have it", "headers": TAG},
    },
)
async def life(request: Request, store: Stored, run: Known, individual: str) -> Response:
    """An individual's life again, bit for bit: arrays [frame, ...] by name, in half precision; for a browser a page that plays it.

    Computed on demand, and kept where the run's keep policy names it. The ETag is a hash of the content.
    """
    generation, index = await run_in_threadpool(placed, store, run, individual)
    form = preferred(request.headers.get("accept", ""))
    content = await run_in_threadpool(FORMS[form], store, run, generation, index)
    tag = f'"{blake2b(content, digest_size=16).hexdigest()}"'
    headers = {"etag": tag, "vary": "accept", "cache-control": "private, no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if form == HTML:
        headers["content-security-policy"] = policy(content.decode())
    return Response(content, headers=headers, media_type=form)
