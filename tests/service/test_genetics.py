"""Genetics over HTTP: the generations of a run, exactly; and a sentence for whatever does not fit."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import worldloom
from worldloom.service.schemas import FirstGeneration, NextGeneration
from worldloom.service.wire import BINARY, document_of, packed

QUICK = {"nodes": 4, "muscles": 4, "hidden": 2, "life": 3}
WORLD = {"world": "creatures", "mode": "extreme", "settings": QUICK}
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from([0, -1, 10**12, 2**31, 2**63, 2**64 - 1, 1e39, 1e308, -0.5, "", "nan", "TE9PTQ==", "é", "\0"])
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def answered(http, path, body, *, binary=False):
    """The document that a body gets; sent and received as bytes or as JSON."""
    if not binary:
        return http.post(path, json=body).raise_for_status().json()
    answer = http.post(path, content=packed(body), headers={"content-type": BINARY, "accept": BINARY}).raise_for_status()
    return document_of(answer.headers["content-type"], answer.content)


def refused(answer, *statuses):
    """The sentence of an answer that is a refusal."""
    assert answer.status_code in (statuses or (422,)), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()["detail"]


@pytest.fixture(scope="module")
def first(http):
    """Generation 0 of twelve, as JSON has it."""
    return answered(http, "/api/genetics/generate", {**WORLD, "population": 12, "seed": 5})


@pytest.fixture(scope="module")
def body(first):
    """A request for the next generation that is right."""
    return {**WORLD, "genomes": first["genomes"], "fitness": list(range(12)), "seed": 5, "generation": 0, "state": first["state"]}


def generations(http, *, binary, strategy, options, count=4):
    """(outcome digest, genomes, parents, streak) of generations bred over HTTP."""
    order = {**WORLD, "seed": 5, "strategy": strategy, "settings": {**QUICK, **options}}
    bred = answered(http, "/api/genetics/generate", {**order, "population": 12}, binary=binary)
    FirstGeneration.model_validate(bred)
    for number in range(count):
        run = {**WORLD, "seed": 5, "generation": number, "genomes": bred["genomes"]}
        outcome = answered(http, "/api/simulation/batch", run, binary=binary)
        yield outcome["digest"], bred["genomes"], bred.get("parents"), bred.get("streak")
        fitness = outcome["outcomes"]["fitness"]
        bred = answered(
            http, "/api/genetics/evolve",
            {**order, "generation": number, "genomes": bred["genomes"], "fitness": fitness, "state": bred["state"]}, binary=binary,
        )  # fmt: skip
        NextGeneration.model_validate(bred)
        assert bred["generation"] == number + 1


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("options", [{}, {"selection": "rank", "decay": "linear", "patience": 1, "elites": 3}])
def test_generations_over_http_are_those_of_a_run(http, binary, options):
    told = list(generations(http, binary=binary, strategy="genetic", options=options))
    with worldloom.evolve(
        "creatures", population=12, generations=4, seed=5, mode="extreme", settings={**QUICK, **options}, workers=1, store="memory:"
    ) as run:
        assert [one[0] for one in told] == [run.generation(number).digest for number in range(4)]
        assert len({one[0] for one in told}) == 4
        for number, (_, genomes, parents, streak) in enumerate(told):
            rows = run.rows(number)
            for name, array in rows.genomes.items():
                assert np.array_equal(np.asarray(genomes[name], array.dtype).reshape(array.shape), array), name
            if number:
                assert np.array_equal(parents, rows.parents) and np.array_equal(streak, rows.streak)


def test_generate_gives_what_sample_gives(http, first):
    FirstGeneration.model_validate(first)
    sampled = worldloom.sample("creatures", 12, seed=5, mode="extreme", settings=QUICK)
    assert (first["population"], first["seed"], first["generation"], first["world"]) == (12, 5, 0, "creatures")
    for name, array in sampled.items():
        assert np.array_equal(np.asarray(first["genomes"][name], array.dtype).reshape(array.shape), array)


def test_without_a_state_a_generation_counts_as_the_first_one_told(http, body):
    without = {name: value for name, value in body.items() if name != "state"}
    assert answered(http, "/api/genetics/evolve", without) == answered(http, "/api/genetics/evolve", body)
    later = answered(http, "/api/genetics/evolve", {**without, "generation": 7})
    assert later["generation"] == 8 and later["parents"] != answered(http, "/api/genetics/evolve", body)["parents"]


def test_who_does_not_count_has_no_children(http, body):
    order = {**body, "fitness": [None] * 6 + [1, 2, 3, 4, 5, 6], "settings": {**QUICK, "share": 1}}
    bred = NextGeneration.model_validate(answered(http, "/api/genetics/evolve", order))
    parents = np.asarray(bred.parents)
    assert parents.max() >= 6 and set(parents[parents >= 0].tolist()) <= set(range(6, 12))


def test_not_a_number_and_infinity_do_not_count_either(http, body):
    genomes = {name: np.asarray(array) for name, array in body["genomes"].items()}
    worldlike = worldloom.sample("creatures", 12, seed=5, mode="extreme", settings=QUICK)
    genomes = {name: array.astype(worldlike[name].dtype).reshape(worldlike[name].shape) for name, array in genomes.items()}
    fitness = np.array([np.nan, np.inf, -np.inf, *range(9)], np.float32)
    found = answered(
        http, "/api/genetics/evolve", {**WORLD, "genomes": genomes, "fitness": fitness, "seed": 5, "generation": 0}, binary=True
    )
    listed = [None, None, None, *range(9)]
    same = answered(http, "/api/genetics/evolve", {**{k: v for k, v in body.items() if k != "state"}, "fitness": listed})
    assert np.array_equal(found["parents"], same["parents"]) and found["genomes"]["tempo"].dtype == np.float32


def test_genes_that_no_body_can_have_do_not_bring_the_service_down(http, body):
    pair = np.full_like(np.asarray(body["genomes"]["pair"]), 19).tolist()
    answer = http.post(
        "/api/genetics/evolve", json={**body, "genomes": {**body["genomes"], "pair": pair}, "settings": {**QUICK, "structure": 1}}
    )
    assert answer.status_code == 200 or "cannot breed these genomes" in refused(answer)


def changed(body, path, value):
    """The body with another value at a path; a value of ... takes the place away."""
    if not path:
        return value
    copy = dict(body) if isinstance(body, dict) else list(body)
    if value is ... and len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = changed(copy.get(path[0]) if isinstance(copy, dict) else copy[path[0]], path[1:], value)
    return copy


@pytest.mark.parametrize(
    ("path", "value", "status", "told"),
    [
        (["population"], 0, 422, "population: .* greater than or equal to 1"),
        (["population"], -5, 422, "population"),
        (["population"], 4097, 413, "population = 4097 is too many for a request. Expected at most 4096"),
        (["population"], 10**12, 413, "Expected at most 4096"),
        (["population"], "12", 422, "population: input should be a valid integer"),
        (["population"], ..., 422, "population: field required"),
        (["populaton"], 3, 422, "Unknown name in the body 'populaton'.*Did you mean 'population'"),
        (["strategy"], "gentic", 422, "Unknown strategy 'gentic'.*Did you mean 'genetic'"),
        (["settings", "elitse"], 1, 422, "Unknown setting 'elitse'.*Did you mean 'elites'"),
        (["settings", "elites"], 99, 422, "elites = 99 leaves no room"),
        (["settings", "dt"], 1e300, 422, "dt = 1e.300 is out of range"),
        (["mode"], "slow", 422, "Unknown mode 'slow'"),
        (["seed"], 2**64, 422, "seed"),
        (["world"], 5, 422, "world"),
    ],
)
def test_what_generate_cannot_use_is_named(http, path, value, status, told):
    answer = http.post("/api/genetics/generate", json=changed({**WORLD, "population": 12}, path, value))
    assert re.search(told, refused(answer, status)), answer.text


def test_a_short_body_cannot_ask_for_much_memory(http):
    order = {
        "world": "creatures",
        "population": 4096,
        "settings": {"nodes": 20, "muscles": 50, "hidden": 64, "proprioception": "yes"},
    }
    assert re.search(
        "Genomes of .* bytes for 4096 individuals are too much", refused(http.post("/api/genetics/generate", json=order), 413)
    )


@pytest.mark.parametrize(
    ("path", "value", "status", "told"),
    [
        (["fitness"], [1, 2, 3], 422, r"fitness has shape \[3\] for 12 individuals"),
        (["fitness"], [[1]] * 12, 422, r"fitness has shape \[12, 1\] for 12 individuals"),
        (["fitness"], [], 422, r"fitness has shape \[0\]"),
        (["fitness"], 3, 422, "fitness is a single number"),
        (["fitness"], None, 422, "fitness is null"),
        (["fitness"], ..., 422, "fitness: field required"),
        (["fitness", 3], "4", 422, r"fitness\[3\] is a text"),
        (["fitness", 3], True, 422, r"fitness\[3\] is true or false"),
        (["fitness", 3], 1e300, 422, r"fitness\[3\] = 1e.300 is too large"),
        (["genomes"], {}, 422, "genomes: 'position' is missing"),
        (["genomes", "tempo"], [1.0], 422, "different numbers of lanes"),
        (["genomes", "tempo", 1], 99, 422, r"tempo\[1\] = 99.0 is outside"),
        (["generation"], -1, 422, "generation"),
        (["generation"], 10**12, 422, "generation"),
        (["generation"], ..., 422, "generation: field required"),
        (["seed"], ..., 422, "seed: field required"),
        (["state"], "nonsense", 422, "The state is not one of this strategy"),
        (["state"], "TE9PTQ==", 422, "The state is not one of this strategy"),
        (["state"], {}, 422, "The state is not one of this strategy"),
        (["state"], {"best": [1.0]}, 422, "The state is not one of this strategy"),
        (["state"], 7, 422, "The state is not one of this strategy"),
        (["strategy"], "", 422, "Unknown strategy ''"),
        (["settings", "structure"], 7, 422, "structure = 7.* is out of range"),
    ],
)
def test_what_evolve_cannot_use_is_named(http, body, path, value, status, told):
    answer = http.post("/api/genetics/evolve", json=changed(body, path, value))
    assert re.search(told, refused(answer, status)), answer.text


@settings(max_examples=200, deadline=None)
@given(
    path=st.sampled_from(
        [["world"], ["mode"], ["seed"], ["generation"], ["strategy"], ["settings"], ["settings", "elites"], ["settings", "life"],
         ["settings", "horizon"], ["genomes"], ["genomes", "tempo"], ["genomes", "pair", 0, 0, 0], ["genomes", "muscle", 0],
         ["fitness"], ["fitness", 0], ["state"]]
    ),
    value=ANYTHING,
)  # fmt: skip
def test_whatever_stands_anywhere_the_answer_is_a_generation_or_a_sentence(http, body, path, value):
    content = json.dumps(changed(body, path, value)).encode()
    answer = http.post("/api/genetics/evolve", content=content, headers={"content-type": "application/json"})
    if answer.status_code == 200:
        NextGeneration.model_validate(answer.json())
    else:
        assert len(refused(answer, 422, 413)) > 20


@settings(max_examples=200, deadline=None)
@given(
    path=st.sampled_from([["world"], ["mode"], ["seed"], ["population"], ["strategy"], ["settings"], ["settings", "rate"]]),
    value=ANYTHING,
)
def test_whatever_is_asked_for_the_answer_is_a_generation_or_a_sentence(http, path, value):
    content = json.dumps(changed({**WORLD, "population": 3}, path, value)).encode()
    answer = http.post("/api/genetics/generate", content=content, headers={"content-type": "application/json"})
    if answer.status_code == 200:
        FirstGeneration.model_validate(answer.json())
    else:
        assert len(refused(answer, 422, 413)) > 20


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(["best", "asked", "stagnant", "parents", "streak"]), shape=st.lists(st.integers(0, 13), min_size=1, max_size=2),
       fill=st.sampled_from([0, -1, 2**31 - 1, 2**63 - 1]))  # fmt: skip
def test_whatever_a_state_holds_the_answer_is_a_generation_or_a_sentence(http, body, name, shape, fill):
    world = worldloom.sample("creatures", 12, seed=5, mode="extreme", settings=QUICK)
    good = answered(http, "/api/genetics/generate", {**WORLD, "population": 12, "seed": 5}, binary=True)["state"]
    with np.errstate(over="ignore"):
        state = {**good, name: np.full(shape, np.int64(fill)).astype(good[name].dtype)}
    sent = packed({**WORLD, "genomes": world, "fitness": np.arange(12.0), "seed": 5, "generation": 3, "state": state})
    answer = http.post("/api/genetics/evolve", content=sent, headers={"content-type": BINARY})
    assert answer.status_code == 200 or refused(answer)


def test_openapi_shows_bodies_answers_and_refusals(http):
    told = http.get("/openapi.json").json()["paths"]
    for path, model in (("/api/genetics/generate", "FirstGeneration"), ("/api/genetics/evolve", "NextGeneration")):
        post = told[path]["post"]
        assert set(post["requestBody"]["content"]) == {"application/json", BINARY}
        assert {"200", "413", "422", "429"} <= set(post["responses"])
        assert post["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith(model)
