"""Family trees: the ancestors of an individual, collected generation by generation, and drawn as text."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from worldloom.cli.report import figure

if TYPE_CHECKING:
    from worldloom.runtime.record import Individual
    from worldloom.runtime.store import Store

PAGE = 10_000  # individuals read at a time


def ancestors(store: "Store", run_id: str, name: str, depth: int) -> "dict[str, Individual]":
    """{name: individual} of an individual and its ancestors up to `depth` generations back, youngest first.

    Raises InputError where there is no such individual.
    """
    from worldloom.core.errors import InputError
    from worldloom.runtime.record import individual_from

    found: dict[str, Individual] = {}
    wanted, (generation, _) = {name}, individual_from(name)
    for number in range(generation, max(-1, generation - depth - 1), -1):
        here = {one.id: one for one in everyone(store, run_id, number) if one.id in wanted}
        if number == generation and not here:
            raise InputError(f"Run {run_id!r} has no individual {name}. Expected one of its generations and an index in it.")
        found |= here
        wanted = {parent for one in here.values() for parent in one.parents}
        if not wanted:
            break
    return found


def everyone(store: "Store", run_id: str, generation: int) -> "Iterator[Individual]":
    """All individuals of a generation."""
    cursor: str | None = None
    while True:
        page = store.individuals(run_id, generation, order="individual", limit=PAGE, cursor=cursor)
        yield from page.individuals
        if (cursor := page.cursor) is None:
            return


def tree(root: str, found: "Mapping[str, Individual]") -> Iterator[str]:
    """Lines of a tree. A survivor and its younger selves are one line; who was drawn already is only named again."""
    drawn: set[str] = set()

    def lines(name: str, first: str, rest: str) -> Iterator[str]:
        one = found.get(name)
        if one is None or name in drawn:
            yield f"{first}{name}{' (above)' if name in drawn else ' (further back)'}"
            return
        drawn.add(name)
        oldest = one
        while (
            oldest.streak and len(oldest.parents) == 1 and oldest.parents[0] in found
        ):  # the same individual, a generation earlier
            oldest = found[oldest.parents[0]]
            drawn.add(oldest.id)
        lived = f", unchanged since {oldest.id}" if oldest is not one else ""
        yield f"{first}{name}  fitness {figure(one.fitness)}, streak {one.streak}{lived}"
        for k, parent in enumerate(oldest.parents):
            last = k == len(oldest.parents) - 1
            yield from lines(parent, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))

    return lines(root, "", "")
