"""The documentation runs: every Python block, and every loom command in the order that a reader would type them."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "src/worldloom/worlds/creatures/README.md"]
RUN = re.compile(r"^ {4}(?:\$ \.venv/bin/)?(loom .+)$", re.M)  # indented command lines
BLOCK = re.compile(r"^```python\n(.*?)^```", re.M | re.S)


def commands(page):
    return [line.replace("RUN", "walkers") for line in RUN.findall(page.read_text())]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory and an environment with a store of its own."""
    folder = tmp_path_factory.mktemp("docs")
    env = {**os.environ, "WORLDLOOM_STORE": str(folder / "runs.db"), "WORLDLOOM_WORKERS": "2"}
    return folder, env


@pytest.mark.slow
def test_the_commands_of_the_documentation_run_in_order(place):
    folder, env = place
    found = [(page, line) for page in PAGES for line in commands(page)]
    assert len(found) >= 6
    for page, line in found:
        args = [Path(sys.executable).parent / "loom", *shlex.split(line)[1:]]
        done = subprocess.run(args, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{page.name}: {line}: {done.stderr}"
    assert (folder / "walk.html").stat().st_size > 10_000
    assert (folder / "walkers.zip").exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_the_python_blocks_of_the_documentation_run(page, place):
    folder, env = place
    for block in BLOCK.findall(page.read_text()):
        done = subprocess.run([sys.executable, "-c", block], cwd=folder, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr


def test_every_file_that_the_documentation_links_to_exists():
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "examples/one_file_world/README.md"]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_names_every_command():
    from worldloom.cli.main import COMMANDS

    told = (ROOT / "CHANGELOG.md").read_text()
    assert all(re.search(rf"\b{name}\b", told) for name in COMMANDS)
