"""Requests to the endpoints of OpenAPI: what schemathesis makes of the schema, and what a caller would send, often with one thing wrong."""

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import cache
from itertools import count
from typing import Any
from urllib.parse import quote

import numpy as np
import requests
import schemathesis
from fuzz_attack import CURSORS, DIGITS, INDIVIDUALS, NUMBERS, TEXTS
from fuzz_ground import GENERATIONS, IDS, POPULATION, QUICK, TOKEN, Ground
from fuzz_judge import Judge
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import worldloom
from worldloom.runtime.store import ORDERS
from worldloom.service.wire import BINARY, JSON, packed

ASKED = {"authorization": f"Bearer {TOKEN}"}
CHECKS = [
    schemathesis.checks.not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
    response_headers_conformance,
]  # fmt: skip
WEIGHTS = {
    "healthz": 0.3,
    "readyz": 0.3,
    "metrics": 0.3,
    "/api/worlds": 0.4,
    "batch": 3,
    "generate": 2,
    "evolve": 3,
    "individuals": 2,
    "replay": 2,
}
PATIENCE = 30  # s that an answer may take before it counts as none
TAGGED = "2-0"  # the individual of `walkers` whose ETags are known
LANES = (1, 2, 4)  # of bodies that are right
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5) | st.sampled_from(
        [0, -1, 1, 1.0, -0.0, 0.5, 2**31, 2**53, 2**63, 2**64 - 1, 2**64, 10**40, 1e39, 1e308, 5e-324, "", "1", "nan", "\0", "x" * 300]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)  # fmt: skip
WHOLE = st.integers(0, 2**64 - 1)
SETTINGS = st.builds(
    lambda more: {**QUICK, **more},
    st.fixed_dictionaries(
        {}, optional={"life": st.sampled_from([0.1, 0.3]), "hidden": st.integers(1, 4), "gravity": st.sampled_from([-9.81, -3.7])}
    ),
)
MODE = st.sampled_from([None, "accurate", "fast", "ultra_fast", "extreme"])
KEEP = st.sampled_from(["default", "none", "all", "1,0,0", "0,2,1"])
NAME = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), max_size=20)


