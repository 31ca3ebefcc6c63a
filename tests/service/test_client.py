"""The client: what the service computes, bit for bit; and one clear error for everything that can come between."""

import json
import re
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from live import live

import worldloom
from worldloom.runtime.arrays import SENT, pack, unpack
from worldloom.runtime.frames import frames
from worldloom.runtime.jobs import work
from worldloom.runtime.store import open_store
from worldloom.service import client as client_module
from worldloom.service import exchange
from worldloom.service.app import application
from worldloom.service.calls import BINARY, NotThere
from worldloom.service.exchange import Generation
from worldloom.service.settings import Settings

QUICK = {"nodes": 3, "muscles": 2, "hidden": 1, "life": 0.2}
SMALL = {"population": 6, "settings": QUICK}
SECRET = "a-token-that-nobody-may-read"
DEAD = "http://127.0.0.1:9"


@pytest.fixture(scope="module", autouse=True)
def worker(store):
    """Somebody who carries out the runs of the store."""
    stopping = threading.Event()
    thread = threading.Thread(target=work, args=(store, stopping), kwargs={"poll": 0.01}, daemon=True)
    thread.start()
    yield
    stopping.set()
    thread.join(10)


@pytest.fixture(scope="module", autouse=True)
def walker(tmp_path_factory):
    """A world without a genome, whose inputs have limits, installed."""
    site = tmp_path_factory.mktemp("site")
    (site / "small-1.0.dist-info").mkdir()
    (site / "small-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: small\nVersion: 1.0\n")
    (site / "small-1.0.dist-info" / "entry_points.txt").write_text("[worldloom.worlds]\nwalker = small_worlds:WALKER\n")
    (site / "small_worlds.py").write_text((Path(__file__).parents[1] / "core" / "small_worlds.py").read_text())
    before = list(sys.path)
    sys.path[:0] = [str(site)]
    yield
    sys.path[:] = before


@pytest.fixture(scope="module")
def client(address):
    with worldloom.Client(address, token="") as opened:
        yield opened


@pytest.fixture(scope="module")
def done(client):
    """A run of three generations that is finished."""
    return client.wait(client.start("creatures", generations=3, seed=4, **SMALL).id)


# ---- servers that are none of ours -----------------------------------------------------------------------------------------------


class Scripted:
    """A server that gives the next of its answers to each request, byte for byte, and hangs up. None hangs up at once.

    An answer may be a function, which is called first and gives the bytes. requests: what came, whole.
    """

    def __init__(self, *answers, port=0):
        self.answers, self.requests = list(answers), []
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.requests.append(whole_request(connection))
                answer = self.answers.pop(0) if self.answers else None
                if not self.answers:
                    self.listener.close()  # whoever comes after the last answer finds nobody
                if answer is not None:
                    connection.sendall(answer() if callable(answer) else answer)
                connection.shutdown(socket.SHUT_RDWR)

    def close(self):
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes whoever waits in accept
        self.listener.close()
        self.thread.join(10)


def whole_request(connection):
    text = b""
    while b"\r\n\r\n" not in text:
        text += connection.recv(1 << 16)
    head, _, body = text.partition(b"\r\n\r\n")
    size = int((re.search(rb"content-length: (\d+)", head.lower()) or [0, 0])[1])
    while len(body) < size:
        body += connection.recv(1 << 16)
    return head + b"\r\n\r\n" + body


@contextmanager
def scripted(*answers, patience=0.5, port=0):
    """(a client of a scripted server, the server)"""
    server = Scripted(*answers, port=port)
    try:
        with worldloom.Client(server.url, token=SECRET, patience=patience, timeout=10) as client:
            yield client, server
    finally:
        server.close()


