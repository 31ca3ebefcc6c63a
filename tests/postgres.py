"""A private PostgreSQL for tests: its own data directory and socket directory, a free port, gone afterwards."""

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

PASSWORD = "s3cret/word"  # what no message may show; with a sign that URLs must escape
SETTINGS = (
    "-c fsync=off -c max_connections=60 -c shared_buffers=16MB"  # kill -9 of a client needs no fsync; a power loss is not tested
)


def binaries() -> Path:
    """Where the newest server's programs are; skips the test where there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    if (elsewhere := shutil.which("initdb")) and shutil.which("pg_ctl"):
        return Path(elsewhere).parent
    return pytest.skip("no PostgreSQL server programs (initdb, pg_ctl) on this machine; Debian: apt-get install postgresql")


def account() -> str | None:
    """Whom to run the server as: initdb refuses root. None: ourselves."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None) or pytest.skip("no unprivileged account")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server() -> Iterator[str]:
    """Starts a server and gives the URL of its database 'postgres', without the database's name: URL + 'postgres' connects."""
    programs, user, port = binaries(), account(), free_port()
    home = Path(tempfile.mkdtemp(prefix="worldloom-pg-"))
    secret = home / "password"
    secret.write_text(PASSWORD)
    if user is not None:
        for path in (home, secret):
            shutil.chown(path, user)

    def call(program: str, *words: str) -> None:
        done = subprocess.run([programs / program, *words], user=user, cwd=home, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stdout}{done.stderr}")

    data = str(home / "data")
    try:
        call("initdb", "-D", data, "-U", "loom", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--no-sync")
        options = f"-k {home} -h 127.0.0.1 -p {port} {SETTINGS}"
        call("pg_ctl", "-D", data, "-w", "-s", "-o", options, "-l", str(home / "log"), "start")
        try:
            yield f"postgresql://loom:{PASSWORD.replace('/', '%2F')}@127.0.0.1:{port}/"
        finally:
            call("pg_ctl", "-D", data, "-s", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def fresh_database(url: str) -> str:
    """The URL of a new, empty database of this server."""
    name = f"loom_{time.monotonic_ns()}"
    execute(url + "postgres", f"CREATE DATABASE {name}")
    return url + name


def execute(url: str, statement: str) -> None:
    """Runs one statement in a database, past every store."""

    async def run() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(run())