@cache
def genomes(lanes: int) -> dict[str, Any]:
    """That many individuals, as JSON has them."""
    return {name: array.tolist() for name, array in worldloom.sample("creatures", lanes, seed=3, settings=QUICK).items()}


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A value, or None."""
    return st.none() | strategy


@st.composite
def batches(draw: st.DrawFn) -> dict[str, Any]:
    """Bodies of simulation/batch that are right."""
    optional = {"mode": MODE, "seed": WHOLE, "generation": st.integers(0, 10**9), "keep": KEEP, "steps": st.integers(1, 300)}
    rest = draw(st.fixed_dictionaries({}, optional=optional))
    return {"world": "creatures", "settings": QUICK, "genomes": deepcopy(genomes(draw(st.sampled_from(LANES)))), **rest}


@st.composite
def evolutions(draw: st.DrawFn, states: dict[int, str]) -> dict[str, Any]:
    """Bodies of genetics/evolve that are right. states: by individuals, as genetics/generate gave them."""
    lanes = draw(st.sampled_from(LANES))
    fitness = st.lists(some(st.floats(-100, 100, width=32)), min_size=lanes, max_size=lanes)
    told = {"world": st.just("creatures"), "settings": st.just(QUICK), "fitness": fitness, "seed": WHOLE}
    told["generation"] = st.sampled_from([0, 0, 1, 7, 10**9 - 1])
    optional = {"mode": MODE, "strategy": st.just("genetic"), "state": st.sampled_from([None, states[lanes]])}
    return {"genomes": deepcopy(genomes(lanes)), **draw(st.fixed_dictionaries(told, optional=optional))}


def bodies(states: dict[int, str]) -> dict[str, st.SearchStrategy[Any]]:
    """Bodies that are right, by the end of a path."""
    world = {"world": st.just("creatures"), "settings": SETTINGS}
    return {
        "batch": batches(),
        "evolve": evolutions(states),
        "generate": st.fixed_dictionaries(
            {**world, "population": st.integers(1, 12)}, optional={"seed": WHOLE, "mode": MODE, "strategy": st.just("genetic")}
        ),
        "runs": st.fixed_dictionaries(
            {**world, "population": st.integers(1, 20), "generations": st.integers(1, 5)},
            optional={"seed": WHOLE, "mode": MODE, "strategy": st.just("genetic"), "name": NAME, "keep": KEEP},
        ),
        "resume": st.fixed_dictionaries({}, optional={"generations": st.none() | st.integers(1, 9)}),
        "fork": st.fixed_dictionaries(
            {"generation": st.sampled_from([0, 0, 0, 1, 2])}, optional={"seed": some(WHOLE), "name": NAME}
        ),
    }


PATHS = {
    "world": st.just("creatures"),
    "run": st.sampled_from(["walkers", "walkers", IDS["walkers"], "aaaa", "halted", "busy", "broken", "given-up", "waiting"]),
    "individual": st.sampled_from([f"{generation}-{index}" for generation in range(GENERATIONS) for index in range(POPULATION)]),
}  # fmt: skip
QUERIES = {
    "limit": st.integers(1, 1000),
    "generation": st.sampled_from([0, 0, 0, *range(GENERATIONS)]),
    "after": st.integers(-1, GENERATIONS),
    "order": st.sampled_from(sorted(ORDERS)),
}
ELSEWHERE = ("", ".", "%2e%2e", "%2F")  # they name another path: only fuzz_attack.py asks for those
WRONG_NAMES = [text for text in [*TEXTS, *INDIVIDUALS, *NUMBERS] if text.strip() not in ELSEWHERE and "%2" not in text]
WRONG_PATH = st.sampled_from(WRONG_NAMES) | st.text(min_size=1, max_size=20).filter(
    lambda text: text not in ELSEWHERE and "/" not in text
).map(lambda text: quote(text, safe=""))
WRONG_QUERY = st.sampled_from([*NUMBERS, *TEXTS, *CURSORS, [1, 2], DIGITS]) | st.text(max_size=20)
FORMS = st.sampled_from([None, None, JSON, BINARY, "text/html", "*/*", "application/xml", "text/html;q=0.1, */*"])


@st.composite
def spoiled(draw: st.DrawFn, document: dict[str, Any]) -> Any:
    """A document with one thing wrong in it, at any depth: another value, one too many, or one missing."""
    whole = node = deepcopy(document)
    while True:
        keys = sorted(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return draw(ANYTHING)
        key = draw(st.sampled_from(keys))
        inner = node[key]
        if not (isinstance(inner, dict | list) and inner and draw(st.integers(0, 3))):
            break
        node = inner
    how = draw(st.sampled_from(["other", "other", "missing", "more"]))
    if how == "missing":
        del node[key]
    elif how == "more" and isinstance(node, dict):
        node[draw(st.text(max_size=5))] = draw(ANYTHING)
    else:
        node[key] = draw(ANYTHING)
    return whole


@st.composite
def callers(draw: st.DrawFn, operation: Any, made: dict[str, st.SearchStrategy[Any]], tags: list[str]) -> Any:
    """Requests as callers send them; of every two one has one thing wrong. tags: ETags of replays."""
    wrong = draw(st.sampled_from(["nothing", "nothing", "nothing", "path", "query", "body"]))
    path = {one.name: draw(WRONG_PATH if wrong == "path" else PATHS[one.name]) for one in operation.path_parameters}
    if wrong == "nothing" and path.get("run") not in ("walkers", IDS["walkers"], "aaaa") and "individual" in path:
        path["individual"] = "0-" + path["individual"].partition("-")[2]  # what other runs have
    cursors = st.sampled_from(["0.3", "0.0", "2.1"]) if path else st.sampled_from(sorted(IDS.values()))
    right = {one.name: {**QUERIES, "cursor": cursors}[one.name] for one in operation.query}
    query = draw(st.fixed_dictionaries({}, optional=right))
    if wrong == "query" and right:
        query[draw(st.sampled_from(sorted(right)))] = draw(WRONG_QUERY)
    headers = {"accept": draw(FORMS), "accept-encoding": draw(st.sampled_from([None, "gzip"]))}
    if operation.path.endswith("replay"):
        headers["if-none-match"] = draw(some(st.sampled_from([", ".join(tags), *tags, "*", '"x"'])))
        if wrong == "nothing" and draw(st.booleans()):
            path = {"run": "walkers", "individual": TAGGED}  # whose tags they are
    if operation.path.endswith("events"):
        headers["last-event-id"] = draw(some(st.sampled_from(["0", "2", "9" * 30, "x", "-1"])))
    sent: dict[str, Any] = {}
    if (body := made.get(operation.path.rpartition("/")[2])) is not None and operation.method == "post":
        sent = {"media_type": draw(st.sampled_from([JSON, JSON, BINARY])), "body": draw(body)}
        sent["body"] = draw(spoiled(sent["body"])) if wrong == "body" else sent["body"]
        sent |= as_bytes(sent["body"]) if sent["media_type"] == BINARY else {}
    kept = {name: value for name, value in headers.items() if value is not None}
    return operation.Case(path_parameters=path, query=query, headers=kept, **sent)


def as_bytes(document: Any) -> dict[str, Any]:
    """A body as bytes with its arrays as arrays; as JSON where that cannot be."""
    try:
        groups = {name: document[name] for name in ("genomes", "inputs") if isinstance(document.get(name), dict)}
        arrays = {group: {name: np.array(value) for name, value in members.items()} for group, members in groups.items()}
        return {"body": packed({**document, **arrays})}
    except (AttributeError, TypeError, ValueError):
        return {"media_type": JSON}


@schemathesis.serializer(BINARY)
def _sent(context: schemathesis.SerializationContext, value: Any) -> dict[str, Any]:
    return {"data": value if isinstance(value, bytes) else getattr(value, "data", None) or json.dumps(value).encode()}


def schema_of(ground: Ground) -> Any:
    """The service's own OpenAPI, as schemathesis reads it. Of a stream it reads the first event."""
    told = requests.get(f"{ground.address}/openapi.json", headers=ASKED, timeout=PATIENCE).json()
    config = schemathesis.Config.from_dict({"max-stream-events": 1, "request-timeout": PATIENCE})
    return schemathesis.openapi.from_dict(told, config=config)


