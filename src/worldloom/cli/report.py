"""What commands print: tables and facts for people, one JSON document for programs, one sentence for trouble."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

GAP = "  "  # between two columns
SHOWN = 12  # generations in a compact table


def json_out(document: Any) -> None:
    """One JSON document on stdout. A number that is not finite becomes null."""
    import orjson

    choices = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    print(orjson.dumps(document, option=choices, default=plain).decode())


def plain(value: Any) -> Any:
    """What JSON has no form for, as something that it has one for."""
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):  # NumPy scalars, and arrays that are not contiguous
        return value.tolist()
    return str(value)


def tell(sentence: str) -> None:
    """A sentence on stderr."""
    print(sentence, file=sys.stderr, flush=True)


def figure(value: Any) -> str:
    """A value for people: four significant digits, '-' for none."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:.4g}"
    return str(value)


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Aligned columns under their headers; columns of numbers to the right."""
    texts = [[figure(value) for value in row] for row in rows]
    right = [all(isinstance(row[k], int | float | None) for row in rows) for k in range(len(headers))]
    widths = [max(map(len, column)) for column in zip(headers, *texts, strict=True)]

    def line(cells: Sequence[str]) -> str:
        placed = (cell.rjust(w) if at_right else cell.ljust(w) for cell, w, at_right in zip(cells, widths, right, strict=True))
        return GAP.join(placed).rstrip()

    return "\n".join(line(cells) for cells in [list(headers), *texts])


def facts(pairs: Mapping[str, Any]) -> str:
    """Names and values, one a line."""
    width = max(map(len, pairs))
    return "\n".join(f"{name.ljust(width)}{GAP}{figure(value)}" for name, value in pairs.items())


def compact(items: Sequence[Any], most: int = SHOWN) -> list[Any]:
    """The first, the last and some between, evenly."""
    last = len(items) - 1
    return list(items) if len(items) <= most else [items[round(k * last / (most - 1))] for k in range(most)]


def generation_table(generations: Sequence[Any]) -> str:
    """Summaries of generations as a compact table."""
    headers = ("generation", "individuals", "best", "median", "best one", "seconds")
    return table(
        headers,
        [
            (
                g.generation,
                g.count,
                g.best_fitness,
                g.median_fitness,
                "-" if g.best is None else f"{g.generation}-{g.best}",
                g.seconds,
            )
            for g in compact(generations)
        ],
    )


def outcome_of(report: Mapping[str, Any]) -> dict[str, Any]:
    """The report of a run in words, for `facts`."""
    best, rate = report["best"], report["lane_steps"] / report["seconds"] if report["seconds"] else None
    return {
        "best": "none with a finite fitness" if best is None else f"{figure(best['fitness'])} by {best['individual']}",
        "generations": report["generations"],
        "digest": report["digest"],
        "seconds": f"{figure(report['seconds'])} ({figure(rate)} lane-steps/s)",
    }


def close_quietly() -> None:
    """Stop writing to a stdout that nobody reads any more; without this Python complains while it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
