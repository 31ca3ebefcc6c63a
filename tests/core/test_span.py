"""Spans: free when nobody listens, bounded when somebody does, true within a bucket."""

import importlib
import threading
import time

import pytest

from worldloom.core.span import BUCKETS_PER_DOUBLING, Histogram, Profile, listen, listening, span, unlisten


def filled(*seconds):
    found = Histogram()
    for value in seconds:
        found.add(value, 1, 10)
    return found


def test_the_first_duration_is_the_cold_one_and_enters_no_quantile():
    found = filled(9.0, *[0.001] * 99)
    assert found.first == 9.0 and found.count == 100 and found.most == 0.001 and found.quantile(0.99) == 0.001
    assert filled(2.0).quantile(0.5) == 2.0


def test_a_quantile_is_known_to_a_bucket():
    found, bucket = filled(1.0, *[k * 1e-4 for k in range(1, 1001)]), 2 ** (1 / BUCKETS_PER_DOUBLING)
    for share in (0.01, 0.5, 0.95, 0.99):
        assert 1 / bucket <= found.quantile(share) / (share * 0.1) <= bucket
    assert found.quantile(1) <= 0.1 and found.least == 1e-4


def test_memory_is_bounded_however_many_durations_there_are():
    found = Histogram()
    for k in range(100_000):
        found.add(1e-9 * 1.7 ** (k % 60), 1, 0)
    assert len(found.buckets) <= 60 and found.count == 100_000


def test_nested_spans_of_all_threads_reach_every_listener():
    with listening() as outer:
        with span("outer", lanes=3, bytes=7), listening() as inner:
            threads = [
                threading.Thread(target=lambda: span("work", lanes=2).__enter__().__exit__(None, None, None)) for _ in range(5)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert inner.spans["work"].count == outer.spans["work"].count == 5 and inner.spans["work"].lanes == 10
    assert outer.spans["outer"].lanes == 3 and outer.spans["outer"].bytes == 7


def test_rows_keep_cold_and_warm_apart():
    profile = Profile()
    for seconds in (1.0, 0.2, 0.4):
        profile.add("physics", seconds, 1, 8)
    cold, warm = profile.rows()
    assert (cold["state"], cold["count"], cold["p99"]) == ("cold", 1, 1.0)
    assert (warm["state"], warm["count"], warm["min"], warm["max"], warm["bytes"]) == ("warm", 2, 0.2, 0.4, 24)
    assert warm["mean"] == pytest.approx(0.3) and 0.2 <= warm["p50"] <= warm["p95"] <= warm["p99"] <= 0.4


def test_an_error_inside_is_timed_and_goes_on():
    with listening() as profile, pytest.raises(KeyError), span("broken"):
        raise KeyError("x")
    assert profile.spans["broken"].count == 1


def test_a_span_that_began_before_anybody_listened_is_not_counted():
    before = span("early")
    before.__enter__()
    with listening() as profile:
        before.__exit__(None, None, None)
    assert not profile.spans


class Notes(list):
    """A listener that writes down what it is told, and on which thread."""

    def add(self, name, seconds, lanes, size):
        self.append((name, lanes, size, threading.get_ident()))


def test_a_listener_of_ones_own_hears_each_span_on_its_thread_until_it_is_taken_away():
    notes = Notes()
    listen(notes)
    with span("heard", lanes=3, bytes=7):
        pass
    unlisten(notes)
    with span("unheard"):
        pass
    assert notes == [("heard", 3, 7, threading.get_ident())]
    unlisten(notes)


def test_taking_a_listener_away_leaves_the_others_even_those_that_compare_equal():
    first, second = Notes(), Notes()
    assert first == second
    listen(first)
    listen(second)
    unlisten(first)
    with listening() as profile, span("heard"):
        pass
    unlisten(second)
    assert (len(first), len(second), profile.spans["heard"].count) == (0, 1, 1)


def test_listeners_come_and_go_on_many_threads_and_none_stays():
    def come_and_go():
        for _ in range(300):
            notes = Notes()
            listen(notes)
            unlisten(notes)

    kept = Notes()
    listen(kept)
    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with span("after"):
        pass
    unlisten(kept)
    assert len(kept) == 1 and _listeners_now() == ()


def _listeners_now():
    return importlib.import_module("worldloom.core.span")._listeners


def test_a_span_without_a_listener_costs_less_than_two_microseconds():
    best = 1.0
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(2000):
            with span("nobody"):
                pass
        best = min(best, (time.perf_counter() - start) / 2000)
    assert best < 2e-6
