"""SqlStore: runs in SQLite (one file, the default) or PostgreSQL (teams). The only module that imports SQLAlchemy.

The store is synchronous outside and async SQLAlchemy inside: every store has one event loop in one thread of its own.

SQLite runs in WAL mode with synchronous=NORMAL. What append has returned from survives a kill -9 at any moment, because the
system has the data. A power loss or a crash of the system can take back the latest generations, whole and from the end, but cannot
damage the file; `resume` computes them again with the same digest. One connection of a store writes (and moves the log into the
file), the others only read, and a lock makes processes take turns (store_lock.py). A network drive cannot hold the log. PostgreSQL
makes every commit durable, unless its own configuration says otherwise.
"""

import asyncio
import atexit
import os
import sqlite3
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from worldloom.core.errors import StoreError
from worldloom.runtime import migrations, store
from worldloom.runtime.arrays import unpack_rows
from worldloom.runtime.columns import PEOPLE, generation_columns, people_columns, run_columns, run_from, summary_from
from worldloom.runtime.lease import Lease, Standing, Turn, writable
from worldloom.runtime.record import IMPORTING, QUEUED, RUNNING, Page, Rows, Run, Summary
from worldloom.runtime.store_lock import FileLock
from worldloom.runtime.store_loop import Loop
from worldloom.runtime.store_trouble import postgresql_trouble, sqlite_trouble
from worldloom.runtime.tables import (
    clock,
    existing,
    generations,
    in_order,
    individuals,
    known_run,
    light,
    names,
    place,
    runs,
    shown,
    standing_columns,
    standing_from,
    standing_of,
    turned,
)

PAGE = store.PAGE
READERS = 4  # connections that only read; more callers wait their turn
LOG_BYTES = 32 << 20  # of log before it is moved into the file, between two appends: moving them takes 0.1 s
WRITER_PRAGMAS = (
    "page_size = 8192", "journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON",
    "wal_autocheckpoint = 16384",  # pages: 128 MiB, should nobody else move it
)  # fmt: skip
CLOSE_SECONDS = 10.0
FRESH = asdict(Standing())  # what a run's record does not say about where it stands

T = TypeVar("T")
_open: "set[SqlStore]" = set()  # keeps a store that nobody closed until Python ends: its connections need an orderly end


def open_sqlite(path: str, *, create: bool, busy_seconds: float) -> "SqlStore":
    """The store in a SQLite file; the file is made where create allows it, its directory is not."""
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        raise StoreError(f"Directory {directory} of store {path} is not there. Expected one that is. Make it, or correct the path.")
    if os.path.isdir(path):
        raise StoreError(f"Store {path} is a directory. Expected a file. Give for example {os.path.join(path, 'runs.db')}.")
    if not create and not os.path.exists(path):
        raise StoreError(f"Store {path} is not there. Expected a file of runs. Check the path, or start a run with `loom evolve`.")
    url = sa.URL.create("sqlite+aiosqlite", database=path)
    writer = create_async_engine(url, pool_size=1, max_overflow=0, connect_args={"timeout": busy_seconds})
    reader = create_async_engine(url, pool_size=READERS, max_overflow=0, connect_args={"timeout": busy_seconds})
    _listen(writer, "BEGIN IMMEDIATE", *WRITER_PRAGMAS)
    _listen(reader, "BEGIN", "query_only = ON")
    try:
        lock = FileLock(f"{path}.lock", busy_seconds)
    except OSError as error:
        raise sqlite_trouble(path, error) from None
    return SqlStore(path, writer, reader, sqlite_trouble, lock)._ready(create=create)


def _listen(engine: AsyncEngine, begin: str, *pragmas: str) -> None:
    """Sets up each new SQLite connection, and begins transactions ourselves: Python's sqlite3 would begin them late."""

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)


