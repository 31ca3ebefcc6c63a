"""What goes wrong around a store: each time one sentence that says what to do, never a password, and nothing lost."""

import multiprocessing
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import traceback
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from appender import PRELOADED, open_and_leave

from tests import postgres
from worldloom.core.errors import InputError, StoreError, UnknownName
from worldloom.runtime import migrations
from worldloom.runtime.lease import claim
from worldloom.runtime.store import open_store
from worldloom.runtime.store_memory import MemoryStore
from worldloom.testing.stores import assert_same_rows, sample_rows, sample_run


@pytest.fixture
def path(tmp_path):
    """A SQLite store with one run of three generations, closed."""
    store, run = open_store(tmp_path / "runs.db"), sample_run(id="kept")
    store.create(run)
    for generation in range(3):
        store.append(run.id, generation, sample_rows(generation, count=100, floats=64))
    store.close()
    return tmp_path / "runs.db"


@contextmanager
def opened(url, **words):
    store = open_store(url, **words)
    try:
        yield store
    finally:
        store.close()


def refusal(url, **words):
    """What opening a store is refused with; the text has three parts and no password."""
    with pytest.raises(StoreError) as caught:
        open_store(url, **words).close()
    shown = "".join(traceback.format_exception(caught.value))
    assert "s3cret" not in shown and "Expected" in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def change(path, *statements):
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


# Which store a text means


