"""The application: routes, error answers and what every endpoint shares, put together.

Watch (log, times, metrics)  >  Shield (who may come in, with what)  >  FastAPI: routers, problem documents
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version

from fastapi import FastAPI
from starlette.types import ASGIApp

from worldloom.runtime.store import Store
from worldloom.service import examples, problems
from worldloom.service.admission import Gate, Turnstile
from worldloom.service.routes import events, genetics, health, pages, replays, runs, simulation, worlds
from worldloom.service.settings import Settings
from worldloom.service.shield import Shield
from worldloom.service.watch import Meters, Watch

ROUTERS = (
    worlds.router, simulation.router, genetics.router, runs.router, replays.router, events.router, health.router, pages.router,
)  # fmt: skip
ANYWHERE = (400, 401, 403, 404, 405, 408, 413, 415, 421, 422)  # refusals of the shield, and of whatever a path or body says


@dataclass
class Service:
    """What endpoints find in `request.app.state.service`. ready: it has compiled what it needs. streams: of events, open now."""

    settings: Settings
    store: Store
    gate: Gate
    ready: bool = True
    streams: int = 0


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Lets go of the gate's threads at the end."""
    yield
    app.state.service.gate.close()


def application(store: Store, settings: Settings, *, ready: bool = True) -> tuple[ASGIApp, Service]:
    """The service over a store, as an ASGI application, and what its endpoints share. The caller closes the store.

    ready: False until somebody sets `Service.ready`: meanwhile /readyz says so.
    """
    app = FastAPI(
        title="Worldloom", openapi_url="/openapi.json", docs_url=None, redoc_url=None, lifespan=lifespan, version=version("worldloom"),
        redirect_slashes=False,
    )  # fmt: skip
    service = Service(settings=settings, store=store, gate=Gate(settings), ready=ready)
    app.state.service, app.state.meters = service, Meters()
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router, responses=problems.refusals(*ANYWHERE))
    examples.install(app)
    return Watch(Turnstile(Shield(app, settings), service.gate), app.state.meters), service
