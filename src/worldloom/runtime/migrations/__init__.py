"""Schema changes of the SQL store, one file each in versions/, run when a store of an older schema is opened.

To change the schema: add versions/m<number>_<what>.py that names the one before in down_revision, set SCHEMA, and change the
tables in store_sql.py to match. Numbers have four digits and grow, so that an older Worldloom can tell a newer schema.
"""

import threading
from typing import Any

from worldloom.core.errors import StoreError

SCHEMA = "0002"  # the newest file in versions/
VERSION_TABLE = "worldloom_schema"
ADVISORY_LOCK = 0x6C6F6F6D  # "loom": what PostgreSQL holds while the schema is changed

_alembic = threading.Lock()  # its context is one per process


def schema_of(connection: Any) -> str | None:
    """The schema number that a database has; None where it has no Worldloom tables yet."""
    if not connection.dialect.has_table(connection, VERSION_TABLE):
        return None
    return str(connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar() or "0000")


def is_current(connection: Any, place: str, *, create: bool) -> bool:
    """True where nothing is to be done, False where `upgrade` is. Raises StoreError for what upgrade must not touch."""
    taken = connection.dialect.has_table(connection, "runs")  # asked first: another process may be making both right now
    schema = schema_of(connection)
    if schema is not None and schema > SCHEMA:
        raise StoreError(
            f"Store {place} has schema {schema}. Expected at most {SCHEMA}: a newer Worldloom wrote it. Upgrade worldloom."
        )
    if schema is None and taken:
        raise StoreError(
            f"{place} has a table 'runs' that is not Worldloom's. Expected a store or an empty database. Choose another."
        )
    if schema is None and not create:
        raise StoreError(f"{place} holds no Worldloom runs. Expected a store. Check the name, or start a run with `loom evolve`.")
    return schema == SCHEMA


def upgrade(connection: Any, place: str) -> None:
    """Brings a database to SCHEMA inside the transaction of this connection; safe when several processes do it at once."""
    from alembic import command
    from alembic.config import Config

    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
    if is_current(connection, place, create=True):
        return
    config = Config(attributes={"connection": connection, "version_table": VERSION_TABLE})
    config.set_main_option("script_location", "worldloom.runtime:migrations")
    config.set_main_option("path_separator", "os")
    with _alembic:
        command.upgrade(config, "head")
