"""Known systems, and how a System follows from what is published about planets.

presets.json holds the published numbers as they are printed, in the units of their columns, with their sources; nothing is derived there.
Day-based numbers are turned to the year of G = 4 pi^2, units.GAUSSIAN_YEAR. Radii are in those of the Earth. Every preset is centred.
"""

import functools
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from worldloom.core import units
from worldloom.core.errors import InputError, UnknownName
from worldloom.worlds.orbits.elements import state_of
from worldloom.worlds.orbits.system import ASTRO_G, Array, System

YEAR = units.GAUSSIAN_YEAR / units.DAY  # days in the year of G = 4 pi^2
SUN_RADIUS = units.SOLAR_RADIUS / units.EARTH_RADIUS  # Earth radii
JUPITER = units.JUPITER_MASS / units.EARTH_MASS  # Earth masses
COLOURS = {"star": "#ffd27d", "rocky": "#b5835a", "gas": "#7fa7d8"}
LARGEST_ROCKY = 1.6  # Earth radii: Rogers 2015, ApJ 801, 41
ROCKY, VOLATILE = (0.90, 3.45), (1.74, 1.58)  # mass = first x radius^second, Earth's: Otegi, Bouchy and Helled 2020, A&A 634, A43
GIANT = 10.0  # Earth radii; from here on radius says nothing about mass, and Jupiter's stands in
AXIS_MISFIT = 0.02  # relative; the semi-major axes of good tables follow their periods to 1 %
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))  # rad; spreads any number of phases evenly


@dataclass(frozen=True, kw_only=True)
class Planet:
    """What is known of a planet, nan for what is not: days, au, degrees, Earth masses and radii. a is the semi-major axis."""

    name: str
    period: float = math.nan
    a: float = math.nan
    e: float = math.nan
    inclination: float = math.nan
    periapsis: float = math.nan
    transit: float = math.nan
    mass: float = math.nan
    mass_limit: float = math.nan
    radius: float = math.nan


def presets() -> dict[str, str]:
    """Names of the known systems, each with one line about it."""
    return {name: item["line"] for name, item in published().items()}


def preset(name: str) -> System:
    """A known system, in astro units and centred. Raises UnknownName."""
    if name not in published():
        raise UnknownName("preset", name, published())
    item = published()[name]
    return FORMS[item["form"]](item)


@functools.cache
def published() -> Mapping[str, Any]:
    """The numbers as they are printed, {preset: {line, form, star, columns, planets, sources, notes}}."""
    found: Mapping[str, Any] = json.loads(Path(__file__).with_name("presets.json").read_text("utf-8"))
    return found


