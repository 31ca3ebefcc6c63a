"""Admission: work is priced before it is let in, so that a service with too much to do says so at once instead of getting slow.

    price = REQUEST + work / rate         s; work in lane-steps, rate measured for each kind of work from what has finished
    backlog = what is left of all prices, over the batches that run at the same time         s until an idle service

A request whose turn would come later than `patience` is refused with 429 and the time when to ask again; one that, as was measured,
nobody could finish in `seconds` with 413. What runs longer than `seconds` is stopped between two slices, or else its answer is given
up: 503.

All of a Gate's state is the set of jobs that have not ended, and it is changed on the event loop only: no counter can drift, and
whatever way a job ends, what it weighed is gone with it.
"""

import asyncio
import contextvars
import math
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.types import ASGIApp, Receive, Scope, Send

from worldloom.core.errors import BusyError, JobError
from worldloom.service.problems import TooLarge, problem
from worldloom.service.settings import Settings
from worldloom.service.shield import dressed

T = TypeVar("T")
Kind = tuple[str, str]  # what is measured together: a world, and a mode or another thing to do with it

PLACES = 16  # compute requests that are read, run or answered at one time: bounds memory, at 8 MiB of body each
REQUEST = 0.002  # s that a request costs besides its lane-steps: a thread's turn, expressing genes, Python
RATE = 1e6  # lane-steps/s on one thread, until measured: cautious, creatures reach 45 times as many
FASTEST = 1e9  # lane-steps/s that no world reaches: before a rate is measured only what is hopeless is too large
LEAST = 1 << 16  # lane-steps: what takes less says more about REQUEST than about the rate
WEIGHT, WHOLE = 0.4, 1 << 20  # of the latest batch in the moving average; lane-steps from which on it counts that much
GRACE = 5.0  # s beyond `seconds` until the answer of a call that does not stop is given up: one slice of a slow world


@dataclass(eq=False)
class Job:
    """Work that was admitted. price s; began, ended s on the clock of time.perf_counter, None before.

    compiled: s that the call spent on making kernels, which its kind of work will not cost again; the call sets it.
    """

    kind: Kind
    work: int
    price: float
    limit: float
    began: float | None = None
    ended: float | None = None
    compiled: float = 0.0
    stopping: bool = False

    @property
    def elapsed(self) -> float:
        """How long the call has run, s."""
        return 0.0 if self.began is None else (self.ended or time.perf_counter()) - self.began

    @property
    def left(self) -> float:
        """What is left to do, s: of the price, and where that was too low, as much again as it is over."""
        return abs(self.price - self.elapsed)

    @property
    def overdue(self) -> bool:
        """Whether the call has run for longer than a request may."""
        return self.elapsed > self.limit

    def stopped(self) -> bool:
        """Whether the call shall end now: it took too long, or nobody waits for it. Asked between slices, on any thread."""
        return self.stopping or self.overdue