def open_postgresql(text: str, *, create: bool, busy_seconds: float) -> "SqlStore":
    """The store in a PostgreSQL database, which must be there; its tables are made where create allows it."""
    try:
        url = sa.make_url(text)
    except (SQLAlchemyError, ValueError):
        raise StoreError(
            "The PostgreSQL URL cannot be read. Expected postgresql://user:password@host:5432/database. Correct it."
        ) from None
    query = dict(url.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    settings = {"application_name": "worldloom", "lock_timeout": f"{int(busy_seconds * 1000)}ms"}
    options = {"timeout": max(busy_seconds, 1.0), "server_settings": settings}
    engine = create_async_engine(
        url.set(query=query), pool_size=READERS + 1, max_overflow=0, pool_pre_ping=True, connect_args=options
    )
    place = url.set(drivername="postgresql", password=None, query={}).render_as_string()
    return SqlStore(place, engine, engine, postgresql_trouble, FileLock(None, busy_seconds))._ready(create=create)


class SqlStore:
    """A Store in a database. Made by open_store; place is what messages call it, without a password."""

    def __init__(
        self,
        place: str,
        writer: AsyncEngine,
        reader: AsyncEngine,
        explain: Callable[[str, BaseException], StoreError],
        lock: FileLock,
    ) -> None:
        self.place, self._lock = place, lock
        self._writer, self._reader, self._explain = writer, reader, explain
        self._loop: Loop | None = Loop()
        self._turn = asyncio.Lock()
        self._log_bytes = 0
        self._tidying: asyncio.Future[None] | None = None
        self._closing = threading.Lock()
        self._insert_people = str(individuals.insert().compile(dialect=writer.dialect, column_keys=list(PEOPLE)))
        _open.add(self)

    def __repr__(self) -> str:
        return f"SqlStore({self.place!r})"

    # How work reaches the database

    def _read(self, work: Callable[[AsyncConnection], Coroutine[Any, Any, T]]) -> T:
        async def reading() -> T:
            async with self._reader.connect() as connection:
                return await work(connection)

        return self._ask(reading)

    def _write(self, work: Callable[[AsyncConnection], Coroutine[Any, Any, T]]) -> T:
        async def writing() -> T:
            async with self._turn, self._lock.held(), self._writer.begin() as connection:
                return await work(connection)

        return self._ask(writing)

    def _ask(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if self._loop is None:
            raise StoreError(f"Store {self.place} is closed. Expected an open one. Open it again with open_store.")
        try:
            return self._loop.run(work())
        except Exception as error:
            if (known := self._known(error)) is None:
                raise
            raise known from None  # the original carries the statement with all its data, and may carry the URL

    def _known(self, error: Exception) -> StoreError | None:
        cause: BaseException = (error.orig or error) if isinstance(error, DBAPIError) else error
        foreign = isinstance(error, SQLAlchemyError | sqlite3.Error | OSError) or type(error).__module__.startswith("asyncpg")
        return self._explain(self.place, cause) if foreign else None

    def _ready(self, *, create: bool) -> "SqlStore":
        """This store, once its schema is the one that we know; closed again if that fails."""

        async def current(connection: AsyncConnection) -> bool:
            return await connection.run_sync(migrations.is_current, self.place, create=create)

        async def upgrade(connection: AsyncConnection) -> None:
            await connection.run_sync(migrations.upgrade, self.place)

        try:
            if not self._read(current):
                self._write(upgrade)
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Lets go of files and connections. Closing twice is fine; a store that nobody closed is closed when Python ends."""
        with self._closing:
            loop, self._loop = self._loop, None
        _open.discard(self)
        if loop is not None:
            with suppress(Exception):
                loop.run(self._dispose(), seconds=CLOSE_SECONDS)
            loop.stop()

    async def _dispose(self) -> None:
        async with self._turn, self._lock.held():  # a write that Ctrl-C left behind comes to its end
            await self._reader.dispose()  # the writer goes last: it moves the log into the file
            await self._writer.dispose()
        self._lock.close()

    async def _tidy_later(self) -> None:
        self._tidying = asyncio.ensure_future(self._tidy())  # kept: a task that nobody holds may vanish

    async def _tidy(self) -> None:
        """Moves SQLite's log into the file while the caller does something else. Where it cannot, the next one does."""
        with suppress(SQLAlchemyError, TimeoutError):
            async with self._turn, self._lock.held(), self._writer.connect() as connection:
                await connection.exec_driver_sql("COMMIT")  # not inside the transaction that connect begins
                await connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    # The Store protocol

    def create(self, run: Run) -> None:
        plain = store.plain_run(run)

        async def work(connection: AsyncConnection) -> None:
            found = (await connection.execute(sa.select(runs).where(runs.c.id == plain.id))).one_or_none()
            if found is None:
                await connection.execute(runs.insert(), FRESH | run_columns(plain))
            elif run_from(found._asdict(), 0.0) != plain:
                raise store.taken(plain.id)

        self._write(work)

    def append(self, run_id: str, generation: int, rows: Rows, *, lease: Lease | None = None) -> None:
        store.check_rows(generation, rows)
        columns = generation_columns(run_id, rows)
        people = people_columns(run_id, rows)

        async def work(connection: AsyncConnection) -> None:
            standing, now = await standing_of(connection, run_id)
            writable(run_id, lease, standing, now)
            here = generations.c.run_id == run_id
            latest = (await connection.execute(sa.select(sa.func.max(generations.c.generation)).where(here))).scalar_one()
            if latest is not None and generation <= latest:
                same = sa.select(generations.c.digest).where(here, generations.c.generation == generation)
                store.check_same(run_id, rows, (await connection.execute(same)).scalar_one())
                return
            store.check_next(run_id, generation, -1 if latest is None else latest)
            await connection.execute(generations.insert(), columns)
            if people:
                await connection.exec_driver_sql(self._insert_people, people)
            if standing.tries:
                await connection.execute(runs.update().where(runs.c.id == run_id).values(tries=0))

        self._write(work)
        self._log_bytes += len(columns["results"])
        if self._log_bytes > LOG_BYTES and self._writer.dialect.name == "sqlite":
            self._log_bytes = 0
            self._ask(self._tidy_later)

    def runs(self, *, limit: int | None = None, after: str | None = None) -> list[Run]:
        place = sa.tuple_(runs.c.created_at, runs.c.id)

        async def work(connection: AsyncConnection) -> list[Run]:
            query = sa.select(runs, clock(connection)).where(runs.c.status != IMPORTING)
            if after is not None:
                await known_run(connection, after)
                query = query.where(place < sa.select(runs.c.created_at, runs.c.id).where(runs.c.id == after).scalar_subquery())
            query = query.order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(limit)
            return [run_from(row._asdict(), row.now) for row in await connection.execute(query)]

        return self._read(work)

    def run(self, ref: str) -> Run:
        async def work(connection: AsyncConnection) -> Run:
            query = sa.select(runs, clock(connection))
            found = (await connection.execute(query.where(runs.c.id == ref))).one_or_none()
            if found is None:
                run_id = store.resolve(ref, await names(connection))
                found = (await connection.execute(query.where(runs.c.id == run_id))).one()
            return run_from(found._asdict(), found.now)

        return self._read(work)

    def rows(self, run_id: str, generation: int | None = None) -> Rows:
        async def work(connection: AsyncConnection) -> tuple[int, bytes]:
            number = await existing(connection, run_id, generation)
            query = sa.select(generations.c.results).where(generations.c.run_id == run_id, generations.c.generation == number)
            return number, (await connection.execute(query)).scalar_one()

        number, blob = self._read(work)
        rows = unpack_rows(blob)
        if rows.generation != number:
            raise StoreError(
                f"Generation {number} of run {run_id!r} in {self.place} holds generation {rows.generation}. Restore a backup."
            )
        return rows

    def generations(self, run_id: str, *, after: int = -1) -> list[Summary]:
        async def work(connection: AsyncConnection) -> list[Summary]:
            await known_run(connection, run_id)
            here = (generations.c.run_id == run_id, generations.c.generation > after)
            query = sa.select(*light).where(*here).order_by(generations.c.generation)
            return [summary_from(row._asdict()) for row in await connection.execute(query)]

        return self._read(work)

    def lengths(self, run_ids: Sequence[str]) -> list[int]:
        async def work(connection: AsyncConnection) -> list[int]:
            here = generations.c.run_id.in_(run_ids)
            query = sa.select(generations.c.run_id, sa.func.count()).where(here).group_by(generations.c.run_id)
            counts = {row[0]: row[1] for row in await connection.execute(query)}
            return [counts.get(run_id, 0) for run_id in run_ids]

        return self._read(work)

    def individuals(
        self, run_id: str, generation: int | None = None, *, order: str = "-fitness", limit: int = PAGE, cursor: str | None = None
    ) -> Page:
        store.check_order(order, limit)
        wanted, given = store.cursor_parts(cursor) if cursor else (generation, 0)

        async def work(connection: AsyncConnection) -> Page:
            number = await existing(connection, run_id, wanted)
            here = (individuals.c.run_id == run_id, individuals.c.generation == number)
            query = sa.select(*shown).where(*here).order_by(*in_order(order)).limit(limit + 1).offset(given)
            found = [store.individual_record(number, *row) for row in await connection.execute(query)]
            return store.page_of(number, given, limit, found)

        return self._read(work)

    def change(self, run_id: str, turn: Turn) -> Standing:
        async def work(connection: AsyncConnection) -> Standing:
            return await turned(connection, run_id, turn)

        return self._write(work)

    def waiting(self) -> list[str]:
        async def work(connection: AsyncConnection) -> list[str]:
            jobs = sa.or_(runs.c.status == QUEUED, sa.and_(runs.c.status == RUNNING, runs.c.job))
            query = sa.select(runs.c.id, *standing_columns, clock(connection)).where(jobs).order_by(runs.c.created_at, runs.c.id)
            found = [(run_id, standing_from(columns), now) for run_id, *columns, now in await connection.execute(query)]
            return [run_id for run_id, standing, now in found if standing.shown(now) == QUEUED]

        return self._read(work)

    def remove(self, run_id: str) -> None:
        async def work(connection: AsyncConnection) -> None:
            writable(run_id, None, *await standing_of(connection, run_id))
            for table, column in ((individuals, individuals.c.run_id), (generations, generations.c.run_id), (runs, runs.c.id)):
                await connection.execute(table.delete().where(column == run_id))

        self._write(work)

    def keep_frames(self, run_id: str, generation: int, individual: int, blob: bytes) -> None:
        async def work(connection: AsyncConnection) -> None:
            await existing(connection, run_id, generation)
            change = individuals.update().where(*place(run_id, generation, individual)).values(frames=bytes(blob))
            if (await connection.execute(change)).rowcount == 0:
                raise store.unknown_individual(run_id, generation, individual)

        self._write(work)

    def frames(self, run_id: str, generation: int, individual: int) -> bytes | None:
        async def work(connection: AsyncConnection) -> bytes | None:
            await existing(connection, run_id, generation)
            found = await connection.execute(sa.select(individuals.c.frames).where(*place(run_id, generation, individual)))
            if (row := found.one_or_none()) is None:
                raise store.unknown_individual(run_id, generation, individual)
            return None if row.frames is None else bytes(row.frames)

        return self._read(work)


@atexit.register
def _close_all() -> None:
    for one in list(_open):
        one.close()
