"""The application: routes, error answers and what every endpoint shares, put together."""

from dataclasses import dataclass

from fastapi import FastAPI

from worldloom.runtime.store import Store
from worldloom.service import problems
from worldloom.service.routes import events, replays, runs, worlds
from worldloom.service.settings import Settings

ROUTERS = (worlds.router, runs.router, replays.router, events.router)


@dataclass(frozen=True, kw_only=True)
class Service:
    """What endpoints find in `request.app.state.service`."""

    settings: Settings
    store: Store


def application(store: Store, settings: Settings) -> FastAPI:
    """The service over a store, as an ASGI application. The caller closes the store."""
    app = FastAPI(title="Worldloom", openapi_url="/openapi.json", docs_url=None, redoc_url=None)
    app.state.service = Service(settings=settings, store=store)
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    return app
