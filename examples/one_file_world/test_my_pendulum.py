"""The pendulum keeps every promise that Worldloom makes of a world."""

from my_pendulum import WORLD

from worldloom.testing import check_world


def test_the_pendulum_keeps_its_promises():
    check_world(WORLD, digest="52ff68d30bd30729bb2073224ae6bb9ba26ea049a77cc0d4b3153168f9587a82")
