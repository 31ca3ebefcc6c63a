"""A creature as JSON: what people edit, keep and send to each other. Only living nodes and muscles are listed.

genome_from_json(genome_to_json(genes, k)) lives the same life, bit for bit: order is kept, and absent parts add nothing.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from worldloom.core.errors import InputError
from worldloom.core.field import Field
from worldloom.worlds.creatures.express import edges_of
from worldloom.worlds.creatures.genome import valid
from worldloom.worlds.creatures.spec import BRAINS, CLOCKS, SIZES, Genes, Params, shapes

FORMAT = "worldloom.creature/1"
NODE = {"position": "position", "size": "size", "mass": "mass", "friction": "friction"}  # name in JSON -> gene
MUSCLE = {
    "rest_length": "rest", "stiffness": "stiffness", "damping": "damping", "frequency": "frequency", "amplitude": "amplitude",
    "phase": "phase", "weights": "weights_out", "bias": "bias_out",
}  # fmt: skip
CELL = {"senses": "weights_in", "bias": "bias_in", "strain": "weights_strain", "motion": "weights_motion"}
WHOLE = {"tempo": "tempo", "colour": "colour"}
GENES: Mapping[str, Field] = Genes._field_defaults


def genome_to_json(genes: Genes, index: int = 0, *, brain: str = "hybrid", clock: str = "sin") -> str:
    """One individual as JSON text."""
    alive = np.nonzero(genes.alive[index] == 1)[0]
    there = np.nonzero(edges_of(genes)[index] >= 0)[0]
    number = np.cumsum(genes.alive[index] == 1) - 1
    felt_nodes = alive if genes.weights_motion.shape[2] else alive[:0]
    felt_muscles = there if genes.weights_strain.shape[2] else there[:0]

    def listed(names: Mapping[str, str], k: int) -> dict[str, Any]:
        return {name: getattr(genes, gene)[index, k].tolist() for name, gene in names.items()}

    cells = []
    for k in range(genes.bias_in.shape[1]):
        cell = listed({name: CELL[name] for name in ("senses", "bias")}, k)
        cell["strain"] = genes.weights_strain[index, k][felt_muscles].tolist()
        cell["motion"] = genes.weights_motion[index, k][felt_nodes].tolist()
        cells.append(cell)
    document = {
        "format": FORMAT,
        "brain": {"kind": brain, "clock": clock, "proprioception": bool(len(felt_nodes)), "hidden": cells},
        **{name: getattr(genes, gene)[index].tolist() for name, gene in WHOLE.items()},
        "nodes": [listed(NODE, int(k)) for k in alive],
        "muscles": [{"nodes": number[genes.pair[index, k]].tolist(), **listed(MUSCLE, int(k))} for k in there],
    }
    return json.dumps(document, indent=1)


def genome_from_json(text: str) -> tuple[Genes, dict[str, Any]]:
    """(genes of one individual, settings for `evolve` and `simulate`: brain, clock, proprioception and sizes).

    Raises InputError that names the path of the first fault: `muscles[3].stiffness = 2000 is outside 1 to 1000 N/m`.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InputError(f"The creature is not JSON: {error}. Expected a document of format {FORMAT!r}.") from None
    except RecursionError:
        raise InputError(f"The creature is nested too deep. Expected a document of format {FORMAT!r}.") from None
    member(document, "", ["format", "brain", "nodes", "muscles", *WHOLE])
    if document["format"] != FORMAT:
        raise InputError(f"format = {document['format']!r} is not known. Expected {FORMAT!r}.")
    nodes = listed_in(document, "nodes", 3, SIZES["nodes"].high)
    muscles = listed_in(document, "muscles", 2, SIZES["muscles"].high)
    settings = brain_settings(document["brain"], len(nodes), len(muscles))
    known = shapes(Params(**{**Params._field_defaults, **coded(settings)}), settings)
    genes = {
        name: number(document[name], name, gene, ()) if gene == "tempo" else number(document[name], name, gene, (3,))
        for name, gene in WHOLE.items()
    }
    genes |= parts(nodes, "nodes", NODE, {"position": (3,)})
    genes |= parts(muscles, "muscles", {"nodes": "pair", **MUSCLE}, {"nodes": (2,), "weights": (known["hidden"],)})
    cell = {"senses": (known["senses"],), "strain": (known["felt_muscles"],), "motion": (known["felt_nodes"], 4)}
    genes |= parts(document["brain"]["hidden"], "brain.hidden", CELL, cell)
    genes |= {"alive": np.ones((1, len(nodes)), np.int8), "muscle": np.ones((1, len(muscles)), np.int8)}
    return whole(Genes(**{name: np.asarray(genes[name], field.dtype) for name, field in GENES.items()})), settings