def answer(body, kind="application/json", status="200 OK", **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = {"content-type": kind, "content-length": len(content), "connection": "close", **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in told.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + content


def problem(status, detail, **headers):
    return answer({"title": "No", "status": status, "detail": detail}, "application/problem+json", f"{status} No", **headers)


def events_of(*events):
    """A stream that breaks off after these (kind, id, data)."""
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n" + texts_of(*events)


def texts_of(*events):
    text = ""
    for kind, number, data in events:
        text += f"event: {kind}\n" + ("" if number is None else f"id: {number}\n") + f"data: {json.dumps(data)}\n\n"
    return text.encode()


NO_WORLDS = answer({"worlds": []})


# ---- computing -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", ({}, {"elites": 2}), ids=("defaults", "options"))
def test_the_loop_of_the_client_is_the_run_of_evolve(client, options):
    settings = {**QUICK, **options}
    local = worldloom.evolve("creatures", population=6, generations=4, seed=7, mode="fast", settings=settings, store="memory:")
    now, digests = client.generate("creatures", 6, seed=7, mode="fast", settings=settings), []
    for _ in range(4):
        outcome = client.simulate("creatures", now)
        digests.append(outcome.digest)
        now = client.evolve(now, outcome)
    assert digests == [one.digest for one in local.store.generations(local.id)]
    assert now.generation == 4 and now.parents.shape == (6, 2) and now.streak.shape == (6,)
    local.store.close()


def test_fitness_of_ones_own_breeds_too(client):
    first = client.generate("creatures", 6, seed=7, settings=QUICK)
    listed = client.evolve(first, [1, None, 3, float("nan"), -float("inf"), 0])
    assert np.array_equal(listed.parents, client.evolve(first, np.array([1, np.nan, 3, np.nan, np.nan, 0])).parents)
    with pytest.raises(worldloom.InputError, match=r"fitness has shape \[2\] for 6 individuals"):
        client.evolve(first, [1, 2])
    with pytest.raises(worldloom.InputError, match="fitness is no array"):
        client.evolve(first, ["high"])


def test_a_search_can_begin_with_genomes_of_ones_own(client):
    genomes = worldloom.sample("creatures", 6, seed=2, settings=QUICK)
    now = Generation(world="creatures", genomes=genomes, seed=2, settings=QUICK)
    assert client.evolve(now, client.simulate("creatures", now)).generation == 1


def test_simulating_gives_the_bits_of_worldloom_simulate(client):
    genomes = worldloom.sample("creatures", 6, seed=3, settings=QUICK)
    wanted = worldloom.simulate("creatures", genomes, mode="fast", seed=5, generation=2, settings=QUICK, steps=40)
    record = namedtuple("Genes", genomes)(**genomes)
    lists = {name: array.tolist() for name, array in genomes.items()}
    for lanes in (genomes, record, lists):
        got = client.simulate("creatures", lanes, mode="fast", seed=5, generation=2, settings=QUICK, steps=40)
        assert (got.digest, got.lanes, got.steps, got.run, got.replays) == (wanted.digest, 6, 40, None, ())
        assert got.outcomes.keys() == wanted.keys()
        for name, array in wanted.items():
            assert (got.outcomes[name].dtype, got.outcomes[name].tobytes()) == (array.dtype, array.tobytes())


def test_lanes_of_a_world_without_a_genome_are_its_inputs(client):
    lanes = worldloom.sample("walker", 5, seed=3)
    assert client.simulate("walker", lanes).digest == worldloom.simulate("walker", lanes).digest
    now = client.generate("walker", 5, seed=3)
    assert client.evolve(now, client.simulate("walker", now)).generation == 1
    with pytest.raises(worldloom.InputError, match="inputs"):
        client.simulate("walker", {**lanes, "wind": np.zeros(5)})


def test_lanes_that_are_kept_can_be_replayed(client, store):
    now = client.generate("creatures", 6, seed=3, settings=QUICK)
    kept = client.simulate("creatures", now, keep="default")
    assert kept.run and kept.replays and client.run(kept.run).digest
    for handle in kept.replays:
        arrays, wanted = client.replay(kept.run, handle.individual), unpack(frames(store, kept.run, 0, handle.lane))
        assert arrays.keys() == wanted.keys() and all(array.tobytes() == wanted[name].tobytes() for name, array in arrays.items())


def test_threads_may_share_a_client(client):
    genomes = worldloom.sample("creatures", 6, seed=3, settings=QUICK)

    def digest(_):
        return client.simulate("creatures", genomes, settings=QUICK).digest

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(digest, range(24)))) == 1


