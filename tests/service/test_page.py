"""docs/service.md runs: each command gives the output that the page shows. A "…" in it stands for anything."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from served import TOKEN, Served

PAGE = Path(__file__).parents[2] / "docs/service.md"
BLOCK = re.compile(r"^```console\n(.*?)^```", re.M | re.S)
PYTHON = re.compile(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", re.M | re.S)
SHOWN = "http://127.0.0.1:8000"
END = "@@@ end of a command"


def steps(text):
    """(command, expected output) of all console blocks but the one that starts the service, in order."""
    found = []
    for block in BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    assert found[0][0].startswith("loom serve")
    return found[1:]


def matches(expected, output):
    pattern = ".*".join(re.escape(part) for part in expected.rstrip("\n").split("…"))
    return re.fullmatch(pattern, output.rstrip("\n"), re.S) is not None


@pytest.fixture(params=["sqlite", "postgresql"])
def served(request, tmp_path):
    url = "runs.db" if request.param == "sqlite" else request.getfixturevalue("database")
    running = Served(url, tmp_path).ready()
    yield running
    running.stop()


def test_the_page_of_the_service_shows_what_happens(served, tmp_path):
    text = PAGE.read_text()
    commands = steps(text)
    script = "\n".join(f"{command.replace(SHOWN, served.address)}\necho '{END}'" for command, _ in commands)
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    outputs = done.stdout.split(f"{END}\n")
    assert len(outputs) == len(commands) + 1 and len(commands) > 15, done.stderr
    for (command, expected), output in zip(commands, outputs, strict=False):
        assert matches(expected, output), f"$ {command}\nexpected:\n{expected}\nfound:\n{output}\n{done.stderr}"
    ((code, expected),) = PYTHON.findall(text)
    env = {**os.environ, "URL": served.address, "TOKEN": TOKEN}
    shown = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert shown.stdout == expected, shown.stderr


def test_a_page_that_is_wrong_would_be_found():
    assert matches('{"id":"…"}\n', '{"id":"k7m"}\n') and not matches('{"id":"a"}', '{"id":"b"}')
    assert not matches("one\n", "one\ntwo\n") and len(steps("```console\n$ loom serve\n$ a\nb\n$ c\n```\n")) == 2
