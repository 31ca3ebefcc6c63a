"""Kepler's problem in universal variables, as lane code: motion of one body about another over any time, bound or not.

With r0 = |x|, beta = 2 mu / r0 - v2, eta = x v, zeta = mu - beta r0 and the functions G_k(X) of Stumpff and Stiefel, X solves
r0 X + eta G2 + zeta G3 = t, whose slope is the new distance r. Then x moves by f x + g v and v by f' x + g' v with

    f = -mu G2 / r0     g = t - mu G3     f' = -mu G1 / (r0 r)     g' = -mu G2 / r

Increments, not values, so that a sum over many steps can be compensated. Sources: Mikkola and Innanen 1999, Celestial Mechanics 74, 59;
Rein and Tamayo 2015, WHFast, MNRAS 452, 376, sections 2.3 and 3. Errors: a few units in the last place of the increments, and what
rounding of t is worth after many periods.
"""

from math import factorial, pi

from worldloom.core import any_lane, floor, lane_code, like, minimum, sqrt, where

TURN = 2 * pi
TERMS = 9  # of the series of G2 and G3: exact to 1e-18 where |beta X^2| <= WITHIN
WITHIN = 1.0
C2 = tuple((-1.0) ** k / factorial(2 * k + 2) for k in range(TERMS))
C3 = tuple((-1.0) ** k / factorial(2 * k + 3) for k in range(TERMS))
HALVINGS = 64  # more than ever: X would be 1e19 radians
ROUNDS = 200  # of the search for X; two do for a fraction of an orbit, bisection needs a hundred
NEAR = 1e-3  # of Taylor's terms to the one before; a correction of fourth order then leaves 1e-12, and the last, linear one nothing
TRUSTED = 0.3  # of the first terms of X in time


@lane_code
def kepler(x, y, z, u, v, w, mu, t):
    """(dx, dy, dz, du, dv, dw): how position and velocity relative to the centre change in a time t, which may be negative."""
    square = x * x + y * y + z * z
    r0, speed, eta = sqrt(square), u * u + v * v + w * w, x * u + y * v + z * w
    sign = where(t < 0, like(t, -1), like(t, 1))
    inverse, time, turned = 1 / r0, t * sign, eta * sign  # backwards is forwards with the velocity reversed
    beta = 2 * mu * inverse - speed
    zeta = mu - beta * r0
    if any_lane(beta * beta * beta * (time * time) > TURN * TURN * (mu * mu)):
        time = within_a_turn(time, beta, mu)
    g1, g2, g3 = universal(r0, inverse, beta, turned, zeta, speed, mu, time)
    outward = 1 / (r0 + turned * g1 + zeta * g2)
    f, g = -mu * g2 * inverse, (time - mu * g3) * sign
    f_rate, g_rate = -mu * g1 * inverse * outward * sign, -mu * g2 * outward
    return f * x + g * u, f * y + g * v, f * z + g * w, f_rate * x + g_rate * u, f_rate * y + g_rate * v, f_rate * z + g_rate * w


@lane_code
def within_a_turn(time, beta, mu):
    """The time without whole periods, which change nothing; hyperbolas have none."""
    axis = where(beta > 0, beta, like(beta, 1))
    period = TURN * mu / (axis * sqrt(axis))
    return where(beta > 0, time - period * floor(time / period), time)


@lane_code
def universal(r0, inverse, beta, eta, zeta, speed, mu, time):
    """G1, G2, G3 of the X that belongs to a time of 0 or more.

    The slope of Kepler's equation is the distance, which is positive: what is not yet found lies in a bracket, and a correction that
    would leave it is replaced by halving. Without an upper end yet X grows twofold at most, so that no exponential overflows.
    """
    x = guess(inverse, beta, eta, speed, mu, time)
    low, high, busy = like(r0, 0), like(r0, 1e300), x == x
    for _ in range(ROUNDS):
        g0, g1, g2, g3 = stumpff(beta, x)
        missing, lack, sure = correction(r0, beta, eta, zeta, time, x, g0, g1, g2, g3)
        low, high = where(lack >= 0, x, low), where(lack <= 0, x, high)
        found, middle = x + missing, where(high < 1e300, (low + high) * 0.5, x * 2)
        inside = (found >= low) & (found <= where(high < 1e300, high, x * 2))
        x = where(busy, where(sure | inside, found, middle), x)
        busy = busy & ~sure
        if not any_lane(busy):
            break
    g0, g1, g2, g3 = stumpff(beta, x)
    last = (time - (r0 * x + (eta * g2 + zeta * g3))) / (r0 + eta * g1 + zeta * g2)
    return g1 + last * g0, g2 + last * g1, g3 + last * g2


@lane_code
def guess(inverse, beta, eta, speed, mu, time):
    """X to third order in time from r dX = dt; where that is no good, as on a circle of that axis, or one radian of a hyperbola."""
    rate = eta * inverse * inverse
    bend = (speed - mu * inverse - eta * rate) * (inverse * inverse) * 0.5
    first = time * inverse
    series = 1 - time * (rate * 0.5 - time * ((rate * rate - bend) * (1 / 3)))
    if not any_lane(~(abs(series - 1) < TRUSTED)):
        return first * series
    open_orbit = minimum(first, 1 / sqrt(where(beta < 0, -beta, like(beta, 1))))
    return where(abs(series - 1) < TRUSTED, first * series, where(beta > 0, time * beta / mu, open_orbit))


@lane_code
def correction(r0, beta, eta, zeta, time, x, g0, g1, g2, g3):
    """(what X lacks, to fourth order, by reversion of Taylor's series; what the time lacks; whether the series holds so far)."""
    lack = time - (r0 * x + (eta * g2 + zeta * g3))
    inverse = 1 / (r0 + eta * g1 + zeta * g2)
    step, bend = lack * inverse, (eta * g0 + zeta * g1) * inverse * 0.5
    twist = (zeta * g0 - beta * (eta * g1)) * inverse * (1 / 6)
    sure = (abs(step * bend) <= NEAR) & (abs(step * step * twist) <= NEAR * NEAR)
    return step * (1 - step * (bend - step * (2 * (bend * bend) - twist))), lack, sure


@lane_code
def stumpff(beta, x):
    """G0, G1, G2, G3 by series, of x halved until they converge; then doubled again: G2(2 X) = 2 G1^2, G3(2 X) = 2 (G3 + G1 G2)."""
    z, halved = beta * (x * x), like(x, 0)
    for _ in range(HALVINGS):
        wide = abs(z) > WITHIN
        if not any_lane(wide):
            break
        z, x, halved = where(wide, z * 0.25, z), where(wide, x * 0.5, x), where(wide, halved + 1, halved)
    second, third = like(z, C2[TERMS - 1]), like(z, C3[TERMS - 1])
    for k in range(TERMS - 2, -1, -1):
        second, third = second * z + C2[k], third * z + C3[k]
    g2, g3 = x * x * second, x * x * x * third
    g1, g0 = x - beta * g3, 1 - beta * g2
    for _ in range(HALVINGS):
        more = halved > 0
        if not any_lane(more):
            break
        g3, g2 = where(more, 2 * (g3 + g1 * g2), g3), where(more, 2 * (g1 * g1), g2)
        g1, halved = where(more, 2 * (g0 * g1), g1), where(more, halved - 1, halved)
        g0 = 1 - beta * g2
    return g0, g1, g2, g3
