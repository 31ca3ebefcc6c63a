"""FileLock: one process at a time writes to a SQLite store.

SQLite serialises writers itself, but before 3.51.3 it can damage its log where one process writes and another moves the log into the
file at the same instant. With this lock around both they never do. The system lets go of it when a process dies.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

if sys.platform == "win32":
    import msvcrt

    def _taken(file: int) -> bool:
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _free(file: int) -> None:
        os.lseek(file, 0, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _taken(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _free(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)


FIRST_WAIT, LONGEST_WAIT = 0.0005, 0.01  # s between two attempts


class FileLock:
    """A lock that processes share through a file beside the store. path None: no lock, for stores that need none."""

    def __init__(self, path: str | None, seconds: float) -> None:
        self._file = None if path is None else os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        self._seconds = seconds

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Holds the lock for a block. Raises TimeoutError where another process keeps it for too long."""
        if self._file is None:
            yield
            return
        wait, end = FIRST_WAIT, time.monotonic() + self._seconds
        while not _taken(self._file):
            if time.monotonic() > end:
                raise TimeoutError
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
        try:
            yield
        finally:
            _free(self._file)

    def close(self) -> None:
        """Lets go of the file, which stays: removing it could take it from under another process."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
