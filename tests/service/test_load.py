"""Four times more work than the service can do: it does nearly as much as ever, refuses the rest at once, and is well right after.

The trial is that of `loom bench overload`, with the same generator. Its bounds in the fast test are wide: other things run here too.
"""

import sys
import time
from pathlib import Path

import pytest
from live import live

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
import load
import overload


def check_answers(figures):
    """Whoever asks gets what was asked for or 429, and an answer at all."""
    assert set(figures.load.statuses) == {200, 429} and figures.load.share(429) > 0.5
    assert (figures.load.broken, figures.load.unanswered) == (0, 0)


def test_a_service_with_too_much_to_do_refuses_the_rest_and_does_what_it_can():
    figures = overload.trial(2.0, callers=(4,), peak=0.8)
    check_answers(figures)
    assert figures.goodput > 0.5
    assert max(figures.health) < 1.0
    assert figures.recovery < 5.0


@pytest.mark.slow
def test_a_minute_of_four_times_too_much_costs_a_fifth_of_the_goodput_at_most_and_leaves_nothing_behind():
    figures = overload.trial(60.0)
    check_answers(figures)
    assert figures.goodput > 0.8
    assert figures.load.quantiles(200)["p99"] < 2.0  # s: what may wait is patience, 1 s
    assert max(figures.health) < 1.0
    assert figures.recovery < 5.0
    assert figures.growth is None or figures.growth < 0.1


async def stalling(scope, receive, send):
    """An application whose second request stops everything for 0.3 s."""
    if scope["type"] == "http":
        stalling.requests = getattr(stalling, "requests", 0) + 1
        time.sleep(0.3 if stalling.requests == 2 else 0.0)  # the stall is the point of the test
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


def test_the_generator_sees_a_stall_in_all_that_was_due_meanwhile():
    with live(stalling) as url:
        host, port = url.removeprefix("http://").split(":")
        tally = load.at_rate(
            (host, int(port)), load.message("GET", "/", "none"), rate=200, begin=time.perf_counter() + 0.5, seconds=0.6
        )
    assert set(tally.statuses) == {200} and 80 < tally.statuses[200] < 160
    assert tally.latencies[200].quantile(0.75) > 0.1 and tally.latencies[200].most > 0.28


def test_callers_in_turn_have_one_request_under_way_each():
    async def plain(scope, receive, send):
        plain.now = getattr(plain, "now", 0) + 1
        plain.most = max(plain.now, getattr(plain, "most", 0))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
        plain.now -= 1

    async def application(scope, receive, send):
        if scope["type"] == "http":
            await plain(scope, receive, send)

    with live(application) as url:
        host, port = url.removeprefix("http://").split(":")
        tally = load.in_turn((host, int(port)), load.message("GET", "/", "none"), callers=3, seconds=0.3)
    assert set(tally.statuses) == {200} and tally.unanswered == 0 and tally.goodput > 100
    assert plain.most <= 3
