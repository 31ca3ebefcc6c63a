"""Creatures: soft bodies of nodes and muscles, driven by a rhythm and a small network, that learn to move."""

from worldloom.core import World
from worldloom.worlds.creatures.genome import genome
from worldloom.worlds.creatures.kernel import finish, reset, step
from worldloom.worlds.creatures.spec import MODES, SIZES, Inputs, Outcome, Params, State, error
from worldloom.worlds.creatures.view import frame, track

WORLD = World(
    name="creatures",
    version=1,
    doc="soft bodies of nodes and muscles that learn to move",
    params=Params,
    inputs=Inputs,
    state=State,
    outcome=Outcome,
    modes=MODES,
    sizes=SIZES,
    reset=reset,
    step=step,
    finish=finish,
    steps=lambda params: round(float(params.life) / float(params.dt)),
    genome=genome,
    error=error,
    search={"genetic": {"pairs": 0.5}},  # bodies of two topologies mix badly
    frame=frame,
    track=track,
    commands="worldloom.worlds.creatures.cli:app",
)
