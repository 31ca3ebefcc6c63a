"""Thousands of requests that nobody foresaw: no 5xx, every answer as OpenAPI says, every refusal a sentence."""

import http.client
import itertools
import json
import socket

import jsonschema_rs
import pytest
import requests
from fuzz_attack import Asked, answer, attack, attacks, beyond_integers
from fuzz_cases import ASKED, fuzz, schema_of
from fuzz_ground import ENDED, IDS, ground
from fuzz_judge import Judge, faults

from worldloom.runtime.store import open_store
from worldloom.service.problems import problem
from worldloom.service.wire import BINARY

KINDS = ("memory", "sqlite", "postgresql")
RARE = 0.005  # share of answers that may be 429 or 503: this machine has other things to do, too
PART = 12  # of the requests written by hand, the fast tests send every twelfth to each store, and to each store others


@pytest.fixture(scope="module")
def place():
    with ground(open_store("memory:")) as found:
        yield found


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def store(kind, request, tmp_path):
    urls = {"memory": lambda: "memory:", "sqlite": lambda: str(tmp_path / "runs.db")}
    opened = open_store(urls.get(kind, lambda: request.getfixturevalue("database"))())
    yield opened
    opened.close()


def flawless(judge, asked):
    """Fails with every kind of fault that a judge has found, and the request that shows it."""
    assert not judge.faults, judge.told()
    assert judge.asked >= asked, judge.table()
    assert judge.count(429, 503) <= RARE * asked, judge.table()


def meaningful(judge):
    """Fails where requests were refused too often to say much."""
    assert judge.share() > 1 / 3, judge.table()
    reached = {what for what, status in judge.answers if status < 300}
    assert reached == {what for what, _ in judge.answers}, judge.table()
    assert {200, 201, 304, 404, 409, 422} <= {status for _, status in judge.answers}, judge.table()


def by_hand(found, chosen):
    """What a judge says of requests written by hand, and how many they were."""
    judge, sent = Judge(), 0
    openapi = requests.get(f"{found.address}/openapi.json", headers=ASKED, timeout=30).json()
    for asked in chosen:
        if sent % 50 == 0:
            found.restore()
            found.clear()
        attack(found, judge, asked, openapi)
        sent += 1
    return judge, sent


def test_a_thousand_requests_get_the_answers_that_openapi_promises(place):
    judge = Judge()
    fuzz(place, judge, 1000)
    flawless(judge, 1000)
    meaningful(judge)


@pytest.mark.slow
def test_twenty_thousand_requests_get_the_answers_that_openapi_promises(place):
    judge = Judge()
    fuzz(place, judge, 20_000, number=2)
    print(judge.table())
    flawless(judge, 20_000)
    meaningful(judge)


@pytest.mark.slow
def test_requests_to_databases_get_the_answers_that_openapi_promises(store):
    judge = Judge()
    with ground(store) as found:
        fuzz(found, judge, 1000, number=3)
    flawless(judge, 1000)
    meaningful(judge)


def test_requests_written_by_hand_do_not_break_the_service_over_any_store(store, kind):
    part = itertools.islice(attacks(), KINDS.index(kind), None, PART)
    with ground(store) as found:
        judge, sent = by_hand(found, [*beyond_integers(), *part])
    assert sent > 400
    flawless(judge, sent)


@pytest.mark.slow
def test_all_requests_written_by_hand_do_not_break_the_service_over_any_store(store):
    with ground(store) as found:
        judge, sent = by_hand(found, attacks())
    assert sent > 5000
    flawless(judge, sent)


