"""Simulation over HTTP: the bits of `worldloom.simulate`, replays of what was kept, and a sentence for whatever does not fit."""

import json
import re
import socket
import sys
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live import live

import worldloom
from worldloom.runtime import evaluate
from worldloom.runtime.frames import kept
from worldloom.runtime.replay import replay
from worldloom.runtime.store import open_store
from worldloom.service.app import application
from worldloom.service.schemas import BatchOutcome
from worldloom.service.settings import Settings
from worldloom.service.wire import BINARY, document_of, packed

QUICK = {"nodes": 3, "muscles": 2, "hidden": 1, "life": 0.5}
PATH = "/api/simulation/batch"
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from(
        [0, -1, 10**12, 2**31, 2**63, 2**64 - 1, 1e39, 1e308, -0.5, "", "nan", "inf", "creatures", "1", "\0", "x" * 300]
    )
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module", autouse=True)
def walker(tmp_path_factory):
    """The small worlds of the core's tests, installed: `walker` has no genome, and inputs with limits."""
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
def genomes():
    return worldloom.sample("creatures", 5, seed=3, settings=QUICK)


@pytest.fixture(scope="module")
def body(genomes):
    """A request that is right, as JSON has it."""
    return {"world": "creatures", "genomes": {name: array.tolist() for name, array in genomes.items()}, "settings": QUICK}


def answered(http, body, *, binary=False, path=PATH):
    """The document that a body gets; sent and received as bytes or as JSON."""
    if not binary:
        answer = http.post(path, json=body)
        return answer.raise_for_status().json()
    answer = http.post(path, content=packed(body), headers={"content-type": BINARY, "accept": BINARY})
    return document_of(answer.raise_for_status().headers["content-type"], answer.content)


def refused(answer, *statuses):
    """The sentence of an answer that is a refusal."""
    assert answer.status_code in (statuses or (422,)), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()["detail"]


@pytest.mark.parametrize("mode", [None, "fast"])
def test_outcomes_are_those_of_simulate_bit_for_bit(http, body, genomes, mode):
    whole = worldloom.simulate("creatures", genomes, seed=9, generation=4, mode=mode, settings=QUICK, workers=1)
    order = {**body, "seed": 9, "generation": 4, "mode": mode}
    for binary, sent in ((False, order), (True, {**order, "genomes": genomes})):
        told = answered(http, sent, binary=binary)
        found = BatchOutcome.model_validate(told)
        assert (found.digest, found.lanes, found.steps) == (whole.digest, 5, whole.batch.steps)
        assert (found.world, found.version, found.seed, found.generation) == ("creatures", whole.batch.version, 9, 4)
        assert found.mode == (mode or "accurate") and "run" not in told
        for name, array in whole.items():
            np.testing.assert_array_equal(np.asarray(found.outcomes[name], array.dtype), array)
            assert not binary or found.outcomes[name].dtype == array.dtype


def test_a_world_without_a_genome_takes_its_inputs_under_both_names(http):
    speed = np.linspace(-1, 1, 20, dtype=np.float32)
    whole = worldloom.simulate("walker", {"speed": speed}, settings={"rounds": 2}, steps=30, workers=1)
    for group, sent in (("inputs", speed), ("genomes", speed.tolist())):
        order = {"world": "walker", group: {"speed": sent}, "settings": {"rounds": 2}, "steps": 30}
        told = answered(http, order, binary=group == "inputs")
        assert told["digest"] == whole.digest and told["mode"] == "accurate"


def test_many_requests_at_once_get_their_own_answers(http, body, genomes):
    wanted = {seed: worldloom.simulate("creatures", genomes, seed=seed, settings=QUICK, workers=1).digest for seed in range(8)}
    found = {}

    def ask(seed):
        found[seed] = answered(http, {**body, "seed": seed})["digest"]

    asking = [threading.Thread(target=ask, args=[seed]) for seed in wanted]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert found == wanted


# ---- batches that are kept -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["memory:", "sqlite"])
def test_kept_lanes_are_replayed_bit_for_bit(tmp_path, body, genomes, kind):
    store = open_store(str(tmp_path / "runs.db") if kind == "sqlite" else kind)
    with live(application(store, Settings())[0]) as url, httpx.Client(base_url=url, timeout=60) as http:
        order = {**body, "seed": 2**64 - 1 if kind == "memory:" else 11, "generation": 6, "keep": "1,1,1", "steps": 50}
        told = BatchOutcome.model_validate(answered(http, order))
    run = store.run(told.run)
    assert (run.status, run.name, run.config["steps"], run.config["generations"]) == ("finished", f"batch-{run.id}", 50, 1)
    assert [one.digest for one in store.generations(run.id)] == [told.digest]
    assert [handle.lane for handle in told.replays] == sorted(kept(store, run.id, 0, seed=run.seed, policy="1,1,1"))
    for handle in told.replays:
        assert handle.url == f"/api/runs/{run.id}/individuals/0-{handle.lane}/replay" and handle.individual == f"0-{handle.lane}"
        assert replay(store, run.id, handle.individual).same is True
    store.close()


