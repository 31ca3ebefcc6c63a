"""Fixtures of the command line's tests: `loom` runs a command line in this process, over a store of the test's own."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from small_run import SMALL

from worldloom.cli.main import run


@dataclass(frozen=True)
class Ended:
    """What a command line left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def loom(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Runs `loom` with these arguments; the working directory is empty and the store not there yet."""
    monkeypatch.setenv("WORLDLOOM_STORE", str(tmp_path / "runs.db"))
    monkeypatch.chdir(tmp_path)

    def called(*args: str) -> Ended:
        capsys.readouterr()
        code = run(args)
        return Ended(code, *capsys.readouterr())

    return called


@pytest.fixture
def finished(loom: Callable[..., Ended]) -> dict[str, Any]:
    """The report of a small run that is in the store."""
    ended = loom("evolve", "creatures", *SMALL, "--json", "--name", "small")
    assert ended.code == 0, ended.err
    return dict(ended.json)
