"""Loop: async work for synchronous callers."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
STOP_SECONDS = 10.0


class Loop:
    """An event loop in a thread of its own. Any thread may hand it work."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._turn, name="worldloom-store", daemon=True)
        self._thread.start()

    def _turn(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T], *, seconds: float | None = None) -> T:
        """What the work returns or raises; waits for it. Ctrl-C leaves it running to its end."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    def stop(self) -> None:
        """Ends the thread; work handed over before is not waited for."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_SECONDS)
