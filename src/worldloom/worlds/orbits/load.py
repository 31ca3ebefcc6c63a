"""Everything that becomes a System: requests, files of bodies, downloads of the NASA Exoplanet Archive.

Bad input is an InputError that names the field: `planets[3].mass = -1 is negative. Expected a mass of 0 or more in solar masses.`

What is assumed. Request: planets start where they are told to, else at (aAU, 0, 0) with the circular speed towards +y; with an eccentricity
below 1, at the periapsis (aAU (1 - e), 0, 0). inclination is in degrees and turns the velocity about the line to the star, so that 180 is
retrograde. Game units give G = 0.01, a star 100 x massMs, planets their mass as it is; the circular speed is that of the stars' mass alone,
P = 2 pi a^1.5. In astro units all masses are solar (Earth: 3.003e-6), radii are Earth's, lengths au, speeds au/yr, and a planet's own mass
counts for its circular speed. That year is units.GAUSSIAN_YEAR, 365.2568983 days, which makes G = 4 pi^2 exact.
Archive: see `presets.hosted`.
"""

import csv
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from worldloom.core import units
from worldloom.core.errors import InputError, UnknownName
from worldloom.worlds.orbits.presets import COLOURS, JUPITER, Planet, hosted
from worldloom.worlds.orbits.system import ASTRO_G, GAME_G, GAME_STAR, System