def test_numbers_of_numpy_are_numbers(client):
    settings = {**QUICK, "life": np.float32(0.25), "nodes": np.int64(3)}
    now = client.generate("creatures", 4, seed=np.uint64(2**64 - 1), settings=settings)
    assert client.simulate("creatures", now).seed == 2**64 - 1


@pytest.mark.parametrize(
    ("lanes", "why"),
    (
        (3, "Lanes come as int"),
        ({"a": [[1], [1, 2]]}, "Array 'a' is no array"),
        ({"a": ["x"]}, "type <U1"),
        ({}, "missing|no lane"),
        ({"wings": np.zeros(3)}, "Unknown array in genomes 'wings'"),
    ),
)
def test_lanes_that_are_none_are_refused(client, lanes, why):
    with pytest.raises(worldloom.InputError, match=why):
        client.simulate("creatures", lanes)


def test_lanes_of_another_world_are_refused(client):
    with pytest.raises(worldloom.InputError, match=r"of world 'creatures'\. Expected ones of 'walker'"):
        client.simulate("walker", client.generate("creatures", 2, settings=QUICK))


def test_what_is_no_json_is_refused_before_it_is_sent(client):
    for settings in ({"life": object()}, {"nodes": 2**70}):
        with pytest.raises(worldloom.InputError, match="cannot be written as JSON"):
            client.start("creatures", settings=settings)
        with pytest.raises(worldloom.InputError, match="cannot be written as JSON"):
            client.generate("creatures", 2, settings=settings)


# ---- worlds and runs -------------------------------------------------------------------------------------------------------------


def test_worlds_are_listed_and_described(client):
    assert {"creatures", "walker"} <= {line.name for line in client.worlds()}
    world = client.world("creatures")
    assert world.outcome["fitness"].unit and world.genes and world.strategies["genetic"]


def test_a_run_is_followed_to_its_end(client, store):
    seen = []
    report = client.wait(client.start("creatures", generations=3, seed=4, name="walk", **SMALL).id, progress=seen.append)
    assert (report.status, report.done, report.name) == ("finished", 3, "walk")
    assert [event.data["generation"] for event in seen if event.kind == "progress"] == [0, 1, 2]
    assert seen[-1].kind == "finished" and "best" in {event.kind for event in seen}
    local = worldloom.evolve("creatures", population=6, generations=3, seed=4, settings=QUICK, store="memory:")
    assert report.digest == local.report["digest"]
    local.store.close()


def test_events_can_be_left_and_begun_later(client, done):
    for event in client.events(done.id):
        assert event.kind in ("status", "progress")
        break
    assert [event.data["generation"] for event in client.events(done.id, after=1) if event.kind == "progress"] == [2]


def test_runs_and_individuals_come_page_by_page(client, done, monkeypatch):
    monkeypatch.setattr(client_module, "PAGE", 2)
    first = next(client.runs())
    assert first.id in [run.id for run in client.runs()] and done.id in [run.id for run in client.runs()]
    listed = list(client.individuals(done.id))
    assert len({one.id for one in listed}) == 6 and {one.generation for one in listed} == {2}
    scores = [one.fitness for one in listed if one.fitness is not None]
    assert scores == sorted(scores, reverse=True)
    assert [one.individual for one in client.individuals(done.id, 1, order="individual")] == list(range(6))
    with pytest.raises(worldloom.InputError):
        next(client.individuals(done.id, order="beauty"))


def test_generations_come_in_order(client, done):
    assert [one.generation for one in client.generations(done.id)] == [0, 1, 2]
    assert [one.generation for one in client.generations(done.id, 0)] == [1, 2]


def test_an_individual_comes_with_its_arrays(client, done, store):
    one, rows = client.individual(done.id, "2-1"), store.rows(done.id, 2)
    for name, array in rows.genomes.items():
        assert one.genome[name].dtype == array.dtype and np.array_equal(one.genome[name], array[1])


