"""What processes do that tests start, among others to kill them."""

from multiprocessing.connection import Connection

from worldloom.runtime.record import Rows, Run
from worldloom.runtime.store import open_store
from worldloom.testing.stores import sample_rows

RUN = Run(id="victim", name="victim", world="creatures", world_version=1, seed=7, created_at="2026-01-01")
PRELOADED = ["appender", "worldloom.runtime.store_sql", "worldloom.runtime.migrations", "alembic.command"]


def rows_of(generation: int) -> Rows:
    return sample_rows(generation, count=200, floats=32)


def open_and_leave(url: str) -> None:
    """Opens a store, makes it where it is not there yet, and ends."""
    open_store(url).close()


def append_for_ever(url: str, acknowledged: Connection) -> None:
    """Appends generations to a run and says which ones were committed, until it is killed."""
    store = open_store(url)
    store.create(RUN)
    generation = len(store.generations(RUN.id))
    while True:
        store.append(RUN.id, generation, rows_of(generation))
        acknowledged.send(generation)
        generation += 1