MOST_BODIES = 256
LARGEST = 1e12  # of any number in a request or a file of bodies: beyond, squares of distances lose all meaning next to the others
NEAREST = 1e-9  # au, 150 m; of aAU, and of what starts an orbit without a velocity
LARGEST_FILE = 64_000_000  # bytes; the whole Planetary Systems table of the archive has about 40
KINDS = ("rocky", "gas")
SETTINGS = (
    "durationSec", "dtSec", "trajectoryOnly", "eventsOnly", "profile", "includeZ", "maxSamples", "displaySampleRateHz", "integrator",
    "mode",
)  # fmt: skip  # members of a request that are not about the system
STAR = ("name", "massMs", "color", "radius", "position", "velocity")
PLANET = (
    "name", "kind", "aAU", "mass", "color", "radius", "ellipticity", "eccentricity", "inclination", "position", "velocity",
)  # fmt: skip
BODY = ("name", "m", "x", "v", "kind", "color", "radius")
STAR_SHARE = 0.1  # of the heaviest body's mass: what leads a file of bodies and has more is a star
# Columns of the archive's tables ps and pscomppars, first choice first, each with its factor to the unit of Planet
COLUMNS: Mapping[str, Mapping[str, float]] = {
    "period": {"pl_orbper": 1.0}, "a": {"pl_orbsmax": 1.0}, "e": {"pl_orbeccen": 1.0}, "inclination": {"pl_orbincl": 1.0},
    "periapsis": {"pl_orblper": 1.0}, "transit": {"pl_tranmid": 1.0},
    "mass": {"pl_bmasse": 1.0, "pl_masse": 1.0, "pl_bmassj": JUPITER, "pl_massj": JUPITER},
    "radius": {"pl_rade": 1.0, "pl_radj": units.JUPITER_RADIUS / units.EARTH_RADIUS},
}  # fmt: skip
ALLOWED = {"period": (1e-3, 1e9), "a": (1e-5, 1e6), "e": (0.0, 0.9999), "mass": (0.0, 1e5), "radius": (0.0, 1e3)}  # from, to
Vector = Sequence[float]  # [3]; plain numbers, because a few dozen of them are read ten times faster than small arrays
ZERO = (0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Body:
    """One body on its way into a System."""

    path: str
    name: str
    kind: str
    colour: str
    radius: float
    mass: float
    position: Vector
    velocity: Vector


def from_request(document: Mapping[str, Any], *, settings: Collection[str] = SETTINGS) -> System:
    """The system of a POST /api/compute request. settings: members that are for others to read.

    Raises InputError.
    """
    checked_members(document, "", ("star", "stars", "planets", "units", *settings), "The request")
    game = choice(document, "", "units", ("game", "astro"), "game") == "game"
    if ("star" in document) == ("stars" in document):
        found = "both star and stars" if "star" in document else "neither star nor stars"
        raise InputError(f"The request has {found}. Expected star = {{massMs}} or stars = [{{massMs}}, …].")
    given = listed(document, "", "stars", 1) if "stars" in document else [document["star"]]
    path = "stars[{}]" if "stars" in document else "star"
    stars = [star_body(item, path.format(k), k, GAME_STAR if game else 1.0) for k, item in enumerate(given)]
    gravity, notes = GAME_G if game else ASTRO_G, []
    centre = centre_of(stars)
    planets = [
        planet_body(item, f"planets[{k}]", k, centre, gravity, own=not game)
        for k, item in enumerate(listed(document, "", "planets", 0))
    ]
    if not game:
        heavy = [body for body in planets if body.mass > 0.08]  # solar masses: what burns hydrogen
        notes += [f"{body.path}.mass = {body.mass:g} solar masses is a star's; Earth has 3.003e-6." for body in heavy]
    return assembled([*stars, *planets], len(stars), gravity, "game" if game else "astro", notes=notes)


def star_body(item: Any, path: str, k: int, unit: float) -> Body:
    """A star of a request."""
    checked_members(item, path, STAR)
    mass = unit * number(item, path, "massMs", low=0, above=True, what="a mass above 0 in solar masses")
    return Body(
        path=path, kind="star", mass=mass, **looks(item, path, f"star {k + 1}", "star"),
        position=vector(item, path, "position", ZERO), velocity=vector(item, path, "velocity", ZERO),
    )  # fmt: skip


def centre_of(stars: Sequence[Body]) -> tuple[float, Vector, Vector]:
    """Mass of all stars, and position and velocity of their centre of mass."""
    total = math.fsum(star.mass for star in stars)
    where = [math.fsum(star.mass / total * star.position[axis] for star in stars) for axis in range(3)]
    drift = [math.fsum(star.mass / total * star.velocity[axis] for star in stars) for axis in range(3)]
    return total, where, drift


def planet_body(item: Any, path: str, k: int, centre: tuple[float, Vector, Vector], gravity: float, *, own: bool) -> Body:
    """A planet of a request, about a centre of (mass, position, velocity). own: its own mass counts for its circular speed."""
    checked_members(item, path, PLANET)
    kind = choice(item, path, "kind", KINDS, "rocky")
    mass = number(item, path, "mass", 0.0, low=0, what="a mass of 0 or more")
    e = eccentricity(item, path)
    tilt = math.radians(number(item, path, "inclination", 0.0, low=-180, high=180, what="-180 to 180 degrees"))
    total, where, drift = centre
    nowhere = math.nan if "position" in item else None
    a = number(item, path, "aAU", nowhere, low=NEAREST, what=f"a distance of {NEAREST:g} or more in au")
    position = vector(item, path, "position", [where[0] + a * (1 - e), *where[1:]])
    if "velocity" in item:
        velocity = vector(item, path, "velocity", drift)
    else:
        arm = [x - x0 for x, x0 in zip(position, where, strict=True)]
        speed = starting_velocity(arm, gravity * (total + mass * own) * (1 + e), tilt, path)
        velocity = [v + v0 for v, v0 in zip(speed, drift, strict=True)]
    looked = looks(item, path, f"planet {k + 1}", kind)
    return Body(path=path, kind=kind, mass=mass, position=position, velocity=velocity, **looked)


def starting_velocity(arm: Vector, speed2: float, tilt: float, path: str) -> Vector:
    """Velocity at right angles to the arm from the centre, speed2 being its square times the distance."""
    distance = math.hypot(*arm)
    if distance < NEAREST:
        raise InputError(f"{path} starts in the centre of the stars, where no orbit is. Expected a velocity or another position.")
    x, y, z = (part / distance for part in arm)
    level = math.hypot(x, y)
    along = (-y / level, x / level) if level else (0.0, 1.0)
    across = (-z * along[1], z * along[0], x * along[1] - y * along[0])
    speed, cosine, sine = math.sqrt(speed2 / distance), math.cos(tilt), math.sin(tilt)
    return [speed * (cosine * flat + sine * steep) for flat, steep in zip((*along, 0.0), across, strict=True)]


def eccentricity(item: Mapping[str, Any], path: str) -> float:
    """The eccentricity of a planet, under either of its names."""
    named = {name: number(item, path, name, low=0, what="0 to below 1") for name in ("ellipticity", "eccentricity") if name in item}
    if len(set(named.values())) > 1:
        raise InputError(f"{path}.ellipticity and {path}.eccentricity mean the same and differ. Expected one of them.")
    e = next(iter(named.values()), 0.0)
    if e >= 1:
        name = next(iter(named))
        raise InputError(f"{path}.{name} = {e:g} is no ellipse. Expected 0 to below 1; give a velocity for an open orbit.")
    return e


def from_bodies(document: Mapping[str, Any]) -> System:
    """Bodies as they are, in their order and any consistent units: {"G": 1, "bodies": [{"name", "m", "x", "v"}, …]}.

    Stars are the bodies at the head of the list that have a tenth or more of the heaviest one's mass, at least one.
    Raises InputError.
    """
    checked_members(document, "", ("G", "bodies"), "The file")
    gravity = number(document, "", "G", 1.0, low=0, above=True, what="a constant above 0")
    items, notes = listed(document, "", "bodies", 1), []
    for k, item in enumerate(items):
        checked_members(item, f"bodies[{k}]", BODY)
    masses = [number(item, f"bodies[{k}]", "m", low=0, what="a mass of 0 or more") for k, item in enumerate(items)]
    stars = next((k for k, mass in enumerate(masses) if mass < STAR_SHARE * max(masses)), len(masses))
    if stars == 0:
        stars, notes = 1, ["The heaviest body is not first; Wisdom-Holman steps need it there."]
    bodies = []
    for k, (item, mass) in enumerate(zip(items, masses, strict=True)):
        path = f"bodies[{k}]"
        kind = "star" if k < stars else choice(item, path, "kind", (*KINDS, "star"), "rocky")
        if "x" not in item:
            raise InputError(f"{path}.x is missing. Expected three numbers.")
        x, v = vector(item, path, "x", ZERO), vector(item, path, "v", ZERO)
        looked = looks(item, path, f"body {k + 1}", kind)
        bodies.append(Body(path=path, kind=kind, mass=mass, position=x, velocity=v, **looked))
    return assembled(bodies, stars, gravity, "plain", notes=notes)


def assembled(bodies: Sequence[Body], stars: int, gravity: float, unit: str, *, notes: Iterable[str] = ()) -> System:
    """Bodies as one System, or InputError where there are too many or two are in the same place."""
    if len(bodies) > MOST_BODIES:
        raise InputError(f"The system has {len(bodies)} bodies. Expected at most {MOST_BODIES}.")
    seen: dict[tuple[float, ...], str] = {}
    for body in bodies:
        if (twin := seen.setdefault(tuple(body.position), body.path)) != body.path:
            raise InputError(f"{body.path} and {twin} are in the same place {list(body.position)}. Expected different positions.")
    position, velocity = (np.array([getattr(body, what) for body in bodies], np.float64) for what in ("position", "velocity"))
    return System(
        G=gravity, units=unit, stars=stars, names=tuple(body.name for body in bodies), kinds=tuple(body.kind for body in bodies),
        colours=tuple(body.colour for body in bodies), mass=np.array([body.mass for body in bodies]), position=position,
        velocity=velocity, radius=np.array([body.radius for body in bodies]), notes=tuple(notes),
    )  # fmt: skip


def from_file(path: str | Path, *, host: str | None = None) -> System:
    """The system in a file: a request or bodies as JSON, or a .csv download of the Exoplanet Archive, from which host chooses.

    Raises InputError.
    """
    try:
        if (size := Path(path).stat().st_size) > LARGEST_FILE:
            raise InputError(f"{path} has {size} bytes. Expected at most {LARGEST_FILE}; download one host only.")
        content = Path(path).read_bytes()
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}. Expected a text file of a system.") from None
    if Path(path).suffix.lower() == ".csv":
        return from_archive(text, host=host)
    try:
        document = orjson.loads(text)
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}. Expected a request, or G and bodies; name a download *.csv.") from None
    return from_bodies(document) if isinstance(document, dict) and "bodies" in document else from_request(document)


