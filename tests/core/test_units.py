"""Conversion factors against their definitions, written another way."""

import math
from fractions import Fraction

import pytest

from worldloom.core import units


def test_lengths_and_speeds_follow_from_the_international_yard():
    yard = Fraction(9144, 10000)
    assert float(yard / 3) == units.FOOT == units.FOOT_PER_SECOND
    assert float(yard / 36) == units.INCH
    assert float(yard * 1760) == units.MILE
    assert float(yard * 1760 / 3600) == units.MILE_PER_HOUR
    assert pytest.approx(1000 / 3600, rel=1e-15) == units.KILOMETRE_PER_HOUR


def test_an_ounce_is_a_sixteenth_of_the_international_pound():
    assert float(Fraction(45359237, 10**8) / 16) == units.OUNCE == 0.028349523125


def test_mercury_has_its_conventional_density_under_standard_gravity():
    millimetre = Fraction(135951, 10) * Fraction(980665, 100000) / 1000
    assert float(millimetre) == units.MILLIMETRE_OF_MERCURY
    assert float(millimetre * Fraction(254, 10)) == units.INCH_OF_MERCURY
    assert pytest.approx(101_325, rel=2e-7) == 760 * units.MILLIMETRE_OF_MERCURY  # one atmosphere


@pytest.mark.parametrize(("fahrenheit", "kelvin"), [(32, 273.15), (212, 373.15), (-40, 233.15), (72, 295.3722222)])
def test_temperatures_convert_both_ways(fahrenheit, kelvin):
    assert units.kelvin_of_fahrenheit(fahrenheit) == pytest.approx(kelvin, abs=1e-6)
    assert units.fahrenheit_of_kelvin(kelvin) == pytest.approx(fahrenheit, abs=1e-5)


def test_angles_and_rates():
    assert math.pi == 180 * units.DEGREE
    assert pytest.approx(units.TURN, rel=1e-15) == 60 * units.REVOLUTION_PER_MINUTE


def test_a_planet_at_one_au_takes_about_a_year():
    period = 2 * math.pi / math.sqrt(units.GRAVITATION)
    assert period * units.JULIAN_YEAR / units.DAY == pytest.approx(365.2568983, rel=1e-6)  # the Gaussian year, days
    assert units.JULIAN_YEAR == 365.25 * units.DAY


def test_planets_weigh_what_they_weigh():
    assert pytest.approx(1047.57, rel=1e-4) == 1 / units.JUPITER_MASS
    assert pytest.approx(332_946, rel=1e-5) == 1 / units.EARTH_MASS


def test_the_gaussian_year_makes_four_pi_squared_the_gravitation_of_the_sun():
    gravitation = 4 * math.pi**2 * units.ASTRONOMICAL_UNIT**3 / units.GAUSSIAN_YEAR**2
    assert gravitation == pytest.approx(units.SOLAR_GM, rel=1e-8)
    assert pytest.approx(365.256898326, abs=1e-9) == units.GAUSSIAN_YEAR / units.DAY


def test_nominal_radii_give_the_densities_that_the_bodies_have():
    newton = 6.674_30e-11  # m3 / (kg s2), CODATA 2018

    def density(gravitation, radius):
        return gravitation / newton / (4 / 3 * math.pi * radius**3)

    assert density(units.SOLAR_GM, units.SOLAR_RADIUS) == pytest.approx(1410, rel=2e-3)  # kg/m3, NASA fact sheets
    assert density(units.EARTH_GM, units.EARTH_RADIUS) == pytest.approx(
        5514, rel=5e-3
    )  # equatorial, 0.1 % more than the mean radius
    assert density(units.JUPITER_GM, units.JUPITER_RADIUS) == pytest.approx(1326, rel=8e-2)  # equatorial, 2 % more than the mean
