"""The tables of the SQL store, as the newest schema in migrations/ makes them; and a run's standing in them."""

import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from worldloom.runtime import store
from worldloom.runtime.columns import PEOPLE
from worldloom.runtime.lease import Standing, Turn
from worldloom.runtime.record import IMPORTING

metadata = sa.MetaData()


def table(name: str, columns: dict[str, Any]) -> sa.Table:
    """A table from its columns' types by name."""
    return sa.Table(name, metadata, *(sa.Column(column, kind) for column, kind in columns.items()))


runs = table("runs", {
    "id": sa.Text, "name": sa.Text, "world": sa.Text, "world_version": sa.Integer, "seed": sa.Text, "config": sa.Text,
    "created_at": sa.Text, "versions": sa.Text, "parent_run": sa.Text, "parent_generation": sa.Integer,
    "status": sa.Text, "job": sa.Boolean, "wanted": sa.Text, "fence": sa.BigInteger, "owner": sa.Text, "until": sa.Double,
    "tries": sa.Integer, "target": sa.Integer, "error": sa.Text,
})  # fmt: skip
generations = table("generations", {
    "run_id": sa.Text, "generation": sa.Integer, "digest": sa.Text, "count": sa.Integer, "best": sa.Integer,
    "best_fitness": sa.Double, "median_fitness": sa.Double, "statuses": sa.Text, "seconds": sa.Double,
    "lane_steps": sa.BigInteger, "results": sa.LargeBinary,
})  # fmt: skip
individuals = table("individuals", {
    "run_id": sa.Text, "generation": sa.Integer, "individual": sa.Integer, "fitness": sa.Double, "status": sa.Integer,
    "parent_a": sa.Integer, "parent_b": sa.Integer, "streak": sa.Integer, "frames": sa.LargeBinary,
})  # fmt: skip
light = [column for column in generations.c if column.name not in ("run_id", "results")]
shown = [individuals.c[name] for name in PEOPLE[2:]]
standing_columns = [runs.c[one.name] for one in fields(Standing)]


def clock(connection: AsyncConnection) -> sa.ColumnElement[float]:
    """The present by the store's own clock, s since 1970: the server's, or this machine's where the store is a file on it."""
    if connection.dialect.name == "postgresql":
        return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Double).label("now")
    return sa.literal(time.time(), sa.Double).label("now")


async def standing_of(connection: AsyncConnection, run_id: str) -> tuple[Standing, float]:
    """A run's standing and the present. On PostgreSQL nobody else changes the run until the transaction ends (on SQLite nobody can)."""
    query = sa.select(*standing_columns, clock(connection)).where(runs.c.id == run_id).with_for_update(of=runs)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise store.unknown_run(run_id, await names(connection))
    *columns, now = row
    return standing_from(columns), now


def standing_from(values: Sequence[Any]) -> Standing:
    """The standing that the values of `standing_columns` say."""
    return Standing(**dict(zip((column.name for column in standing_columns), values, strict=True)))


async def turned(connection: AsyncConnection, run_id: str, turn: Turn) -> Standing:
    """A run's standing after a turn."""
    before, now = await standing_of(connection, run_id)
    after = turn(before, now)
    if after != before:
        await connection.execute(runs.update().where(runs.c.id == run_id).values(asdict(after)))
    return after


async def names(connection: AsyncConnection) -> list[tuple[str, str]]:
    """(id, name) of all runs, newest first."""
    query = sa.select(runs.c.id, runs.c.name).where(runs.c.status != IMPORTING).order_by(runs.c.created_at.desc())
    return [(row.id, row.name) for row in await connection.execute(query)]


async def known_run(connection: AsyncConnection, run_id: str) -> None:
    """Raises UnknownName where there is no such run."""
    if (await connection.execute(sa.select(runs.c.id).where(runs.c.id == run_id))).one_or_none() is None:
        raise store.unknown_run(run_id, await names(connection))


async def existing(connection: AsyncConnection, run_id: str, generation: int | None) -> int:
    """The number of an existing generation; None means the latest."""
    query = sa.select(sa.func.max(generations.c.generation)).where(generations.c.run_id == run_id)
    latest = (await connection.execute(query)).scalar_one()
    if latest is None:
        await known_run(connection, run_id)
        raise store.unknown_generation(run_id, generation, 0)
    if generation is not None and not 0 <= generation <= latest:
        raise store.unknown_generation(run_id, generation, latest + 1)
    return int(latest if generation is None else generation)


def place(run_id: str, generation: int, individual: int) -> tuple[sa.ColumnElement[bool], ...]:
    """What finds one individual."""
    return individuals.c.run_id == run_id, individuals.c.generation == generation, individuals.c.individual == individual


def in_order(order: str) -> list[sa.ColumnElement[Any]]:
    """What sorts individuals."""
    column = individuals.c[order.removeprefix("-")]
    first = column.desc() if store.ORDERS[order] else column.asc()
    return [first] if column.name == "individual" else [first.nulls_last(), individuals.c.individual.asc()]
