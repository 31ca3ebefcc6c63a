"""Leases: who executes a run, and what is asked of whoever does.

A process claims a run, renews the claim while it works, and releases it with the status that the run is left in. A claim that is not
renewed in time is worth nothing: another process may claim the run. Each claim has a higher fence than the one before, and appends
and releases carry theirs, so that a process which slept through the end of its lease can change nothing any more.

Here are the rules, as plain functions from one Standing to the next; `Store.change` applies one of them in one transaction, with the
store's own clock. Source of the fence: Kleppmann 2016, How to do distributed locking.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from worldloom.core.errors import InputError, StateError
from worldloom.runtime.owner import gone, own_name
from worldloom.runtime.record import (
    CANCELLED,
    FAILED,
    FINISHED,
    INTERRUPTED,
    PAUSED,
    QUEUED,
    RUNNING,
    STATUSES,
)

if TYPE_CHECKING:
    from worldloom.runtime.store import Store

LEASE_SECONDS = 10.0  # without a sign of life
MOST_TRIES = 20  # claims of a job in a row that ended without a generation: it takes its worker with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a run stands, as stores keep it. until: end of the lease, s since 1970 by the store's clock.

    job: workers of a service carry it on. wanted: what was asked of the process that executes it. tries: claims since the last
    generation.
    """

    status: str = PAUSED
    job: bool = False
    wanted: str | None = None
    fence: int = 0
    owner: str | None = None
    until: float | None = None
    tries: int = 0
    target: int | None = None
    error: str = ""

    def held(self, now: float) -> bool:
        """Whether a process has a lease that counts."""
        return self.status == RUNNING and self.until is not None and self.until > now and not gone(self.owner)

    @property
    def who(self) -> str:
        """The owner for people: host and process."""
        return (self.owner or "nobody").partition("@")[0]

    def shown(self, now: float) -> str:
        """The status as it is told: a run whose process died is queued again, or interrupted."""
        if self.status != RUNNING or self.held(now):
            return self.status
        return QUEUED if self.job else INTERRUPTED