def rows(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Planets of a preset, each as {column: value}."""
    return [dict(zip(item["columns"], row, strict=True)) for row in item["planets"]]


def transiting(item: Mapping[str, Any]) -> System:
    """A preset of transiting planets."""
    planets = []
    for row in rows(item):
        if "e_cos" in row:
            e_cos, e_sin = row["e_cos"], row["e_sin"]
            # Agol et al. count a transit at 270 degrees: so taken, mean periods over 1500 days are those observed to 5e-5, else to 1e-3
            row |= {"e": math.hypot(e_cos, e_sin), "periapsis": math.degrees(math.atan2(-e_sin, -e_cos))}
        planets.append(Planet(**{what: row[what] for what in Planet.__dataclass_fields__ if row.get(what) is not None}))
    star = item["star"]
    return hosted(
        star["name"],
        star["mass"],
        planets,
        star_radius=star["radius"],
        epoch=item.get("epoch", math.nan),
        sources=item["sources"],
        notes=item["notes"],
    )


def heliocentric(item: Mapping[str, Any]) -> System:
    """A preset of elements relative to the Sun: degrees, a in au, masses as what the Sun's is a multiple of."""
    planets = rows(item)
    mass = np.array([item["star"]["mass"], *(1 / row["inverse_mass"] for row in planets)])
    a, e = np.array([[row["a"], row["e"]] for row in planets]).T
    names = ("inclination", "node", "longitude_of_periapsis", "longitude")
    inclination, node, periapsis, longitude = np.radians([[row[what] for what in names] for row in planets]).T
    states = state_of(ASTRO_G * (mass[0] + mass[1:]), a, e, inclination, node, periapsis - node, longitude - periapsis)
    return gathered(item, planets, mass, *(np.vstack([np.zeros(3), state]) for state in states))


def satellites(item: Mapping[str, Any]) -> System:
    """A preset of moons: degrees, GM in km3/s2, and mean motions in degrees per day, which fix the axes by Kepler's third law."""
    moons = rows(item)
    mass = np.array([item["star"]["gm"], *(row["gm"] for row in moons)]) * 1e9 / units.SOLAR_GM
    names = ("inclination", "node", "periapsis", "mean_anomaly", "motion")
    inclination, node, periapsis, anomaly, motion = np.radians([[row[what] for what in names] for row in moons]).T
    gm = ASTRO_G * (mass[0] + mass[1:])
    states = state_of(gm, np.cbrt(gm / (motion * YEAR) ** 2), [row["e"] for row in moons], inclination, node, periapsis, anomaly)
    return gathered(item, moons, mass, *(np.vstack([np.zeros(3), state]) for state in states))


def as_printed(item: Mapping[str, Any]) -> System:
    """A preset of states relative to the Sun: au and au/day."""
    planets, star = rows(item), item["star"]
    mass = np.array([star["mass"], *(row["mass"] for row in planets)])
    position = np.array([[0.0] * 3, *(row["position"] for row in planets)])
    velocity = np.array([[0.0] * 3, *(row["velocity"] for row in planets)]) * YEAR
    return gathered(item, planets, mass, position, velocity)


def gathered(
    item: Mapping[str, Any], planets: Sequence[Mapping[str, Any]], mass: Array, position: Array, velocity: Array
) -> System:
    """Star and planets of a preset as one System, centred."""
    kinds = ("star", *(row["kind"] for row in planets))
    return System(
        G=ASTRO_G, names=(item["star"]["name"], *(row["name"] for row in planets)), kinds=kinds,
        colours=(COLOURS["star"], *(row["colour"] for row in planets)), mass=mass, position=position, velocity=velocity,
        radius=np.array([item["star"]["radius"], *(row["radius"] for row in planets)]) * 1e3 / units.EARTH_RADIUS,
        sources=tuple(item["sources"]), notes=tuple(item["notes"]),
    ).centred()  # fmt: skip


FORMS = {"hosted": transiting, "elements": heliocentric, "satellites": satellites, "states": as_printed}


def hosted(
    name: str, star_mass: float, planets: Sequence[Planet], *,
    star_radius: float = math.nan, epoch: float = math.nan, sources: Iterable[str] = (), notes: Iterable[str] = (),
) -> System:  # fmt: skip
    """A star, masses and radii in solar ones, with what is known of its planets, innermost first; what is not known is imputed and noted.

    Orbits are Jacobi ones, about the star and all that is further in, in the plane x-y when edge-on, with their nodes aligned; transits,
    where the argument of periapsis and the true anomaly make 90 degrees, are seen from +y. epoch: day of the state; without one, the
    middle one of the transits. Raises InputError where no orbit is known, or no mass of the star.
    """
    said = list(notes)
    star_mass = central_mass(name, star_mass, planets, said)
    known = [planet for planet in planets if known_orbit(planet, said)]
    if planets and not known:
        raise InputError(f"No planet of {name} has a period or a semi-major axis. Expected one of them.")
    known = sorted((sized(planet, star_mass, said) for planet in known), key=lambda planet: planet.period)
    transits = measured(planet.transit for planet in known)
    if math.isnan(epoch):
        epoch = statistics.median_low(transits) if transits else 0.0
    level = statistics.fmean(measured(planet.inclination for planet in known) or [90.0])
    known = [placed(planet, k, level, epoch, said) for k, planet in enumerate(known)]
    if math.isnan(star_radius):
        star_radius = star_mass**0.8  # lower main sequence, for the eye only: Kippenhahn and Weigert 1990, chapter 22
        said.append(f"{name}: radius not given, taken as {star_radius:.3g} solar radii, mass^0.8.")
    mass = np.array([star_mass, *(planet.mass * units.EARTH_MASS for planet in known)])
    position, velocity = jacobi(mass, known, epoch)
    kinds = ("star", *("gas" if planet.radius > LARGEST_ROCKY else "rocky" for planet in known))
    return System(
        G=ASTRO_G, names=(name, *(planet.name for planet in known)), kinds=kinds, colours=tuple(COLOURS[kind] for kind in kinds),
        mass=mass, position=position, velocity=velocity, radius=np.array([star_radius * SUN_RADIUS, *(p.radius for p in known)]),
        sources=tuple(sources), notes=tuple(said),
    ).centred()  # fmt: skip


def measured(values: Iterable[float]) -> list[float]:
    """Those values that are known."""
    return [value for value in values if not math.isnan(value)]


def known_orbit(planet: Planet, said: list[str]) -> bool:
    """Whether a planet's period or semi-major axis is known."""
    if measured([planet.period, planet.a]):
        return True
    said.append(f"{planet.name}: left out, neither period nor semi-major axis is given.")
    return False


def central_mass(name: str, mass: float, planets: Sequence[Planet], said: list[str]) -> float:
    """Mass of the star, from Kepler's third law where it is not given."""
    if not math.isnan(mass):
        return mass
    for planet in planets:
        if len(measured([planet.a, planet.period])) == 2:
            mass = planet.a**3 * (YEAR / planet.period) ** 2
            said.append(
                f"{name}: mass not given, {mass:.4g} solar masses follow from the orbit of {planet.name} by Kepler's third law."
            )
            return mass
    said.append(f"{name}: mass not given and no orbit to tell it, taken as that of the Sun.")
    return 1.0


def sized(planet: Planet, star_mass: float, said: list[str]) -> Planet:
    """A planet with period, semi-major axis, mass and radius, each from the others where it is not given."""
    name, mass = planet.name, weighed(planet, said)
    radius, period = planet.radius, planet.period
    if math.isnan(radius):
        radius = radius_from(mass)
        said.append(f"{name}: radius not given, {radius:.3g} Earth radii follow from mass, Otegi et al. 2020.")
    total = star_mass + mass * units.EARTH_MASS
    if math.isnan(period):
        period = YEAR * math.sqrt(planet.a**3 / total)
        said.append(f"{name}: period not given, {period:.6g} days follow from the semi-major axis by Kepler's third law.")
    a = math.cbrt(total * (period / YEAR) ** 2)
    if math.isnan(planet.a):
        said.append(f"{name}: semi-major axis not given, {a:.5g} au follow from the period by Kepler's third law.")
    elif abs(a / planet.a - 1) > AXIS_MISFIT:
        said.append(f"{name}: semi-major axis {planet.a:g} au does not fit period and star; {a:.5g} au do and are taken.")
    return replace(planet, mass=mass, radius=radius, period=period, a=a)


def weighed(planet: Planet, said: list[str]) -> float:
    """Mass of a planet, from its radius where it is not given, and not above an upper limit."""
    if not math.isnan(planet.mass):
        return planet.mass
    if math.isnan(planet.radius):
        said.append(f"{planet.name}: mass not given and no radius to tell it, taken as 0.")
        return 0.0
    mass = mass_from(planet.radius)
    if mass > planet.mass_limit:
        said.append(
            f"{planet.name}: mass not given, taken as its upper limit {planet.mass_limit:g} Earth masses, below what radius suggests."
        )
        return planet.mass_limit
    said.append(f"{planet.name}: mass not given, {mass:.3g} Earth masses follow from radius, Otegi et al. 2020.")
    return mass


def placed(planet: Planet, k: int, inclination: float, epoch: float, said: list[str]) -> Planet:
    """A planet with all angles and a transit time; k counts from the innermost."""
    found: dict[str, Any] = {}
    if math.isnan(planet.e):
        found["e"] = 0.0
        said.append(f"{planet.name}: eccentricity not given, taken as 0.")
    if math.isnan(planet.inclination):
        found["inclination"] = inclination
        said.append(f"{planet.name}: inclination not given, taken as {inclination:.4g} degrees.")
    if math.isnan(planet.periapsis):
        found["periapsis"] = 90.0
        if planet.e > 0:
            said.append(f"{planet.name}: argument of periapsis not given, taken as 90 degrees.")
    if math.isnan(planet.transit):
        found["transit"] = epoch - planet.period * (k * GOLDEN_ANGLE / (2 * math.pi) % 1)
        said.append(
            f"{planet.name}: no transit time, phase {math.degrees(k * GOLDEN_ANGLE) % 360:.4g} degrees by the golden angle."
        )
    return replace(planet, **found)


def jacobi(mass: Array, planets: Sequence[Planet], epoch: float) -> tuple[Array, Array]:
    """Positions and velocities [body, 3] about the star, of planets from the innermost, at a day."""
    position, velocity = np.zeros((2, len(mass), 3))
    if not planets:
        return position, velocity
    period, transit, e = (np.array([getattr(planet, what) for planet in planets]) for what in ("period", "transit", "e"))
    lean, periapsis = np.radians([[90 - planet.inclination, planet.periapsis] for planet in planets]).T
    gm = ASTRO_G * np.cumsum(mass)[1:]
    a = np.cbrt(gm * (period / YEAR / (2 * np.pi)) ** 2)
    mean = mean_at_transit(e, periapsis) + 2 * np.pi * np.remainder((epoch - transit) / period, 1.0)
    relative = state_of(gm, a, e, lean, 0.0, periapsis, mean)
    for k in range(1, len(mass)):
        share = mass[:k] / mass[:k].sum()
        position[k], velocity[k] = share @ position[:k] + relative[0][k - 1], share @ velocity[:k] + relative[1][k - 1]
    return position, velocity


def mean_at_transit(e: Array, periapsis: Array) -> Array:
    """Mean anomaly, rad, where true anomaly and argument of periapsis make a right angle."""
    half = 0.5 * (0.5 * np.pi - periapsis)
    anomaly = 2 * np.arctan2(np.sqrt(1 - e) * np.sin(half), np.sqrt(1 + e) * np.cos(half))
    return anomaly - e * np.sin(anomaly)


def mass_from(radius: float) -> float:
    """Mass of a planet of this radius, both in Earth's. Source: Otegi, Bouchy and Helled 2020, A&A 634, A43."""
    factor, power = ROCKY if radius <= LARGEST_ROCKY else VOLATILE
    return JUPITER if radius >= GIANT else factor * radius**power


def radius_from(mass: float) -> float:
    """Radius of a planet of this mass, both in Earth's: the inverse, which is volatile where both branches would do."""
    factor, power = ROCKY if mass <= VOLATILE[0] * LARGEST_ROCKY ** VOLATILE[1] else VOLATILE
    return min((mass / factor) ** (1 / power), units.JUPITER_RADIUS / units.EARTH_RADIUS)
