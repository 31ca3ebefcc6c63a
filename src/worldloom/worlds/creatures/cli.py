"""`loom creatures ...`: what only this world has. A creature as JSON, to read, to edit and to send."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worldloom.core.errors import InputError

if TYPE_CHECKING:
    from worldloom.worlds.creatures.spec import Genes

app = typer.Typer(rich_markup_mode=None, add_completion=False, help="Creatures as JSON: show one, draw random ones.")
LARGEST = 16 << 20  # bytes of JSON: the largest body that there can be has a hundredth of it


@app.command()
def show(
    file: Annotated[Path, typer.Argument(metavar="GENOME.json", help="A creature.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="The creature as it was understood, as one JSON document.")] = False,
) -> None:
    """What a creature is made of; a fault in it is named with its path."""
    from worldloom.worlds.creatures.schema import genome_from_json, genome_to_json

    genes, settings = genome_from_json(text_of(file))
    if json:
        print(genome_to_json(genes, brain=settings["brain"], clock=settings["clock"]))
    else:
        print("\n".join(described(genes, settings)))


@app.command()
def sample(
    seed: Annotated[int, typer.Option(metavar="S", help="The same seed gives the same creature.")] = 1,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Such as nodes=5 or brain=pure.")] = None,
) -> None:
    """A random creature as JSON, on stdout."""
    from worldloom.core.keys import run_key
    from worldloom.worlds.creatures import WORLD
    from worldloom.worlds.creatures.genome import genome
    from worldloom.worlds.creatures.schema import genome_to_json
    from worldloom.worlds.creatures.spec import BRAINS, CLOCKS

    given = dict(pair(text) for text in settings or ())
    sizes = WORLD.sized({name: value for name, value in given.items() if name in WORLD.sizes})
    params = WORLD.filled(None, {name: value for name, value in given.items() if name not in WORLD.sizes})
    genes = genome(params, sizes).sampled(run_key(seed), 1)
    print(genome_to_json(genes, brain=BRAINS[int(params.brain)], clock=CLOCKS[int(params.clock)]))


def pair(text: str) -> tuple[str, str]:
    """(key, value) of a `--set` text."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and value):
        raise InputError(f"--set {text!r} sets nothing. Expected key=value. Write for example --set nodes=5.")
    return name, value


def text_of(file: Path) -> str:
    """The text of a file. Raises InputError where it cannot be read."""
    try:
        with file.open("rb") as opened:
            found = opened.read(LARGEST + 1)
        if len(found) > LARGEST:
            raise InputError(f"{file} is larger than {LARGEST} bytes. Expected one creature as JSON. Check the path.")
        return found.decode("utf-8")
    except OSError as error:
        raise InputError(f"Cannot read {file}: {error.strerror}. Expected a creature as JSON. Check the path.") from None
    except UnicodeDecodeError:
        raise InputError(f"{file} is not UTF-8 text. Expected a creature as JSON. Check the path.") from None


def described(genes: "Genes", settings: dict[str, Any]) -> list[str]:
    """The body and brain in lines."""
    nodes, muscles = genes.alive.shape[1], genes.pair.shape[1]
    lines = [f"{nodes} nodes, {muscles} muscles, mass {float(genes.mass[0].sum()):.4g} kg, tempo {float(genes.tempo[0]):.4g}"]
    feels = ", feels its body" if settings["proprioception"] == "yes" else ""
    lines.append(f"brain {settings['brain']}, {settings['hidden']} hidden cells, clock {settings['clock']}{feels}")
    lines += ["", "node      x m     y m     z m  size m  mass kg  friction"]
    for k in range(nodes):
        x, y, z = genes.position[0, k].tolist()
        lines.append(
            f"{k:4} {x:7.2f} {y:7.2f} {z:7.2f} {genes.size[0, k]:7.2f} {genes.mass[0, k]:8.2f} {genes.friction[0, k]:9.2f}"
        )
    lines += ["", "muscle  nodes  rest m  stiffness N/m  damping N s/m  frequency Hz  amplitude  phase turn"]
    for k in range(muscles):
        a, b = genes.pair[0, k].tolist()
        lines.append(
            f"{k:6} {a:3}-{b:<2} {genes.rest[0, k]:7.2f} {genes.stiffness[0, k]:14.1f} {genes.damping[0, k]:14.2f} "
            f"{genes.frequency[0, k]:13.2f} {genes.amplitude[0, k]:10.2f} {genes.phase[0, k]:11.2f}"
        )
    return lines
