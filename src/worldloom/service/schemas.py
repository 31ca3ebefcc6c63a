"""Documents of the service as pydantic models: what OpenAPI shows, and what bodies are checked against.

Arrays are lists in JSON and NumPy arrays in bytes; the models let both through, and the world's own records check them.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

Word = Annotated[str, StringConstraints(max_length=200)]
Numbers = {"type": "array", "items": {}, "description": "[individual, ...]"}
Arrays = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "additionalProperties": Numbers, "description": "arrays by name, individuals first"}),
]


class Document(BaseModel):
    """A model that refuses names it does not know."""

    model_config = ConfigDict(extra="forbid", strict=True)


class WorldLine(Document):
    """An installed world. problem: why it cannot be used; '' where it can."""

    name: str
    version: int | None
    doc: str
    modes: list[str]
    problem: str


class Worlds(Document):
    """The installed worlds."""

    worlds: list[WorldLine]


class FieldInfo(Document):
    """One number or array: its unit and meaning. shape holds numbers and names of sizes; null stands for no limit or default."""

    unit: str
    doc: str
    shape: list[int | str]
    dtype: str
    default: Any
    low: float | None
    high: float | None
    choices: list[str]


class ModeInfo(Document):
    """A mode: its parameters on top of the defaults, and its greatest error against the first mode."""

    doc: str
    params: dict[str, Any]
    error: dict[str, float]


class SizeInfo(Document):
    """A number that shapes refer to."""

    doc: str
    default: int
    low: int
    high: int


class WorldInfo(Document):
    """All about a world: what it takes and gives, with units. genes is null where its inputs are what evolves, or nothing does."""

    name: str
    version: int
    doc: str
    modes: dict[str, ModeInfo]
    sizes: dict[str, SizeInfo]
    params: dict[str, FieldInfo]
    inputs: dict[str, FieldInfo]
    genes: dict[str, FieldInfo] | None
    outcome: dict[str, FieldInfo]
    steps: int = Field(description="in a life, with the defaults")
    evolves: bool
    strategies: dict[str, dict[str, FieldInfo]] = Field(description="options by strategy; empty where the world cannot evolve")


class RunOrder(Document):
    """A run to start: what `loom evolve` takes."""

    world: Word
    population: int = Field(200, ge=1, le=1_000_000)  # a generation has to fit a worker's memory
    generations: int = Field(50, ge=1, le=1_000_000_000)
    seed: int = Field(1, ge=0, le=2**64 - 1)
    mode: Word | None = None
    strategy: Word = "genetic"
    settings: dict[Word, int | float | Word] = {}
    name: Word = ""
    keep: Word = "default"


class ResumeOrder(Document):
    """How far to carry a run on; absent: to its planned number."""

    generations: int | None = Field(None, ge=1, le=1_000_000_000)


class ForkOrder(Document):
    """Where a new run leaves another. With a seed of its own it goes its own way from there."""

    generation: int = Field(ge=0, le=1_000_000_000)
    seed: int | None = Field(None, ge=0, le=2**64 - 1)
    name: Word = ""


class Best(Document):
    """The individual of the highest fitness that counts."""

    individual: str
    generation: int
    fitness: float


class RunInfo(Document):
    """A run and where it stands. generations: planned; done: stored; error: why it failed, '' otherwise."""

    id: str
    name: str
    world: str
    world_version: int
    seed: int
    status: str
    error: str
    created_at: str
    population: int
    generations: int
    done: int
    mode: str | None
    strategy: str
    settings: dict[str, Any]
    sizes: dict[str, int]
    keep: str
    versions: dict[str, Any]
    parent_run: str | None
    parent_generation: int | None


class RunReport(RunInfo):
    """A run with what came of it so far. digest: SHA-256 over the outcomes of all generations, in order."""

    best: Best | None
    digest: str
    seconds: float
    lane_steps: int


class Runs(Document):
    """Some runs, newest first; cursor continues after them, null at the end."""

    runs: list[RunInfo]
    cursor: str | None


class GenerationInfo(Document):
    """A generation in a line. statuses: individuals by status code."""

    generation: int
    digest: str
    count: int
    best: int | None
    best_fitness: float | None
    median_fitness: float | None
    statuses: dict[str, int]
    seconds: float
    lane_steps: int


class Generations(Document):
    """The generations of a run, in order."""

    generations: list[GenerationInfo]


class IndividualInfo(Document):
    """An individual without its arrays. fitness is null where it does not count."""

    id: str
    generation: int
    individual: int
    fitness: float | None
    status: int
    parents: list[str]
    streak: int


class Individuals(Document):
    """Some individuals of one generation in order; cursor continues after them, null at the end."""

    individuals: list[IndividualInfo]
    cursor: str | None


class IndividualWhole(IndividualInfo):
    """An individual with its genes and its outcome, by name."""

    genome: dict[str, Any]
    outcome: dict[str, Any]


Whole = Annotated[int, Field(ge=0, le=2**64 - 1)]
Settings = dict[Word, float | Word]
Fitness = Annotated[
    Any,
    WithJsonSchema({"type": "array", "items": {"type": ["number", "null"]}, "description": "[individual]; null: does not count"}),
]
State = Annotated[
    Any,
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "object"}, {"type": "null"}],
            "description": "what the strategy remembers: a text in JSON, a group of arrays in bytes; send it back as it came",
        }
    ),
]


class ComputeOrder(Document):
    """What all compute requests say. Types are strict: a text is no number, and neither is true.

    settings: parameters and sizes of the world; for breeding also options of the strategy.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    world: Word
    mode: Word | None = None
    settings: Settings = {}