def test_no_url_means_the_users_data_directory(tmp_path, monkeypatch):
    monkeypatch.delenv("WORLDLOOM_STORE", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with opened(None) as store:
        assert store.place == str(tmp_path / "data" / "worldloom" / "runs.db")
    with opened(None, create=False) as store:
        assert store.runs() == []


def test_the_environment_names_a_store(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLDLOOM_STORE", f"sqlite:///{tmp_path}/named.db")
    with opened(None) as store:
        assert store.place == str(tmp_path / "named.db")
    monkeypatch.setenv("WORLDLOOM_STORE", "memory:")
    assert isinstance(open_store(), MemoryStore)


@pytest.mark.parametrize("text", ["{0}/a.db", "{0}/a b%20.sqlite", "sqlite:///{0}/c", "sqlite:////{0}/d.db"])
def test_paths_and_sqlite_urls_name_files(tmp_path, text):
    url = text.format(str(tmp_path).removeprefix("/") if "////" in text else tmp_path)
    with opened(url) as store:
        assert Path(store.place).is_file() and Path(store.place).parent == tmp_path


def test_a_relative_url_is_relative_to_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with opened("sqlite:///here.db"):
        assert (tmp_path / "here.db").is_file()


def test_other_urls_are_refused():
    with pytest.raises(UnknownName, match="Unknown kind of store 'mysql'") as caught:
        open_store("mysql://me:s3cret@host/db")
    assert "s3cret" not in str(caught.value)
    with pytest.raises(InputError, match="memory:"):
        open_store("sqlite://")


# SQLite


def test_a_missing_file_is_made_only_where_that_is_wanted(tmp_path):
    assert "is not there" in refusal(tmp_path / "none.db", create=False)
    assert not (tmp_path / "none.db").exists()


def test_a_missing_directory_is_not_made(tmp_path):
    assert "Make it, or correct the path" in refusal(tmp_path / "no" / "runs.db")
    assert not (tmp_path / "no").exists()


def test_a_directory_is_no_store(tmp_path):
    (tmp_path / "runs.db").mkdir()
    assert "is a directory" in refusal(tmp_path / "runs.db")


def test_a_file_that_is_no_database_is_left_alone(tmp_path):
    (tmp_path / "runs.db").write_bytes(b"minutes of the meeting" * 400)
    assert "is no SQLite database" in refusal(tmp_path / "runs.db")
    assert (tmp_path / "runs.db").read_bytes() == b"minutes of the meeting" * 400


def test_an_empty_file_is_no_store_for_a_reader(tmp_path):
    (tmp_path / "runs.db").touch()
    assert "holds no Worldloom runs" in refusal(tmp_path / "runs.db", create=False)


def test_somebody_elses_database_is_left_alone(tmp_path):
    change(tmp_path / "runs.db", "CREATE TABLE runs (distance REAL)", "INSERT INTO runs VALUES (42.2)")
    assert "is not Worldloom's" in refusal(tmp_path / "runs.db")
    assert sqlite3.connect(tmp_path / "runs.db").execute("SELECT * FROM sqlite_master").fetchall()[0][1] == "runs"


def test_damage_in_the_middle_is_found_and_said(path):
    whole = path.read_bytes()
    faults = set()
    for start in range(20_000, len(whole) - 4096, 12_000):
        path.write_bytes(whole[:start] + bytes(range(256)) * 16 + whole[start + 4096 :])
        try:
            with opened(path) as store:
                for generation in range(3):
                    assert_same_rows(store.rows("kept", generation), sample_rows(generation, count=100, floats=64))
        except StoreError as error:
            faults.add(str(error).partition("Expected")[0])
    assert any("damaged" in fault for fault in faults)
    path.write_bytes(whole)


def test_a_database_cut_short_is_refused(path):
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="damaged"), opened(path) as store:
        for generation in range(3):
            store.rows("kept", generation)


def test_a_store_that_another_process_is_writing_is_waited_for_and_then_said(path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with opened(path, busy_seconds=0.1) as store:
        assert len(store.generations("kept")) == 3  # readers go on
        with pytest.raises(StoreError, match="locked by another process"):
            store.append("kept", 3, sample_rows(3))
        other.execute("ROLLBACK")
        store.append("kept", 3, sample_rows(3))
        assert len(store.generations("kept")) == 4
    other.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_store_of_another_user_is_said_to_be_unwritable():
    with tempfile.TemporaryDirectory() as home:
        os.chmod(home, 0o755)
        with opened(f"{home}/runs.db") as store:
            store.create(sample_run())
        os.seteuid(65534)
        try:
            assert "this user may" in refusal(f"{home}/runs.db")
            assert "this user may" in refusal(f"{home}/new.db")
        finally:
            os.seteuid(0)


def test_a_closed_store_says_so(path):
    store = open_store(path)
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        store.runs()


def test_a_process_that_forgets_to_close_still_ends(path):
    code = f"from worldloom.runtime.store import open_store; print(len(open_store({str(path)!r}).generations('kept')))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")


def test_sqlalchemy_is_imported_only_when_a_database_is_opened():
    code = """
import sys
import worldloom.runtime.record, worldloom.runtime.travel
from worldloom.runtime.store import open_store
open_store("memory:")
print([name for name in ("sqlalchemy", "alembic", "asyncpg", "aiosqlite", "pyarrow") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert done.stdout == "[]\n", done.stderr


# Schema


def test_the_schema_number_is_that_of_the_newest_migration():
    config = Config()
    config.set_main_option("script_location", "worldloom.runtime:migrations")
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == migrations.SCHEMA


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_tables_that_queries_use_are_those_that_migrations_make(kind, request, tmp_path):
    import sqlalchemy as sa

    from worldloom.runtime.tables import metadata

    url = str(tmp_path / "runs.db") if kind == "sqlite" else request.getfixturevalue("database")
    with opened(url) as store:
        found = store._read(lambda connection: connection.run_sync(_columns_by_table))
    expected = {table.name: {column.name: column.type._type_affinity for column in table.c} for table in metadata.sorted_tables}
    assert {name: columns for name, columns in found.items() if name in expected} == expected
    assert set(found) - set(expected) == {migrations.VERSION_TABLE}
    assert sa.__version__.startswith("2.")


def _columns_by_table(connection):
    import sqlalchemy as sa

    inspector = sa.inspect(connection)
    return {
        name: {column["name"]: column["type"]._type_affinity for column in inspector.get_columns(name)}
        for name in inspector.get_table_names()
    }


def test_a_newer_schema_is_refused_and_left_alone(path):
    change(path, f"UPDATE {migrations.VERSION_TABLE} SET version_num = '9999'")
    assert "has schema 9999" in refusal(path) and "Upgrade worldloom" in refusal(path)
    change(path, f"UPDATE {migrations.VERSION_TABLE} SET version_num = '{migrations.SCHEMA}'")
    with opened(path) as store:
        assert len(store.generations("kept")) == 3


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("schema", ["base", "0001"])
def test_an_older_schema_is_upgraded_when_opened_and_its_runs_are_kept(kind, schema, request, tmp_path):
    url = str(tmp_path / "runs.db") if kind == "sqlite" else request.getfixturevalue("database")
    with opened(url) as store:
        kept = sample_run(id="kept")
        store.create(kept)
        store.append(kept.id, 0, sample_rows(0))
        store._write(lambda connection: connection.run_sync(_downgraded_to, schema))
        if schema != "base":
            store._write(_mark_running_as_schema_1_did)
    with opened(url, create=False) as store:
        if schema == "base":
            assert store.runs() == []
        else:
            assert store.run("kept") == replace(kept, status="interrupted")
            assert_same_rows(store.rows("kept"), sample_rows(0))
            lease = claim(store, "kept")
            store.append("kept", 1, sample_rows(1), lease=lease)
        store.create(sample_run(id="new"))
        assert store.run("new").status == "paused"


async def _mark_running_as_schema_1_did(connection):
    await connection.exec_driver_sql("UPDATE runs SET status = 'running'")


def _downgraded_to(connection, schema):
    config = Config(attributes={"connection": connection, "version_table": migrations.VERSION_TABLE})
    config.set_main_option("script_location", "worldloom.runtime:migrations")
    config.set_main_option("path_separator", "os")
    command.downgrade(config, schema)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_several_processes_may_open_a_new_store_at_once(kind, request, tmp_path):
    url = str(tmp_path / "runs.db") if kind == "sqlite" else request.getfixturevalue("database")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    children = [context.Process(target=open_and_leave, args=(url,)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 4


# PostgreSQL


def test_a_server_that_is_not_there_is_unreachable():
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        text = refusal(f"postgresql://loom:s3cret@127.0.0.1:{taken.getsockname()[1]}/runs")
    assert "cannot be reached" in text and "loom:***@127.0.0.1" in text
    assert "cannot be reached" in refusal("postgresql://loom:s3cret@no-such-host.invalid/runs")


@pytest.mark.parametrize("url", ["postgresql://loom:s3cret@host:port/runs", "postgresql://loom:s3cret@[::1/runs"])
def test_a_url_that_cannot_be_read_is_refused(url):
    assert "URL cannot be read" in refusal(url)


def test_a_wrong_password_is_refused(postgresql):
    text = refusal(postgresql.replace("s3cret%2Fword", "s3cret-guess") + "postgres")
    assert "refused the user or the password" in text
    assert "refused the user or the password" in refusal(postgresql.replace("loom:", "nobody:") + "postgres")


def test_a_missing_database_is_said(postgresql):
    assert "has no such database" in refusal(postgresql + "nowhere")


def test_an_empty_database_is_no_store_for_a_reader(database):
    assert "holds no Worldloom runs" in refusal(database, create=False)


def test_lost_connections_are_opened_again(database):
    with opened(database) as store, opened(database) as other:
        store.create(sample_run(id="kept"))
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        query = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {others}"

        async def end_the_others(connection):
            return (await connection.exec_driver_sql(query)).scalar_one()

        assert other._read(end_the_others) >= 1
        store.append("kept", 0, sample_rows(0))
        assert len(store.generations("kept")) == 1


def test_a_run_that_another_process_holds_is_waited_for_and_then_said(database):
    with opened(database, busy_seconds=0.2) as store, opened(database) as other:
        store.create(sample_run(id="kept"))

        async def hold(connection):
            await connection.exec_driver_sql("SELECT id FROM runs FOR UPDATE")
            with pytest.raises(StoreError, match="locked by another process"):
                store.append("kept", 0, sample_rows(0))

        other._write(hold)
        store.append("kept", 0, sample_rows(0))


def test_the_fixture_says_why_it_skips(monkeypatch):
    monkeypatch.setattr(postgres.Path, "glob", lambda *_: iter(()))
    monkeypatch.setattr(postgres.shutil, "which", lambda _: None)
    with pytest.raises(pytest.skip.Exception, match="apt-get install postgresql"):
        postgres.binaries()
