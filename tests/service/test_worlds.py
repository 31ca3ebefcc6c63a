"""What the service says about worlds."""

import pytest

from worldloom.core.field import fields
from worldloom.service.schemas import WorldInfo, Worlds
from worldloom.worlds.creatures import WORLD


def test_installed_worlds_are_listed(http):
    listed = Worlds.model_validate(http.get("/api/worlds").json())
    (line,) = [line for line in listed.worlds if line.name == "creatures"]
    assert (line.version, line.modes, line.problem) == (WORLD.version, list(WORLD.modes), "")


def test_a_world_tells_units_and_limits_of_all_that_it_takes_and_gives(http):
    told = WorldInfo.model_validate(http.get("/api/worlds/creatures").json())
    assert {name: field.unit for name, field in told.outcome.items()} == {n: f.unit for n, f in fields(WORLD.outcome).items()}
    assert (
        told.genes is not None and told.genes["size"].low == fields(WORLD.genome(WORLD.filled(), WORLD.sized()).genes)["size"].low
    )
    assert told.evolves and told.strategies["genetic"]["crossover"].choices == ["uniform", "interpolation", "sbx"]
    assert told.steps == 2400 and told.sizes["nodes"].default == 8


@pytest.mark.parametrize("path, status", [("/api/worlds/creature", 404), ("/api/nothing", 404)])
def test_a_world_or_path_that_is_not_there_is_404_with_a_sentence(http, path, status):
    answer = http.get(path)
    assert answer.status_code == status and answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status and len(answer.json()["detail"]) > 20
