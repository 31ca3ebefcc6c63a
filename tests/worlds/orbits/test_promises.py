"""Orbits keep every promise of a world, for each way to compose a step; and version 1 still gives what version 1 gave."""

from dataclasses import replace

import pytest

from worldloom.testing import check_world
from worldloom.worlds.orbits import WORLD

DIGEST = "f366184bef93f0ca95615a3c0386e01fe91a831ed22287ad0b45ef2d275a2c9a"


def test_orbits_keep_the_promises():
    check_world(WORLD, digest=DIGEST, steps=60)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"scheme": "leapfrog", "softening": 1e-3}, {"scheme": "fourth", "watch_every": 7}])
def test_orbits_of_every_kind_keep_the_promises(settings):
    # The modes' errors are claimed for default settings.
    check_world(replace(WORLD, modes={}), settings={**settings, "life": 1}, sizes={"bodies": 5})
