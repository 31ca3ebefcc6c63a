"""`loom demo`: creatures learn to walk, in less than a minute; what `make demo` runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from worldloom.cli.evolve import see_more
from worldloom.cli.options import Json, Seed, StoreUrl, Workers
from worldloom.cli.progress import Bar
from worldloom.cli.report import facts, generation_table, json_out, outcome_of

if TYPE_CHECKING:
    from worldloom.runtime.results import Results

POPULATION, GENERATIONS, SEED = 1000, 100, 3
PAGE = Path("out") / "demo.html"


def demo(seed: Seed = SEED, workers: Workers = None, store: StoreUrl = None, json: Json = False) -> None:
    """Creatures learn to walk, in less than a minute."""
    from worldloom.runtime.session import evolve

    given: dict[str, Any] = {"seed": seed, "workers": workers, "store": store, "name": f"demo {seed}"}
    if not json:
        print(f"{POPULATION} creatures, {GENERATIONS} generations, seed {seed}. A life lasts 10 s.", flush=True)
    with (
        Bar("first generation", GENERATIONS) as bar,
        evolve("creatures", population=POPULATION, generations=GENERATIONS, progress=bar.generation, **given) as results,
    ):
        bar.update(GENERATIONS, doing="writing the page")
        told = {**results.report, "distance": learned(results), "page": str(written(results))}
        table = generation_table(results.store.generations(results.id))
    if json:
        json_out(told)
    else:
        print(f"{table}\n\n{in_words(told, store)}")


def written(results: "Results") -> Path:
    """The page that shows the best creature."""
    from worldloom.core.errors import InputError

    try:
        PAGE.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(
            f"Cannot make {PAGE.parent}: {error.strerror}. Expected a writable directory. Go to another one."
        ) from None
    return results.best.replay().save(PAGE)


def learned(results: "Results") -> dict[str, dict[str, float]]:
    """How far the first generation came and how far the last one, m."""
    import numpy as np

    walked = {"first": results.generation(0)["distance"], "last": results.generation(GENERATIONS - 1)["distance"]}
    return {name: {"best": float(values.max()), "median": float(np.median(values))} for name, values in walked.items()}


def in_words(told: dict[str, Any], store: str | None) -> str:
    """What the demo did, and what to do next."""
    first, last, run = told["distance"]["first"], told["distance"]["last"], told["run"]
    lines = {
        "first generation": f"best {first['best']:.2f} m, median {first['median']:.2f} m",
        "last generation": f"best {last['best']:.2f} m, median {last['median']:.2f} m",
        **outcome_of(told),
        "page": f"{told['page']} (open it in a browser)",
    }
    commands = (f"loom show {run}", f"loom replay {run} --generation 0 --out out/first.html", "loom runs")
    more = [line for command in commands for line in see_more(command, store).values()]
    return facts(lines) + ("\n\nTo see more:\n" + "\n".join(f"  {line}" for line in more) if more else "")
