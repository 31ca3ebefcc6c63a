"""Compute requests: from a body to checked arrays, through the gate to an answer. What the routes of simulation and genetics share.

    [turnstile] → body → [thread: document, order, plan] → [gate: the call] → [thread: answer]

Arrays of a stranger are not those of a colleague: kernels index memory with whole numbers and NumPy turns texts, nulls and fractions
into numbers without a word. So every array is fitted to its Field here, before anything computes with it.
"""

import asyncio
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from fastapi import Request, Response
from numpy.typing import NDArray
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from worldloom.core.errors import InputError, JobError, StoreError, UnknownName, WorldloomError
from worldloom.core.field import Field, Record, fields
from worldloom.runtime.arrays import SENT, pack, unpack
from worldloom.service.admission import Job, Kind
from worldloom.service.bodies import SHOWN, described, document_in
from worldloom.service.forms import BINARY, Document
from worldloom.service.problems import TooLarge, problem, refusals
from worldloom.service.schemas import ComputeOrder
from worldloom.service.wire import UNPACKED, answer

T = TypeVar("T")
Order = TypeVar("Order", bound=ComputeOrder)

NAMES = 256  # in one group of a body: far more than any world has, and few enough to check one by one
GONE = 499  # what nginx calls a request whose sender has left; nobody reads the answer


@dataclass(frozen=True, kw_only=True)
class Task:
    """A request that has been understood. work in lane-steps; call: run by the gate; told: its result as a document.

    steps: of lanes that were asked for, to be counted; work has those that fill up the last block besides.
    """

    kind: Kind
    work: int
    steps: int = 0
    call: Callable[[Job], Any]
    told: Callable[[Any], Document]


def declared(model: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI shows of an endpoint that reads its body itself, and answers as the request accepts."""
    binary = {"content": {BINARY: {"schema": {"type": "string", "format": "binary"}}}}
    return {"openapi_extra": described(model), "responses": {200: binary, **refusals(413, 422, 429, 503)}}


async def carried(request: Request, model: type[Order], plan: Callable[[Order, Request], Task]) -> Response:
    """The answer to a compute request that the turnstile let in.

    A call that takes too long is answered with 503: its sender did nothing too slowly, which 408 would say. Raises BusyError,
    TooLarge and InputError.
    """
    gate = request.app.state.service.gate
    try:
        task = await asyncio.to_thread(understood, request, await request.body(), model, plan)
        result = await unless_gone(request, gate.run(task.kind, task.work, task.call))
        if task.steps:
            request.app.state.meters.count_steps(task.kind[0], task.steps)
        return await asyncio.to_thread(lambda: answer(request, task.told(result)))
    except JobError as error:
        return problem(503, str(error), headers={"retry-after": "1"})
    except ClientDisconnect:
        return Response(status_code=GONE)


def understood(request: Request, body: bytes, model: type[Order], plan: Callable[[Order, Request], Task]) -> Task:
    """The task that a body asks for. Raises InputError, UnknownName, TooLarge, and ValidationError for another form."""
    order = order_of(model, request.headers.get("content-type", ""), body)
    with blaming(f"World {order.world[:SHOWN]!r} cannot be set up like this"):
        return plan(order, request)


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """What some work gives; it is cancelled, and ClientDisconnect raised, as soon as nobody waits for it."""
    working, watching = asyncio.ensure_future(work), asyncio.ensure_future(left(request))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        watching.cancel()


async def left(request: Request) -> None:
    """Returns when the sender has left. The body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


@contextmanager
def blaming(what: str) -> Iterator[None]:
    """What fails on a caller's numbers is the caller's: arithmetic, sizes and places of a world's or a strategy's own functions.

    Raises InputError, which begins with `what`. NumPy's own warnings are of no use to anybody here.
    """
    try:
        with np.errstate(all="ignore"):
            yield
    except WorldloomError:
        raise
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"{what}: {str(error)[:200] or type(error).__name__}. Expected numbers that it can use. GET /api/worlds/<world> has the limits."
        ) from error


# ---- orders ----------------------------------------------------------------------------------------------------------------------


def order_of(model: type[Order], content_type: str, body: bytes) -> Order:
    """The order that a body holds. Raises UnknownName with the nearest name, InputError or ValidationError for what is no order."""
    document = document_in(content_type, body)
    for name in document:
        if name not in model.model_fields:
            raise UnknownName("name in the body", name[:SHOWN], model.model_fields)
    for name, members in document.items():
        if isinstance(members, dict) and len(members) > NAMES:
            raise InputError(
                f"{name} has {len(members)} members. Expected at most {NAMES}. Leave out what the world does not know."
            )
    return model.model_validate(document)


# ---- arrays ----------------------------------------------------------------------------------------------------------------------


def fitted(group: str, arrays: Mapping[str, Any], record: type | Record, *, most: int, bounded: bool = False) -> dict[str, Any]:
    """Arrays [lane, ...] of the types that a record's Fields say, from lists or arrays; ranks and shapes are left to the world.

    bounded: the Fields' limits are checked too; without it they must be checked later. Raises UnknownName for a name that is not in
    the record, TooLarge for more than `most` lanes, InputError for anything that does not fit.
    """
    known = fields(record)
    for name in arrays:
        if name not in known:
            raise UnknownName(f"array in {group}", name[:SHOWN], known)
    for name in known:
        if name not in arrays:
            raise InputError(f"{group}: {name!r} is missing. Expected {', '.join(known)}. Add it.")
    found = {}
    for name, field in known.items():
        place = f"{group}.{name}"
        found[name] = typed(place, numbers(place, arrays[name], most=most), field)
        if bounded:
            check_bounds(place, found[name], field)
    return with_empty_axes(found, known)


