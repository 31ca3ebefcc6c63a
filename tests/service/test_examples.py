"""The examples of OpenAPI are what the service answers. `python tests/service/test_examples.py` writes them anew."""

import json
import threading
import time

import httpx
import jsonschema
import orjson
import pytest

from worldloom.runtime.jobs import work
from worldloom.runtime.store import open_store
from worldloom.service.app import application
from worldloom.service.examples import FILE
from worldloom.service.settings import Settings

TINY = {"nodes": 3, "muscles": 2, "hidden": 1, "life": 1.0}
CHANGING = {"id", "run", "parent_run", "created_at", "seconds", "versions", "cursor", "url"}  # from one time to the next
RUN, CHILD = "walkers", "others"


def exchanges(http):
    """Sends each example's request in turn: "METHOD path" -> what was sent and answered."""
    found = {}

    def send(place, sent=None, **path):
        method, _, template = place.partition(" ")
        answer = http.request(method, template.format(**path), json=sent)
        told = {"path": path} if path else {}
        told |= {} if sent is None else {"request": sent}
        found[place] = {**told, "status": answer.status_code, "response": answer.json()}
        return answer.json()

    send("GET /api/worlds")
    send("GET /api/worlds/{world}", world="creatures")
    about = {"world": "creatures", "seed": 7, "settings": TINY}
    first = send("POST /api/genetics/generate", {**about, "population": 2})
    done = send("POST /api/simulation/batch", {**about, "genomes": first["genomes"], "keep": "1,0,0"})
    told = {"genomes": first["genomes"], "generation": 0, "fitness": done["outcomes"]["fitness"], "state": first["state"]}
    send("POST /api/genetics/evolve", {**about, **told})
    send("POST /api/runs", {**about, "population": 6, "generations": 3, "name": RUN})
    while http.get(f"/api/runs/{RUN}").json()["status"] != "finished":
        time.sleep(0.01)
    send("GET /api/runs")
    send("GET /api/runs/{run}", run=RUN)
    send("GET /api/runs/{run}/generations", run=RUN)
    send("GET /api/runs/{run}/individuals", run=RUN)
    send("GET /api/runs/{run}/individuals/{individual}", run=RUN, individual="2-0")
    send("POST /api/runs/{run}/fork", {"generation": 1, "seed": 8, "name": CHILD}, run=RUN)
    http.stopping.set()  # no worker takes what follows
    http.worker.join()
    send("POST /api/runs/{run}/resume", {"generations": 5}, run=CHILD)
    send("POST /api/runs/{run}/pause", run=CHILD)
    send("POST /api/runs/{run}/cancel", run=CHILD)
    return found


def carried_out():
    from live import live

    store = open_store("memory:")
    app, _ = application(store, Settings())
    with live(app) as url, httpx.Client(base_url=url, timeout=60) as http:
        http.stopping = threading.Event()
        http.worker = threading.Thread(target=work, args=(store, http.stopping), kwargs={"poll": 0.01})
        http.worker.start()
        found, document = exchanges(http), http.get("/openapi.json").json()
    return found, document


def masked(value):
    """The same without what changes from one time to the next."""
    if isinstance(value, dict):
        return {name: "…" if name in CHANGING else masked(member) for name, member in value.items()}
    if isinstance(value, str) and value.startswith("batch-"):  # the name of a kept batch has its id
        return "batch-…"
    return [masked(member) for member in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def now():
    return carried_out()


def test_the_examples_are_what_the_service_answers(now):
    found, _ = now
    stored = json.loads(FILE.read_text())
    assert list(stored) == list(found)
    for place, example in stored.items():
        assert masked(example) == masked(found[place]), f"{place}: write the examples anew, see the top of this file"


def test_openapi_shows_an_example_for_each_endpoint_that_answers_json(now):
    _, document = now
    shown = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answers = {**operation["responses"].get("200", {}), **operation["responses"].get("201", {})}
            if path.startswith("/api/") and list(answers.get("content", {})) != ["text/event-stream"] and "replay" not in path:
                content = answers["content"]["application/json"]
                assert "example" in content, (method, path)
                schema = {**content["schema"], "components": document["components"]}
                jsonschema.validate(content["example"], schema)
                shown += 1
    assert shown == len(json.loads(FILE.read_text()))


if __name__ == "__main__":
    FILE.write_bytes(orjson.dumps(carried_out()[0], option=orjson.OPT_INDENT_2) + b"\n")
