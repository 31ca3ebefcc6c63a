"""What people send becomes a System, or one sentence that says which field is wrong."""

import json
import math

import numpy as np
import pytest

from worldloom.core import units
from worldloom.core.errors import InputError, UnknownName
from worldloom.worlds.orbits.elements import elements_of
from worldloom.worlds.orbits.load import MOST_BODIES, from_archive, from_bodies, from_file, from_request
from worldloom.worlds.orbits.system import ASTRO_G

YEAR = units.GAUSSIAN_YEAR / units.DAY  # days


def request(*planets, **changes):
    return {"star": {"massMs": 1.0}, "planets": list(planets)} | changes


def planet(**changes):
    return {"name": "p", "kind": "rocky", "aAU": 1.0, "mass": 0.1, "color": "#fff", "radius": 1.0} | changes


def period(system, body=1, *, gm=None):
    """Period of one body about the first, from its state."""
    gm = system.G * (system.mass[0] + system.mass[body]) if gm is None else gm
    found = elements_of(gm, system.position[body] - system.position[0], system.velocity[body] - system.velocity[0])
    return 2 * math.pi * math.sqrt(found.a[0] ** 3 / gm)


# Requests


def test_a_game_star_of_mass_one_has_gm_one_and_planets_go_round_in_two_pi_a_to_the_three_halves():
    system = from_request(request(planet(aAU=2.25), star={"massMs": 2.0}))
    assert (system.units, system.G, system.stars, system.mass.tolist()) == ("game", 0.01, 1, [200.0, 0.1])
    assert system.position.tolist() == [[0, 0, 0], [2.25, 0, 0]]
    assert system.velocity[1] == pytest.approx([0, math.sqrt(2 / 2.25), 0])
    assert period(system, gm=2.0) == pytest.approx(2 * math.pi * 2.25**1.5 / math.sqrt(2))


@pytest.mark.parametrize("name", ["ellipticity", "eccentricity"])
def test_an_eccentric_planet_starts_at_its_periapsis(name):
    system = from_request(request(planet(aAU=2.0, mass=0.0, **{name: 0.3})))
    found = elements_of(1.0, system.position[1], system.velocity[1])
    assert system.position[1] == pytest.approx([1.4, 0, 0])
    assert (found.a[0], found.e[0], found.mean_anomaly[0]) == pytest.approx((2.0, 0.3, 0.0), abs=1e-12)


def test_inclination_is_in_degrees_and_tilts_the_orbit_without_changing_it():
    system = from_request(request(planet(aAU=2.0, mass=0.0, inclination=30.0), planet(aAU=3.0, inclination=180)))
    found = elements_of(1.0, system.position[1:], system.velocity[1:])
    assert np.degrees(found.inclination) == pytest.approx([30.0, 180.0])
    assert system.velocity[1][2] > 0  # a positive one rises, a negative one sinks
    assert found.e == pytest.approx([0, 0], abs=1e-12)


def test_position_alone_gives_a_circular_orbit_there():
    system = from_request(request({"position": [0.0, 3.0, 4.0]}, {"position": [0, 0, 2.0]}))
    for k, radius in ((1, 5.0), (2, 2.0)):
        assert system.velocity[k] @ system.position[k] == pytest.approx(0, abs=1e-15)
        assert np.linalg.norm(system.velocity[k]) == pytest.approx(math.sqrt(1 / radius))


def test_inclination_tilts_about_the_line_to_wherever_the_planet_is():
    flat, tilted = (from_request(request({"position": [1.0, 3.0, 4.0], "inclination": angle})) for angle in (0, 70))
    assert tilted.velocity[1] @ tilted.position[1] == pytest.approx(0, abs=1e-15)
    assert np.linalg.norm(tilted.velocity[1]) == pytest.approx(np.linalg.norm(flat.velocity[1]))
    assert tilted.velocity[1] @ flat.velocity[1] / (flat.velocity[1] @ flat.velocity[1]) == pytest.approx(
        math.cos(math.radians(70))
    )
    assert flat.velocity[1][2] == 0 and flat.velocity[1][0] < 0 < tilted.velocity[1][2]


