"""Crew: the processes of a service. Each has a lifeline to the one that started it: when that ends, in whatever way, they end in order.

A process that ends by itself is started again, after a pause that grows while it keeps ending soon.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import orjson

LOG = logging.getLogger("worldloom.crew")
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0  # s before a process is started again
SETTLED = 30.0  # s after which a process counts as one that works
PATIENCE = 15.0  # s that a process has to end in order
SPAWN = get_context("spawn")  # forking a process with threads is not safe, and Windows cannot


@dataclass
class Member:
    """One process: what it runs, and its present incarnation."""

    name: str
    target: Callable[..., None]
    args: tuple[Any, ...]
    process: BaseProcess | None = None
    lifeline: Connection | None = None
    began: float = 0.0
    pause: float = FIRST_PAUSE
    due: float = 0.0  # when it is to be started again

    def start(self) -> None:
        """Start it, with the other end of its lifeline as the last argument."""
        theirs, self.lifeline = SPAWN.Pipe(duplex=False)
        self.process = SPAWN.Process(target=self.target, args=(*self.args, theirs), name=self.name, daemon=False)
        self.process.start()
        theirs.close()
        self.began = time.monotonic()
        told(self.name, "started", pid=self.process.pid)

    def ended(self) -> None:
        """It ended by itself: note when it is due again."""
        assert self.process is not None and self.lifeline is not None
        self.process.join()
        self.lifeline.close()
        lived, code = time.monotonic() - self.began, self.process.exitcode
        self.process = self.lifeline = None
        self.pause = FIRST_PAUSE if lived > SETTLED else min(2 * self.pause, LONGEST_PAUSE)
        self.due = time.monotonic() + self.pause
        told(self.name, "ended", code=code, again_in=round(self.pause, 1))


@dataclass
class Crew:
    """Processes that are kept alive until `stop`."""

    members: list[Member] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def add(self, name: str, target: Callable[..., None], *args: Any) -> None:
        """One more process; target is called with args and its end of the lifeline."""
        self.members.append(Member(name, target, args))

    def start(self) -> None:
        """Start all of them, and watch over them on a thread."""
        for member in self.members:
            member.start()
        self._thread = threading.Thread(target=self._watch, name="worldloom-crew", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stopping.is_set():
            alive = {member.process.sentinel: member for member in self.members if member.process is not None}
            for sentinel in wait(list(alive), timeout=0.1) if alive else self._idle():
                alive[sentinel].ended()  # type: ignore[index]
            for member in self.members:
                if member.process is None and time.monotonic() >= member.due and not self._stopping.is_set():
                    member.start()

    def _idle(self) -> list[Any]:
        self._stopping.wait(0.1)
        return []

    def stop(self) -> None:
        """Let them end in order: they finish and store what they are at. Whoever takes too long is killed; nothing stored is lost."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        for member in self.members:
            if member.lifeline is not None:
                member.lifeline.close()
        end = time.monotonic() + PATIENCE
        for member in self.members:
            if member.process is not None:
                member.process.join(max(0.0, end - time.monotonic()))
                if member.process.is_alive():
                    member.process.kill()
                    member.process.join()


def on_lifeline(lifeline: Connection, end: Callable[[], None]) -> None:
    """In a crew's process: call `end` when whoever started it has ended or lets go. Ctrl-C, which reaches all, is left to that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: end())

    def listen() -> None:
        try:
            lifeline.recv()
        except (EOFError, OSError):
            end()

    threading.Thread(target=listen, name="worldloom-lifeline", daemon=True).start()


def told(name: str, what: str, **more: Any) -> None:
    """A line in the log about a process."""
    LOG.info(orjson.dumps({"time": time.time(), "process": name, "event": what, **more}).decode())
