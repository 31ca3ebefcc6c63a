"""Genome: what evolves. A frozen record: arrays with bounds, and the few functions that only the world can write.

`genes` is a NamedTuple of Fields with low and high: every strategy can mutate and cross its float fields without knowing the world.
Integer fields are structure (which node a muscle ends at): strategies copy them whole from one parent and leave changing them to `mutate`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldloom.core.errors import InputError
from worldloom.core.field import Record, each, fields, shape_of

Genes = Record  # a NamedTuple of arrays [individual, *shape]


def _same(genes: Genes) -> Genes:
    return genes


@dataclass(frozen=True, kw_only=True)
class Genome:
    """Arrays with bounds, and how they become a world's Inputs.

    express(genes) -> Inputs in edge form; lane k is individual k.
    sample(key, n) -> genes of n new individuals; absent: uniform within the bounds.
    mutate(key, genes, rate) -> genes with structural changes (rate: share of individuals touched); absent: none.
    repair(genes) -> the nearest valid genes; called after every crossover and mutation, after clipping to the bounds.
    order(genes) -> a permutation that puts similar individuals side by side; only speed depends on it.
    """

    genes: type
    sizes: Mapping[str, int] = field(default_factory=dict)
    express: Callable[[Genes], Record] = _same
    sample: Callable[[np.uint64, int], Genes] | None = None
    mutate: Callable[[np.uint64, Genes, float], Genes] | None = None
    repair: Callable[[Genes], Genes] = _same
    order: Callable[[Genes], NDArray[np.intp]] | None = None

    def sampled(self, key: np.uint64, count: int) -> Genes:
        """Genes of `count` new individuals, valid."""
        from worldloom.core.keys import fold, uniforms

        if self.sample is not None:
            return self.repair(self.sample(key, count))
        arrays = {}
        for k, (name, gene) in enumerate(fields(self.genes).items()):
            share = uniforms(fold(key, k), count, *shape_of(gene, self.sizes))
            low, high = bounds(name, gene)
            whole = np.issubdtype(np.dtype(gene.dtype), np.integer)
            values = np.floor(low + share * (high - low + 1)) if whole else low + share * (high - low)
            arrays[name] = values.astype(gene.dtype)
        return self.repair(clipped(self.genes(**arrays)))

    def from_arrays(self, arrays: Mapping[str, Any]) -> Genes:
        """Genes from {name: array-like}, checked: names, shapes, limits. Raises InputError that names the path of the first fault."""
        known = fields(self.genes)
        missing = [name for name in known if name not in arrays]
        extra = [name for name in arrays if name not in known]
        if missing or extra:
            raise InputError(
                f"Genome: {'missing' if missing else 'unknown'} field {(missing or extra)[0]!r}. Expected {', '.join(known)}."
            )
        return self.genes(**{name: checked(name, gene, self.sizes, arrays[name]) for name, gene in known.items()})


def bounds(name: str, gene: Any) -> tuple[float, float]:
    """(low, high) of a gene; a choice gene spans its choices."""
    if gene.choices:
        return 0.0, float(len(gene.choices) - 1)
    if gene.low is None or gene.high is None:
        raise InputError(f"Gene {name!r} has no bounds. Give its Field low= and high=, so that it can evolve.")
    return float(gene.low), float(gene.high)


def spread(name: str, gene: Any) -> float:
    """The width that mutation scales by: the Field's own, or its whole range."""
    low, high = bounds(name, gene)
    return float(gene.spread) if gene.spread is not None else high - low


def clipped(genes: Genes) -> Genes:
    """Genes within their bounds."""
    within = {name: np.clip(array, *bounds(name, gene)) for name, gene, array in each(genes)}
    return type(genes)(**{name: within[name].astype(gene.dtype, copy=False) for name, gene, _ in each(genes)})


def checked(name: str, gene: Any, sizes: Mapping[str, int], value: Any) -> NDArray[Any]:
    """One gene array, or InputError with the path of the first number that is outside its limits."""
    expected = shape_of(gene, sizes)
    try:
        array = np.asarray(value, gene.dtype)
    except (TypeError, ValueError):
        raise InputError(f"Genome: {name} is not an array of numbers. Expected shape [individual{_listed(expected)}].") from None
    if array.shape[1:] != expected or array.ndim != 1 + len(expected):
        raise InputError(f"Genome: {name} has shape {list(array.shape)}. Expected [individual{_listed(expected)}].")
    low, high = bounds(name, gene)
    wrong = np.argwhere(~((array >= low) & (array <= high)))
    if len(wrong):
        path = "".join(f"[{k}]" for k in wrong[0])
        raise InputError(
            f"Genome: {name}{path} = {array[tuple(wrong[0])]} is outside {low:g} to {high:g} {gene.unit} ({gene.doc}). "
            "Expected a number within. Correct it."
        )
    return array


def _listed(shape: tuple[int, ...]) -> str:
    return "".join(f", {n}" for n in shape)


def rows(genes: Genes, chosen: Any) -> Genes:
    """The chosen individuals of genes (an index array, slice or mask)."""
    return type(genes)(*(array[chosen] for array in genes))