def prepared(ground: Ground) -> tuple[dict[str, st.SearchStrategy[Any]], list[str]]:
    """(bodies that are right, ETags of replays), with what only the service can say."""
    states = {}
    for lanes in LANES:
        order = {"world": "creatures", "population": lanes, "settings": QUICK}
        answer = requests.post(f"{ground.address}/api/genetics/generate", json=order, headers=ASKED, timeout=PATIENCE)
        states[lanes] = answer.json()["state"]
    replay = f"{ground.address}/api/runs/walkers/individuals/{TAGGED}/replay"
    tags = [
        requests.get(replay, headers={**ASKED, "accept": form}, timeout=PATIENCE).headers["etag"]
        for form in (BINARY, JSON, "text/html")
    ]
    return bodies(states), tags


def cases(operation: Any, made: dict[str, st.SearchStrategy[Any]], tags: list[str]) -> st.SearchStrategy[Any]:
    """Requests to one endpoint: of every four, three as callers send them and one that schemathesis makes of the schema."""
    generated = [operation.as_strategy()]
    if operation.body or operation.query:
        generated.append(operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
    ours, theirs = callers(operation, made, tags), st.one_of(generated)
    return st.integers(0, 3).flatmap(lambda kind: ours if kind else theirs)


def fuzz(ground: Ground, judge: Judge, requests_wanted: int, *, number: int = 1, paths: Sequence[str] = ("",)) -> None:
    """At least that many requests, spread over the endpoints whose paths have these ends. The same number gives the same requests."""
    operations = [found.ok() for found in schema_of(ground).get_all_operations()]
    operations = [one for one in operations if one.path.endswith(tuple(paths))]
    made, tags = prepared(ground)
    weights = [next((weight for end, weight in WEIGHTS.items() if one.path.endswith(end)), 1.0) for one in operations]
    for operation, weight in zip(operations, weights, strict=True):
        share = int(requests_wanted * weight / sum(weights)) + 1
        ask_many(ground, judge, operation, cases(operation, made, tags), share, number=number)


def ask_many(ground: Ground, judge: Judge, operation: Any, strategy: st.SearchStrategy[Any], share: int, *, number: int) -> None:
    """That many requests to one endpoint. Hypothesis ends early where it believes that it has tried everything: then it begins anew."""
    with requests.Session() as session:
        session.headers.clear()  # its own would go before those of a case
        before = judge.asked

        def ask(case: Any) -> None:
            if judge.asked - before < share:
                asked(ground, judge, case, session)

        for again in count():
            if (left := share - (judge.asked - before)) <= 0:
                return
            assert again < 20, f"{operation.label}: {left} of {share} requests could not be made"
            run: Callable[[], None] = seed(number * 1000 + again)(
                settings(
                    max_examples=left,
                    database=None,
                    deadline=None,
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                )(given(case=strategy)(ask))
            )
            run()


def asked(ground: Ground, judge: Judge, case: Any, session: requests.Session) -> None:
    """Sends a case, and lets the answer be judged by us and by the schema."""
    ground.clear()
    if case.method == "POST" and "/runs/" in case.operation.path:
        ground.restore()
    label = case.operation.label
    try:
        response = case.call(base_url=ground.address, session=session, headers=dict(ASKED))
    except (requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL):
        return None  # not sent: the client cannot write it
    except requests.RequestException as error:
        return judge.blame(label, f"no answer: {type(error).__name__}", case.as_curl_command())
    curl = case.as_curl_command(base_url=ground.address)[:1500]
    headers = {name: values[0] for name, values in response.headers.items()}
    judge.hear(label, response.status_code, headers, response.content, seconds=response.elapsed, request=curl)
    if response.status_code in (429, 503):
        return None  # judged above
    try:
        case.validate_response(response, checks=CHECKS)
    except FailureGroup as group:
        for failure in group.exceptions:
            judge.blame(label, getattr(failure, "title", type(failure).__name__), f"{curl}\n    {str(failure)[:600]}")
