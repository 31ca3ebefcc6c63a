"""Strategy: how a search gets from one generation to the next; and how one is found by name and set up from text."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, field
from dataclasses import fields as dataclass_fields
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from worldloom.core.errors import InputError, UnknownName
from worldloom.core.field import Field, scalar
from worldloom.core.genome import Genes, Genome
from worldloom.core.plugins import plugins

GROUP = "worldloom.strategies"  # entry points: name = "package.module:Class"

State = dict[str, NDArray[Any]]  # flat, arrays only, so that a store can keep it as one blob


class Strategy(Protocol):
    """Pure: all memory is in the state, and neither ask nor tell changes what it is given.

    Its class is called with genome=, population= and its options, a frozen dataclass whose fields `option` describes.
    The state after ask is small and holds at least
      parents [individual, 2] int32: indices into the generation before, -1 for none; a survivor is its own only parent
      streak [individual] int32: for how many generations the individual has lived on unchanged.
    A run stores it with the generation's genes and outcome; tell with these three continues as if nothing had happened.
    """

    def start(self, key: np.uint64) -> State:
        """State before the first generation."""

    def ask(self, key: np.uint64, state: State) -> tuple[Genes, State]:
        """Genes of the next generation; every draw depends on the key and a named slot alone."""

    def tell(self, state: State, genes: Genes, fitness: NDArray[Any]) -> State:
        """State that knows how the generation did; fitness [individual], higher is better, not finite ranks last."""


def names() -> list[str]:
    """The strategies that are installed."""
    return list(plugins(GROUP))


def find(name: str) -> Callable[..., Strategy]:
    """The strategy class of that name. Raises UnknownName, which says the nearest one."""
    known = plugins(GROUP)
    if name not in known:
        raise UnknownName("strategy", name, known)
    return cast(Callable[..., Strategy], known[name].load())


def option(default: Any, doc: str, *, unit: str = "1", low: float = 0.0, high: float = 1.0, choices: tuple[str, ...] = (),
           whole: bool = False) -> Any:  # fmt: skip
    """A dataclass field that is an option of a strategy: its limits and meaning travel with it. MISSING as default: required."""
    meaning = Field(unit, doc, dtype=int if whole or choices else float, default=default, low=low, high=high, choices=choices)
    return field(metadata={"option": meaning}) if default is MISSING else field(default=default, metadata={"option": meaning})


def options(strategy: Any) -> dict[str, Field]:
    """The options of a strategy class or instance, by name."""
    return {entry.name: entry.metadata["option"] for entry in dataclass_fields(strategy) if "option" in entry.metadata}


def settle(strategy: Any) -> None:
    """Turn an instance's options, numbers or text, into checked values; call it from __post_init__.

    Raises InputError for a value outside its limits and UnknownName for a choice that does not exist.
    """
    for name, meaning in options(strategy).items():
        value = getattr(strategy, name)
        if value is None and meaning.default is None:
            continue
        number = scalar(name, meaning, value).item()
        object.__setattr__(strategy, name, meaning.choices[number] if meaning.choices else number)


def made(
    strategy: str | Callable[..., Strategy], genome: Genome, population: int, settings: Mapping[str, Any] | None = None
) -> Strategy:
    """A strategy by name or class, with options from numbers or text (`--set elites=4`).

    Raises UnknownName for a strategy or option that does not exist, InputError for a value that it cannot use.
    """
    kind = find(strategy) if isinstance(strategy, str) else strategy
    known = {name: meaning for name, meaning in options(kind).items() if name != "population"}
    for name in settings or {}:
        if name not in known:
            raise UnknownName("strategy option", name, known)
    return kind(genome=genome, population=population, **(settings or {}))


def told(genes: Genes, fitness: NDArray[Any]) -> NDArray[np.float64]:
    """Fitness [individual] as float64, -inf where it is not finite. Raises InputError unless each individual has one number."""
    counts = {len(array) for array in genes}
    if np.ndim(fitness) != 1 or counts != {len(fitness)} or counts == {0}:
        listed = " and ".join(map(str, sorted(counts)))
        raise InputError(
            f"Fitness has shape {list(np.shape(fitness))} for {listed} individuals. Expected one number each, as asked."
        )
    values = np.asarray(fitness, np.float64)
    return np.where(np.isfinite(values), values, -np.inf)
