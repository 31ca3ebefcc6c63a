"""Fixtures of the service's tests."""

from collections.abc import Iterator

import httpx
import pytest
from live import live

from worldloom.runtime.store import Store, open_store
from worldloom.service.app import application
from worldloom.service.settings import Settings


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    opened = open_store("memory:")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def address(store: Store) -> Iterator[str]:
    """Where a service over an empty store in memory answers; nobody is asked for a token."""
    with live(application(store, Settings())[0]) as url:
        yield url


@pytest.fixture(scope="module")
def http(address: str) -> Iterator[httpx.Client]:
    """An HTTP client of that service."""
    with httpx.Client(base_url=address, timeout=60) as client:
        yield client
