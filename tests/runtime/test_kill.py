"""A process that is killed with -9 while it appends loses nothing that was acknowledged, and doubles nothing."""

import multiprocessing
import time

import numpy as np
import pytest
from appender import PRELOADED, RUN, append_for_ever, rows_of

from worldloom.core.errors import UnknownName
from worldloom.runtime.store import open_store
from worldloom.testing.stores import assert_same_rows


@pytest.fixture
def url(request, tmp_path):
    return str(tmp_path / "runs.db") if request.param == "sqlite" else request.getfixturevalue("database")


def killed_once(context, url, random):
    """The last generation that a process had acknowledged when it was killed, at a moment that random chooses; None for none."""
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=append_for_ever, args=(url, sender), daemon=True)
    process.start()
    sender.close()
    acknowledged = [receiver.recv() for _ in range(random.integers(0, 4))]
    time.sleep(random.uniform(0, 0.02))  # the moment is the point of the test
    process.kill()
    process.join()
    try:
        while True:
            acknowledged.append(receiver.recv())
    except EOFError:
        return acknowledged[-1] if acknowledged else None


def generations_kept(url):
    store = open_store(url)
    try:
        return [one.generation for one in store.generations(RUN.id)]
    except UnknownName:  # killed before it made the run
        return []
    finally:
        store.close()


def check_kills(url, kills, seed):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    random, committed = np.random.default_rng(seed), -1
    for _ in range(kills):
        last = killed_once(context, url, random)
        committed = committed if last is None else last
        kept = generations_kept(url)
        assert kept == list(range(len(kept))) and len(kept) > committed
    store = open_store(url)
    for one in store.generations(RUN.id):
        assert_same_rows(store.rows(RUN.id, one.generation), rows_of(one.generation))
        assert len(store.individuals(RUN.id, one.generation, limit=1000).individuals) == 200
    store.close()
    assert committed >= kills // 2


@pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
def test_fifteen_kills_lose_and_double_nothing(url):
    check_kills(url, 15, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
def test_two_hundred_kills_lose_and_double_nothing(url):
    check_kills(url, 200, seed=2)