def test_position_and_velocity_are_taken_as_they_are_even_if_hyperbolic_and_retrograde():
    system = from_request(request(planet(position=[1.0, -2.0], velocity=[0.5, -9.0, 0.25])))
    assert system.position[1].tolist() == [1, -2, 0] and system.velocity[1].tolist() == [0.5, -9, 0.25]
    assert elements_of(1.0, system.position[1], system.velocity[1]).a[0] < 0


def test_astro_units_put_the_earth_where_it_is_for_a_year():
    system = from_request(request(planet(mass=3.003e-6), units="astro"))
    assert (system.G, system.mass[0]) == (ASTRO_G, 1.0)
    assert period(system) == pytest.approx(1 / math.sqrt(1 + 3.003e-6), rel=1e-12)


def test_a_planet_as_heavy_as_a_star_is_remarked_upon():
    system = from_request(request(planet(mass=1.0), units="astro"))
    assert len(system.notes) == 1 and "planets[0].mass" in system.notes[0] and "3.003e-6" in system.notes[0]


def test_planets_of_two_stars_go_about_both():
    pair = [
        {"massMs": 1.0, "position": [-0.1, 0, 0], "velocity": [0, -1, 0]},
        {"massMs": 3.0, "position": [0.3, 0, 0], "name": "B"},
    ]
    system = from_request({"stars": pair, "planets": [planet(aAU=4.0)]})
    assert (system.stars, system.kinds, system.names) == (2, ("star", "star", "rocky"), ("star 1", "B", "p"))
    assert system.position[2] == pytest.approx([4.2, 0, 0])
    assert system.velocity[2] == pytest.approx([0, math.sqrt(4 / 4) - 0.25, 0])


@pytest.mark.parametrize("planets", [[], [{"aAU": 1.0}]])
def test_no_planet_and_a_bare_planet_are_fine(planets):
    system = from_request({"star": {"massMs": 1}, "planets": planets})
    assert system.bodies == 1 + len(planets) and system.mass[1:].sum() == 0


