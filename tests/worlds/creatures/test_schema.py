"""A creature as JSON: it lives the same life after a round trip, and every fault is named by its path."""

import json

import jsonschema
import numpy as np
import pytest

from worldloom.core.errors import InputError
from worldloom.core.genome import rows
from worldloom.core.keys import fold, run_key
from worldloom.core.rollout import Rollout
from worldloom.worlds.creatures import WORLD
from worldloom.worlds.creatures.schema import SCHEMA, genome_from_json, genome_to_json

KEYS = fold(run_key(9), np.arange(20))


def sampled(**settings):
    params = WORLD.filled(None, {"life": 4, **settings})
    return params, WORLD.genome(params, WORLD.sized()).sampled(run_key(9), 20)


def document(index=3, **settings):
    return json.loads(genome_to_json(sampled(**settings)[1], index, brain=settings.get("brain", "hybrid")))


@pytest.mark.parametrize("proprioception", ["no", "yes"])
@pytest.mark.parametrize("clock", ["none", "sin", "cyclic"])
def test_a_creature_lives_the_same_life_after_a_round_trip(clock, proprioception):
    params, genes = sampled(clock=clock, proprioception=proprioception)
    for index in (0, 7, 19):
        text = genome_to_json(genes, index, clock=clock)
        one, settings = genome_from_json(text)
        sizes = {name: settings[name] for name in WORLD.sizes}
        lives = [
            Rollout(WORLD, params, WORLD.genome(params, size).express(body), KEYS[index : index + 1]).run(960)
            for size, body in ((WORLD.sized(), rows(genes, slice(index, index + 1))), (sizes, one))
        ]
        assert all(a.tobytes() == b.tobytes() for a, b in zip(*lives, strict=True))
        assert genome_to_json(one, 0, clock=clock) == text


def test_sampled_creatures_fit_the_published_schema():
    _, genes = sampled()
    for index in range(20):
        jsonschema.validate(json.loads(genome_to_json(genes, index)), SCHEMA)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def spoiled(path, value):
    """The document with one place changed; a value of ... removes it."""
    made = document()
    place = made
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(made)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (["format"], "other/1", "format = 'other/1' is not known"),
        (["nodes"], [], "nodes has 0 items. Expected a list of 3 to 20"),
        (["nodes", 1, "mass"], 99, r"nodes\[1\].mass = 99 is outside 0.3 to 3 kg"),
        (["nodes", 0, "position"], [0, 1], r"nodes\[0\].position has shape \[2\]. Expected 3 numbers"),
        (["nodes", 0, "position", 2], "up", r"nodes\[0\].position is not made of numbers"),
        (["nodes", 2, "weight"], 1, r"nodes\[2\].weight is not known"),
        (["muscles", 0, "stiffness"], ..., r"muscles\[0\].stiffness is missing"),
        (["muscles", 0, "stiffness"], 1e30, r"muscles\[0\].stiffness = 1e\+30 is outside 1 to 1000 N/m"),
        (["muscles", 1, "nodes"], [1, 1], r"muscles\[1\].nodes = \[1, 1\] joins no two nodes"),
        (["muscles", 1, "nodes"], [0, 19], r"muscles\[1\].nodes = \[0, 19\] joins no two nodes"),
        (["brain", "kind"], "brilliant", "brain.kind = 'brilliant' is not known"),
        (["brain", "proprioception"], "no", "brain.proprioception = 'no' is no truth value"),
        (["brain", "hidden", 0, "bias"], None, r"brain.hidden\[0\].bias is not made of numbers|is outside"),
        (["brain", "hidden", 1, "senses"], [0.5], r"brain.hidden\[1\].senses has shape \[1\]. Expected 8 numbers"),
        (["tempo"], float("nan"), "tempo = nan is outside|tempo is not made of numbers"),
        (["nodes", 0, "mass"], 10**400, r"nodes\[0\].mass is too large a number"),
        (["nodes", 0, "mass"], True, r"nodes\[0\].mass is not made of numbers"),
        (["nodes", 0, "friction"], "0.5", r"nodes\[0\].friction is not made of numbers"),
        (["muscles", 0, "nodes"], [0.9, 3.7], r"muscles\[0\].nodes is not made of numbers. Expected 2 numbers without"),
        (["muscles"], {}, "muscles has dict items"),
    ],
)
def test_each_fault_is_named_by_its_path(path, value, told):
    with pytest.raises(InputError, match=told):
        genome_from_json(spoiled(path, value))


def test_twin_muscles_and_loose_nodes_are_refused():
    made = document()
    made["muscles"].append(dict(made["muscles"][0]))
    with pytest.raises(InputError, match="join the same nodes"):
        genome_from_json(json.dumps(made))
    made = document()
    made["nodes"].append(dict(made["nodes"][0]))
    with pytest.raises(InputError, match="falls apart"):
        genome_from_json(json.dumps(made))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"creature"', "{}", "[" * 100000])
def test_what_is_no_creature_is_refused(text):
    with pytest.raises(InputError):
        genome_from_json(text)