def test_openapi_is_valid_and_has_nothing_left_of_the_framework(place):
    schema_of(place).validate()
    whole = requests.get(f"{place.address}/openapi.json", headers=ASKED, timeout=30).json()
    assert whole["openapi"].startswith("3.1") and "HTTPValidationError" not in json.dumps(whole)
    for document in whole["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **document})


def test_openapi_says_which_answers_come_as_bytes(place):
    whole = requests.get(f"{place.address}/openapi.json", headers=ASKED, timeout=30).json()
    for path, method in (
        ("runs", "get"),
        ("runs/{run}", "get"),
        ("worlds", "get"),
        ("runs", "post"),
        ("genetics/generate", "post"),
    ):
        told = whole["paths"][f"/api/{path}"][method]["responses"]
        assert BINARY in told["201" if (path, method) == ("runs", "post") else "200"]["content"]


@pytest.mark.parametrize("name", ENDED)
def test_the_stream_of_a_run_that_ended_ends_whatever_it_is_asked_for(place, name):
    host, _, port = place.address.removeprefix("http://").partition(":")
    for query, seen in (("", None), ("?after=0", None), ("?after=1000000000", "x"), ("", "1"), ("", "9" * 18), ("", "9" * 5000)):
        asked = Asked("", "GET", f"/api/runs/{IDS[name]}/events{query}", (("Last-Event-ID", seen),) if seen else ())
        with socket.create_connection((host, int(port)), timeout=10) as line:
            line.sendall(asked.sent(f"{host}:{port}"))
            response = http.client.HTTPResponse(line)
            response.begin()
            said = response.read().decode()  # comes back only at the stream's end
        assert response.status == 200 and said.rstrip().splitlines()[-2] == "event: finished", said


def test_the_stream_of_a_run_that_goes_on_begins_with_where_it_stands(place):
    host, _, port = place.address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(Asked("", "GET", "/api/runs/waiting/events").sent(f"{host}:{port}"))
        status, _, said = answer(line, "GET")
    assert status == 200 and b'"status": "queued"' in said


def test_a_large_body_of_a_small_order_is_refused_before_it_is_read(place):
    for path in ("runs", "runs/walkers/fork", "runs/halted/resume"):
        sent = requests.post(f"{place.address}/api/{path}", json={"name": "x" * 70_000}, headers=ASKED, timeout=10)
        assert sent.status_code == 413 and "65536 bytes" in sent.json()["detail"]


def test_a_sentence_that_repeats_a_very_long_name_is_shortened_in_its_middle():
    detail = json.loads(problem(404, f"Unknown run {'x' * 60_000!r}. Known: none.").body)["detail"]
    assert len(detail) < 1300 and detail.startswith("Unknown run 'xxx") and detail.endswith("xxx'. Known: none.")


# ---- whether faults would be found -----------------------------------------------------------------------------------------------


class Spoiled:
    """An application some of whose answers are not what they were. spoil: changes (status, headers, body)."""

    def __init__(self, app, spoil):
        self.app, self.spoil = app, spoil

    async def __call__(self, scope, receive, send):
        begun = {}

        async def sending(message):
            if message["type"] == "http.response.start":
                begun.update(message)
                return
            status, headers, body = self.spoil(begun["status"], dict(begun["headers"]), message.get("body", b""))
            headers[b"content-length"] = str(len(body)).encode()
            await send({"type": "http.response.start", "status": status, "headers": list(headers.items())})
            await send({"type": "http.response.body", "body": body})

        plain = scope["type"] == "http" and scope["path"].startswith("/api/runs")
        await self.app(scope, receive, sending if plain else send)


def without(name):
    def spoil(status, headers, body):
        return status, {key: value for key, value in headers.items() if key != name}, body

    return spoil


def among_successes(change):
    """Changes bodies of JSON with status 200."""

    def spoil(status, headers, body):
        spoilt = status == 200 and headers.get(b"content-type") == b"application/json" and b"content-encoding" not in headers
        return change(status, headers, body) if spoilt else (status, headers, body)

    return spoil


def saying(detail):
    def spoil(status, headers, body):
        told = {"title": "x", "status": status, "detail": detail}
        return (status, headers, json.dumps(told).encode()) if status >= 400 else (status, headers, body)

    return spoil


FAULTS = {
    "Server error": among_successes(lambda status, headers, body: (500, headers, body)),
    "Undocumented status code": among_successes(lambda status, headers, body: (418, headers, body)),
    "Undocumented Content-Type": among_successes(
        lambda status, headers, body: (200, {**headers, b"content-type": b"text/csv"}, body)
    ),
    "Response violates schema": among_successes(
        lambda status, headers, body: (200, headers, body.replace(b'"world_version"', b'"v"'))
    ),
    "JSON deserialization error": among_successes(lambda status, headers, body: (200, headers, body[:-1])),
    "Missing required response headers": without(b"location"),
    "header x-content-type-options is missing": without(b"x-content-type-options"),
    "header content-security-policy is missing": without(b"content-security-policy"),
    "opened to other origins": lambda status, headers, body: (status, {**headers, b"access-control-allow-origin": b"*"}, body),
    "a sentence that does not say what was expected": saying("Something is wrong with your request, sorry."),
    "insides of the service in the sentence": saying('Expected nothing. File "/srv/app.py", line 3'),
    "a sentence of more than 2000 characters": saying("Expected less than " + "x" * 2000),
}


@pytest.fixture(scope="module")
def spoilable():
    """A served application, and what its answers pass."""
    passed = []

    def around(app):
        passed.append(Spoiled(app, lambda *answer: answer))
        return passed[0]

    with ground(open_store("memory:"), around=around) as found:
        yield found, passed[0]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_few_answers_is_found(spoilable, fault):
    judge, (found, passed) = Judge(), spoilable
    passed.spoil = FAULTS[fault]
    fuzz(found, judge, 40, paths=["/api/runs", "/{run}"])
    passed.spoil = lambda *answer: answer
    assert fault in {what for _, what in judge.faults}, judge.told() or judge.table()


def test_nothing_is_found_where_answers_stay_as_they_are(spoilable):
    judge = Judge()
    fuzz(spoilable[0], judge, 40, paths=["/api/runs", "/{run}"])
    flawless(judge, 40)


def test_a_refusal_that_is_no_problem_document_is_a_fault():
    clothes = dict.fromkeys(("x-request-id", "server-timing"), "nosniff no-referrer same-origin total;dur=1")
    assert "refusal as text/plain" in faults(404, {**clothes, "content-type": "text/plain"}, b"Not Found")
    assert "no Retry-After" in faults(429, clothes, b"") and "status 503" in faults(503, clothes, b"")
