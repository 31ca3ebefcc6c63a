"""Stores: the contract on each of them, and what only a database can get wrong."""

import pytest

from tests import postgres
from worldloom.core.errors import InputError, UnknownName
from worldloom.runtime.record import Keep, fresh_id, individual_from, individual_name, keep_from, now
from worldloom.runtime.store import open_store
from worldloom.runtime.store_memory import MemoryStore
from worldloom.testing.stores import StoreContract, sample_rows, sample_run


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def open_one(self):
        store = MemoryStore()
        return lambda: store


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def open_one(self, tmp_path):
        return lambda: open_store(tmp_path / "runs.db")


@pytest.fixture(scope="module")
def shared_database(postgresql):
    """One database for all tests of a class: making one for each takes longer than the tests."""
    return postgres.fresh_database(postgresql)


class TestPostgresqlStore(StoreContract):
    @pytest.fixture
    def open_one(self, shared_database):
        open_store(shared_database).close()
        postgres.execute(shared_database, "TRUNCATE runs, generations, individuals")
        return lambda: open_store(shared_database)


def test_the_log_of_sqlite_is_moved_into_the_file_between_appends(tmp_path, monkeypatch):
    from worldloom.runtime import store_sql

    monkeypatch.setattr(store_sql, "LOG_BYTES", 50_000)
    store, run = open_store(tmp_path / "runs.db"), sample_run()
    store.create(run)
    for generation in range(12):
        store.append(run.id, generation, sample_rows(generation, count=100, floats=64))
    kept = store.generations(run.id)
    assert (tmp_path / "runs.db").stat().st_size > 100_000
    assert (tmp_path / "runs.db-wal").stat().st_size < 500_000
    store.close()
    assert len(kept) == 12 and not (tmp_path / "runs.db-wal").exists()


def test_ids_are_short_typed_with_ease_and_differ():
    ids = {fresh_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(id) == 10 and not set(id) & set("01ilo") and id.isascii() and id == id.lower() for id in ids)


def test_times_sort_as_texts():
    assert now() < now() and now().endswith("+00:00")


@pytest.mark.parametrize(
    ("text", "keep"),
    [
        ("default", Keep(top=10, random=10, bottom=5)),
        ("none", Keep(top=0, random=0, bottom=0)),
        ("1, 2,3", Keep(top=1, random=2, bottom=3)),
    ],
)
def test_a_keep_policy_is_read_from_text(text, keep):
    assert keep_from(text) == keep and keep_from("all").everything


def test_a_keep_policy_that_is_none_is_refused():
    with pytest.raises(UnknownName, match="Did you mean 'all'"):
        keep_from("al")
    with pytest.raises(InputError, match="three counts"):
        keep_from("1,2")


def test_an_individual_is_named_by_generation_and_index():
    assert individual_from(individual_name(12, 307)) == (12, 307)
    for name in ("", "12", "12-", "-3", "a-b", "1-2-3"):
        with pytest.raises(InputError, match="names no individual"):
            individual_from(name)