def test_runs_are_paused_resumed_cancelled_and_forked(client, done):
    child = client.fork(done.id, 1, seed=9, name="other")
    assert (child.status, child.parent_run, child.parent_generation, child.seed) == ("paused", done.id, 1, 9)
    assert client.pause(child.id).status == "paused"
    client.resume(child.id, generations=4)
    assert client.wait(child.id).done == 4
    other = client.fork(done.id, 0)
    assert client.cancel(other.id).status == "cancelled" and client.wait(other.id).status == "cancelled"
    with pytest.raises(worldloom.StateError, match=other.id):
        client.resume(other.id)


def test_a_replay_is_fetched_once_and_asked_about_afterwards(client, done, store, monkeypatch):
    first = client.replay(done.id, "2-1")
    fetched = []
    monkeypatch.setattr(client_module, "in_blocks", lambda response, read: fetched.append(response))
    again = client.replay(done.id, "2-1")
    assert not fetched and again is not first and all(again[name] is array for name, array in first.items())
    wanted = unpack(frames(store, done.id, 2, 1))
    assert {name: array.tobytes() for name, array in first.items()} == {name: array.tobytes() for name, array in wanted.items()}


def test_replays_are_forgotten_when_they_are_too_many():
    kept = exchange.Replays(limit=1000)
    for name in "abc":
        kept.hold(name, f'"{name}"', {"x": np.zeros(50)})
    assert kept.held("a") == ("", {}) and kept.held("b")[0] == '"b"'
    kept.hold("d", '"d"', {"x": np.zeros(50)})
    assert kept.held("c") == ("", {}) and kept.held("b")[0] == '"b"'
    kept.hold("b", "", {"x": np.zeros(1)})
    kept.hold("huge", '"h"', {"x": np.zeros(500)})
    assert kept.held("b") == kept.held("huge") == ("", {})


def test_a_replay_page_is_saved(client, done, tmp_path):
    path = client.replay_page(done.id, "2-1", tmp_path / "walk.html")
    assert path.read_text().lstrip().lower().startswith("<!doctype html") and list(tmp_path.iterdir()) == [path]
    with pytest.raises(worldloom.InputError, match="Cannot write"):
        client.replay_page(done.id, "2-1", tmp_path / "nowhere" / "walk.html")


# ---- refusals --------------------------------------------------------------------------------------------------------------------


def test_what_is_not_there_is_an_unknown_name(client, done):
    for call in (
        lambda: client.world("creaturs"),
        lambda: client.simulate("creaturs", {"a": [1]}),
        lambda: client.run("nobody"),
        lambda: client.run("a/../b?x=#y é"),
        lambda: client.individual(done.id, "9-9"),
        lambda: list(client.events("nobody")),
    ):
        with pytest.raises(worldloom.UnknownName) as caught:
            call()
        assert isinstance(caught.value, NotThere) and str(caught.value)
    with pytest.raises(worldloom.UnknownName, match="Did you mean 'creatures'"):
        client.world("creaturs")


@pytest.mark.parametrize("name", ("", ".", "..", None, 7))
def test_a_name_that_would_be_another_path_is_refused(client, name):
    with pytest.raises(worldloom.InputError, match="is no name of anything"):
        client.run(name)


def test_too_much_for_one_request_says_so(client):
    genomes = worldloom.sample("creatures", 2, settings=QUICK)
    large = {name: np.concatenate([array] * 2500) for name, array in genomes.items()}
    with pytest.raises(worldloom.InputError, match="Expected at most 4096"):
        client.simulate("creatures", large, settings=QUICK)
    with pytest.raises(worldloom.InputError, match="larger than 8388608 bytes"):
        client.simulate("creatures", {name: np.concatenate([array] * 60) for name, array in large.items()}, settings=QUICK)


def test_a_closed_client_says_so(address):
    with worldloom.Client(address) as client:
        pass
    with pytest.raises(worldloom.InputError, match="closed"):
        client.worlds()
    with pytest.raises(worldloom.InputError, match="closed"):
        next(client.events("run"))


