"""Orbits: planetary systems as physics and as music, and the search for systems that are stable and consonant."""

from worldloom.core import World
from worldloom.worlds.orbits.genome import genome
from worldloom.worlds.orbits.kernel import finish, reset, step
from worldloom.worlds.orbits.spec import MODES, SIZES, Inputs, Outcome, Params, State, error
from worldloom.worlds.orbits.view import frame, track

WORLD = World(
    name="orbits",
    version=1,
    doc="planetary systems that keep together and sound well",
    params=Params,
    inputs=Inputs,
    state=State,
    outcome=Outcome,
    modes=MODES,
    sizes=SIZES,
    reset=reset,
    step=step,
    finish=finish,
    steps=lambda params: max(1, round(float(params.life) / float(params.dt))),
    genome=genome,
    error=error,
    frame=frame,
    track=track,
)
