"""Traces: measurements as rows of a CSV file that grows, and two such files compared."""

import csv
import platform
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from worldloom.core.errors import InputError
from worldloom.profile.measure import Measured

FIGURES = ("min", "mean", "p50", "p95", "p99", "max")  # ms
COLUMNS = ("time", "commit", "machine", "scenario", "phase", "state", "count", *FIGURES, "bytes")


def rows(measured: Measured) -> list[dict[str, Any]]:
    """A row for each phase, cold and warm apart, and one for each form of the answer, which has bytes only."""
    common = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit(), "machine": machine()}
    common["scenario"] = measured.scenario
    found = []
    for phase, histogram in measured.phases.items():
        first = dict.fromkeys(FIGURES, round(1e3 * histogram.first, 4))
        found.append({**common, "phase": phase, "state": "cold", "count": 1, **first, "bytes": 0})
        if (count := histogram.count - 1) > 0:
            quantiles = {f"p{round(100 * q)}": histogram.quantile(q) for q in (0.5, 0.95, 0.99)}
            warm = {"min": histogram.least, "mean": histogram.total / count, **quantiles, "max": histogram.most}
            told = {name: round(1e3 * seconds, 4) for name, seconds in warm.items()}
            found.append(
                {**common, "phase": phase, "state": "warm", "count": count, **told, "bytes": histogram.bytes // histogram.count}
            )
    nothing = dict.fromkeys(FIGURES, 0.0)
    sizes = measured.payload.items()
    return found + [
        {**common, "phase": f"payload.{form}", "state": "warm", "count": 1, **nothing, "bytes": size} for form, size in sizes
    ]


def commit() -> str:
    """The commit of the working directory, with a + where it was changed since; '' outside of a repository."""
    try:
        told = subprocess.run(
            ["git", "describe", "--always", "--abbrev=10", "--dirty=+"], capture_output=True, text=True, timeout=10, check=False
        )
    except OSError:
        return ""
    return told.stdout.strip()


def machine() -> str:
    """The processor, and how many of them."""
    from os import cpu_count

    from llvmlite import binding

    return f"{platform.system()} {platform.machine()} {binding.get_host_cpu_name()} x{cpu_count()}"


def append(path: Path, fresh: Iterable[dict[str, Any]]) -> None:
    """Adds rows to a file, which begins with its header. Raises InputError for a file of something else."""
    header = read_header(path)
    if header is not None and header != list(COLUMNS):
        raise InputError(f"{path} is no file of measurements. Expected the columns {', '.join(COLUMNS)}. Choose another --out.")
    try:
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if header is None:
                writer.writeheader()
            writer.writerows(fresh)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}. Expected a place with room. Choose another --out.") from None


def read_header(path: Path) -> list[str] | None:
    """The columns of a file; None where there is none, or it is empty."""
    if not path.exists() or path.stat().st_size == 0:
        return None
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        return next(csv.reader(file), None)


def latest(path: Path) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The last row for each scenario, phase and state of a file. Raises InputError for what is no file of measurements."""
    if read_header(path) != list(COLUMNS):
        raise InputError(f"{path} holds no measurements. Expected a file that `loom profile --out` wrote. Check the path.")
    with path.open(newline="", encoding="utf-8") as file:
        return {(row["scenario"], row["phase"], row["state"]): row for row in csv.DictReader(file)}


def compare(old: Path, new: Path) -> list[dict[str, Any]]:
    """What both files know: p50 in ms and bytes, before and after, and how much more in share; the first file's order."""
    before, after = latest(old), latest(new)
    found = []
    for place in before:
        if place in after:
            unit = "bytes" if place[1].startswith("payload.") else "p50"
            was, now = float(before[place][unit]), float(after[place][unit])
            change = now / was - 1 if was else 0.0
            found.append(
                {
                    **dict(zip(("scenario", "phase", "state"), place, strict=True)),
                    "figure": unit,
                    "old": was,
                    "new": now,
                    "change": change,
                }
            )
    if not found:
        raise InputError(f"{old} and {new} have no measurement in common. Expected the same scenario in both. Measure it again.")
    return found


def share(text: str) -> float:
    """A share from '5%' or '0.05'. Raises InputError for anything else."""
    number = text.strip().removesuffix("%")
    try:
        value = float(number) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise InputError(f"--fail-above {text!r} is no share. Expected for example 5% or 0.05. Correct it.")
    return value


def worse(compared: Sequence[dict[str, Any]], bound: float) -> list[dict[str, Any]]:
    """The warm rows that grew by more than a bound; cold ones are noise of one measurement."""
    return [row for row in compared if row["state"] == "warm" and row["change"] > bound]