@pytest.mark.parametrize(
    ("status", "kind"),
    (
        (400, worldloom.InputError), (401, worldloom.InputError), (403, worldloom.InputError), (404, worldloom.UnknownName),
        (408, worldloom.InputError), (409, worldloom.StateError), (413, worldloom.InputError), (415, worldloom.InputError),
        (421, worldloom.InputError), (422, worldloom.InputError), (500, worldloom.JobError), (501, worldloom.MachineError),
        (507, worldloom.JobError),
    ),
)  # fmt: skip
def test_each_problem_is_the_error_of_its_kind_with_the_sentence_of_the_service(status, kind):
    with scripted(problem(status, "Something is 3. Expected 4. Do it.")) as (client, server):
        with pytest.raises(kind) as caught:
            client.worlds()
        assert str(caught.value) == "Something is 3. Expected 4. Do it." and len(server.requests) == 1
        assert type(caught.value) is kind or isinstance(caught.value, NotThere)


# ---- busy, broken, foreign -------------------------------------------------------------------------------------------------------


def test_a_busy_service_is_asked_again(client):
    busy = problem(429, "Too much.", retry_after=0)
    for ask in (lambda one: one.worlds(), lambda one: one.generate("creatures", 2)):
        with scripted(busy, problem(503, "Locked.", retry_after=0), problem(404, "Gone.")) as (one, server):
            with pytest.raises(worldloom.UnknownName):
                ask(one)
            assert len(server.requests) == 3


def test_a_service_that_stays_busy_is_left_after_a_while():
    for status, kind in ((429, worldloom.BusyError), (503, worldloom.StoreError)):
        with scripted(*[problem(status, "Too much.", retry_after=0)] * 20, patience=0.5) as (client, server):
            begun = time.monotonic()
            with pytest.raises(kind, match=r"Too much\."):
                client.worlds()
            assert time.monotonic() - begun < 2 and 2 <= len(server.requests) <= 5


def test_who_has_to_wait_longer_than_its_patience_is_told_at_once():
    for said, wanted in (("7", 7), ("999999999999999", 1), ("-1", 1), ("tomorrow", 1), ("²", 1)):
        with scripted(problem(429, "Too much.", retry_after=said), patience=0.2) as (client, server):
            with pytest.raises(worldloom.BusyError) as caught:
                client.worlds()
            assert caught.value.seconds == wanted and len(server.requests) == 1


def test_nobody_there_is_told_with_the_way_to_start_it():
    with worldloom.Client(f"{DEAD}/?token={SECRET}") as client:
        begun = time.monotonic()
        for call in (client.worlds, lambda: client.start("creatures"), lambda: client.wait("x")):
            with pytest.raises(worldloom.MachineError, match=r"No service answers at http://127\.0\.0\.1:9\. .*loom serve"):
                call()
        assert time.monotonic() - begun < 5


def test_a_get_is_sent_again_after_a_broken_connection_and_a_post_is_not():
    with scripted(None, NO_WORLDS) as (client, server):
        assert client.worlds() == [] and len(server.requests) == 2
    with scripted(None, None, NO_WORLDS) as (client, server):
        with pytest.raises(worldloom.MachineError, match="broke before the answer was whole"):
            client.worlds()
        assert len(server.requests) == 2
    with scripted(None, NO_WORLDS) as (client, server):
        with pytest.raises(worldloom.MachineError, match="may have been carried out"):
            client.start("creatures")
        assert len(server.requests) == 1


def test_a_silent_service_is_left_after_the_timeout():
    release = threading.Event()
    with scripted(lambda: release.wait(10) and b"") as (_, server):
        with (
            worldloom.Client(server.url, timeout=0.1) as client,
            pytest.raises(worldloom.MachineError, match=r"nothing for 0\.1 s"),
        ):
            client.worlds()
        release.set()


BLOCK = pack({"outcomes/fitness": np.zeros(3)}, meta={"world": "creatures"}, form=SENT)
WHOLE = b'{"worlds": []}'


