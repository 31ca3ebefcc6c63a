"""Running the service: one address, one or several processes that answer there, and as many that carry out runs, over one store.

With one process the one that was started answers; with several it only watches over them.
"""

import gc
import ipaddress
import logging
import os
import secrets
import signal
import socket
import sys
import tempfile
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import orjson

from worldloom.core.errors import InputError, WorldloomError
from worldloom.runtime.jobs import step_back, work
from worldloom.runtime.store import Store, open_store
from worldloom.runtime.warming import warm
from worldloom.service.crew import Crew, on_lifeline
from worldloom.service.settings import Settings

BACKLOG = 1024  # connections that wait to be accepted
FILES = 65_536  # open at a time, connections among them, where the system allows so many
GRACE_SECONDS = 5  # for requests that are under way when the service ends
MEMORY = ("memory:", "memory://")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is served, where, by how many processes. store None: the user's own. token '': one is made up."""

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    store: str | None = None
    token: str = ""
    threads: int = 1  # of one batch or run


def settled(plan: Plan) -> Settings:
    """The settings of a plan. Raises InputError for one that would let in anybody."""
    loopback = is_loopback(plan.host)
    if not loopback and not plan.token:
        raise InputError(
            f"Host {plan.host!r} can be reached from other machines, and there is no token. Expected one that you choose. "
            "Give --token or set WORLDLOOM_TOKEN."
        )
    if plan.token and (len(plan.token) < 8 or not plan.token.isascii() or not plan.token.isprintable() or " " in plan.token):
        raise InputError(
            "The token cannot be used. Expected 8 or more ASCII signs without spaces. Leave it out to get one made up."
        )
    names = () if loopback else (plan.host, socket.gethostname(), socket.getfqdn())
    return Settings(token=plan.token or secrets.token_urlsafe(24), names=names, threads=plan.threads)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bound(plan: Plan) -> socket.socket:
    """A socket that listens. Raises InputError for an address that cannot be had."""
    if not 0 <= plan.port < 2**16:
        raise InputError(f"Port {plan.port} is out of range. Expected 0 to 65535; 0 takes any free one.")
    try:
        family = socket.getaddrinfo(plan.host, plan.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((plan.host, plan.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise InputError(
            f"Cannot listen at {plan.host} port {plan.port}: {error.strerror or error}. Expected a free port of this machine. "
            "Give another --port, or end what uses it."
        ) from None


def address(plan: Plan, listener: socket.socket, token: str) -> str:
    """Where the service is found, with the token that opens it."""
    host = f"[{plan.host}]" if ":" in plan.host else plan.host
    return f"http://{host}:{listener.getsockname()[1]}/?token={token}"


def serve(plan: Plan, *, announce: Any = print) -> None:
    """Serve until SIGINT or SIGTERM. announce is called with the address once requests are taken in.

    Raises InputError for a plan that cannot be carried out, StoreError for a store that cannot be opened.
    """
    settings = settled(plan)
    if plan.store in MEMORY and plan.workers > 1:
        raise InputError(f"{plan.workers} processes cannot share a store in memory. Expected --workers 1, or a store that is kept.")
    store = open_store(plan.store)  # a store that cannot be opened is told before anything is started
    try:
        with bound(plan) as listener:
            logged()
            signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
            announce(address(plan, listener, settings.token))
            if plan.workers == 1:
                alone(plan, settings, store, listener)
            else:
                store.close()
                together(plan, settings, listener)
    finally:
        store.close()


def alone(plan: Plan, settings: Settings, store: Store, listener: socket.socket) -> None:
    """This process answers; another one carries out runs, or a thread where the store is in memory."""
    crew, stopping = Crew(), threading.Event()
    if plan.store in MEMORY:
        threading.Thread(target=work, args=(store, stopping), kwargs={"threads": plan.threads}, daemon=True).start()
    else:
        crew.add("runs", runs_main, plan)
    crew.start()
    try:
        answering(store, settings, listener).run(sockets=[listener])
    finally:
        stopping.set()
        crew.stop()


def together(plan: Plan, settings: Settings, listener: socket.socket) -> None:
    """Other processes answer and carry out runs; this one watches over them."""
    crew, ended = Crew(), threading.Event()
    with tempfile.TemporaryDirectory(prefix="worldloom-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        for number in range(plan.workers):
            crew.add(f"answers-{number}", answers_main, plan, settings, listener)
            crew.add(f"runs-{number}", runs_main, plan)
        crew.start()
        try:
            ended.wait()
        finally:
            crew.stop()


def many_files() -> None:
    """Let this process have as many connections as the system allows: with too few of them it could not even refuse."""
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def answering(store: Store, settings: Settings, listener: socket.socket) -> Any:
    """A server of the application, which warms itself as it starts."""
    import uvicorn

    from worldloom.service.app import application
    from worldloom.service.protocol import Guarded

    many_files()
    app, service = application(store, settings, ready=False)
    threading.Thread(target=warmed, args=(service,), name="worldloom-warm", daemon=True).start()
    config = uvicorn.Config(
        app, http=Guarded, log_config=None, access_log=False, server_header=False, date_header=True, lifespan="on", backlog=BACKLOG,
        timeout_keep_alive=15, timeout_graceful_shutdown=GRACE_SECONDS, proxy_headers=False,
        ws_max_size=settings.body_bytes,
    )  # fmt: skip
    return uvicorn.Server(config)


def warmed(service: Any) -> None:
    """Compile what requests will need, then keep the collector off all that lives for ever: it made a tail of 40 ms."""
    try:
        for _ in warm():
            pass
    except WorldloomError as error:
        logging.getLogger("worldloom.crew").warning(orjson.dumps({"event": "warming failed", "why": str(error)}).decode())
    gc.collect()
    gc.freeze()
    service.ready = True


def answers_main(plan: Plan, settings: Settings, listener: socket.socket, lifeline: Connection) -> None:
    """A process that answers."""
    logged()
    store = open_store(plan.store)
    server = answering(store, settings, listener)

    def end() -> None:
        server.should_exit = True

    server.capture_signals = _no_signals
    on_lifeline(lifeline, end)
    server.run(sockets=[listener])
    store.close()


def _no_signals() -> Any:
    from contextlib import nullcontext

    return nullcontext()


def runs_main(plan: Plan, lifeline: Connection) -> None:
    """A process that carries out runs."""
    stopping = threading.Event()
    on_lifeline(lifeline, stopping.set)
    logged()
    step_back()
    store = open_store(plan.store)
    work(store, stopping, threads=plan.threads)
    store.close()


def logged() -> None:
    """Lines of JSON on stderr: ours as they are, those of libraries from warnings up."""
    own = logging.getLogger("worldloom")
    if not own.handlers:
        own.addHandler(logging.StreamHandler())
        own.setLevel(logging.INFO)
        own.propagate = False
        foreign = logging.StreamHandler()
        foreign.setFormatter(_Json())
        logging.getLogger().addHandler(foreign)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return orjson.dumps({"logger": record.name, "level": record.levelname, "message": super().format(record)}).decode()