class BatchOrder(ComputeOrder):
    """Lanes to run for a whole life. Exactly one of genomes and inputs.

    Lane k has the key of individual k of `generation` in a run with this seed. keep: a keep policy, such as 'default' or
    '10,10,5': the batch is stored as a run, so that its lanes can be replayed. steps absent: the world's own number.
    """

    seed: Whole = 1
    generation: int = Field(0, ge=0, le=10**9)
    genomes: Arrays | None = None
    inputs: Arrays | None = None
    keep: Word | None = None
    steps: int | None = Field(None, ge=1, le=2**53)


class ReplayHandle(Document):
    """A lane of a stored batch and where its replay is."""

    lane: int
    individual: str
    url: str


class BatchOutcome(Document):
    """What became of lanes: arrays [lane, ...] by name. digest: SHA-256 over them, the one of `worldloom.simulate`.

    run, replays: only where `keep` was given.
    """

    world: str
    version: int
    mode: str | None
    seed: int
    generation: int
    lanes: int
    steps: int
    digest: str
    outcomes: Arrays
    run: str | None = None
    replays: list[ReplayHandle] | None = None


class GenerateOrder(ComputeOrder):
    """Individuals to draw: generation 0 of a run with this seed and population."""

    population: int = Field(ge=1)
    seed: Whole = 1
    strategy: Word = "genetic"


class FirstGeneration(Document):
    """Generation 0, and what the strategy remembers."""

    world: str
    version: int
    population: int
    seed: int
    generation: int
    genomes: Arrays
    state: State


class EvolveOrder(ComputeOrder):
    """A generation and how its individuals did; higher fitness is better. Without `state` it counts as the first one told."""

    genomes: Arrays
    fitness: Fitness
    seed: Whole
    generation: int = Field(ge=0, lt=10**9)
    strategy: Word = "genetic"
    state: State = None


class NextGeneration(Document):
    """The generation after. parents [individual, 2]: who of the one before, -1: nobody. streak: generations survived."""

    generation: int
    genomes: Arrays
    parents: Annotated[Any, WithJsonSchema(Numbers)]
    streak: Annotated[Any, WithJsonSchema(Numbers)]
    state: State
