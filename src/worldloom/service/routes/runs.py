"""Runs: started, followed, steered and read. Workers carry them out (runtime/jobs.py); these endpoints read and write the store."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from worldloom.core.errors import InputError, StateError, StoreError
from worldloom.runtime.lease import steer
from worldloom.runtime.record import CANCELLED, FINISHED, PAUSED, QUEUED, Run, individual_from
from worldloom.runtime.run import MOST_GENERATIONS, fork, planned
from worldloom.runtime.store import ORDERS, Store
from worldloom.service import schemas
from worldloom.service.bodies import answered, body_of, described
from worldloom.service.forms import BINARY
from worldloom.service.problems import Missing, refusals
from worldloom.service.records import (
    GENERATION_NUMBERS,
    INDIVIDUAL_NUMBERS,
    columns,
    generation_info,
    individual_info,
    individual_whole,
    run_info,
    run_report,
)
from worldloom.service.wire import answer
from worldloom.worlds.find import find

router = APIRouter(prefix="/api/runs", tags=["runs"], responses=refusals(409, 503))

Generation = Annotated[int | None, Query(ge=0, le=MOST_GENERATIONS, description="absent: the latest")]
Limit = Annotated[int, Query(ge=1, le=1000)]
Order = Annotated[str, Query(description="'-' for descending", json_schema_extra={"enum": list(ORDERS)})]
After = Annotated[str | None, Query(description="of the page before", pattern="^[A-Za-z0-9_-]{1,64}$")]
Place = Annotated[str | None, Query(description="of the page before", pattern="^([0-9]{1,10}[.][0-9]{1,10})?$")]
MOST = 2**31  # individuals that a generation may have: stores keep their numbers in 32 bits
LONGEST = 21  # characters of an individual's name


def store_of(request: Request) -> Store:
    """The store of the service."""
    found: Store = request.app.state.service.store
    return found


Stored = Annotated[Store, Depends(store_of)]


def known(run: str, store: Stored) -> Run:
    """The run that a path names by its id, the beginning of it, or its name. Raises UnknownName, and Missing for what names none."""
    if "\0" in run:  # which PostgreSQL takes in no text
        raise Missing(
            f"Run {run!r} cannot be there: no run has NUL in its name. Expected an id or a name. GET /api/runs lists them."
        )
    return store.run(run)


Known = Annotated[Run, Depends(known)]


@router.post("", response_model=schemas.RunReport, **answered(201), openapi_extra=described(schemas.RunOrder))
def start(request: Request, store: Stored, order: Annotated[schemas.RunOrder, Depends(body_of(schemas.RunOrder))]) -> Response:
    """Start a run: it is queued, and a worker carries it out. Follow it at its `events`."""
    told = order.model_dump()
    given, world = told.pop("settings"), find(told.pop("world"))
    run = planned(world, **told, given=given, status=QUEUED)
    store.create(run)
    return answer(request, run_report(run, store), status=201, headers={"location": f"/api/runs/{run.id}"})


@router.get("", response_model=schemas.Runs, **answered())
def runs(request: Request, store: Stored, limit: Limit = 50, cursor: After = None) -> Response:
    """Runs, newest first, a page at a time."""
    found = store.runs(limit=limit + 1, after=cursor)
    lengths = store.lengths([run.id for run in found[:limit]])
    listed = [run_info(run, done) for run, done in zip(found, lengths, strict=False)]
    return answer(request, {"runs": listed, "cursor": found[limit - 1].id if len(found) > limit else None})


@router.get("/{run}", response_model=schemas.RunReport, **answered())
def run(request: Request, store: Stored, run: Known) -> Response:
    """A run with what came of it so far."""
    return answer(request, run_report(run, store))


@router.post("/{run}/pause", response_model=schemas.RunReport, **answered())
def pause(request: Request, store: Stored, run: Known) -> Response:
    """Pause a run. Whoever carries it out is asked every half second, finishes the generation at hand and stores it; until then the
    run is told as running. A run that is paused stays so.
    """
    steer(store, run.id, PAUSED)
    return answer(request, run_report(store.run(run.id), store))


@router.post(
    "/{run}/resume", response_model=schemas.RunReport, **answered(), openapi_extra=described(schemas.ResumeOrder, optional=True)
)
def resume(
    request: Request,
    store: Stored,
    run: Known,
    order: Annotated[schemas.ResumeOrder, Depends(body_of(schemas.ResumeOrder, optional=True))],
) -> Response:
    """Queue a run again, to its planned number of generations or another. It goes on as if it had never stopped."""
    goal = run.goal if order.generations is None else order.generations
    if run.status == FINISHED and goal <= store.lengths([run.id])[0]:
        raise StateError(
            f"Run {run.id!r} is finished with its {goal} generations. Expected more to do. Give a greater number of generations."
        )
    steer(store, run.id, QUEUED, target=order.generations)
    return answer(request, run_report(store.run(run.id), store))


@router.post("/{run}/cancel", response_model=schemas.RunReport, **answered())
def cancel(request: Request, store: Stored, run: Known) -> Response:
    """End a run for good, in the way of `pause`. What is stored stays, and can be forked."""
    steer(store, run.id, CANCELLED)
    return answer(request, run_report(store.run(run.id), store))


@router.post("/{run}/fork", response_model=schemas.RunReport, **answered(201), openapi_extra=described(schemas.ForkOrder))
def forked(
    request: Request, store: Stored, run: Known, order: Annotated[schemas.ForkOrder, Depends(body_of(schemas.ForkOrder))]
) -> Response:
    """A new run, paused, that shares generations 0 to `generation` with this one. Resume it to go on."""
    child = fork(run.id, store, order.generation, seed=order.seed, name=order.name)
    return answer(request, run_report(child, store), status=201, headers={"location": f"/api/runs/{child.id}"})


@router.get("/{run}/generations", response_model=schemas.Generations, **answered())
def generations(
    request: Request,
    store: Stored,
    run: Known,
    after: Annotated[int, Query(ge=-1, le=MOST_GENERATIONS, description="only those after this one")] = -1,
) -> Response:
    """The generations of a run in a line each, in order. In bytes: numbers by name, and the digests."""
    listed = [generation_info(one) for one in store.generations(run.id, after=after)]
    if BINARY in request.headers.get("accept", ""):
        numbers = columns(listed, GENERATION_NUMBERS)
        return answer(request, {"generations": numbers, "digests": [one["digest"] for one in listed]})
    return answer(request, {"generations": listed})


@router.get("/{run}/individuals", response_model=schemas.Individuals, **answered())
def individuals(
    request: Request,
    store: Stored,
    run: Known,
    generation: Generation = None,
    order: Order = "-fitness",
    limit: Limit = 100,
    cursor: Place = None,
) -> Response:
    """Individuals of one generation in order, a page at a time. In bytes: numbers by name, and their names and parents."""
    page = store.individuals(run.id, generation, order=order, limit=limit, cursor=cursor)
    listed = [individual_info(one) for one in page.individuals]
    if BINARY in request.headers.get("accept", ""):
        texts = {"names": [one["id"] for one in listed], "parents": [one["parents"] for one in listed]}
        return answer(request, {"individuals": columns(listed, INDIVIDUAL_NUMBERS), **texts, "cursor": page.cursor})
    return answer(request, {"individuals": listed, "cursor": page.cursor})


@router.get("/{run}/individuals/{individual}", response_model=schemas.IndividualWhole, **answered())
def individual(request: Request, store: Stored, run: Known, individual: str) -> Response:
    """An individual with its genes and its outcome."""
    generation, index = placed(store, run, individual)
    return answer(request, individual_whole(store.rows(run.id, generation), index))


def placed(store: Store, run: Run, individual: str) -> tuple[int, int]:
    """(generation, index) of an individual that a path names. Raises Missing where it is not there."""
    try:
        generation, index = individual_from(individual[:LONGEST])
        if len(individual) > LONGEST or index >= MOST:
            raise InputError(
                f"Run {run.id!r} has no individual {individual!r}. Expected one of its generations and an index in it."
            )
        store.frames(run.id, generation, index)  # the cheapest way to ask whether it is there
    except StoreError:
        raise
    except InputError as error:
        raise Missing(str(error)) from None
    return generation, index
