"""Simulation: many lanes at once, for a whole life. Where a keep policy is given they are stored as a run, to be replayed."""

import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from worldloom.core.errors import InputError
from worldloom.core.field import BLOCK, Record, blocks, fields
from worldloom.core.rollout import Batch
from worldloom.core.world import World
from worldloom.evolve.search import ask
from worldloom.runtime.evaluate import Threads, outcome_digest
from worldloom.runtime.frames import kept
from worldloom.runtime.record import FINISHED, Rows, Run, fresh_id, individual_name, keep_from
from worldloom.runtime.session import batch_from, begun, sorted_settings
from worldloom.runtime.store import Store
from worldloom.runtime.versions import versions
from worldloom.service.admission import Job
from worldloom.service.batches import Task, blaming, carried, declared, fitted
from worldloom.service.schemas import BatchOrder, BatchOutcome
from worldloom.worlds.find import find

router = APIRouter(prefix="/api/simulation", tags=["simulation"])
_threads = threading.local()  # evaluators keep the memory of the last batch, so each thread of the gate has its own


@router.post("/batch", response_model=BatchOutcome, **declared(BatchOrder))
async def batch(request: Request) -> Response:
    """Run lanes of a world for a whole life, from genomes or from inputs, and answer what became of them.

    The outcomes are those of `worldloom.simulate`, bit for bit. Too much work for one request is refused with 413, too much at a time
    with 429; a batch that takes too long is stopped and answered with 503.
    """
    return await carried(request, BatchOrder, simulation)


def simulation(order: BatchOrder, request: Request) -> Task:
    """The task that an order asks for. Raises InputError, UnknownName, TooLarge."""
    service, world = request.app.state.service, find(order.world)
    if order.keep is not None:
        keep_from(order.keep)
        check_keepable(world, order)
    lanes = batch_from(
        world, lanes_of(world, order, most=service.settings.items), mode=order.mode, seed=order.seed, generation=order.generation,
        settings=order.settings, steps=order.steps,
    )  # fmt: skip

    def told(result: tuple[Record, float]) -> dict[str, Any]:
        document = outcome_document(world, order, lanes, result[0])
        if order.keep is not None:
            run = stored(service.store, world, order, lanes, *result)
            document |= {"run": run.id, "replays": handles(service.store, run)}
        return document

    return Task(
        kind=(world.name, order.mode or ""),
        work=blocks(lanes.lanes) * BLOCK * lanes.steps,
        steps=lanes.lanes * lanes.steps,
        call=lambda job: simulated(world, lanes, service.settings.threads, job),
        told=told,
    )


def lanes_of(world: World, order: BatchOrder, *, most: int) -> dict[str, Any]:
    """Arrays by name, as `simulate` takes them, from an order's genomes or inputs."""
    if (order.genomes is None) == (order.inputs is None):
        how = "neither genomes nor inputs" if order.genomes is None else "both genomes and inputs"
        raise InputError(f"The body has {how}. Expected one of them. Send genomes, or inputs where the world has no genome.")
    if order.inputs is not None or world.genome is None:
        group, arrays = ("inputs", order.inputs) if order.inputs is not None else ("genomes", order.genomes)
        return fitted(group, arrays or {}, world.inputs, most=most, bounded=True)
    return fitted("genomes", order.genomes or {}, genes_of(world, order.mode, order.settings), most=most)


def genes_of(world: World, mode: str | None, settings: Mapping[str, Any]) -> type:
    """The record of a world's genes: its genome's, or its inputs where it has none."""
    if world.genome is None:
        return world.inputs
    given, sizes = sorted_settings(world, settings)
    return world.genome(world.filled(mode, given), world.sized(sizes)).genes


def simulated(world: World, lanes: Batch, workers: int, job: Job) -> tuple[Record, float]:
    """(outcome, seconds) of a batch, on the thread that calls."""
    threads = getattr(_threads, "evaluator", None)
    if threads is None or (threads.world, threads.workers) != (world, workers):
        threads = _threads.evaluator = Threads(workers, world)
    started = time.perf_counter()
    with blaming(f"World {world.name!r} cannot run these lanes"):
        outcome = threads.outcome(lanes, stopped=job.stopped)
    job.compiled = threads.compiled
    return outcome, time.perf_counter() - started


def outcome_document(world: World, order: BatchOrder, lanes: Batch, outcome: Record) -> dict[str, Any]:
    """A BatchOutcome, without a run."""
    return {
        "world": world.name, "version": world.version, "mode": order.mode or next(iter(world.modes), None), "seed": order.seed,
        "generation": order.generation, "lanes": lanes.lanes, "steps": lanes.steps, "digest": outcome_digest(outcome),
        "outcomes": outcome._asdict(),
    }  # fmt: skip


# ---- batches that are kept -------------------------------------------------------------------------------------------------------


def check_keepable(world: World, order: BatchOrder) -> None:
    """Raises InputError where lanes cannot be stored as individuals of a run."""
    judged = "fitness" in fields(world.outcome)
    if not judged or (world.genome is not None and order.inputs is not None):
        why = "inputs of a world with a genome are nobody's genes" if judged else "its Outcome has no fitness"
        raise InputError(f"Lanes of {world.name!r} cannot be kept: {why}. Expected what a run stores. Leave `keep` out.")


def stored(store: Store, world: World, order: BatchOrder, lanes: Batch, outcome: Record, seconds: float) -> Run:
    """A finished run of one generation, number 0, with the batch's own keys: replays find their lanes there."""
    run_id = fresh_id()
    run = Run(
        id=run_id, name=f"batch-{run_id}", world=world.name, world_version=world.version, seed=order.seed, status=FINISHED,
        config={
            "mode": order.mode or next(iter(world.modes), None), "settings": dict(lanes.settings), "population": lanes.lanes,
            "sizes": dict(lanes.sizes) or world.sized(), "generations": 1, "strategy": "genetic",
            "options": dict(world.search.get("genetic", {})), "steps": lanes.steps, "keep": order.keep,
        },
        versions=versions(world),
    )  # fmt: skip
    rows = Rows(
        generation=0, digest=outcome_digest(outcome), keys=lanes.keys, genomes=lanes.genomes or lanes.inputs or {},
        outcome=outcome._asdict(), parents=np.full((lanes.lanes, 2), -1, np.int32), streak=np.zeros(lanes.lanes, np.int32),
        memory=memory(world, order, lanes), seconds=seconds, lane_steps=lanes.lanes * lanes.steps,
    )  # fmt: skip
    store.create(run)
    try:
        store.append(run_id, 0, rows)
    except BaseException:
        store.remove(run_id)
        raise
    return run


def memory(world: World, order: BatchOrder, lanes: Batch) -> dict[str, Any]:
    """What a strategy remembers of a first generation, so that the run could be resumed; nothing where the world cannot evolve."""
    try:
        search = begun(world, lanes.lanes, seed=order.seed, mode=order.mode, settings={**lanes.settings, **lanes.sizes})
    except InputError:
        return {}
    return ask(search)[0].state


def handles(store: Store, run: Run) -> list[dict[str, Any]]:
    """Where replays of the lanes are that the run's keep policy names, in order."""
    lanes = sorted(kept(store, run.id, 0, seed=run.seed, policy=str(run.config["keep"])))
    names = [individual_name(0, lane) for lane in lanes]
    return [
        {"lane": lane, "individual": name, "url": f"/api/runs/{run.id}/individuals/{name}/replay"}
        for lane, name in zip(lanes, names, strict=True)
    ]