def with_empty_axes(arrays: dict[str, NDArray[Any]], known: Mapping[str, Field]) -> dict[str, NDArray[Any]]:
    """Arrays without any number with all their axes: lists cannot say that [8, 0, 4] has a 4; other arrays tell what its names are."""
    sizes = {
        name: size
        for field, array in ((known[name], array) for name, array in arrays.items())
        if array.ndim == 1 + len(field.shape)
        for name, size in zip(field.shape, array.shape[1:], strict=True)
    }
    found = {}
    for name, array in arrays.items():
        lost = [size if isinstance(size, int) else sizes.get(size, 0) for size in known[name].shape[array.ndim - 1 :]]
        found[name] = array.reshape(*array.shape, *lost) if array.size == 0 and lost else array
    return found


def numbers(place: str, value: Any, *, most: int, nulls: bool = False) -> NDArray[Any]:
    """An array of at most `most` lanes from lists of numbers, or from an array that came as bytes. nulls: they become NaN."""
    if not (isinstance(value, list) or (isinstance(value, np.ndarray) and value.ndim)):
        raise InputError(f"{place} is {kind_of(value)}. Expected an array of numbers, lanes first. Send a list.")
    if len(value) > most:
        raise TooLarge(f"{place} has {len(value)} lanes. Expected at most {most} in one request. Send them in parts.")
    if isinstance(value, list):
        return from_lists(place, value, nulls=nulls)
    if value.dtype.kind not in "iuf":
        raise InputError(f"{place} has type {value.dtype}. Expected whole numbers or floats. Convert it.")
    return value


def from_lists(place: str, value: list[Any], *, nulls: bool = False) -> NDArray[Any]:
    """An array from lists that are as even as boxes. Raises InputError with the path of the first thing that is no number."""
    loose = np.array(value, dtype=object)
    found, allowed = set(map(type, loose.flat)), {int, float, type(None)} if nulls else {int, float}
    if found - allowed:
        first = next(k for k, one in enumerate(loose.flat) if type(one) not in allowed)
        path = "".join(f"[{k}]" for k in np.unravel_index(first, loose.shape))
        raise InputError(
            f"{place}{path} is {kind_of(loose.flat[first])}. Expected a number, and lists of equal lengths. Correct it."
        )
    for dtype in (np.int64, np.uint64) if found <= {int} else ():
        try:
            return loose.astype(dtype)
        except OverflowError:
            continue
    return loose.astype(np.float64)  # None becomes NaN


def kind_of(value: Any) -> str:
    """What a value is, in words for a sentence."""
    words = {type(None): "null", bool: "true or false", str: "a text", dict: "an object", list: "a list among numbers"}
    return words.get(type(value), "a single number")


def typed(place: str, array: NDArray[Any], field: Field) -> NDArray[Any]:
    """The array in its Field's type. Raises InputError for numbers that the type does not hold."""
    target = np.dtype(field.dtype)
    if array.dtype == target:
        return array
    if target.kind == "f":
        return array.astype(target)
    low, high = (0, 1) if target.kind == "b" else (np.iinfo(target).min, np.iinfo(target).max)
    with np.errstate(invalid="ignore"):
        check_all(place, array, (array >= low) & (array <= high) & (array % 1 == 0), f"a whole number from {low} to {high}")
    return array.astype(target)


def check_bounds(place: str, array: NDArray[Any], field: Field) -> None:
    """Raises InputError for the first number outside a Field's limits, and where there are none that would protect memory."""
    low, high = (0, len(field.choices) - 1) if field.choices else (field.low, field.high)
    if field.per != "lane" or (np.dtype(field.dtype).kind in "iu" and (low is None or high is None)):
        raise InputError(
            f"{place} cannot be sent: it has no limits that could be checked. Expected a world without it. Send genomes."
        )
    good = np.isfinite(array)
    good &= True if low is None else array >= low
    good &= True if high is None else array <= high
    limits = " ".join(f"{word} {end:g}" for word, end in (("from", low), ("to", high)) if end is not None)
    check_all(place, array, good, f"a finite number {limits} {field.unit} ({field.doc})")


def check_all(place: str, array: NDArray[Any], good: NDArray[np.bool_], wanted: str) -> None:
    """Raises InputError with the path of the first number that is not good."""
    if not good.all():
        wrong = np.argwhere(~good)
        path = "".join(f"[{k}]" for k in wrong[0])
        raise InputError(f"{place}{path} = {array[tuple(wrong[0])]} does not fit. Expected {wanted}. Correct it.")


# ---- what a strategy remembers ---------------------------------------------------------------------------------------------------


def sent_state(state: Mapping[str, NDArray[Any]], request: Request) -> Any:
    """A strategy's state: a group of arrays where the answer is bytes, else a text of them: JSON has neither types nor infinities."""
    if BINARY in request.headers.get("accept", ""):
        return dict(state)
    return b64encode(pack(state, form=SENT)).decode()


def state_from(given: Any, like: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The state that an answer gave. like: one of the same strategy; names, types and numbers of axes must be as there.

    Raises InputError for anything else.
    """
    try:
        arrays = unpack(b64decode(given, validate=True), limit=UNPACKED) if isinstance(given, str) else given
        kinds = {name: (array.dtype, array.ndim) for name, array in arrays.items()}
    except (StoreError, ValueError, AttributeError):
        kinds = {}
    if kinds != {name: (array.dtype, array.ndim) for name, array in like.items()}:
        raise InputError(
            "The state is not one of this strategy. Expected `state` as the last answer gave it. Leave it out to start anew."
        )
    return dict(arrays)