def brain_settings(brain: Any, nodes: int, muscles: int) -> dict[str, Any]:
    """The settings that the brain and the counts imply."""
    member(brain, "brain", ["kind", "clock", "proprioception", "hidden"])
    for name, choices in (("kind", BRAINS), ("clock", CLOCKS)):
        if brain[name] not in choices:
            raise InputError(f"brain.{name} = {brain[name]!r} is not known. Expected one of {', '.join(choices)}.")
    if not isinstance(brain["proprioception"], bool):
        raise InputError(f"brain.proprioception = {brain['proprioception']!r} is no truth value. Expected true or false.")
    cells = listed_in(brain, "hidden", 1, SIZES["hidden"].high, "brain.")
    return {
        "brain": brain["kind"], "clock": brain["clock"], "proprioception": "yes" if brain["proprioception"] else "no",
        "nodes": nodes, "muscles": muscles, "hidden": len(cells),
    }  # fmt: skip


def coded(settings: Mapping[str, Any]) -> dict[str, int]:
    """Choices as their numbers."""
    return {"clock": CLOCKS.index(settings["clock"]), "proprioception": int(settings["proprioception"] == "yes")}


def parts(items: list[Any], path: str, names: Mapping[str, str], inner: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """{gene: array [1, item, …]} of a list of nodes, muscles or cells."""
    for k, item in enumerate(items):
        member(item, f"{path}[{k}]", list(names))
    return {
        gene: np.stack([number(item[name], f"{path}[{k}].{name}", gene, inner.get(name, ()))[0] for k, item in enumerate(items)])[
            None
        ]
        for name, gene in names.items()
    }


def member(item: Any, path: str, names: list[str]) -> None:
    """Raises InputError unless item is an object with exactly these members."""
    at = path or "The creature"
    if not isinstance(item, dict):
        raise InputError(f"{at} is {type(item).__name__}. Expected an object with {', '.join(names)}.")
    for name in [*names, *item]:
        if name not in item or name not in names:
            what = "is missing" if name in names else "is not known"
            raise InputError(f"{f'{path}.' if path else ''}{name} {what}. Expected {', '.join(names)}.")


def listed_in(item: Mapping[str, Any], name: str, least: int, most: int, path: str = "") -> list[Any]:
    """A list of least to most items."""
    found = item[name]
    if not isinstance(found, list) or not least <= len(found) <= most:
        count = len(found) if isinstance(found, list) else type(found).__name__
        raise InputError(f"{path}{name} has {count} items. Expected a list of {least} to {most}.")
    return found


def number(value: Any, path: str, gene: str, shape: tuple[int, ...]) -> Any:
    """Numbers of a gene as an array [1, *shape], within its limits."""
    field = GENES[gene]
    array = numbers(value, path, field, shape)
    if array.shape != shape and not (array.size == 0 and 0 in shape):
        raise InputError(f"{path} has shape {list(array.shape)}. Expected {describe(shape)}.")
    low, high = np.float32(field.low), np.float32(field.high)
    wrong = np.argwhere(~((array.astype(np.float32) >= low) & (array.astype(np.float32) <= high)))
    if len(wrong):
        at = "".join(f"[{k}]" for k in wrong[0])
        raise InputError(f"{path}{at} = {array[tuple(wrong[0])]:g} is outside {low:g} to {high:g} {field.unit} ({field.doc}).")
    return array.reshape(1, *shape)


def numbers(value: Any, path: str, field: Field, shape: tuple[int, ...]) -> Any:
    """Numbers as an array of whatever shape they have; nothing that would have to be read as a number."""
    whole = np.issubdtype(np.dtype(field.dtype), np.integer)
    kind = f"{describe(shape)}{' without fractions' if whole else ''} in {field.unit}"
    try:
        if plain_numbers(value, whole=whole):
            return np.array(value, np.float64)
    except OverflowError:
        raise InputError(f"{path} is too large a number. Expected {kind}, {field.low:g} to {field.high:g}.") from None
    except ValueError:  # lists of different lengths
        pass
    raise InputError(f"{path} is not made of numbers. Expected {kind}.")


def plain_numbers(value: Any, *, whole: bool) -> bool:
    """Whether a number, or lists of them, holds nothing else: no text, no truth value, and no fraction where whole ones are asked for."""
    if isinstance(value, list):
        return all(plain_numbers(inner, whole=whole) for inner in value)
    return isinstance(value, int | float) and not isinstance(value, bool) and not (whole and value % 1)


def describe(shape: tuple[int, ...]) -> str:
    """A shape in words."""
    return "one number" if not shape else " lists of ".join(str(n) for n in shape) + " numbers"


def whole(genes: Genes) -> Genes:
    """Genes of one body, or InputError where its muscles do not make one."""
    pair, nodes = genes.pair[0], genes.alive.shape[1]
    for k, (a, b) in enumerate(pair.tolist()):
        if a >= nodes or b >= nodes or a == b:
            raise InputError(
                f"muscles[{k}].nodes = [{a}, {b}] joins no two nodes. Expected two different numbers from 0 to {nodes - 1}."
            )
        twin = next((n for n in range(k) if set(pair[n].tolist()) == {a, b}), None)
        if twin is not None:
            raise InputError(
                f"muscles[{k}] and muscles[{twin}] join the same nodes {a} and {b}. Expected one muscle for each pair."
            )
    if not valid(genes)[0]:
        raise InputError("The body falls apart: some nodes are joined to the others by no muscle. Expected one connected body.")
    return genes


def limits(gene: str, shape: tuple[int, ...] = ()) -> dict[str, Any]:
    """JSON Schema of a gene's numbers."""
    field = GENES[gene]
    kind = "integer" if np.issubdtype(np.dtype(field.dtype), np.integer) else "number"
    schema: dict[str, Any] = {"type": kind, "minimum": field.low, "maximum": field.high}
    for count in reversed(shape):
        schema = {"type": "array", "items": schema} | ({"minItems": count, "maxItems": count} if count else {})
    return schema | {"description": f"{field.doc} ({field.unit})"}


def described(members: Mapping[str, Any]) -> dict[str, Any]:
    """JSON Schema of an object with exactly these members."""
    return {"type": "object", "properties": dict(members), "required": list(members), "additionalProperties": False}


SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A Worldloom creature",
    **described({
        "format": {"const": FORMAT},
        "brain": described({
            "kind": {"enum": list(BRAINS)},
            "clock": {"enum": list(CLOCKS)},
            "proprioception": {"type": "boolean"},
            "hidden": {
                "type": "array", "minItems": 1, "maxItems": SIZES["hidden"].high,
                "items": described({
                    "senses": limits("weights_in", (0,)), "bias": limits("bias_in"),
                    "strain": limits("weights_strain", (0,)), "motion": limits("weights_motion", (0, 4)),
                }),
            },
        }),
        "tempo": limits("tempo"),
        "colour": limits("colour", (3,)),
        "nodes": {
            "type": "array", "minItems": 3, "maxItems": SIZES["nodes"].high,
            "items": described({
                "position": limits("position", (3,)), "size": limits("size"), "mass": limits("mass"), "friction": limits("friction"),
            }),
        },
        "muscles": {
            "type": "array", "minItems": 2, "maxItems": SIZES["muscles"].high,
            "items": described({
                "nodes": limits("pair", (2,)), "rest_length": limits("rest"), "stiffness": limits("stiffness"),
                "damping": limits("damping"), "frequency": limits("frequency"), "amplitude": limits("amplitude"),
                "phase": limits("phase"), "weights": limits("weights_out", (0,)), "bias": limits("bias_out"),
            }),
        },
    }),
}  # fmt: skip