def test_a_kept_batch_can_be_carried_on_as_a_run(http, store, body):
    told = answered(http, {**body, "keep": "none"})
    assert told["replays"] == []
    with worldloom.resume(told["run"], generations=3, store=store, workers=1) as resumed:
        assert resumed.report["generations"] == 3 and resumed.generation(0).digest == told["digest"]


def test_kept_inputs_of_a_world_without_a_genome_are_replayed(http, store):
    told = answered(http, {"world": "walker", "inputs": {"speed": [0.5, -0.5]}, "keep": "all", "mode": "coarse"})
    assert [handle["lane"] for handle in told["replays"]] == [0, 1]
    assert replay(store, told["run"], "0-1").same is True
    with worldloom.resume(told["run"], generations=2, store=store, workers=1) as resumed:
        assert resumed.report["generations"] == 2


# ---- what does not fit -----------------------------------------------------------------------------------------------------------


def changed(body, path, value):
    """The body with another value at a path; a value of ... takes the place away."""
    if not path:
        return value
    copy = dict(body) if isinstance(body, dict) else list(body)
    inner = copy.get(path[0]) if isinstance(copy, dict) else copy[path[0]]
    if value is ... and len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = changed(inner, path[1:], value)
    return copy


@pytest.mark.parametrize(
    ("path", "value", "status", "told"),
    [
        (["world"], "creature", 422, "Unknown world 'creature'.*Did you mean 'creatures'"),
        (["world"], None, 422, "world: input should be a valid string"),
        (["mode"], "fats", 422, "Unknown mode 'fats'.*Did you mean 'fast'"),
        (["sede"], 1, 422, "Unknown name in the body 'sede'.*Did you mean 'seed'"),
        (["seed"], -1, 422, "seed: .* greater than or equal to 0"),
        (["seed"], 2**64, 422, "seed"),
        (["seed"], True, 422, "seed: input should be a valid integer"),
        (["seed"], 1.5, 422, "seed"),
        (["generation"], -1, 422, "generation"),
        (["steps"], 0, 422, "steps: .* greater than or equal to 1"),
        (["steps"], 10**12, 413, r"would take about .* s\. Expected at most 30 s .* POST /api/runs"),
        (["steps"], 10**30, 422, "steps"),
        (["settings", "lief"], 1, 422, "Unknown setting 'lief'.*Did you mean 'life'"),
        (["settings", "life"], "long", 422, "life = 'long' is not a number"),
        (["settings", "life"], "nan", 422, "life = nan is out of range"),
        (["settings", "life"], True, 422, r"settings\.life"),
        (["settings", "life"], None, 422, r"settings\.life"),
        (["settings", "nodes"], -3, 422, "nodes = -3.* is out of range"),
        (["settings", "nodes"], 3.5, 422, "nodes = 3.5 is out of range"),
        (["settings", "brain"], "hybird", 422, "Did you mean 'hybrid'"),
        (["settings"], [], 422, "settings"),
        (["settings"], {f"x{k}": 1 for k in range(300)}, 422, "settings has 300 members"),
        (["keep"], "some", 422, "Unknown keep policy 'some'"),
        (["keep"], "", 422, "keep"),
        (["inputs"], {}, 422, "both genomes and inputs"),
        (["genomes"], ..., 422, "neither genomes nor inputs"),
        (["genomes"], [], 422, "genomes: input should be a valid dictionary"),
        (["genomes"], {}, 422, "genomes: 'position' is missing"),
        (["genomes", "tempo"], ..., 422, "genomes: 'tempo' is missing"),
        (["genomes", "tempi"], [1], 422, "Unknown array in genomes 'tempi'.*Did you mean 'tempo'"),
        (["genomes", "tempo"], 1, 422, r"genomes\.tempo is a single number"),
        (["genomes", "tempo"], None, 422, r"genomes\.tempo is null"),
        (["genomes", "tempo"], {}, 422, r"genomes\.tempo is an object"),
        (["genomes", "tempo"], [], 422, "different numbers of lanes"),
        (["genomes", "tempo"], [1, 1, 1, 1], 422, "different numbers of lanes"),
        (["genomes", "tempo"], [[1]] * 5, 422, "tempo has shape"),
        (["genomes", "tempo", 2], None, 422, r"genomes\.tempo\[2\] is null"),
        (["genomes", "tempo", 2], True, 422, r"genomes\.tempo\[2\] is true or false"),
        (["genomes", "tempo", 2], "1", 422, r"genomes\.tempo\[2\] is a text"),
        (["genomes", "tempo", 2], {}, 422, r"genomes\.tempo\[2\] is an object"),
        (["genomes", "tempo", 2], [1], 422, r"genomes\.tempo\[2\] is a list among numbers"),
        (["genomes", "tempo", 2], 1e300, 422, r"tempo\[2\] = inf is outside 0.2 to 3"),
        (["genomes", "tempo", 2], 2**64 - 1, 422, r"tempo\[2\] = 1.8\d*e\+19 is outside 0.2 to 3"),
        (["genomes", "mass", 1], [1, 1], 422, r"genomes\.mass\[0\] is a list among numbers"),
        (["genomes", "pair", 0, 0, 1], 300, 422, r"genomes\.pair\[0\]\[0\]\[1\] = 300 does not fit. Expected a whole number"),
        (["genomes", "pair", 0, 0, 1], 1.5, 422, r"genomes\.pair\[0\]\[0\]\[1\] = 1.5 does not fit"),
        (["genomes", "pair", 0, 0, 1], -1, 422, r"pair\[0\]\[0\]\[1\] = -1 is outside 0 to 19"),
        (["genomes", "tempo"], [1] * 4097, 413, r"genomes\.tempo has 4097 lanes. Expected at most 4096"),
        ([], [], 422, "JSON list"),
        ([], 7, 422, "JSON int"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(http, body, path, value, status, told):
    answer = http.post(PATH, json=changed(body, path, value))
    assert re.search(told, refused(answer, status)), answer.text


def test_no_lanes_are_refused(http, genomes):
    none = {name: array[:0] for name, array in genomes.items()}
    answer = http.post(
        PATH, content=packed({"world": "creatures", "genomes": none, "settings": QUICK}), headers={"content-type": BINARY}
    )
    assert "no lane to run" in refused(answer)


def test_inputs_that_a_kernel_could_not_trust_are_refused(http, genomes):
    world = worldloom.worlds.find.find("creatures")
    genome = world.genome(world.filled(None, {"life": 0.5}), world.sized({"nodes": 3, "muscles": 2, "hidden": 1}))
    inputs = genome.express(genome.genes(**genomes))._asdict()
    sent = packed({"world": "creatures", "inputs": inputs, "settings": QUICK})
    told = refused(http.post(PATH, content=sent, headers={"content-type": BINARY}))
    assert "edge_count cannot be sent: it has no limits" in told and "Send genomes" in told


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.5])
def test_inputs_outside_their_limits_are_refused(http, value):
    sent = packed({"world": "walker", "inputs": {"speed": np.array([0, value])}})
    told = refused(http.post(PATH, content=sent, headers={"content-type": BINARY}))
    assert f"inputs.speed[1] = {value} does not fit. Expected a finite number from -1 to 1 m/s" in told


def test_settings_that_overflow_their_type_are_the_callers(http):
    for value in (1e30, 10**30):
        told = refused(http.post(PATH, json={"world": "walker", "inputs": {"speed": [0.5]}, "settings": {"rounds": value}}))
        assert "out of range" in told


def test_lanes_that_cannot_be_kept_are_refused(http, body):
    sent = {**{name: value for name, value in body.items() if name != "genomes"}, "inputs": {}, "keep": "default"}
    assert "nobody's genes" in refused(http.post(PATH, json=sent))


@pytest.mark.parametrize("content", [b"", b"LOOM", b"LOOM" + bytes(60), b"\0" * 100])
def test_damaged_bytes_are_the_callers(http, content):
    assert "arrays are damaged" in refused(http.post(PATH, content=content, headers={"content-type": BINARY}))


paths = st.sampled_from(
    [["world"], ["mode"], ["seed"], ["generation"], ["steps"], ["keep"], ["settings"], ["settings", "life"], ["settings", "nodes"],
     ["settings", "dt"], ["settings", "control_every"], ["genomes"], ["inputs"], ["genomes", "tempo"], ["genomes", "tempo", 0],
     ["genomes", "pair"], ["genomes", "pair", 0], ["genomes", "pair", 0, 0, 0], ["genomes", "weights_in", 0], ["genomes", "alive"],
     ["genomes", "weights_strain"], ["genomes", "position", 1, 1]]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(path=paths, value=ANYTHING)
def test_whatever_stands_anywhere_the_answer_is_an_outcome_or_a_sentence(http, body, path, value):
    answer = http.post(
        PATH, content=json_of(changed({"steps": 10, **body}, path, value)), headers={"content-type": "application/json"}
    )
    if answer.status_code == 200:
        BatchOutcome.model_validate(answer.json())
    else:
        assert len(refused(answer, 422, 413)) > 20


def json_of(body):
    return json.dumps(body).encode()


shapes = st.lists(st.integers(0, 3), max_size=4).map(tuple)
kinds = st.sampled_from(["?", "i1", "u1", "i2", "i4", "i8", "u8", "f2", "f4", "f8", ">f4", ">i2"])


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(["tempo", "pair", "alive", "weights_in", "mass"]), kind=kinds, shape=shapes, bits=st.binary(max_size=64)
)
def test_whatever_bytes_an_array_has_the_answer_is_an_outcome_or_a_sentence(http, genomes, name, kind, shape, bits):
    count = int(np.prod(shape, dtype=int))
    array = np.resize(np.frombuffer(bits.ljust(64, b"\xff"), kind), shape) if count else np.zeros(shape, kind)
    fits = array.shape == genomes[name].shape
    sent = packed({"world": "creatures", "genomes": {**genomes, name: array}, "settings": QUICK, "steps": 5})
    answer = http.post(PATH, content=sent, headers={"content-type": BINARY})
    assert answer.status_code == 200 if fits and answer.status_code == 200 else refused(answer, 422)


# ---- too much --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def slow(monkeypatch):
    """A request that takes minutes although its price is low, in slices of which each takes some milliseconds."""
    monkeypatch.setattr(evaluate, "SLICE", 16 * 20)
    worldloom.simulate("walker", {"speed": [0.5]}, settings={"rounds": 1}, steps=1, workers=1)
    return {"world": "walker", "inputs": {"speed": [0.5]}, "settings": {"rounds": 100_000}, "steps": 10_000}


def test_a_batch_that_takes_too_long_is_stopped_and_answered_with_503(store, slow):
    with live(application(store, Settings(seconds=0.3))[0]) as url, httpx.Client(base_url=url, timeout=60) as http:
        started = time.perf_counter()
        answer = http.post(PATH, json=slow)
        assert "Expected at most 0.3 s" in refused(answer, 503) and answer.headers["retry-after"] == "1"
        assert time.perf_counter() - started < 3
        assert answered(http, {**slow, "settings": {"rounds": 1}, "steps": 5})["lanes"] == 1


def test_a_busy_service_refuses_at_once_and_recovers(store, slow):
    app, service = application(store, Settings(patience=0.0, seconds=0.5))
    with live(app) as url, httpx.Client(base_url=url, timeout=60) as http:
        gate, statuses = service.gate, []
        asking = threading.Thread(target=lambda: statuses.append(http.post(PATH, json=slow).status_code))
        asking.start()
        wait_until(lambda: gate.in_flight == 1)
        with httpx.Client(base_url=url) as other:
            answer = other.post(PATH, json={**slow, "settings": {"rounds": 1}})
        assert "Ask again in" in refused(answer, 429) and int(answer.headers["retry-after"]) >= 1 and gate.refused == 1
        asking.join()
        assert statuses == [503]
        wait_until(lambda: gate.in_flight == 0)
        assert answered(http, {**slow, "settings": {"rounds": 1}, "steps": 5})["lanes"] == 1


def test_work_for_nobody_is_dropped(store, slow):
    app, service = application(store, Settings())
    with live(app) as url:
        gate, content = service.gate, json_of(slow)
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as line:
            head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
            line.sendall(head.encode() + content)
            wait_until(lambda: gate.in_flight == 1)
        wait_until(lambda: gate.in_flight == 0 and gate.places == 0)


def wait_until(condition):
    end = time.perf_counter() + 10
    while not condition():
        assert time.perf_counter() < end, "it did not happen"
        threading.Event().wait(0.002)


def test_openapi_shows_bodies_answers_and_refusals(http):
    told = http.get("/openapi.json").json()["paths"][PATH]["post"]
    content = told["requestBody"]["content"]
    assert set(content) == {"application/json", BINARY}
    assert {"world", "mode", "seed", "genomes", "inputs", "generation", "keep"} <= set(
        content["application/json"]["schema"]["properties"]
    )
    assert {"200", "413", "422", "429", "503"} <= set(told["responses"])
    assert told["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("BatchOutcome")
