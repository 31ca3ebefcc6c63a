"""Worlds: which are installed, and what each takes and gives."""

from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from worldloom.core.errors import InputError
from worldloom.core.field import Field, Record, fields
from worldloom.core.world import World
from worldloom.evolve import strategy
from worldloom.evolve.search import genome_of
from worldloom.runtime.session import worlds as installed
from worldloom.service.bodies import answered
from worldloom.service.schemas import WorldInfo, Worlds
from worldloom.service.wire import answer
from worldloom.worlds.find import find

router = APIRouter(prefix="/api/worlds", tags=["worlds"])


@router.get("", response_model=Worlds, **answered())
def worlds(request: Request) -> Response:
    """The installed worlds, a line each."""
    return answer(request, {"worlds": [line._asdict() for line in installed()]})


@router.get("/{world}", response_model=WorldInfo, **answered())
def world(request: Request, world: str) -> Response:
    """All about a world: params, sizes, inputs, genes, outcome, modes, with units and limits."""
    return answer(request, described(find(world)))


def described(world: World) -> dict[str, Any]:
    """A WorldInfo."""
    params, evolves = world.filled(), "fitness" in fields(world.outcome)
    genes = None
    try:
        if evolves:
            found = genome_of(world, params, world.sized())
            genes = found.genes if world.genome else None
    except InputError:  # it has no genome, and its inputs no bounds
        evolves = False
    return {
        "name": world.name, "version": world.version, "doc": world.doc,
        "modes": {name: {"doc": m.doc, "params": dict(m.params), "error": dict(m.error)} for name, m in world.modes.items()},
        "sizes": {name: {"doc": s.doc, "default": s.default, "low": s.low, "high": s.high} for name, s in world.sizes.items()},
        "params": listed(world.params), "inputs": listed(world.inputs), "genes": None if genes is None else listed(genes),
        "outcome": listed(world.outcome), "steps": int(world.steps(params)), "evolves": evolves,
        "strategies": {name: options(name) for name in strategy.names()} if evolves else {},
    }  # fmt: skip


def options(name: str) -> dict[str, Any]:
    """The options of a strategy, by name."""
    found = strategy.options(strategy.find(name))
    return {option: meaning(field) for option, field in found.items() if option != "population"}


def listed(record: type | Record) -> dict[str, Any]:
    """The fields of a record, by name."""
    return {name: meaning(field) for name, field in fields(record).items()}


def meaning(field: Field) -> dict[str, Any]:
    """A FieldInfo."""
    default = field.default if isinstance(field.default, int | float | str | None) else None
    return {
        "unit": field.unit, "doc": field.doc, "shape": list(field.shape), "dtype": np.dtype(field.dtype).name, "default": default,
        "low": field.low, "high": field.high, "choices": list(field.choices),
    }  # fmt: skip