def test_settings_of_the_endpoint_are_not_our_business():
    flags = {
        "durationSec": -1,
        "dtSec": None,
        "eventsOnly": 1,
        "maxSamples": "x",
        "displaySampleRateHz": 2,
        "mode": "?",
        "integrator": 3,
    }
    assert from_request(request(planet(), **flags)).bodies == 2


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "The request is list"),
        ({}, "neither star nor stars"),
        (request(stars=[{"massMs": 1}]), "both star and stars"),
        (request(star={"massMs": -1}), "star.massMs = -1 is negative"),
        (request(star={"massMs": 0}), "star.massMs = 0 is too small"),
        (request(star={"massMs": float("nan")}), "star.massMs = nan is not a finite number"),
        (request(star={}), "star.massMs is missing"),
        (request(planet(mass=-0.5)), r"planets\[0\].mass = -0.5 is negative. Expected a mass of 0 or more"),
        (request(planet(mass=float("inf"))), r"planets\[0\].mass = inf is not a finite number"),
        (request(planet(mass="heavy")), r"planets\[0\].mass = 'heavy' is not a finite number"),
        (request(planet(mass=True)), r"planets\[0\].mass = True is not a finite number"),
        (request(planet(mass=10**400)), r"planets\[0\].mass = 10+… is not a finite number"),
        (request(planet(), planet(aAU=0)), r"planets\[1\].aAU = 0 is too small"),
        (request(planet(aAU=-2)), r"planets\[0\].aAU = -2 is negative"),
        (request({"mass": 1}), r"planets\[0\].aAU is missing"),
        (request(planet(kind="icy")), r"planets\[0\].kind = 'icy' is not known. Expected one of rocky, gas"),
        (request(planet(kind=["gas"])), r"planets\[0\].kind = \['gas'\] is not known"),
        (request(planet(excentricity=0.1)), r"planets\[0\].excentricity is not known.*Did you mean 'eccentricity'\?"),
        (request(planet(eccentricity=1.0)), r"planets\[0\].eccentricity = 1 is no ellipse"),
        (request(planet(eccentricity=-0.1)), r"planets\[0\].eccentricity = -0.1 is negative"),
        (request(planet(eccentricity=0.1, ellipticity=0.2)), "mean the same and differ"),
        (request(planet(inclination=400)), r"planets\[0\].inclination = 400 is too large. Expected -180 to 180 degrees"),
        (request(planet(position=[1, 2])| {"velocity": [1, None, 2]}), r"planets\[0\].velocity\[1\] = None is not a finite number"),
        (request(planet(position="here")), r"planets\[0\].position = 'here' is no vector"),
        (request(planet(position=[1e300, 0, 0])), r"planets\[0\].position\[0\] = 1e\+300 is too large"),
        (request(planet(), planet()), r"planets\[1\] and planets\[0\] are in the same place \[1.0, 0.0, 0.0\]"),
        (request(planet(position=[0, 0, 0])), r"planets\[0\] starts in the centre"),
        (request(planet(position=[-0.0, 0, 0], velocity=[0, 1, 0])), r"planets\[0\] and star are in the same place"),
        (request(planet(aAU=5e-324)), r"planets\[0\].aAU = .* is too small"),
        (request(planet(position=[1e-300, 0, 0])), r"planets\[0\] starts in the centre"),
        (request(planet(name="")), r"planets\[0\].name = '' is no name"),
        (request(planet(color=7)), r"planets\[0\].color = 7 is no name"),
        (request(planets={"a": 1}), r"planets is \{'a': 1\}. Expected a list"),
        (request(planets=["Mars"]), r"planets\[0\] is str. Expected an object with name"),
        (request(units="si"), "units = 'si' is not known. Expected one of game, astro"),
        (request(durationSecs=3), "durationSecs is not known.*Did you mean 'durationSec'"),
        (request(*[planet(aAU=k + 1) for k in range(MOST_BODIES)]), f"has {MOST_BODIES + 1} bodies. Expected at most {MOST_BODIES}"),
        ({"stars": []}, r"stars is \[\]. Expected a list of 1 or more"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_told_which_field_is_wrong(document, said):
    with pytest.raises(InputError, match=said):
        from_request(document)


def test_the_largest_number_of_bodies_is_allowed():
    assert from_request(request(*[planet(aAU=k + 1) for k in range(MOST_BODIES - 1)])).bodies == MOST_BODIES


# Bodies


def body(**changes):
    return {"m": 1.0, "x": [1.0, 0.0, 0.0], "v": [0.0, 1.0, 0.0]} | changes


def test_bodies_are_taken_as_they_are_in_their_order():
    items = [body(name="sun", m=10.0, x=[0, 0, 0]), body(m=1.5, x=[2, 0, 0]), body(name="rock", m=0.01, x=[3, 0, 0])]
    system = from_bodies({"G": 2.5, "bodies": items})
    assert (system.G, system.units, system.stars, system.names) == (2.5, "plain", 2, ("sun", "body 2", "rock"))
    assert system.position.tolist() == [[0, 0, 0], [2, 0, 0], [3, 0, 0]] and system.velocity.tolist() == [[0, 1, 0]] * 3
    assert system.kinds == ("star", "star", "rocky") and not system.notes


def test_a_file_that_begins_with_a_moon_keeps_its_order_and_says_so():
    system = from_bodies({"bodies": [body(m=0.01), body(m=5.0, x=[2, 0, 0])]})
    assert system.mass.tolist() == [0.01, 5.0] and system.stars == 1 and "not first" in system.notes[0]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"bodies": []}, r"bodies is \[\]. Expected a list of 1 or more"),
        ({"G": 0, "bodies": [body()]}, "G = 0 is too small"),
        ({"bodies": [body(m=-1)]}, r"bodies\[0\].m = -1 is negative"),
        ({"bodies": [{"x": [1, 2, 3]}]}, r"bodies\[0\].m is missing"),
        ({"bodies": [{"m": 1}]}, r"bodies\[0\].x is missing"),
        ({"bodies": [body(mass=1)]}, r"bodies\[0\].mass is not known"),
        ({"bodies": [body(), body(v=[1, 0, 0])]}, r"bodies\[1\] and bodies\[0\] are in the same place"),
        ({"bodies": [body()], "g": 1}, "g is not known.*'G'|g is not known"),
    ],
)
def test_wrong_bodies_are_told_which_field_is_wrong(document, said):
    with pytest.raises(InputError, match=said):
        from_bodies(document)


