"""`loom replay`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worldloom.cli.options import Json, RunName, StoreUrl, opened
from worldloom.cli.progress import Bar
from worldloom.cli.report import facts, json_out, tell

if TYPE_CHECKING:
    from worldloom.runtime.replay import Replay


def replay(
    run: RunName,
    generation: Annotated[
        int | None, typer.Option(metavar="G", help="Of which generation; absent: of all.", show_default=False)
    ] = None,
    individual: Annotated[str, typer.Option(metavar="ID|best", help="12-307, or 307 with --generation 12, or best.")] = "best",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write .html, .json, .npz or .gif.", show_default=False)] = None,
    store: StoreUrl = None,
    json: Json = False,
) -> None:
    """One individual's life again, bit for bit.

    With --out it is written as a page to look at (.html), a moving picture (.gif), or arrays (.npz, .json).
    """
    from worldloom.runtime.replay import replay as live_again
    from worldloom.runtime.replay_files import writer

    if out is not None:
        writer(out)  # a wrong ending is said before the work, not after it
    with opened(store) as there, Bar("replaying"):
        life = live_again(there, run, individual, generation)
        written = None if out is None else life.save(out)
    if json:
        json_out({**described(life), "out": None if written is None else str(written)})
        return
    print(in_words(life))
    if life.same is False:
        tell(f"This life differs from the stored one. Made with other versions: {'; '.join(life.notes) or 'none that are known'}.")
    example = f"loom replay {run} --individual {life.facts['individual']} --out life.html"
    print(f"Wrote {written}" if written else f"To look at it: {example}")


def in_words(life: "Replay") -> str:
    """What a replay is, for people."""
    told = described(life)
    arrays = ", ".join(f"{name} {shape}" for name, shape in told["arrays"].items())
    lines = {**told["facts"], **told["outcome"], "seconds": float(life.t[-1]), "frames": len(life.t), "arrays": arrays}
    return facts({**lines, "same as stored": "yes, bit for bit" if life.same else "NO"})


def described(life: "Replay") -> dict[str, Any]:
    """What a replay is, without its arrays' numbers."""
    outcome = {name: array[0].item() if array[0].ndim == 0 else array[0].tolist() for name, array in life.outcome._asdict().items()}
    arrays = {name: list(array.shape) for name, array in life.arrays.items()}
    return {"facts": dict(life.facts), "outcome": outcome, "arrays": arrays, "same": life.same, "notes": list(life.notes)}
