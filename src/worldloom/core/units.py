"""The only conversion factors in the project: multiply by one to get SI, divide to get back. Exact unless a line says otherwise.

Kernels and stores hold one unit system per world; conversion happens where files are read and pictures are made.
"""

import math

# Length, m, and speed, m/s: the international yard of 1959 is 0.9144 m
INCH = 0.0254
FOOT = 0.3048
MILE = 1609.344
FOOT_PER_SECOND = FOOT
MILE_PER_HOUR = 0.44704
KILOMETRE_PER_HOUR = 1 / 3.6

# Mass, kg: the international avoirdupois pound of 1959
POUND = 0.45359237
OUNCE = POUND / 16

# Pressure, Pa: conventional mercury, 13 595.1 kg/m3 under standard gravity (NIST SP 811, appendix B.8)
STANDARD_GRAVITY = 9.80665  # m/s2, 3rd CGPM 1901
MILLIMETRE_OF_MERCURY = 133.322387415
INCH_OF_MERCURY = 3386.388640341
HECTOPASCAL = 100.0

# Temperature
ZERO_CELSIUS = 273.15  # K

# Angle, rad, and rate, rad/s
DEGREE = math.pi / 180
TURN = 2 * math.pi
REVOLUTION_PER_MINUTE = 2 * math.pi / 60

# Astronomy: the orbits world counts in au, Julian years and solar masses
ASTRONOMICAL_UNIT = 149_597_870_700.0  # m, IAU 2012 resolution B2
DAY = 86_400.0  # s
JULIAN_YEAR = 31_557_600.0  # s, 365.25 days
# The products G * mass, m3/s2: nominal values of IAU 2015 resolution B3, exact by convention; measured ones agree to 1e-7 or better
SOLAR_GM = 1.327_124_4e20
JUPITER_GM = 1.266_865_3e17
EARTH_GM = 3.986_004e14
JUPITER_MASS = JUPITER_GM / SOLAR_GM  # solar masses
EARTH_MASS = EARTH_GM / SOLAR_GM  # solar masses
GRAVITATION = (
    SOLAR_GM * JULIAN_YEAR**2 / ASTRONOMICAL_UNIT**3
)  # au3 / (solar mass yr2), 39.4769; 4 pi**2 belongs to the Gaussian year

# With G = 4 pi**2 au3 / (solar mass yr2) exact, au and solar mass as above, the year is the Gaussian one, 365.2568983 days
GAUSSIAN_CONSTANT = 0.017_202_098_95  # rad/day, the former IAU constant k (1976 system), by which the au was defined until 2012
GAUSSIAN_YEAR = 2 * math.pi / GAUSSIAN_CONSTANT * DAY  # s; k**2 au3/day2 is SOLAR_GM to 1e-9
# Nominal equatorial radii, m: IAU 2015 resolution B3, exact by convention
SOLAR_RADIUS = 6.957e8
JUPITER_RADIUS = 7.1492e7
EARTH_RADIUS = 6.3781e6


def kelvin_of_fahrenheit(temperature: float) -> float:
    """K from degrees Fahrenheit."""
    return (temperature - 32) * 5 / 9 + ZERO_CELSIUS


def fahrenheit_of_kelvin(temperature: float) -> float:
    """Degrees Fahrenheit from K."""
    return (temperature - ZERO_CELSIUS) * 9 / 5 + 32
