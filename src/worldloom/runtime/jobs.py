"""Jobs: runs that workers carry out. Any number of workers, on any number of machines, may share a store: see lease.py."""

import json
import logging
import os
import threading
from contextlib import suppress

from worldloom.core.errors import InputError, JobError, StoreError
from worldloom.runtime.evaluate import Threads
from worldloom.runtime.hold import Hold
from worldloom.runtime.lease import LEASE_SECONDS, Lease, claim_job
from worldloom.runtime.record import now
from worldloom.runtime.run import carry_on, left_by
from worldloom.runtime.store import Store
from worldloom.worlds.find import find

LOG = logging.getLogger("worldloom.jobs")
POLL_SECONDS = 0.5  # between two looks for a job
NICENESS = 5  # a request that somebody waits for goes first


def work(
    store: Store, stopping: threading.Event, *, threads: int = 1, seconds: float = LEASE_SECONDS, poll: float = POLL_SECONDS
) -> None:
    """Carry out one job after the other until `stopping` is set; the job at hand is then left for another worker.

    A job that fails is marked so, with its error. A store that does not answer is asked again.
    """
    while not stopping.is_set():
        lease = None
        with suppress(StoreError):
            lease = claim_job(store, seconds=seconds)
        if lease is None:
            stopping.wait(poll)
        else:
            attempted(store, lease, stopping, threads=threads, seconds=seconds)


def attempted(store: Store, lease: Lease, stopping: threading.Event, *, threads: int, seconds: float) -> None:
    """Carry out one claimed job, with a line in the log where it begins and where it ends, whatever comes of it."""
    told(lease, "began")
    try:
        told(lease, execute(store, lease, stopping, threads=threads, seconds=seconds))
    except (InputError, JobError) as error:  # it is in the run's record, or the run is ours no more
        told(lease, "stopped", why=str(error))


def told(lease: Lease, what: str, **more: str) -> None:
    """A line in the log about a job."""
    LOG.info(json.dumps({"time": now(), "run": lease.run_id, "fence": lease.fence, "event": what, **more}))


def execute(store: Store, lease: Lease, stopping: threading.Event, *, threads: int = 1, seconds: float = LEASE_SECONDS) -> str:
    """Carry out one claimed job; the status that it is left in. Raises JobError where it failed."""
    hold = Hold(store, lease, seconds, stopping=stopping)
    try:
        world = find(store.run(lease.run_id).world)
    except Exception as error:
        hold.release(*left_by(error))
        raise JobError(f"Job {lease.run_id!r} failed. {left_by(error)[1]}") from error
    try:
        return carry_on(store, hold, Threads(threads, world), world)
    except Exception as error:
        raise JobError(f"Job {lease.run_id!r} failed. {left_by(error)[1]}") from error


def step_back() -> None:
    """Let processes that somebody waits for go first."""
    with suppress(OSError, AttributeError):  # Windows has no os.nice
        os.nice(NICENESS)
