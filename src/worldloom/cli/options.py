"""Options that several commands have, declared once, and what becomes of their text."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worldloom.core.errors import InputError

if TYPE_CHECKING:
    from worldloom.runtime.store import Store

WorldName = Annotated[str, typer.Argument(metavar="WORLD", help="A world: see `loom worlds`.", show_default=False)]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, its beginning, or name.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout instead of a table.")]
StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="URL", help="sqlite:///FILE, postgresql://..., or FILE.db; absent: WORLDLOOM_STORE, or the user's own."
    ),
]
Workers = Annotated[
    int | None, typer.Option("--workers", metavar="N", help="Threads; absent: WORLDLOOM_WORKERS, or all cores but one.")
]
Seed = Annotated[int, typer.Option("--seed", metavar="S", help="The same seed gives the same run.")]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where lanes run.")]
Cluster = Annotated[
    str, typer.Option("--cluster", metavar="local|ray|ray://HOST:PORT", help="Over which machines lanes are spread.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A parameter or size of the world, or an option of the strategy. Repeatable."),
]


def settings_from(pairs: Iterable[str] | None) -> dict[str, Any]:
    """{name: number or text} of `--set` texts. Raises InputError for one that is not key=value."""
    found = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise InputError(f"--set {pair!r} sets nothing. Expected key=value. Write for example --set life=5.")
        found[name.strip()] = number_or_text(value.strip())
    return found


def number_or_text(text: str) -> int | float | str:
    """'4' as 4, '0.5' as 0.5; a text that is no finite number stays as it is."""
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        return number if abs(number) < float("inf") else text
    return text


@contextmanager
def opened(url: str | None, *, create: bool = False) -> "Iterator[Store]":
    """A store, closed at the end."""
    from worldloom.runtime.store import open_store

    store = open_store(url, create=create)
    try:
        yield store
    finally:
        store.close()
