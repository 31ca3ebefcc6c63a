"""Genetics: the generations of a run without the run. Who carries `state` along gets exactly what `worldloom.evolve` would breed.

generate → POST /api/simulation/batch with the same seed and generation → evolve → …
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray

from worldloom.core.errors import InputError
from worldloom.core.field import BLOCK, blocks, fields, shape_of
from worldloom.core.world import World
from worldloom.evolve.search import Search, ask, genome_of, restored
from worldloom.runtime import run as runs
from worldloom.runtime.session import batch_from, begun
from worldloom.service.admission import Kind
from worldloom.service.batches import Task, blaming, carried, declared, fitted, numbers, sent_state, state_from
from worldloom.service.problems import TooLarge
from worldloom.service.routes.simulation import genes_of
from worldloom.service.schemas import EvolveOrder, FirstGeneration, GenerateOrder, NextGeneration
from worldloom.service.wire import UNPACKED
from worldloom.worlds.find import find

router = APIRouter(prefix="/api/genetics", tags=["genetics"])

BRED = 400  # lane-steps that breeding one individual takes about as long as: 8 us on a machine with 45 million lane-steps a second


@router.post("/generate", response_model=FirstGeneration, **declared(GenerateOrder))
async def generate(request: Request) -> Response:
    """Draw the genomes of generation 0 of a run with this seed and population."""
    return await carried(request, GenerateOrder, generation)


@router.post("/evolve", response_model=NextGeneration, **declared(EvolveOrder))
async def evolve(request: Request) -> Response:
    """Breed the next generation from one and its fitness. With the state of the last answer it is the next one of the same run."""
    return await carried(request, EvolveOrder, breeding)


def generation(order: GenerateOrder, request: Request) -> Task:
    """The task that an order asks for. Raises InputError, UnknownName, TooLarge."""
    world, most = find(order.world), request.app.state.service.settings.items
    if order.population > most:
        raise TooLarge(f"population = {order.population} is too many for a request. Expected at most {most}. Start a run instead.")
    check_weight(world, order)

    def drawn() -> Search:
        with blaming(f"World {world.name!r} cannot draw these genomes"):
            search = begun(
                world, order.population, seed=order.seed, mode=order.mode, strategy=order.strategy, settings=order.settings
            )
            return ask(search)[0]

    def told(asked: Search) -> dict[str, Any]:
        return {
            "world": world.name, "version": world.version, "population": order.population, "seed": order.seed, "generation": 0,
            "genomes": dict(asked.arrays), "state": sent_state(asked.state, request),
        }  # fmt: skip

    return Task(kind=(world.name, "generate"), work=work_of(order.population), call=lambda job: drawn(), told=told)


def check_weight(world: World, order: GenerateOrder) -> None:
    """Raises TooLarge where the genes of an order would be too many bytes: a short body may ask for much."""
    given, sizes, _ = runs.sorted_settings(world, order.strategy, order.settings)
    genome = genome_of(world, world.filled(order.mode, given), world.sized(sizes))
    each = sum(math.prod(shape_of(gene, genome.sizes)) * np.dtype(gene.dtype).itemsize for gene in fields(genome.genes).values())
    if each * order.population > UNPACKED:
        raise TooLarge(
            f"Genomes of {each} bytes for {order.population} individuals are too much. Expected at most {UNPACKED} bytes. Ask for fewer."
        )


def breeding(order: EvolveOrder, request: Request) -> Task:
    """The task that an order asks for. Raises InputError, UnknownName, TooLarge."""
    world, most = find(order.world), request.app.state.service.settings.items
    given, sizes, _ = runs.sorted_settings(world, order.strategy, order.settings)
    record = genes_of(world, order.mode, {**given, **sizes})
    arrays = fitted("genomes", order.genomes, record, most=most, bounded=world.genome is None)
    lanes = batch_from(world, arrays, mode=order.mode, settings={**given, **sizes}, steps=1)
    fitness = fitness_of(world, order.fitness, lanes.lanes, most=most)

    def bred() -> Search:
        with blaming(f"World {world.name!r} cannot breed these genomes"):
            fresh = begun(
                world, lanes.lanes, seed=order.seed, mode=order.mode, strategy=order.strategy, settings=order.settings,
                implied=lanes.sizes,
            )  # fmt: skip
            like = ask(fresh)[0].state
            state = like if order.state is None else state_from(order.state, like)
            asked = restored(fresh, generation=order.generation, genes=lanes.genomes or lanes.inputs or {}, state=state)
            return ask(replace(asked, genes=None, state=asked.strategy.tell(asked.state, asked.genes, fitness)))[0]

    def told(asked: Search) -> dict[str, Any]:
        return {
            "generation": asked.generation, "genomes": dict(asked.arrays), "parents": asked.state["parents"],
            "streak": asked.state["streak"], "state": sent_state(asked.state, request),
        }  # fmt: skip

    return Task(kind=bred_kind(world), work=work_of(lanes.lanes), call=lambda job: bred(), told=told)


def bred_kind(world: World) -> Kind:
    """What the gate measures breeding as."""
    return world.name, "evolve"


def work_of(population: int) -> int:
    """What breeding takes, in lane-steps."""
    return blocks(population) * BLOCK * BRED


def fitness_of(world: World, given: Any, population: int, *, most: int) -> NDArray[np.float64]:
    """Fitness [individual], -inf where it does not count, in the precision of the world's own: as JSON it lost its type."""
    values = numbers("fitness", given, most=most, nulls=True)
    if values.shape != (population,):
        raise InputError(
            f"fitness has shape {list(values.shape)} for {population} individuals. Expected one number each. Send as many as genomes."
        )
    dtype = np.dtype(fields(world.outcome)["fitness"].dtype)
    with np.errstate(over="ignore"):
        narrow = values.astype(dtype if dtype.kind == "f" else np.float64).astype(np.float64)
    lost = np.flatnonzero(np.isfinite(values) & ~np.isfinite(narrow))
    if len(lost):
        raise InputError(
            f"fitness[{lost[0]}] = {values[lost[0]]} is too large. Expected a number of the world's own fitness. Scale it."
        )
    return np.where(np.isfinite(narrow), narrow, -np.inf)