@pytest.mark.parametrize(
    ("reply", "what"),
    (
        (answer(b"<html>Sign in</html>", "text/html"), "text/html instead of application/json"),
        (answer(b"", "", "204 No Content"), "nothing instead of"),
        (answer(b'{"worlds": [', "application/json"), "broken JSON"),
        (answer([1]), "a JSON list"),
        (answer(b"[" * 5000, "application/json"), "broken JSON"),
        (answer({"worlds": 3}), r"no Worlds \(worlds\)"),
        (answer({"worlds": [], "x": 1}), r"no Worlds \(x\)"),
        (answer(WHOLE, content_encoding="gzip"), "damaged compression"),
        (answer(b"<html>", "text/html", "502 Bad Gateway"), "502 and no reason"),
        (answer(b"", "text/html", "302 Found", location="http://example.org/"), "302 and no reason"),
        (answer(b"{", "application/problem+json", "404 No"), "404 and no reason"),
        (answer({"detail": 3}, "application/problem+json", "404 No"), "404 and no reason"),
        (answer([], "application/problem+json", "500 No"), "500 and no reason"),
    ),
)
def test_an_answer_that_is_not_ours_is_one_clear_error(reply, what):
    with scripted(reply) as (client, _), pytest.raises(worldloom.MachineError, match=what) as caught:
        client.worlds()
    assert "/api/worlds was answered with" in str(caught.value) and "Sign in" not in str(caught.value)


@pytest.mark.parametrize(
    "reply",
    (
        answer(BLOCK[:-1], BINARY),
        answer(b"LOOM" + bytes(60), BINARY),
        answer(BLOCK, BINARY),
        answer(
            pack({}, meta={"generation": 1, "genomes": {"a": [1]}, "parents": [], "streak": [], "state": {}}, form=SENT), BINARY
        ),
        answer({"generation": 1}),
        answer(b"<html>", "text/html"),
    ),
)
def test_arrays_that_are_damaged_or_missing_are_one_clear_error(reply):
    first = Generation(world="creatures", genomes={"a": np.zeros(1)})
    with scripted(reply) as (client, server), pytest.raises(worldloom.MachineError, match="was answered with"):
        client.evolve(first, [1.0])
    assert len(server.requests) == 1


def test_a_body_that_is_cut_short_is_asked_for_once_more():
    cut = NO_WORLDS[:-3]
    with scripted(cut, NO_WORLDS) as (client, server):
        assert client.worlds() == [] and len(server.requests) == 2
    with scripted(cut, cut) as (client, server), pytest.raises(worldloom.MachineError, match="before the answer was whole"):
        client.worlds()


def test_a_page_that_is_no_replay_is_not_saved(tmp_path):
    page = answer(b"<html>Sign in</html>", "text/html")
    with scripted(page) as (client, _), pytest.raises(worldloom.MachineError, match="no replay"):
        client.replay_page("run", "0-0", tmp_path / "walk.html")
    assert not list(tmp_path.iterdir())


def test_not_modified_means_nothing_to_who_holds_nothing():
    with (
        scripted(answer(b"", BINARY, "304 Not Modified")) as (client, _),
        pytest.raises(worldloom.MachineError, match="nobody holds"),
    ):
        client.replay("run", "0-0")


# ---- events across trouble -------------------------------------------------------------------------------------------------------


def line(number, last=True):
    """A generation; not the last of its events where its best follows."""
    return ("progress", number if last else None, {"generation": number, "generations": 3})


def status(word):
    return ("status", None, {"status": word, "error": ""})


def best(number):
    return ("best", number, {"individual": f"{number}-0", "generation": number, "fitness": 1.0})


END = ("finished", None, {"id": "r"})


def told(client):
    return [(event.kind, event.data.get("generation", event.data.get("status"))) for event in client.events("r")]


def last_ids(server):
    found = (re.search(rb"last-event-id: (\S+)", head.lower()) for head in server.requests)
    return [int(match[1]) if match else None for match in found]


def test_events_go_on_where_the_connection_broke():
    script = (
        events_of(status("running"), line(0, last=False), best(0), line(1, last=False)),  # the best of 1 is lost
        None,
        problem(503, "Locked."),
        answer(b"<html>", "text/html", "502 Bad Gateway"),
        events_of(status("running"), line(1, last=False), best(1), line(2)) + b'event: status\ndata: {"sta',
        events_of(status("running"), status("finished"), END),
    )
    with scripted(*script, patience=20) as (client, server):
        assert told(client) == [
            ("status", "running"), ("progress", 0), ("best", 0), ("progress", 1), ("best", 1), ("progress", 2), ("status", "finished"),
            ("finished", None),
        ]  # fmt: skip
        assert last_ids(server) == [None, 0, 0, 0, 0, 2]