def from_archive(text: str, *, host: str | None = None) -> System:
    """The system of one host in a CSV download of the NASA Exoplanet Archive, tables ps or pscomppars.

    Of several rows of a planet the one with default_flag 1 counts, and others, in their order, where it is empty. Values with a limit
    flag are not measurements; an upper limit of mass bounds what is imputed. All that was assumed is in notes.
    Raises InputError; UnknownName for a host that is not there.
    """
    rows = archive_rows(text)
    hosts = sorted({row["hostname"] for row in rows})
    if host is None and len(hosts) > 1:
        some = ", ".join(hosts[:20]) + (f" and {len(hosts) - 20} more" if len(hosts) > 20 else "")
        raise InputError(f"The file has {len(hosts)} hosts: {some}. Expected one; choose with host.")
    chosen = hosts[0] if host is None else next((name for name in hosts if name.casefold() == host.strip().casefold()), None)
    if chosen is None:
        raise UnknownName("host", str(host), hosts)
    rows = sorted((row for row in rows if row["hostname"] == chosen), key=lambda row: row.get("default_flag", "") != "1")
    planets: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        planets.setdefault(row["pl_name"], []).append(row)
    if len(planets) >= MOST_BODIES:
        raise InputError(f"{chosen} has {len(planets)} planets. Expected fewer than {MOST_BODIES}.")
    notes: list[str] = []
    star = {what: archive_value(rows, {column: 1.0}, chosen, notes) for what, column in (("mass", "st_mass"), ("radius", "st_rad"))}
    if star["mass"] <= 0:
        raise InputError(f"st_mass of {chosen} = {star['mass']:g} is not positive. Expected solar masses.")
    known = [archive_planet(name, group, notes) for name, group in planets.items()]
    return hosted(chosen, star["mass"], known, star_radius=star["radius"], sources=("NASA Exoplanet Archive",), notes=notes)