# Files


def test_a_file_is_read_for_what_it_holds(tmp_path):
    documents = {"a.json": request(planet()), "b.json": {"G": 1.0, "bodies": [body()]}}
    for name, document in documents.items():
        (tmp_path / name).write_text(json.dumps(document))
    (tmp_path / "c.csv").write_text(ARCHIVE)
    assert from_file(tmp_path / "a.json").units == "game"
    assert from_file(str(tmp_path / "b.json")).units == "plain"
    assert from_file(tmp_path / "c.csv", host="one").names[0] == "One"


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"{", "is not JSON"), (b"[1]", "The request is list"), (b"\xff\xfe", "cannot be read"), (b'{"G": NaN}', "is not JSON")],
)
def test_a_file_that_is_no_system_is_refused(tmp_path, content, said):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match=said):
        from_file(tmp_path / "x.json")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.json cannot be read"):
        from_file(tmp_path / "none.json")


# The archive

ARCHIVE = """# This file was produced by the NASA Exoplanet Archive
# COLUMN pl_name: Planet Name
pl_name,hostname,default_flag,st_mass,st_rad,pl_orbper,pl_orbsmax,pl_orbeccen,pl_orbincl,pl_orblper,pl_bmasse,pl_bmasselim,pl_rade,pl_tranmid
One c,One,0,,,20.5,,,,,7,0,,
One c,One,1,0.8,0.75,20.0,,0.1,89.0,30,,,2.5,2459010.0
One b,One,1,0.8,0.75,10.0,0.0843,,89.5,,,,1.2,2459001.0
One d,One,1,0.8,0.75,,0.3,,,,2,1,3.0,
Two b,Two,1,1.0,1.0,365.25,1.0,0,90,0,317.8,0,11.2,2459000
"""


@pytest.fixture(scope="module")
def one():
    return from_archive(ARCHIVE, host="one")


def test_planets_of_the_chosen_host_come_from_inside_out(one):
    assert one.names == ("One", "One b", "One c", "One d") and one.kinds == ("star", "rocky", "gas", "gas")
    assert one.units == "astro" and one.mass[0] == 0.8 and one.sources == ("NASA Exoplanet Archive",)


def test_the_default_row_counts_and_the_others_fill_its_gaps(one):
    assert period(one, 2) * YEAR == pytest.approx(20.0, rel=1e-4)
    assert one.mass[2] == pytest.approx(7 * units.EARTH_MASS)
    assert any(note.startswith("One c: pl_bmasse is from another row") for note in one.notes)


def test_kepler_gives_axis_from_period_and_period_from_axis(one):
    assert period(one, 1) * YEAR == pytest.approx(10.0, rel=1e-4)
    assert period(one, 3) == pytest.approx(math.sqrt(0.3**3 / (0.8 + one.mass[3])), rel=1e-3)
    assert any(note.startswith("One d: period not given") for note in one.notes)
    assert any(note.startswith("One c: semi-major axis not given") for note in one.notes)


def test_masses_follow_from_radii_but_not_above_their_limits(one):
    assert one.mass[1] == pytest.approx(0.9 * 1.2**3.45 * units.EARTH_MASS)  # rocky branch of Otegi et al. 2020
    assert one.mass[3] == pytest.approx(2 * units.EARTH_MASS)  # its radius suggests 9.9
    assert {note for note in one.notes if "upper limit 2 Earth masses" in note}


def test_every_imputation_is_noted_and_nothing_else(one):
    about = {name: [note for note in one.notes if note.startswith(name)] for name in one.names[1:]}
    assert [len(notes) for notes in about.values()] == [2, 2, 5] and len(one.notes) == 9
    assert all(note.endswith(".") for note in one.notes)


