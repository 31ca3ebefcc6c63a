"""A progress bar on stderr: only on a terminal, and only once the work has taken a second."""

import sys
import threading
from types import TracebackType
from typing import Any, Self

AFTER = 1.0  # s


class Bar:
    """A bar for `with`. total: steps of the work; absent: nobody knows. Quick work and pipes never see it."""

    def __init__(self, doing: str, total: int | None = None) -> None:
        self._doing, self._total, self._done = doing, total, 0
        self._bar: Any = None
        self._task: Any = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(AFTER, self._show) if sys.stderr.isatty() else None

    def __enter__(self) -> Self:
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._timer is None:
            return
        with self._lock:
            self._timer.cancel()
            self._timer = None
            if self._bar is not None:
                self._bar.stop()

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        with self._lock:
            if self._timer is None:  # the work ended in the meantime
                return
            columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(self._doing, total=self._total, completed=self._done)
            self._bar.start()

    def update(self, done: int, *, total: int | None = None, doing: str | None = None) -> None:
        """How far the work is, and what it does now."""
        with self._lock:
            self._done, self._total, self._doing = done, total or self._total, doing or self._doing
            if self._bar is not None:
                self._bar.update(self._task, completed=done, total=self._total, description=self._doing)

    def generation(self, progress: Any) -> None:
        """The listener of a run."""
        doing = f"generation {progress.generation}, best {progress.best_fitness:.4g}"
        self.update(progress.generation + 1, total=progress.generations, doing=doing)