def archive_rows(text: str) -> list[dict[str, str]]:
    """Rows of a download, without its comments."""
    lines = [line for line in text.lstrip("\ufeff").splitlines() if line.strip() and not line.startswith("#")]
    rows = [{key: (value or "").strip() for key, value in row.items() if isinstance(key, str)} for row in csv.DictReader(lines)]
    for column in ("pl_name", "hostname"):
        if not rows or any(not row.get(column) for row in rows):
            raise InputError(f"The file has no {column} in some row, or no rows. Expected a CSV of the tables ps or pscomppars.")
    return rows


def archive_planet(name: str, rows: Sequence[Mapping[str, str]], notes: list[str]) -> Planet:
    """What the rows of one planet say."""
    found = {what: archive_value(rows, columns, name, notes) for what, columns in COLUMNS.items()}
    for what, (low, high) in ALLOWED.items():
        if not (math.isnan(found[what]) or low <= found[what] <= high):
            raise InputError(f"{what} of {name} = {found[what]:g} is not possible. Expected {low:g} to {high:g}; correct the file.")
    if rows[0].get("pl_bmassprov", "").lower().startswith("msin"):
        notes.append(f"{name}: the mass is the least it can be, m sin i.")
    return Planet(name=name, mass_limit=archive_value(rows, COLUMNS["mass"], name, [], limits=True), **found)


def archive_value(
    rows: Sequence[Mapping[str, str]], columns: Mapping[str, float], name: str, notes: list[str], *, limits: bool = False
) -> float:
    """The first value that is measured, or with limits the first upper limit; nan for none."""
    for k, row in enumerate(rows):
        for column, factor in columns.items():
            flag = row.get(f"{column}lim", "") or "0"
            if not row.get(column) or (flag != "0") != limits or (limits and flag != "1"):
                continue
            try:
                value = float(row[column])
            except ValueError:
                value = math.nan
            if not math.isfinite(value):
                raise InputError(f"{column} of {name} = {shown(row[column])} is not a finite number. Expected one, or nothing.")
            if k and rows[0]["pl_name"] == row["pl_name"]:
                notes.append(f"{name}: {column} is from another row than the rest.")
            return factor * value
    return math.nan