def test_planets_cross_the_line_of_sight_when_their_transit_says(one):
    """The state is at the middle transit, that of b: it is on +y, above x-y by its half degree; c has 9 of its 20 days to go."""
    away, speed = one.position - one.position[0], one.velocity - one.velocity[0]
    assert away[1][0] == pytest.approx(0, abs=1e-12) and away[1][1] > 0
    assert away[1][2] / away[1][1] == pytest.approx(math.tan(math.radians(0.5)))
    found = elements_of(one.G * (one.mass[0] + one.mass[2]), away[2], speed[2])
    anomaly = 2 * math.atan(math.sqrt(0.9 / 1.1) * math.tan(math.radians(30)))  # e = 0.1, 60 degrees from the periapsis
    expected = anomaly - 0.1 * math.sin(anomaly) - 2 * math.pi * 9 / 20
    assert found.mean_anomaly[0] == pytest.approx(expected, abs=2e-3)  # b pulls the star by 1e-4 of the distance, over e
    assert math.degrees(found.periapsis[0]) == pytest.approx(30, abs=0.1)


def test_phases_that_nobody_measured_differ_and_stay_the_same():
    rows = "\n".join(f"H {letter},H,{10 * 1.6**k}" for k, letter in enumerate("bcdefg"))
    systems = [from_archive("pl_name,hostname,pl_orbper\n" + rows) for _ in range(2)]
    assert np.array_equal(systems[0].position, systems[1].position)
    away = systems[0].position[1:] - systems[0].position[0]
    phases = np.sort(np.arctan2(away[:, 1], away[:, 0]))
    assert np.diff(phases).min() > 0.3  # six phases at golden angles are no nearer than 32 degrees
    assert any(note.startswith("H: mass not given") for note in systems[0].notes)


def test_a_star_of_unknown_mass_is_weighed_by_its_planet():
    system = from_archive("pl_name,hostname,pl_orbper,pl_orbsmax,pl_bmassj\nX b,X,365.2568983,2.0,1\n")
    assert system.mass[0] == pytest.approx(8.0, rel=1e-8)
    assert system.mass[1] == pytest.approx(units.JUPITER_MASS)


def test_an_axis_that_contradicts_the_period_is_remarked_upon():
    text = "pl_name,hostname,st_mass,pl_orbper,pl_orbsmax\nX b,X,1,365.2568983,1.5\n"
    assert any("1.5 au does not fit" in note for note in from_archive(text).notes)


def test_several_hosts_and_no_choice_are_listed():
    with pytest.raises(InputError, match=r"2 hosts: One, Two\. Expected one"):
        from_archive(ARCHIVE)
    with pytest.raises(UnknownName, match="Did you mean 'Two'"):
        from_archive(ARCHIVE, host="Tow")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no pl_name"),
        ("pl_name,pl_orbper\nX b,3\n", "no hostname"),
        ("pl_name,hostname,pl_orbper\nX b,X,soon\n", "pl_orbper of X b = 'soon' is not a finite number"),
        ("pl_name,hostname,pl_orbper\nX b,X,-3\n", "period of X b = -3 is not possible"),
        ("pl_name,hostname,pl_orbper,pl_orbeccen\nX b,X,3,1.2\n", "e of X b = 1.2 is not possible"),
        ("pl_name,hostname,pl_orbper,st_mass\nX b,X,3,0\n", "st_mass of X = 0 is not positive"),
        ("pl_name,hostname,pl_rade\nX b,X,3\n", "No planet of X has a period"),
    ],
)
def test_a_download_that_makes_no_system_is_refused(text, said):
    with pytest.raises(InputError, match=said):
        from_archive(text)


def test_a_planet_without_orbit_is_left_out_and_noted():
    system = from_archive("pl_name,hostname,st_mass,pl_orbper\nX b,X,1,3\nX c,X,1,\n")
    assert system.names == ("X", "X b") and any(note.startswith("X c: left out") for note in system.notes)


def test_archive_systems_are_centred():
    system = from_archive(ARCHIVE, host="One")
    assert system.mass @ system.position == pytest.approx(np.zeros(3), abs=1e-15)
    assert system.mass @ system.velocity == pytest.approx(np.zeros(3), abs=1e-14)
