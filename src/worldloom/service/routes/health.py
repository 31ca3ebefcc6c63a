"""Health: what probes and Prometheus ask. The two probes need no token (shield.py)."""

import asyncio
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from worldloom.service.problems import problem, refusals
from worldloom.service.schemas import Document

PATIENCE = 2.0  # s for a store to answer

router = APIRouter(tags=["health"])


class Alive(Document):
    """The process answers."""

    status: Literal["ok"]


class Ready(Document):
    """The service can do its work."""

    status: Literal["ready"]


UNREADY = {status: {**told, "description": "Warming, or the store does not answer"} for status, told in refusals(503).items()}
TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}


@router.get("/healthz")
async def healthz() -> Alive:
    """Whether the process answers at all. Looks at nothing else."""
    return Alive(status="ok")


@router.get("/readyz", response_model=Ready, responses=UNREADY)
async def readyz(request: Request) -> Ready | Response:
    """Whether the service can do its work: it has compiled what it needs, and its store answers within 2 s."""
    service = request.app.state.service
    if not getattr(service, "ready", True):
        return unready("The service is still compiling. Expected it to be ready within a minute. Ask again.")
    asked = asking(request.app.state, service.store)
    await asyncio.wait({asked}, timeout=PATIENCE)
    if not asked.done():
        return unready(f"The store did not answer within {PATIENCE:g} s. Expected it sooner. Look at its disk or server.")
    if (error := asked.exception()) is not None:
        return unready(f"The store failed with {type(error).__name__}. Expected an answer. Look at its disk or server.")
    return Ready(status="ready")


@router.get("/metrics", response_class=Response, responses=TEXT)
def metrics(request: Request) -> Response:
    """Requests, times, spans and lane steps in the text format of Prometheus."""
    return Response(request.app.state.meters.text(), headers={"content-type": CONTENT_TYPE_LATEST})


def asking(state: Any, store: Any) -> "asyncio.Task[Any]":
    """The question to the store that is under way, or a new one: a store that hangs holds one thread, however many ask."""
    asked: asyncio.Task[Any] | None = getattr(state, "asked", None)
    if asked is None or asked.done():
        asked = state.asked = asyncio.create_task(asyncio.to_thread(store.runs, limit=1))
    return asked


def unready(detail: str) -> Response:
    """503, and when to ask again."""
    return problem(503, detail, headers={"retry-after": "1"})