def test_events_that_stay_away_are_left_after_a_while():
    with scripted(events_of(status("running"), line(0)), patience=0.4) as (client, _):
        begun, seen = time.monotonic(), []
        with pytest.raises(worldloom.MachineError, match=r"broke off, and for 0\.4 s nothing more came"):
            for event in client.events("r"):
                seen.append(event.kind)
        assert seen == ["status", "progress"] and time.monotonic() - begun < 3


def test_patience_is_not_used_up_by_who_reads_the_events():
    with scripted(events_of(status("running"), line(0)), events_of(END), patience=0.2) as (client, _):
        events = client.events("r")
        first = next(events)
        threading.Event().wait(0.4)
        assert [first.kind, *(event.kind for event in events)] == ["status", "progress", "finished"]


def test_a_busy_service_is_asked_for_events_again_until_patience_is_over():
    with scripted(problem(503, "Locked."), events_of(END)) as (client, _):
        assert told(client) == [("finished", None)]
    with (
        scripted(*[problem(503, "Locked.")] * 20, patience=0.3) as (client, _),
        pytest.raises(worldloom.StoreError, match="Locked"),
    ):
        told(client)


@pytest.mark.parametrize(
    ("stream", "what"),
    (
        (b"event: status\ndata: {\n\n", "a broken event"),
        (b"event: finished\ndata: [1]\n\n", "a broken event"),
        (b"event: progress\ndata: {}\n\n", "a broken event"),
        (b"data: " + b"x" * (2 << 20), "a line of more than"),
    ),
)
def test_events_that_are_none_are_one_clear_error(stream, what):
    with scripted(events_of() + stream) as (client, _), pytest.raises(worldloom.MachineError, match=what):
        told(client)


def test_a_page_instead_of_events_is_one_clear_error():
    with scripted(NO_WORLDS) as (client, _), pytest.raises(worldloom.MachineError, match="instead of text/event-stream"):
        told(client)


def test_a_stream_is_read_as_the_standard_says():
    stream = b": a sign of life\n\nretry: 5\n\nevent: news\ndata: 1\n\nid: x\nevent:progress\nid:7\n"
    stream += b'data:{"generation": 7, "a":\ndata: "\xe2\x80\xa8"}\r\n\r\n'
    with scripted(events_of() + stream + texts_of(END)) as (client, _):
        first, last = client.events("r")
    assert (first.kind, first.data, last.kind) == ("progress", {"a": "\u2028", "generation": 7}, "finished")


def test_a_run_that_failed_raises_its_error(client, done):
    document = {**done.model_dump(), "status": "failed", "error": "World 'x' broke."}
    failed, why = events_of(("finished", None, document)), rf"Run '{done.id}' failed: World 'x' broke\."
    with scripted(failed) as (one, _), pytest.raises(worldloom.JobError, match=why):
        one.wait(done.id)
    with scripted(events_of(END)) as (one, _), pytest.raises(worldloom.MachineError, match="no RunReport"):
        one.wait(done.id)


@contextmanager
def serving(store, port):
    """A service on a port; at the block's end it goes down at once, with whatever it was saying."""
    app, _ = application(store, Settings(poll=0.01))
    config = uvicorn.Config(app, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=0, lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)


def test_a_run_is_followed_across_a_restart_of_the_service():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    store, stopping = open_store("memory:"), threading.Event()
    worker = threading.Thread(target=work, args=(store, stopping), kwargs={"poll": 0.01}, daemon=True)
    with worldloom.Client(f"http://127.0.0.1:{port}", patience=20) as client:
        with serving(store, port):
            events = client.events(client.start("creatures", generations=3, **SMALL).id)
            seen = [next(events)]
        with serving(store, port):
            worker.start()
            seen += list(events)
    stopping.set()
    worker.join(10)
    store.close()
    assert [event.data["generation"] for event in seen if event.kind == "progress"] == [0, 1, 2]
    assert seen[-1].data["status"] == "finished"


