"""Events: what happens to a run, as it happens, over server-sent events. Read from the store, so that any process may execute it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from worldloom.core.errors import BusyError
from worldloom.runtime.record import CANCELLED, FAILED, FINISHED, Run, Summary
from worldloom.runtime.run import MOST_GENERATIONS
from worldloom.runtime.store import Store
from worldloom.service.problems import refusals
from worldloom.service.records import generation_info, run_report
from worldloom.service.routes.runs import Known, Stored

ENDED = (FINISHED, FAILED, CANCELLED)
SLOWEST = 2.0  # s between two looks at a run of which nothing new is heard
MOST = 64  # streams at a time, of one process: each asks the store again and again
DIGITS = 18  # of a generation's number that are worth converting: no run has that many
EVENT = {
    "type": "object",
    "description": "one of the stream's events; data is JSON",
    "properties": {
        "event": {"enum": ["status", "progress", "best", "finished"]}, "id": {"type": "string"}, "data": {"type": "string"},
    },
    "required": ["event", "data"],
}  # fmt: skip
STREAM = {"text/event-stream": {"schema": EVENT, "itemSchema": None}}  # instead of FastAPI's itemSchema: a word of OpenAPI 3.2
router = APIRouter(prefix="/api/runs", tags=["runs"], responses=refusals(429, 503))


async def listener(request: Request) -> AsyncIterator[None]:
    """One of the places for streams, until the stream's end. Raises BusyError where there is none."""
    service = request.app.state.service
    if service.streams >= MOST:
        raise BusyError(
            f"{service.streams} streams of events are open. Expected fewer than {MOST}. Close some, and ask again.", 5.0
        )
    service.streams += 1
    try:
        yield
    finally:
        service.streams -= 1


@router.get(
    "/{run}/events", dependencies=[Depends(listener)], response_class=EventSourceResponse, responses={200: {"content": STREAM}}
)
async def events(
    request: Request,
    store: Stored,
    run: Known,
    after: Annotated[int, Query(ge=-1, le=MOST_GENERATIONS, description="only generations after this one")] = -1,
    last_event_id: Annotated[str | None, Header()] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Follow a run: `status` at once and whenever it changes, `progress` for each generation, `best` for each new best individual,
    `finished` at its end, with its report; then the stream ends. A client that reconnects goes on where it was.
    """
    seen = after if last_event_id is None else last_seen(last_event_id, after)
    service = request.app.state.service
    pause = service.settings.poll
    status: str | None = None
    best = await run_in_threadpool(best_until, store, run.id, seen)
    while True:
        now, fresh = await run_in_threadpool(glance, store, run.id, seen)
        pause = service.settings.poll if fresh or now.status != status else min(1.2 * pause, SLOWEST)
        if now.status != status and now.status not in ENDED:
            yield told(now)
        for summary in fresh:
            seen, better = summary.generation, is_better(summary, best)
            progress = {**generation_info(summary), "generations": now.goal}
            # The last event of a generation has its number as id: a client that reconnects in between gets both again.
            yield ServerSentEvent(event="progress", id=None if better else str(seen), data=progress)
            if better:
                best = summary.best_fitness
                yield ServerSentEvent(event="best", id=str(seen), data=best_of(summary))
        if now.status in ENDED:
            yield told(now)
            yield ServerSentEvent(event="finished", data=await run_in_threadpool(run_report, now, store))
            return
        status = now.status
        await asyncio.sleep(pause)


def last_seen(event_id: str, otherwise: int) -> int:
    """The generation that a client saw last; otherwise, where it names none of ours."""
    numbered = event_id.isdecimal() and len(event_id) <= DIGITS
    return min(int(event_id), MOST_GENERATIONS) if numbered else otherwise


def told(run: Run) -> ServerSentEvent:
    """Where a run stands, as an event."""
    return ServerSentEvent(event="status", data={"status": run.status, "error": run.error})


def glance(store: Store, run_id: str, seen: int) -> tuple[Run, list[Summary]]:
    """A run as it stands, and its generations after one. The run first: what it ended with is then among the generations."""
    return store.run(run_id), store.generations(run_id, after=seen)


def best_until(store: Store, run_id: str, generation: int) -> float | None:
    """The highest fitness up to a generation."""
    known = [one.best_fitness for one in store.generations(run_id) if one.generation <= generation]
    return max((fitness for fitness in known if fitness is not None), default=None)


def is_better(summary: Summary, best: float | None) -> bool:
    """Whether a generation has a new best individual."""
    return summary.best_fitness is not None and (best is None or summary.best_fitness > best)


def best_of(summary: Summary) -> dict[str, Any]:
    """A generation's best individual."""
    return {
        "individual": f"{summary.generation}-{summary.best}", "generation": summary.generation, "fitness": summary.best_fitness,
    }  # fmt: skip
