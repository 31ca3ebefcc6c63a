"""Hold: a run in this process's hands, for as long as its thread renews the lease."""

import threading
import time

from worldloom.core.errors import InputError, StateError, StoreError
from worldloom.runtime.lease import LEASE_SECONDS, Lease, release, renew
from worldloom.runtime.record import QUEUED
from worldloom.runtime.store import Store

BEATS = 4  # signs of life in the time of a lease, at least: three may fail
RHYTHM = 0.5  # s from one to the next at most: with it comes what is asked of the run


class Hold:
    """A claimed run. A thread renews the lease and listens to what is asked of the run, until `release`.

    stopping: set when this process is to end; the run is then left for another worker. A store that does not answer is asked again
    until the lease has run out.
    """

    def __init__(
        self, store: Store, lease: Lease, seconds: float = LEASE_SECONDS, *, stopping: threading.Event | None = None
    ) -> None:
        self.lease, self.seconds = lease, seconds
        self._store, self._stopping = store, stopping or threading.Event()
        self._asked: str | None = None
        self._lost: InputError | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="worldloom-lease", daemon=True)
        self._thread.start()

    @property
    def wanted(self) -> str | None:
        """The status that the run is asked to be left in; None: go on. Raises StateError where the run is ours no more."""
        if self._lost is not None:
            raise self._lost
        return self._asked or (QUEUED if self._stopping.is_set() else None)

    def release(self, status: str, error: str = "") -> str:
        """Leave the run; the status that it is in now. Raises StateError where it is ours no more."""
        self._ended.set()
        self._thread.join()
        return release(self._store, self.lease, status, error)

    def _beat(self) -> None:
        last = time.monotonic()
        while not self._ended.wait(min(self.seconds / BEATS, RHYTHM)):
            try:
                self._asked = renew(self._store, self.lease, self.seconds)
                last = time.monotonic()
            except StoreError as trouble:
                if time.monotonic() - last > self.seconds:
                    self._lost = StateError(f"The lease of run {self.lease.run_id!r} ran out. {trouble}")
                    return
            except InputError as lost:  # another process has it, or the run was removed
                self._lost = lost
                return