# Reading the members of an object


def checked_members(item: Any, path: str, names: Sequence[str], whole: str = "") -> None:
    """Raises InputError unless item is an object that has no other members."""
    if not isinstance(item, Mapping):
        raise InputError(f"{path or whole} is {type(item).__name__}. Expected an object with {', '.join(names)}.")
    for name in item:
        if name not in names:
            near = get_close_matches(str(name), names, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InputError(f"{joined(path, str(name)[:40])} is not known. Expected {', '.join(names)}.{hint}")


def joined(path: str, name: str) -> str:
    """The path of a member."""
    return f"{path}.{name}" if path else name


def listed(item: Mapping[str, Any], path: str, name: str, least: int) -> list[Any]:
    """A member that is a list; none of it counts as empty."""
    found = item.get(name, [])
    if not isinstance(found, list | tuple) or len(found) < least:
        raise InputError(f"{joined(path, name)} is {shown(found)}. Expected a list of {least} or more objects.")
    if len(found) > MOST_BODIES:
        raise InputError(f"{joined(path, name)} has {len(found)} items. Expected at most {MOST_BODIES} bodies.")
    return list(found)


def choice(item: Mapping[str, Any], path: str, name: str, choices: Sequence[str], default: str) -> str:
    """A member that is one of a few words."""
    if (found := item.get(name, default)) not in choices:
        raise InputError(f"{joined(path, name)} = {shown(found)} is not known. Expected one of {', '.join(choices)}.")
    return str(found)


def number(
    item: Mapping[str, Any], path: str, name: str, default: float | None = None, *,
    low: float = -LARGEST, high: float = LARGEST, above: bool = False, what: str,
) -> float:  # fmt: skip
    """A member that is a finite number from low to high (above: not low itself). Without a default it must be there."""
    at = joined(path, name)
    if name not in item:
        if default is None:
            raise InputError(f"{at} is missing. Expected {what}.")
        return default
    found = real(item[name], at, what)
    if not low <= found <= high or (above and found == low):
        wrong = "too large" if found > high else "negative" if low >= 0 > found else "too small"
        raise InputError(f"{at} = {found:g} is {wrong}. Expected {what}.")
    return found


def real(value: Any, at: str, what: str) -> float:
    """A finite number."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e300:
        return float(value)
    raise InputError(f"{at} = {shown(value)} is not a finite number. Expected {what}.")


def vector(item: Mapping[str, Any], path: str, name: str, default: Vector) -> Vector:
    """A member of three numbers, or two with a third of 0; without it the default."""
    if name not in item:
        return default
    at, found, what = joined(path, name), item[name], "three finite numbers"
    if not isinstance(found, list | tuple | np.ndarray) or len(found) not in (2, 3):
        raise InputError(f"{at} = {shown(found)} is no vector. Expected {what}.")
    values = [real(value, f"{at}[{k}]", what) for k, value in enumerate(found)]
    for k, value in enumerate(values):
        if abs(value) > LARGEST:
            raise InputError(f"{at}[{k}] = {value:g} is too large. Expected -{LARGEST:g} to {LARGEST:g}.")
    return [*values, 0.0][:3]


def looks(item: Mapping[str, Any], path: str, name: str, kind: str) -> dict[str, Any]:
    """Name, colour and radius of a body."""
    found: dict[str, Any] = {what: item.get(what, default) for what, default in (("name", name), ("color", COLOURS[kind]))}
    for what, text in found.items():
        if not isinstance(text, str) or not 0 < len(text) <= 80:
            raise InputError(f"{joined(path, what)} = {shown(text)} is no name. Expected text of 1 to 80 characters.")
    radius = number(item, path, "radius", 1.0, low=0, what="a radius of 0 or more")
    return {"name": found["name"], "colour": found["color"], "radius": radius}


def shown(value: Any) -> str:
    """A value as an error shows it."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
