"""`loom serve`."""

import os
from typing import Annotated, Any

import typer

from worldloom.cli.options import StoreUrl
from worldloom.core.errors import InputError


def serve(
    host: Annotated[
        str, typer.Option(metavar="HOST", help="Where to listen; beyond this machine only with a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="PORT", help="0: any free one.")] = 8000,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Processes that answer, and as many that carry out runs; absent: WORLDLOOM_WORKERS, or 1."),
    ] = None,
    store: StoreUrl = None,
    token: Annotated[
        str, typer.Option(metavar="T", help="What opens the service; absent: WORLDLOOM_TOKEN, or made up.", show_default=False)
    ] = "",
    open: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Serve it over HTTP: worlds, batches, runs. Prints its address with the token that opens it."""
    from worldloom.service.serve import Plan, serve

    plan = Plan(**planned(host, port, processes(workers), store, token))

    def announce(url: str) -> None:
        print(f"Worldloom serves at {url}", flush=True)
        if open:
            import webbrowser

            webbrowser.open(url)

    serve(plan, announce=announce)


def planned(host: str, port: int, count: int, store: str | None, token: str) -> dict[str, Any]:
    """What a Plan is made of; what is not given comes from the environment."""
    return {
        "host": host, "port": port, "workers": count, "threads": max(1, (os.cpu_count() or 2) - 1) // count or 1,
        "store": store or os.environ.get("WORLDLOOM_STORE") or None, "token": token or os.environ.get("WORLDLOOM_TOKEN", ""),
    }  # fmt: skip


def processes(told: int | None) -> int:
    """How many processes answer. Raises InputError for none."""
    text = os.environ.get("WORLDLOOM_WORKERS", "") if told is None else str(told)
    count = int(text) if text.isdecimal() else 0 if text else 1
    if count < 1:
        raise InputError(f"{text} processes cannot answer. Expected 1 or more; leave it out for 1.")
    return count
