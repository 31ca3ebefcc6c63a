"""What a database's errors mean, in one sentence each: what was wrong, what was expected, what to do.

`place` is what the store is called, never with a password; the database's own words are quoted only where they hold no data.
"""

import sqlite3

from worldloom.core.errors import StoreError

LOCKED = "is locked by another process that is writing. Expected its turn within seconds. Try again, or stop the other one."
CLOSED_OFF = "cannot be opened. Expected a file and a directory that this user may read and write. Check the path and its owner."
SQLITE = {
    sqlite3.SQLITE_BUSY: LOCKED,
    sqlite3.SQLITE_LOCKED: LOCKED,
    sqlite3.SQLITE_CANTOPEN: CLOSED_OFF,
    sqlite3.SQLITE_PERM: CLOSED_OFF,
    sqlite3.SQLITE_READONLY: "cannot be written. Expected a file and a directory that this user may write. Change their owner.",
    sqlite3.SQLITE_NOTADB: "is no SQLite database, or its start is damaged. Expected a store. Check the path or restore a copy.",
    sqlite3.SQLITE_CORRUPT: "is damaged. Expected a whole SQLite database. Restore a backup, or try `sqlite3 FILE .recover`.",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full. Expected free space. Make some and go on; what was committed is there.",
    sqlite3.SQLITE_IOERR: "meets a disk error. Expected a working local disk. Check it, or choose another.",
}
POSTGRESQL = {
    "28": "refused the user or the password. Expected an account that may connect. Check the URL, or ask the server's owner.",
    "3D": "has no such database. Expected one that is there. Make it with `createdb`, or correct the name at the URL's end.",
    "42501": "does not let this user do that. Expected an account that may make and write tables. Ask the server's owner.",
    "53": "has no room: connections, memory or disk have run out. Expected some left. Try again later, or ask the server's owner.",
    "55P03": LOCKED,
    "57": "is stopping, starting, or was told to give up. Expected a running server. Try again; nothing was half written.",
    "23": "was changed by another process at the same moment. Expected one writer. Try again; nothing was half written.",
}
UNREACHABLE = "cannot be reached. Expected a PostgreSQL server that listens there. Start it, or correct host and port in the URL."
LOST = "closed the connection. Expected it to stay open. Try again; what was committed is there, nothing was half written."


def sqlite_trouble(place: str, error: BaseException) -> StoreError:
    """The StoreError that says what an error of SQLite means."""
    if isinstance(error, TimeoutError):  # of store_lock.py
        return StoreError(f"Store {place} {LOCKED}")
    if isinstance(error, OSError):
        return StoreError(f"Store {place} {SQLITE[sqlite3.SQLITE_CANTOPEN]}")
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return StoreError(f"Store {place} {SQLITE.get(code, _other(error))}")


def postgresql_trouble(place: str, error: BaseException) -> StoreError:
    """The StoreError that says what an error of PostgreSQL, or of the way to it, means."""
    state = str(getattr(error, "sqlstate", None) or "")
    for length in (5, 2):
        if state[:length] in POSTGRESQL:
            return StoreError(f"Store {place} {POSTGRESQL[state[:length]]}")
    if isinstance(error, OSError):  # refused, unknown host, timed out
        return StoreError(f"Store {place} {UNREACHABLE}")
    lost = state.startswith("08") or "connection" in str(error).lower()
    return StoreError(f"Store {place} {LOST if lost else _other(error)}")


def _other(error: BaseException) -> str:
    return (
        f"reports {type(error).__name__} {getattr(error, 'sqlstate', None) or ''}".rstrip()
        + ". Expected none. Try again; nothing was half written."
    )
