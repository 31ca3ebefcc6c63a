"""Creatures keep every promise of a world, for each kind of brain and task; and version 1 still gives what version 1 gave."""

from dataclasses import replace

import pytest

from worldloom.testing import check_world
from worldloom.worlds.creatures import WORLD

DIGEST = "f11ab4e1ea028f0fc24b8330ba3f24e71d940f3a8dc76e731bceab504f181efb"


def test_creatures_keep_the_promises():
    check_world(WORLD, digest=DIGEST)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"brain": "oscillator", "clock": "none"},
        {"brain": "pure", "clock": "cyclic", "control_every": 1},
        {"brain": "hybrid", "proprioception": "yes", "task": "pellets", "pellet_gap": 0.6},
    ],
)
def test_creatures_of_every_kind_keep_the_promises(settings):
    # The modes' errors are claimed for default settings.
    check_world(
        replace(WORLD, modes={}),
        settings={**settings, "life": 3, "settle_steps": 240},
        sizes={"nodes": 6, "muscles": 10, "hidden": 5},
    )