class Gate:
    """Lets compute requests in, a few at a time, on threads of its own. One for a service, used on its event loop only.

    threads of the settings: those that one batch uses; as many batches run at the same time as the machine has cores for.
    """

    def __init__(self, settings: Settings, *, cores: int | None = None) -> None:
        self.settings, self.refused = settings, 0
        self.batches = max(1, (cores or present_cores()) // settings.threads)
        self._threads = ThreadPoolExecutor(self.batches, thread_name_prefix="batch")
        self._jobs: set[Job] = set()
        self._places = 0
        self._costs: dict[Kind, float] = {}  # s for a lane-step

    @property
    def backlog(self) -> float:
        """Seconds until everything that was admitted is done, as far as is known."""
        return sum(job.left for job in self._jobs) / self.batches

    @property
    def in_flight(self) -> int:
        """Jobs that were admitted and have not ended."""
        return len(self._jobs)

    @property
    def places(self) -> int:
        """Requests that are being read, run or answered."""
        return self._places

    def price(self, kind: Kind, work: int) -> float:
        """What some work is expected to take, s."""
        return REQUEST + work * self._costs.get(kind, 1 / (RATE * self.settings.threads))

    def check(self) -> None:
        """Raises BusyError where a request would be refused whatever it asks for: to be called before its body is read."""
        if self._places >= PLACES:
            self._refuse(f"The service has {self._places} requests in hand. Expected fewer than {PLACES}.")
        self._check_backlog()

    def _check_backlog(self) -> None:
        if self._jobs and (backlog := self.backlog) > self.settings.patience:
            self._refuse(f"The service has work for {backlog:.1f} s. Expected at most {self.settings.patience:g} s waiting.")

    def _refuse(self, why: str) -> None:
        self.refused += 1
        seconds = math.ceil(max(1.0, self.backlog - self.settings.patience))
        raise BusyError(f"{why} Ask again in {seconds} s.", seconds)

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of the places for requests, for as long as the block lasts. Raises BusyError as `check` does."""
        self.check()
        self._places += 1
        try:
            yield
        finally:
            self._places -= 1

    async def run(self, kind: Kind, work: int, call: Callable[[Job], T]) -> T:
        """What `call` gives, from a thread of the gate; work in lane-steps. The call asks `job.stopped()` where it can end.

        Cancelling drops it from the queue, or tells it to stop. Raises TooLarge for a price above a request's seconds, BusyError
        where too much waits, JobError where the call took too long, and what the call raises.
        """
        job = self._admitted(kind, work)
        loop = asyncio.get_running_loop()
        future = self._threads.submit(contextvars.copy_context().run, carried_out, job, call)
        self._jobs.add(job)
        future.add_done_callback(lambda done: self._tell(loop, job, done))
        deadline = asyncio.timeout(self.settings.seconds + self.settings.patience + GRACE)
        try:
            async with deadline:
                return await asyncio.wrap_future(future)
        except (TimeoutError, JobError):
            if not (deadline.expired() or job.stopped()):
                raise
            raise overrun(job) from None
        finally:
            job.stopping = True  # no matter once it has ended

    def _admitted(self, kind: Kind, work: int) -> Job:
        price, limit = self.price(kind, work), self.settings.seconds
        if (price if kind in self._costs else work / FASTEST) > limit:  # what then takes too long after all is stopped
            raise TooLarge(
                f"{work:.3g} lane-steps of {' '.join(filter(None, kind))} would take about {price:.3g} s. Expected at most {limit:g} s "
                "for a request. Start a run with POST /api/runs, or send fewer lanes or steps."
            )
        self._check_backlog()
        return Job(kind, work, price, limit)

    def _tell(self, loop: asyncio.AbstractEventLoop, job: Job, done: "Future[Any]") -> None:
        with suppress(RuntimeError):  # the loop was closed: nobody asks this gate any more
            loop.call_soon_threadsafe(self._ended, job, done)

    def _ended(self, job: Job, done: "Future[Any]") -> None:
        self._jobs.discard(job)
        whole = not done.cancelled() and (done.exception() is None or job.overdue)
        if whole and job.work >= LEAST:
            cost = max(job.elapsed - job.compiled - REQUEST, 0.0) / job.work
            before = self._costs.get(job.kind, cost)
            self._costs[job.kind] = before + WEIGHT * min(1.0, job.work / WHOLE) * (cost - before)

    def close(self) -> None:
        """Tells everything to stop, and lets go of the threads."""
        for job in tuple(self._jobs):
            job.stopping = True
        self._threads.shutdown(wait=False, cancel_futures=True)


class Turnstile:
    """An application whose compute requests have a place in the gate, from before their bodies are read until they are answered.

    It stands outside of whatever reads bodies. A refusal here costs a fifth of one that went through everything.
    """

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self.app, self.gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or not scope["path"].startswith(self.gate.settings.arrays):
            return await self.app(scope, receive, send)
        try:
            self.gate.check()
        except BusyError as error:
            refusal = problem(429, str(error), headers={"retry-after": str(math.ceil(error.seconds))})
            return await refusal(scope, receive, dressed(send))
        with self.gate.place():
            return await self.app(scope, receive, send)


def carried_out(job: Job, call: Callable[[Job], T]) -> T:
    """The call, timed."""
    job.began = time.perf_counter()
    try:
        return call(job)
    finally:
        job.ended = time.perf_counter()


def overrun(job: Job) -> JobError:
    """The error for a call that was stopped."""
    return JobError(
        f"The request was stopped after {job.elapsed:.1f} s. Expected at most {job.limit:g} s, in a service that goes on. "
        "Start a run with POST /api/runs, or send fewer lanes or steps."
    )


def present_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