Turn = Callable[[Standing, float], Standing]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A claim on a run."""

    run_id: str
    owner: str
    fence: int


# ---- rules -----------------------------------------------------------------------------------------------------------------------


def claimed(run_id: str, standing: Standing, now: float, *, owner: str, seconds: float, job: bool, target: int | None) -> Standing:
    """The standing of a run that `owner` has taken. Raises StateError where somebody has it, or it was cancelled."""
    if standing.held(now):
        left = (standing.until or now) - now
        raise StateError(
            f"Run {run_id!r} is being executed by {standing.who}. Expected a run that nobody executes. "
            f"Stop it where it runs, or POST /api/runs/{run_id}/pause to its service; should that process be dead, wait {left:.0f} s."
        )
    if standing.status == CANCELLED:
        raise StateError(f"Run {run_id!r} is cancelled. Expected one that may go on. Fork it from one of its generations.")
    if job and standing.shown(now) != QUEUED:
        raise StateError(f"Run {run_id!r} is {standing.shown(now)}. Expected a queued one. Resume it first.")
    if job and standing.tries >= MOST_TRIES:
        error = f"Its worker died {standing.tries} times without a generation. Expected one. See the service's log for the cause."
        return replace(standing, status=FAILED, job=False, owner=None, until=None, error=error)
    return replace(
        standing, status=RUNNING, job=job, wanted=None, fence=standing.fence + 1, owner=owner, until=now + seconds,
        tries=standing.tries + 1, target=standing.target if target is None else target, error="",
    )  # fmt: skip


def checked(lease: Lease, standing: Standing) -> Standing:
    """The same standing. Raises StateError where the lease is not the last one, or was released."""
    if standing.fence != lease.fence or standing.status != RUNNING:
        raise StateError(
            f"Run {lease.run_id!r} is not ours any more: {standing.who} has it now. Expected to renew in time. "
            "Nothing was written; resume it when nobody executes it."
        )
    return standing


def writable(run_id: str, lease: Lease | None, standing: Standing, now: float) -> None:
    """Raises StateError unless a generation may be appended: with the last lease, or with none to a run that nobody executes."""
    if lease is not None:
        checked(lease, standing)
    elif standing.held(now):
        raise StateError(
            f"Run {run_id!r} is being executed by {standing.who}. Expected its lease. Only the process that has it may append."
        )


def released(lease: Lease, standing: Standing, *, status: str, error: str = "") -> Standing:
    """The standing of a run that its process leaves. What was asked meanwhile counts where the run would have gone on."""
    checked(lease, standing)
    if status in (PAUSED, QUEUED) and standing.wanted is not None:
        status = standing.wanted
    job = standing.job and status == QUEUED
    tries = 0 if status in (PAUSED, QUEUED) else standing.tries
    return replace(standing, status=status, job=job, wanted=None, owner=None, until=None, tries=tries, error=error)


def steered(run_id: str, standing: Standing, now: float, *, wanted: str, target: int | None = None) -> Standing:
    """The standing after somebody asked for PAUSED, CANCELLED or QUEUED. Raises StateError where that cannot be."""
    status, held = standing.shown(now), standing.held(now)
    if (wanted == QUEUED and status == CANCELLED) or (held and standing.wanted == CANCELLED and wanted != CANCELLED):
        raise StateError(f"Run {run_id!r} is cancelled. Expected one that may go on. Fork it from one of its generations.")
    if (wanted == PAUSED and status in (FINISHED, FAILED, CANCELLED)) or (wanted == CANCELLED and status == FINISHED):
        raise StateError(f"Run {run_id!r} is {status}. Expected one that goes on. There is nothing to stop.")
    if held:
        if target is not None and target != standing.target:
            raise StateError(f"Run {run_id!r} is being executed. Expected a paused one to change its goal. Pause it first.")
        return replace(standing, wanted=None if wanted == QUEUED else wanted)
    if wanted == status and target is None:
        return standing
    goal = standing.target if target is None else target
    error = "" if wanted == QUEUED else standing.error
    return replace(
        standing, status=wanted, job=wanted == QUEUED, wanted=None, owner=None, until=None, tries=0, target=goal, error=error
    )


# ---- the rules, applied ------------------------------------------------------------------------------------------------------------


def claim(
    store: "Store", run_id: str, *, owner: str = "", seconds: float = LEASE_SECONDS, job: bool = False, target: int | None = None
) -> Lease:
    """Take a run. Raises StateError where somebody has it, or it was cancelled."""
    name = owner or own_name()

    def turn(standing: Standing, now: float) -> Standing:
        return claimed(run_id, standing, now, owner=name, seconds=seconds, job=job, target=target)

    taken = store.change(run_id, turn)
    if taken.status != RUNNING:
        raise StateError(f"Run {run_id!r} failed. {taken.error}")
    return Lease(run_id=run_id, owner=name, fence=taken.fence)


def claim_job(store: "Store", *, owner: str = "", seconds: float = LEASE_SECONDS) -> Lease | None:
    """Take the job that waits longest; None where none waits."""
    for run_id in store.waiting():
        with suppress(InputError):  # another worker was faster, or somebody paused or removed it
            return claim(store, run_id, owner=owner, seconds=seconds, job=True)
    return None


def renew(store: "Store", lease: Lease, seconds: float) -> str | None:
    """Keep a run; what is wanted of it. Raises StateError where it is ours no more."""
    return store.change(lease.run_id, lambda standing, now: replace(checked(lease, standing), until=now + seconds)).wanted


def release(store: "Store", lease: Lease, status: str, error: str = "") -> str:
    """Leave a run in a status, or in the one that was asked for meanwhile; which one. Raises StateError where it is ours no more."""
    return store.change(lease.run_id, lambda standing, now: released(lease, standing, status=status, error=error)).status


def steer(store: "Store", run_id: str, wanted: str, *, target: int | None = None) -> Standing:
    """Ask for a run to be PAUSED, CANCELLED, or QUEUED for a worker. Raises StateError where that cannot be."""
    return store.change(run_id, lambda standing, now: steered(run_id, standing, now, wanted=wanted, target=target))


def mark(store: "Store", run_id: str, status: str) -> None:
    """Change the status of a run that nobody executes. Raises StateError where somebody does, InputError for another status."""
    if status not in STATUSES or status in (RUNNING, INTERRUPTED):
        raise InputError(f"Status {status!r} cannot be given to a run. Expected queued, paused, finished, failed or cancelled.")

    def turn(standing: Standing, now: float) -> Standing:
        writable(run_id, None, standing, now)
        return replace(standing, status=status, job=status == QUEUED, owner=None, until=None, wanted=None)

    store.change(run_id, turn)
