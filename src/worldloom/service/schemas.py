"""Documents of the service as pydantic models: what OpenAPI shows, and what bodies are checked against.

Arrays are lists in JSON and NumPy arrays in bytes; the models let both through, and the world's own records check them.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

Word = Annotated[str, StringConstraints(max_length=200)]
Numbers = {"type": "array", "items": {}, "description": "[individual, ...]"}
Arrays = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {"type": "object", "additionalProperties": Numbers, "description": "arrays by name, individuals or lanes first"}
    ),
]
WorldName = Annotated[Word, Field(description="an installed world")]
ModeName = Annotated[Word | None, Field(description="accuracy for speed; absent: the world's first mode")]
StrategyName = Annotated[Word, Field(description="how a generation follows from the one before")]
Settings = Annotated[
    dict[Word, int | float | Word],
    Field(description="parameters and sizes of the world; for breeding also options of the strategy"),
]
Keep = Annotated[Word, Field(description="whose replays are kept: default, none, all, or top,random,bottom such as 10,10,5")]
Seed = Annotated[int, Field(ge=0, le=2**64 - 1, description="the same seed gives the same bits; 0 to 2^64 - 1")]
Title = Annotated[Word, Field(description="a name to find it by; absent: its id")]


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

    world: WorldName
    population: int = Field(
        200, ge=1, le=1_000_000, description="individuals in each generation"
    )  # one has to fit a worker's memory
    generations: int = Field(50, ge=1, le=1_000_000_000)
    seed: Seed = 1
    mode: ModeName = None
    strategy: StrategyName = "genetic"
    settings: Settings = {}
    name: Title = ""
    keep: Keep = "default"


class ResumeOrder(Document):
    """How far to carry a run on; absent: to its planned number."""

    generations: int | None = Field(None, ge=1, le=1_000_000_000, description="how many in all, those that are stored among them")


class ForkOrder(Document):
    """Where a new run leaves another. With a seed of its own it goes its own way from there."""

    generation: int = Field(ge=0, le=1_000_000_000, description="the last one that both share")
    seed: Seed | None = None
    name: Title = ""


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
    """What all compute requests say."""

    world: WorldName
    mode: ModeName = None
    settings: Settings = {}


class BatchOrder(ComputeOrder):
    """Lanes to run for a whole life. Exactly one of genomes and inputs.

    Lane k has the key of individual k of `generation` in a run with this seed.
    """

    seed: Seed = 1
    generation: int = Field(0, ge=0, le=10**9, description="in which these lanes live: their random numbers depend on it")
    genomes: Arrays | None = None
    inputs: Arrays | None = None
    keep: Keep | None = Field(None, description="as for a run; where it is given the batch is stored as a run of one generation")
    steps: int | None = Field(None, ge=1, le=2**53, description="of a life; absent: the world's own number")


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
    seed: Seed = 1
    strategy: StrategyName = "genetic"


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
    seed: Seed
    generation: int = Field(ge=0, lt=10**9)
    strategy: StrategyName = "genetic"
    state: State = None


class NextGeneration(Document):
    """The generation after. parents [individual, 2]: who of the one before, -1: nobody. streak: generations survived."""

    generation: int
    genomes: Arrays
    parents: Annotated[Any, WithJsonSchema(Numbers)]
    streak: Annotated[Any, WithJsonSchema(Numbers)]
    state: State
