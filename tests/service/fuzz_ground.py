"""What is fuzzed: the whole application, served, over a store in which runs of every status stand."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from live import live
from starlette.types import ASGIApp

from worldloom.runtime.lease import Standing, claim, mark
from worldloom.runtime.record import CANCELLED, FAILED, PAUSED, QUEUED, Run
from worldloom.runtime.run import planned, start
from worldloom.runtime.store import Store
from worldloom.service.app import application
from worldloom.service.settings import Settings
from worldloom.worlds.find import find

TOKEN = "correct-horse-battery"
QUICK = {"nodes": 3, "muscles": 2, "hidden": 1, "life": 0.2}
POPULATION, GENERATIONS = 6, 3
IDS = {  # by name; two of them begin alike, and two have one name
    "walkers": "aaaa222222", "halted": "bbbb222222", "waiting": "bbbb333333", "busy": "cccc222222", "broken": "dddd222222",
    "given-up": "eeee222222", "twins": "ffff222222",
}  # fmt: skip
TWIN = "gggg222222"
ENDED = ("walkers", "broken", "given-up")
MOST_RUNS = 150  # that fuzzing may add before they are cleared away


@dataclass(frozen=True, eq=False)
class Ground:
    """A served store. standings: of its own runs, as they were at the start."""

    address: str
    store: Store
    standings: dict[str, Standing]

    def restore(self) -> None:
        """Puts our own runs back where they stood."""
        for run_id, standing in self.standings.items():
            self.store.change(run_id, lambda _, now, kept=standing: kept)

    def clear(self) -> None:
        """Takes away runs that requests have added, where they are many, or have a name of ours, which then fits two runs."""
        strangers = [run for run in self.store.runs() if run.id not in self.standings]
        for run in strangers:
            if len(strangers) > MOST_RUNS or run.name in (*IDS, *IDS.values()):
                self.store.remove(run.id)


@contextmanager
def ground(store: Store, around: Callable[[ASGIApp], ASGIApp] = lambda app: app) -> Iterator[Ground]:
    """The service over a store with a run of every status. Requests may take 4 s, so that none is let in for longer.

    around: what the application is put into before it is served.
    """
    settings = Settings(token=TOKEN, seconds=4.0, poll=0.02)
    standings = populate(store)
    with live(around(application(store, settings)[0])) as address:
        yield Ground(address, store, standings)


def populate(store: Store) -> dict[str, Standing]:
    """Runs: one finished, and of the others each with the first of its generations, but for one that waits. Where they stand."""
    world = find("creatures")
    plan = planned(world, population=POPULATION, generations=GENERATIONS, seed=7, given=QUICK)

    def placed(name: str, status: str, *, id: str = "") -> Run:
        return replace(plan, id=id or IDS[name], name=name, status=status)

    start(placed("walkers", PAUSED), store, workers=1, world=world)
    for name in ("halted", "busy", "broken", "given-up", "twins"):
        store.create(placed(name, PAUSED))
        store.append(IDS[name], 0, store.rows(IDS["walkers"], 0))
    store.create(placed("twins", PAUSED, id=TWIN))
    store.create(placed("waiting", QUEUED))
    claim(store, IDS["busy"], seconds=1e6)
    mark(store, IDS["broken"], FAILED)
    mark(store, IDS["given-up"], CANCELLED)
    return {run_id: store.change(run_id, lambda standing, now: standing) for run_id in (*IDS.values(), TWIN)}
