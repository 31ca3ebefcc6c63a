"""Client: a service from Python, named after its endpoints. Arrays come and go as bytes; records are those of schemas.py.

    client = worldloom.Client("http://127.0.0.1:8000/?token=...")
    now = client.generate("creatures", 100, seed=7)
    for _ in range(50):
        now = client.evolve(now, client.simulate("creatures", now))

That is the run of `worldloom.evolve` with the same seed, generation for generation. Errors are those of core/errors.py: InputError for
what the service refuses, MachineError where none answers, BusyError where it had too much to do for longer than `patience`.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldloom.core.errors import InputError, JobError
from worldloom.core.field import Arrays
from worldloom.runtime.arrays import unpack
from worldloom.service import schemas
from worldloom.service.calls import (
    Calls,
    Document,
    Model,
    as_json,
    check_kind,
    document_of,
    foreign,
    in_blocks,
    path_of,
    place_of,
    record,
    sent,
)
from worldloom.service.exchange import Generation, Lanes, Replays, Simulated, array_of, arrays_in, named
from worldloom.service.following import Event, Following
from worldloom.service.forms import BINARY, HTML, JSON

PAGE = 200  # runs or individuals in one answer
FAILED = "failed"


class Client:
    """A Worldloom service. Use it in a `with`, or close it. Threads may share one.

    url: as `loom serve` prints it, with or without its token. token absent: that of the url, else of WORLDLOOM_TOKEN, else none.
    timeout: s without a word from the service; patience: s to go on asking a service that is busy or starts again.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", *, token: str | None = None, timeout: float = 60.0, patience: float = 30.0
    ) -> None:
        self._calls = Calls(url, token, timeout=timeout, patience=patience)
        self._worlds: dict[str, schemas.WorldInfo] = {}
        self._replays = Replays()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.address!r})"

    @property
    def address(self) -> str:
        """Where the service is, without the token."""
        return self._calls.address

    def close(self) -> None:
        """Let go of the connections."""
        self._calls.close()

    # ---- worlds, simulation, genetics --------------------------------------------------------------------------------------------

    def worlds(self) -> list[schemas.WorldLine]:
        """The installed worlds. One that cannot be used is listed with its problem."""
        return self._read(schemas.Worlds, "worlds").worlds

    def world(self, name: str) -> schemas.WorldInfo:
        """All about a world: what it takes and gives, with units and limits."""
        self._worlds[name] = found = self._read(schemas.WorldInfo, "worlds", name)
        return found

    def generate(
        self,
        world: str,
        population: int,
        *,
        seed: int = 1,
        mode: str | None = None,
        settings: Mapping[str, Any] | None = None,
        strategy: str = "genetic",
    ) -> Generation:
        """Generation 0 of a run with this seed and population. settings: of the world, and options of the strategy."""
        own: Document = {"world": world, "seed": seed, "mode": mode, "strategy": strategy, "settings": dict(settings or {})}
        first, place = self._computed(schemas.FirstGeneration, "genetics", "generate", order={**own, "population": population})
        return Generation(
            world=world, genomes=arrays_in(first.genomes, place), seed=first.seed, mode=mode, strategy=strategy,
            settings=own["settings"], state=first.state,
        )  # fmt: skip

    def simulate(
        self,
        world: str,
        lanes: Lanes,
        *,
        mode: str | None = None,
        seed: int | None = None,
        generation: int | None = None,
        settings: Mapping[str, Any] | None = None,
        steps: int | None = None,
        keep: str | None = None,
    ) -> Simulated:
        """Run lanes for a whole life: genomes or inputs, arrays [lane, ...] by name or as a record; or a Generation.

        What is not given is the Generation's own, else seed 1 and generation 0. keep: a keep policy such as 'default'; the lanes are
        stored as a run, to be replayed.
        """
        told = {"mode": mode, "seed": seed, "generation": generation, "settings": settings, "steps": steps, "keep": keep}
        own: Document = {"mode": None, "seed": 1, "generation": 0, "settings": {}, "steps": None, "keep": None}
        if isinstance(lanes, Generation):
            own |= self._own(world, lanes)
        arrays = named(lanes)
        order = {**own, **{name: value for name, value in told.items() if value is not None}}
        order |= {"world": world, self._group(world, arrays): arrays}
        done, place = self._computed(schemas.BatchOutcome, "simulation", "batch", order=order)
        plain = {name: value for name, value in done if name not in ("outcomes", "replays")}
        return Simulated(**plain, outcomes=arrays_in(done.outcomes, place), replays=tuple(done.replays or ()))

    def evolve(self, generation: Generation, fitness: Simulated | ArrayLike) -> Generation:
        """The next generation, from one and what became of it: its Simulated, or a fitness for each individual; higher is better."""
        now, rated = generation, fitness.fitness if isinstance(fitness, Simulated) else array_of("fitness", fitness, np.float64)
        order = {
            "world": now.world, "seed": now.seed, "generation": now.generation, "mode": now.mode, "strategy": now.strategy,
            "settings": now.settings, "genomes": named(now), "fitness": rated, "state": now.state,
        }  # fmt: skip
        bred, place = self._computed(schemas.NextGeneration, "genetics", "evolve", order=order)
        around, genomes = arrays_in({"parents": bred.parents, "streak": bred.streak}, place), arrays_in(bred.genomes, place)
        return replace(
            now, generation=bred.generation, genomes=genomes, state=bred.state, parents=around["parents"], streak=around["streak"]
        )

    def _own(self, world: str, lanes: Generation) -> Document:
        """What a Generation says about its simulation; options of the strategy are none of it."""
        if lanes.world != world:
            raise InputError(f"These lanes are of world {lanes.world!r}. Expected ones of {world!r}. Generate them there.")
        info = self._known(world)
        options = info.strategies.get(lanes.strategy, {}).keys() - info.params.keys() - info.sizes.keys()
        settings = {name: value for name, value in lanes.settings.items() if name not in options}
        return {"mode": lanes.mode, "seed": lanes.seed, "generation": lanes.generation, "settings": settings}

    def _group(self, world: str, arrays: Arrays) -> str:
        """Whether arrays are genomes or inputs, by their names, as `worldloom.simulate` decides it."""
        info, names = self._known(world), set(arrays)
        without_genome = info.genes is None and not names.isdisjoint(info.inputs)
        return "inputs" if without_genome or names == set(info.inputs) else "genomes"

    def _known(self, world: str) -> schemas.WorldInfo:
        return self._worlds.get(world) or self.world(world)

    # ---- runs --------------------------------------------------------------------------------------------------------------------

    def start(
        self,
        world: str,
        *,
        population: int = 200,
        generations: int = 50,
        seed: int = 1,
        mode: str | None = None,
        strategy: str = "genetic",
        settings: Mapping[str, Any] | None = None,
        name: str = "",
        keep: str = "default",
    ) -> schemas.RunReport:
        """Start a run, which the service carries out on its own; follow it with `wait` or `events`."""
        order = {
            "world": world, "population": population, "generations": generations, "seed": seed, "mode": mode, "strategy": strategy,
            "settings": dict(settings or {}), "name": name, "keep": keep,
        }  # fmt: skip
        return self._steered(path_of("runs"), order)

    def runs(self) -> Iterator[schemas.RunInfo]:
        """All runs, newest first; asked for a page at a time, as they are read."""
        page = None
        while page is None or (page.cursor and page.runs):
            page = self._read(schemas.Runs, "runs", limit=PAGE, cursor=page.cursor if page else None)
            yield from page.runs

    def run(self, run: str) -> schemas.RunReport:
        """A run, by its id, the beginning of it, or its name, with what came of it so far."""
        return self._read(schemas.RunReport, "runs", run)

    def pause(self, run: str) -> schemas.RunReport:
        """Pause a run, after the generation at hand."""
        return self._steered(path_of("runs", run, "pause"))

    def resume(self, run: str, *, generations: int | None = None) -> schemas.RunReport:
        """Let a run go on, to its planned number of generations or another."""
        return self._steered(path_of("runs", run, "resume"), {"generations": generations})

    def cancel(self, run: str) -> schemas.RunReport:
        """End a run for good. What is stored stays."""
        return self._steered(path_of("runs", run, "cancel"))

    def fork(self, run: str, generation: int, *, seed: int | None = None, name: str = "") -> schemas.RunReport:
        """A new run, paused, that shares generations 0 to `generation` with another; with a seed of its own it goes its own way."""
        return self._steered(path_of("runs", run, "fork"), {"generation": generation, "seed": seed, "name": name})

    def generations(self, run: str, after: int = -1) -> list[schemas.GenerationInfo]:
        """The generations of a run, a line each; only those after a number."""
        return self._read(schemas.Generations, "runs", run, "generations", after=after).generations

    def individuals(self, run: str, generation: int | None = None, *, order: str = "-fitness") -> Iterator[schemas.IndividualInfo]:
        """Individuals of one generation, absent the latest, in an order, '-' for descending; asked for a page at a time."""
        page = None
        while page is None or (page.cursor and page.individuals):
            path, cursor = ("runs", run, "individuals"), page.cursor if page else None
            page = self._read(schemas.Individuals, *path, generation=generation, order=order, limit=PAGE, cursor=cursor)
            yield from page.individuals
            if page.individuals:  # "the latest" is another one as the run goes on
                generation = page.individuals[0].generation

    def individual(self, run: str, individual: str) -> schemas.IndividualWhole:
        """An individual, such as '12-7', with its genes and its outcome as arrays."""
        return self._read(schemas.IndividualWhole, "runs", run, "individuals", individual, accept=BINARY)

    def replay(self, run: str, individual: str) -> dict[str, NDArray[Any]]:
        """An individual's life again: arrays [frame, ...] by name, read-only, in half precision. Some are remembered."""
        path = path_of("runs", run, "individuals", individual, "replay")
        tag, held = self._replays.held(path)
        response = self._calls.answer("GET", path, accept=BINARY, headers={"if-none-match": tag} if tag else None)
        if response.status_code == 304:
            if not tag:
                raise foreign(place_of(response), "304 to what nobody holds")
            return dict(held)
        check_kind(response, BINARY)
        arrays = in_blocks(response, unpack)
        self._replays.hold(path, response.headers.get("etag", ""), arrays)
        return arrays

    def replay_page(self, run: str, individual: str, path: str | Path) -> Path:
        """Save the page that plays an individual's life; its path. Raises InputError for a place that cannot be written."""
        response = self._calls.answer("GET", path_of("runs", run, "individuals", individual, "replay"), accept=HTML)
        check_kind(response, HTML)
        if "etag" not in response.headers:  # any proxy may answer with a page
            raise foreign(place_of(response), "a page that is no replay")
        return written(Path(path), response.content)

    def events(self, run: str, *, after: int = -1) -> Iterator[Event]:
        """What happens to a run, as it happens, until its end; first where it stands, and its generations after a number.

        Goes on where it was when the connection breaks or the service starts again.
        """
        yield from Following(self._calls, path_of("runs", run, "events"), after).events()

    def wait(self, run: str, *, progress: Callable[[Event], object] | None = None) -> schemas.RunReport:
        """The report of a run at its end, finished or cancelled. progress: called with each event; a paused run is waited for.

        Raises JobError with the run's error where it failed.
        """
        path, event = path_of("runs", run, "events"), Event("finished", {})
        for event in Following(self._calls, path, -1).events():
            if progress is not None:
                progress(event)
        report = record(schemas.RunReport, event.data, f"GET {self.address}{path}")
        if report.status == FAILED:
            raise JobError(f"Run {report.id!r} failed: {report.error}")
        return report

    # ---- how they are asked --------------------------------------------------------------------------------------------------------

    def _read(self, model: type[Model], *parts: str, accept: str = JSON, **params: Any) -> Model:
        response = self._calls.answer("GET", path_of(*parts), params=params, accept=accept)
        return record(model, document_of(response, accept), place_of(response))

    def _steered(self, path: str, order: Mapping[str, Any] | None = None) -> schemas.RunReport:
        body = None if order is None else (JSON, as_json(order))
        response = self._calls.answer("POST", path, body=body)
        return record(schemas.RunReport, document_of(response), place_of(response))

    def _computed(self, model: type[Model], *parts: str, order: Mapping[str, Any]) -> tuple[Model, str]:
        """(what was computed, where it came from)."""
        response = self._calls.answer("POST", path_of(*parts), body=sent(order), accept=BINARY)
        return record(model, document_of(response, BINARY), place_of(response)), place_of(response)


def written(path: Path, content: bytes) -> Path:
    """The path, where the content is now, whole or not at all. Raises InputError for a place that cannot be written."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}. Expected a directory with room. Choose another place.") from None
    finally:
        with suppress(OSError):
            part.unlink()
    return path
