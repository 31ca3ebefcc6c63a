"""`loom serve`: what it refuses to start with, how it keeps its processes alive, and how it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
from served import TOKEN, Served

from worldloom.core.errors import InputError
from worldloom.service.crew import Crew
from worldloom.service.routes.events import MOST
from worldloom.service.serve import Plan, address, bound, is_loopback, settled

LOOM = Path(sys.executable).parent / "loom"
TINY = {"world": "creatures", "population": 6, "settings": {"nodes": 3, "muscles": 2, "hidden": 1, "life": 0.2}}


def refusal(*words, **env):
    """(exit code, sentence) of a service that does not start."""
    done = subprocess.run(
        [LOOM, "serve", "--port", "0", *words], env={**os.environ, **env}, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "" and done.stderr.count("\n") == 1 and "Expected" in done.stderr, done.stderr
    return done.returncode, done.stderr


def until(fact, seconds=30):
    end = time.monotonic() + seconds
    while not (found := fact()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


# Starting


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_an_address_that_others_reach_wants_a_token_of_ones_own(host):
    with pytest.raises(InputError, match="there is no token"):
        settled(Plan(host=host))
    assert settled(Plan(host=host, token="long enough".replace(" ", "-"))).token == "long-enough"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_an_address_of_this_machine_gets_a_token_made_up(host):
    first, second = settled(Plan(host=host)), settled(Plan(host=host))
    assert is_loopback(host) and len(first.token) >= 32 and first.token != second.token and first.names == ()


@pytest.mark.parametrize("token", ["short", "with a space in it", "größer-als-acht", "line\nbreak-1"])
def test_a_token_that_no_header_carries_is_refused_without_being_shown(token):
    with pytest.raises(InputError, match="The token cannot be used") as caught:
        settled(Plan(token=token))
    assert token not in str(caught.value)


def test_what_cannot_be_served_is_one_sentence_and_exit_code_2(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, text = refusal("--port", str(taken.getsockname()[1]), "--store", str(tmp_path / "runs.db"))
        assert code == 2 and "Cannot listen at 127.0.0.1 port" in text
    for words, told in (
        (("--host", "0.0.0.0"), "there is no token"),
        (("--host", "no-such-host.invalid", "--token", TOKEN), "Cannot listen"),
        (("--port", "70000"), "out of range"),
        (("--workers", "0"), "cannot answer"),
        (("--store", str(tmp_path / "nowhere" / "runs.db")), "is not there"),
        (("--store", "memory:", "--workers", "2"), "cannot share a store in memory"),
    ):
        code, text = refusal(*words)
        assert code == 2 and told in text, text
    assert "many processes" in refusal(WORLDLOOM_WORKERS="many")[1]


def test_the_address_names_what_was_bound():
    plan = Plan(host="::1", port=0)
    try:
        listener = bound(plan)
    except InputError:
        pytest.skip("this machine has no IPv6")
    with listener:
        assert address(plan, listener, "abc") == f"http://[::1]:{listener.getsockname()[1]}/?token=abc"


# Living


@pytest.fixture
def served(tmp_path):
    running = Served(str(tmp_path / "runs.db"), tmp_path).ready()
    yield running
    if running.process.poll() is None:
        running.stop()


def test_it_says_when_it_is_ready_and_asks_for_the_token(served):
    until(lambda: served.http.get("/readyz").status_code == 200)
    with httpx.Client(base_url=served.address) as stranger:
        assert [stranger.get(path).status_code for path in ("/healthz", "/readyz", "/api/worlds", "/metrics", "/docs")] == [
            200, 200, 401, 401, 401,
        ]  # fmt: skip
        opened = stranger.get(f"/docs?token={TOKEN}", follow_redirects=True)
        assert opened.status_code == 200 and TOKEN not in str(opened.url)


def test_its_log_is_one_line_of_json_for_each_thing_without_the_token(served):
    served.http.get(f"/api/worlds?token={TOKEN}")
    served.http.get("/api/worlds/creatures", headers={"x-secret": "hush"})
    log = until(lambda: "/api/worlds/creatures" in (text := served.log.read_text()) and text.endswith("\n") and text)
    asked = [line for line in map(json.loads, log.splitlines()) if line.get("path") == "/api/worlds/creatures"]
    assert TOKEN not in log and "hush" not in log
    assert [(line["method"], line["status"]) for line in asked] == [("GET", 200)]


def test_a_worker_that_dies_is_replaced_and_its_run_comes_to_its_end(served):
    run = served.http.post("/api/runs", json={**TINY, "generations": 200}).json()["id"]
    until(lambda: served.http.get(f"/api/runs/{run}").json()["done"] > 3)
    first = served.members()["runs"]
    served.kill("worker")
    assert until(lambda: served.members().get("runs")) or True
    until(lambda: served.http.get(f"/api/runs/{run}").json()["status"] == "finished")
    assert served.members()["runs"] != first


def test_a_batch_counts_its_steps_and_tells_its_phases(served):
    first = served.http.post("/api/genetics/generate", json={**TINY, "seed": 1}).json()
    order = {"world": "creatures", "genomes": first["genomes"], "settings": TINY["settings"]}
    answer = served.http.post("/api/simulation/batch", json=order)
    assert "physics;dur=" in answer.headers["server-timing"] and "express;dur=" in answer.headers["server-timing"]
    assert f'worldloom_lane_steps_total{{world="creatures"}} {6.0 * answer.json()["steps"]}' in served.http.get("/metrics").text


@pytest.mark.slow
def test_several_processes_answer_and_carry_out_runs_over_one_store(tmp_path):
    served = Served(str(tmp_path / "runs.db"), tmp_path, "--workers", "2").ready()
    assert set(until(lambda: len(served.members()) == 4 and served.members())) == {"answers-0", "answers-1", "runs-0", "runs-1"}
    runs = [served.http.post("/api/runs", json={**TINY, "generations": 30, "seed": seed}).json()["id"] for seed in range(4)]
    os.kill(served.members()["answers-0"], signal.SIGKILL)

    def statuses():
        with suppress(httpx.TransportError), httpx.Client(base_url=served.address, headers=served.http.headers) as fresh:
            return [fresh.get(f"/api/runs/{run}").json()["status"] for run in runs]
        return []

    until(lambda: statuses() == ["finished"] * 4)
    with httpx.Client(base_url=served.address, headers=served.http.headers) as fresh:
        assert "worldloom_requests_total" in fresh.get("/metrics").text
    assert served.stop() == 0


def test_a_store_in_memory_is_served_by_one_process_that_does_everything(tmp_path):
    served = Served("memory:", tmp_path).ready()
    run = served.http.post("/api/runs", json={**TINY, "generations": 5}).json()["id"]
    until(lambda: served.http.get(f"/api/runs/{run}").json()["status"] == "finished")
    assert served.members() == {} and served.stop() == 0


def test_a_store_that_the_environment_names_is_the_one_that_is_served(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLDLOOM_STORE", "memory:")
    served = Served("", tmp_path).ready()
    run = served.http.post("/api/runs", json={**TINY, "generations": 3}).json()["id"]
    until(lambda: served.http.get(f"/api/runs/{run}").json()["status"] == "finished")
    assert served.members() == {} and served.stop() == 0


def test_streams_of_events_are_limited_and_places_are_given_back(served):
    run = served.http.post("/api/runs", json={**TINY, "generations": 1000}).json()["id"]
    served.http.post(f"/api/runs/{run}/pause")
    until(lambda: served.http.get(f"/api/runs/{run}").json()["status"] == "paused")
    with ExitStack() as open_ones:
        client = open_ones.enter_context(httpx.Client(base_url=served.address, headers=served.http.headers, limits=httpx.Limits()))
        for _ in range(MOST):
            assert open_ones.enter_context(client.stream("GET", f"/api/runs/{run}/events")).status_code == 200
        refused = served.http.get(f"/api/runs/{run}/events")
        assert refused.status_code == 429 and "streams of events" in refused.json()["detail"]
        began = time.monotonic()
        assert served.http.get(f"/api/runs/{run}").status_code == 200 and time.monotonic() - began < 2

    def free():
        with served.http.stream("GET", f"/api/runs/{run}/events") as answer:
            return answer.status_code == 200

    until(free)


def test_what_becomes_of_runs_is_in_the_log(served):
    run = served.http.post("/api/runs", json={**TINY, "generations": 2}).json()["id"]
    until(lambda: served.http.get(f"/api/runs/{run}").json()["status"] == "finished")
    lines = until(lambda: [found for found in map(json.loads, served.log.read_text().splitlines()) if found.get("run") == run][1:])
    assert lines[-1]["event"] == "finished"


# Ending


@pytest.mark.parametrize("how, code", [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_ends_in_order_and_leaves_the_run_for_the_next_start(tmp_path, how, code):
    url = str(tmp_path / "runs.db")
    served = Served(url, tmp_path).ready()
    run = served.http.post("/api/runs", json={**TINY, "generations": 100_000}).json()["id"]
    until(lambda: served.http.get(f"/api/runs/{run}").json()["done"] > 3)
    worker = served.members()["runs"]
    assert served.stop(how) == code
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    log = served.log.read_text()
    assert "Traceback" not in log, log
    from worldloom.runtime.store import open_store

    store = open_store(url)
    assert store.run(run).status == "queued" and store.lengths([run])[0] > 3
    store.close()


def sleep_on(lifeline):
    """A process of a crew that takes no notice of anything."""
    time.sleep(60)


def fail(lifeline):
    """A process of a crew that ends at once."""


def test_a_process_that_keeps_ending_is_started_ever_more_rarely():
    crew = Crew()
    crew.add("broken", fail)
    crew.start()
    until(lambda: crew.members[0].pause > 1.0)
    crew.stop()


def test_a_process_that_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr("worldloom.service.crew.PATIENCE", 0.2)
    crew = Crew()
    crew.add("deaf", sleep_on)
    crew.start()
    process = until(lambda: crew.members[0].process)
    crew.stop()
    assert process.exitcode == -signal.SIGKILL
