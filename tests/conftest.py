"""Fixtures that tests of several parts share."""

from collections.abc import Iterator

import pytest

from tests import postgres

pytest.register_assert_rewrite("worldloom.testing.stores", "worldloom.testing.leases", "worldloom.testing.samples")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a private PostgreSQL, to which the name of a database is added."""
    with postgres.server() as url:
        yield url


@pytest.fixture
def database(postgresql: str) -> str:
    """URL of a new, empty PostgreSQL database."""
    return postgres.fresh_database(postgresql)