# ---- the token -------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded():
    """A service that wants a token; its address."""
    store = open_store("memory:")
    with live(application(store, Settings(token=SECRET))[0]) as url:
        yield url
    store.close()


def test_the_token_comes_from_the_address_the_argument_or_the_environment(guarded, monkeypatch):
    monkeypatch.delenv("WORLDLOOM_TOKEN", raising=False)
    for url, token in ((f"{guarded}/?token={SECRET}", None), (guarded, SECRET), (f"{guarded}/?token=wrong", SECRET)):
        with worldloom.Client(url, token=token) as client:
            assert client.worlds() and client.address == guarded
    with worldloom.Client(guarded) as client, pytest.raises(worldloom.InputError, match="no token"):
        client.worlds()
    monkeypatch.setenv("WORLDLOOM_TOKEN", SECRET)
    with worldloom.Client(guarded) as client:
        assert client.worlds()
    with worldloom.Client(guarded, token="") as client, pytest.raises(worldloom.InputError, match="no token"):
        client.worlds()


def test_the_token_is_sent_and_never_shown(guarded):
    with scripted(NO_WORLDS) as (client, server):
        client.worlds()
        assert f"Authorization: Bearer {SECRET}".lower().encode() in server.requests[0].lower()
    for url in (f"{DEAD}/docs?token={SECRET}x", f"{guarded}/?token={SECRET}x#top"):
        with worldloom.Client(url) as client:
            assert SECRET not in repr(client) + client.address
            for call in (client.worlds, lambda: client.start("creatures"), lambda: list(client.events("r"))):
                try:
                    call()
                except worldloom.WorldloomError:
                    assert SECRET not in traceback.format_exc()
                else:
                    raise AssertionError("it was let in")


@pytest.mark.parametrize(
    "url",
    (
        f"localhost:8000?token={SECRET}", f"http://?token={SECRET}", f"http://h:x/?token={SECRET}", f"ftp://h/?token={SECRET}",
        f"http://user:{SECRET}@h/", f"http://h/?token={SECRET}%0Ax", f"http://h/?token={SECRET}%20x", f"http://h/?token={SECRET}é",
        f"http://h:99999/?token={SECRET}", "", f"?token={SECRET}", f"http://{SECRET}@[::1/",
    ),
)  # fmt: skip
def test_an_address_that_cannot_be_used_is_refused_without_its_token(url):
    try:
        worldloom.Client(url)
    except worldloom.InputError as error:
        assert "Expected" in str(error) and SECRET not in traceback.format_exc()
    else:
        raise AssertionError("it was taken")


@pytest.mark.parametrize(
    ("url", "address"),
    (
        ("http://127.0.0.1:8000/?token=t", "http://127.0.0.1:8000"), ("http://127.0.0.1:8000/docs?token=t", "http://127.0.0.1:8000"),
        ("https://h/loom/?token=t", "https://h/loom"), ("https://h/loom", "https://h/loom"), ("http://[::1]:80/", "http://[::1]"),
    ),
)  # fmt: skip
def test_the_address_is_that_of_the_service_without_its_page(url, address):
    with worldloom.Client(url) as client:
        assert client.address == address and repr(client) == f"Client({address!r})"


@pytest.mark.parametrize("wrong", ({"timeout": 0}, {"timeout": float("nan")}, {"patience": -1}, {"patience": "long"}))
def test_times_that_are_none_are_refused(wrong):
    with pytest.raises(worldloom.InputError, match="is no time to wait"):
        worldloom.Client(DEAD, **wrong)


# ---- weight ----------------------------------------------------------------------------------------------------------------------


def test_the_client_loads_no_framework_no_database_and_no_compiler():
    script = (
        "import sys, worldloom; assert not {'httpx', 'pydantic', 'numpy'} & set(sys.modules), 'import worldloom';"
        "worldloom.Client('http://127.0.0.1:9').close();"
        "print({'fastapi', 'starlette', 'sqlalchemy', 'numba', 'torch', 'uvicorn'} & {name.partition('.')[0] for name in sys.modules})"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.stdout.strip() == "set()", ended.stderr
