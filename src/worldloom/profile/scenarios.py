"""Scenarios: what is measured, as data. Each is one request of the service, and what has to be asked before it can be made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from worldloom.core.errors import UnknownName

Document = Mapping[str, Any]
Ask = Callable[[str, Document], dict[str, Any]]  # (path, body) -> the service's answer


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A request to `path`. body: made once, with answers of the service where it needs them. budgets: p50 in ms, by phase."""

    name: str
    doc: str
    path: str
    body: Callable[[Ask], Document]
    budgets: Mapping[str, float] = field(default_factory=dict)


def creatures(count: int) -> Scenario:
    """So many creatures of generation 0 for their default life."""

    def body(ask: Ask) -> Document:
        first = ask("/api/genetics/generate", {"world": "creatures", "population": count, "seed": 7})
        return {"world": "creatures", "seed": 7, "genomes": first["genomes"]}

    return Scenario(name=f"creatures_{count}", doc=f"{count} creatures live for 10 s", path="/api/simulation/batch", body=body)


SCENARIOS = {scenario.name: scenario for scenario in map(creatures, (100, 500, 1000))}


def scenario(name: str) -> Scenario:
    """The scenario of that name. Raises UnknownName with the nearest."""
    if name not in SCENARIOS:
        raise UnknownName("scenario", name, SCENARIOS)
    return SCENARIOS[name]
