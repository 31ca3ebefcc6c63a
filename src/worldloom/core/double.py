"""Elementary functions in double precision, as lane code: + - * / sqrt, comparisons, where and exponent bits; no branch, no FMA.

core/elementary.py gives them their public names and documents them. Every NaN that leaves is the same one
(0x7ff8000000000000), because machines differ in the NaN they make. Subnormals are honoured both ways; a host that flushes them
breaks the promise of equal bits.
core/single.py is the same text for single precision.
"""

import numpy as np

from worldloom.core import coefficients as c
from worldloom.core.lanes import bitcast, lane_code, sqrt, where

f, i64 = np.float64, np.int64
ZERO, HALF, ONE, TWO, THREE, FOUR, TWENTY = f(0), f(0.5), f(1), f(2), f(3), f(4), f(20)
QUARTER, INF, NAN = f(0.25), f(np.inf), f(np.nan)
TWO_OVER_PI, LOG2E, ONE_THIRD, SPLITTER = f(0.6366197723675814), f(1.4426950408889634), f(1 / 3), f(2.0**27 + 1)
TRIG_LIMIT, NORMAL_MIN, LIFT, LIFT_BITS = f(1e5), f(2.0**-1022), f(2.0**54), f(54)
ATAN_EDGE = f(0.5463024898437905)  # tan(1/2): above it atan is at least 0.5, so that pi/4 + p loses nothing
TANH_EDGE = f(0.625)
MAGIC, MAGIC_BITS = f(1.5 * 2.0**52), i64(0x4338000000000000)  # x + MAGIC - MAGIC rounds to nearest even for |x| < 2**51
FRACTION_BITS, FRACTION, ONE_BITS = i64(52), i64(0xFFFFFFFFFFFFF), i64(0x3FF0000000000000)
ROOT_HALF = i64(0x3FE6A09E667F3BCD)  # bits of the double nearest sqrt(1/2)
ROOT_START, THREE_EIGHTHS = i64(0x5FE6E00000000000), f(0.375)  # start and last step of inverse_sqrt
H1, H2, H3, H4 = c.HALF_PI64
Q_HIGH, Q_LOW = c.QUARTER_PI64
T_HIGH, T_LOW = c.TWO_PI64
LN2_HIGH, LN2_LOW = c.LN264
E_HIGH, E_LOW = c.LN2_PAIR64
L_HIGH, L_LOW = c.LOG2E64
P_HIGH, P_LOW = c.LOG2E_PAIR64
THIRD_HIGH, THIRD_LOW = c.THIRD64
S0, S1, S2, S3, S4, S5 = c.SIN64
C0, C1, C2, C3, C4, C5 = c.COS64
X0, X1, X2, X3, X4, X5, X6, X7, X8, X9 = c.EXP64
G0, G1, G2, G3, G4, G5, G6 = c.LOG64
A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12 = c.ATAN64
D0, D1, D2, D3, D4, D5, D6, D7, D8, D9, D10 = c.TANH64
W0, W1, W2, W3, W4, W5, W6 = c.POW64
B0, B1, B2, B3, B4 = c.CBRT64
I0, I1, I2 = c.INVERSE_SQRT64


@lane_code
def negative(x):
    """Where the sign bit is set, so -0 counts."""
    return bitcast(x, i64) < 0


@lane_code
def power_of_two(t):
    """2**n for t = MAGIC + n, n a whole number in the normal exponent range."""
    return bitcast((bitcast(t, i64) << FRACTION_BITS) + ONE_BITS, f)


@lane_code
def exponent_and_fraction(x):
    """(e, m) with x = m * 2**e, m in [sqrt(1/2), sqrt(2)), e as a float; x positive and normal."""
    bits = bitcast(x, i64) - ROOT_HALF
    e = bitcast((bits >> FRACTION_BITS) + MAGIC_BITS, f) - MAGIC
    return e, bitcast((bits & FRACTION) + ROOT_HALF, f)


@lane_code
def rint(x):
    """Nearest whole number, ties to even; |x| < 2**51."""
    return (x + MAGIC) - MAGIC


@lane_code
def magnitude(x):
    return where(negative(x), -x, x)


@lane_code
def half_bits(x):
    """x rounded to half its bits: the product of two such values is exact; |x| < 2**990."""
    t = x * SPLITTER
    return t - (t - x)


@lane_code
def product(a, b):
    """(high, low) with high + low = a * b exactly (Dekker, without FMA); |a|, |b| < 2**990."""
    ah, bh = half_bits(a), half_bits(b)
    al, bl = a - ah, b - bh
    high = a * b
    return high, ((ah * bh - high) + ah * bl + al * bh) + al * bl


@lane_code
def sine_cosine_of_small(r, low):
    """sin and cos of r + low, |r| < 0.8, low a correction below half an ulp of r."""
    z = r * r
    sine = r + (r * z * (S0 + z * (S1 + z * (S2 + z * (S3 + z * (S4 + z * S5))))) + low)
    w = HALF * z
    top = ONE - w
    cosine = top + (((ONE - top) - w) + (z * z * (C0 + z * (C1 + z * (C2 + z * (C3 + z * (C4 + z * C5))))) - r * low))
    return sine, cosine


@lane_code
def place(sine, cosine, n):
    """sin and cos after n quarter turns; n mod 4 comes from rounding n/4 (ties give +-2, which are the same turn)."""
    j = n - FOUR * rint(n * QUARTER)
    odd = j * j == ONE
    s, k = where(odd, cosine, sine), where(odd, sine, cosine)
    a, b = j - HALF, j + HALF
    return where(a * a > ONE, -s, s), where(b * b > ONE, -k, k)


@lane_code
def sincos(x):
    """sin x and cos x, |x| <= 1e5; NaN beyond."""
    n = rint(x * TWO_OVER_PI)
    a = x - n * H1  # exact: n has 16 bits, each piece of pi/2 has 37
    b = n * H2
    r = a - b
    e = (a - r) - b
    b = n * H3
    a = r - b
    e = (e + ((r - a) - b)) - n * H4
    high = a + e
    s, k = sine_cosine_of_small(high, (a - high) + e)
    s, k = place(s, k, n)
    inside = magnitude(x) <= TRIG_LIMIT
    s = where(x == ZERO, x, s)  # keeps -0
    return where(inside, s, NAN), where(inside, k, NAN)


@lane_code
def sin(x):
    return sincos(x)[0]


@lane_code
def cos(x):
    return sincos(x)[1]


@lane_code
def tan(x):
    s, k = sincos(x)
    return where(s == s, s / k, NAN)


@lane_code
def sincos_turns(u):
    """sin and cos of 2 pi u, |u| < 2**49: the reduction is exact, so this is the cheap one for phases."""
    n = rint(u * FOUR)
    r = u - n * QUARTER
    angle = r * T_HIGH
    s, k = sine_cosine_of_small(angle, r * T_LOW)
    return place(s, k, n)


@lane_code
def exp_less_one_of_small(r, low):
    """exp(r + low) - 1, |r| < 0.35."""
    p = X4 + r * (X5 + r * (X6 + r * (X7 + r * (X8 + r * X9))))
    return r + (r * r * (X0 + r * (X1 + r * (X2 + r * (X3 + r * p)))) + low)


@lane_code
def scaled(y, n):
    """y * 2**n in two steps, so that overflow and subnormal results come out right; |n| <= 2044."""
    t = n * HALF + MAGIC
    return (y * power_of_two(t)) * power_of_two((n - (t - MAGIC)) + MAGIC)


@lane_code
def exp(x):
    v = where(x > f(720), f(720), where(x < f(-760), f(-760), x))
    n = rint(v * LOG2E)
    a, b = v - n * LN2_HIGH, n * LN2_LOW
    r = a - b
    y = ONE + exp_less_one_of_small(r, (a - r) - b)
    return where(x == x, scaled(y, n), NAN)


@lane_code
def exp2(x):
    v = where(x > f(1030), f(1030), where(x < f(-1080), f(-1080), x))
    n = rint(v)
    r = v - n
    y = ONE + exp_less_one_of_small(r * E_HIGH, r * E_LOW)
    return where(x == x, scaled(y, n), NAN)


@lane_code
def tanh(x):
    """An odd polynomial up to 0.625, then 1 - 2 / (exp(2|x|) + 1)."""
    a = magnitude(x)
    z = a * a
    p = D5 + z * (D6 + z * (D7 + z * (D8 + z * (D9 + z * D10))))
    near = a + a * z * (D0 + z * (D1 + z * (D2 + z * (D3 + z * (D4 + z * p)))))
    v = where(a > TWENTY, TWO * TWENTY, a + a)
    n = rint(v * LOG2E)
    g, b = v - n * LN2_HIGH, n * LN2_LOW
    r = g - b
    t = (ONE + exp_less_one_of_small(r, (g - r) - b)) * power_of_two(n + MAGIC)
    y = where(a < TANH_EDGE, near, ONE - TWO / (t + ONE))
    return where(x == x, where(negative(x), -y, y), NAN)


@lane_code
def pieces(x):
    """exponent and fraction of a positive x, subnormals too."""
    small = x < NORMAL_MIN
    e, m = exponent_and_fraction(where(small, x * LIFT, x))
    return where(small, e - LIFT_BITS, e), m


@lane_code
def log_domain(x, y):
    """y inside (0, inf); the limits and NaN elsewhere."""
    y = where(x > ZERO, y, where(x == ZERO, -INF, NAN))
    return where(x == INF, INF, y)


@lane_code
def log_parts(x):
    """(e, g, g*g/2, log(1 + g) - g + g*g/2) of x = (1 + g) * 2**e: log(1 + g) = 2 atanh(s), s = g / (2 + g)."""
    e, m = pieces(x)
    g = m - ONE
    s = g / (TWO + g)
    z = s * s
    w = HALF * (g * g)
    return e, g, w, s * (w + z * (G0 + z * (G1 + z * (G2 + z * (G3 + z * (G4 + z * (G5 + z * G6)))))))


@lane_code
def log(x):
    e, g, w, rest = log_parts(x)
    a = e * LN2_HIGH
    high = a + g
    low = ((a - high) + g) + ((rest + e * LN2_LOW) - w)
    return log_domain(x, high + low)


@lane_code
def log2(x):
    e, g, w, rest = log_parts(x)
    t = (g - w) * SPLITTER
    high = t - (t - (g - w))  # 26 bits: its product with L_HIGH is exact
    low = ((g - high) - w) + rest
    a = high * L_HIGH
    y = e + a
    y = y + (((e - y) + a) + (low * (L_HIGH + L_LOW) + high * L_LOW))
    return log_domain(x, y)


@lane_code
def angle(a, b):
    """atan(a / b) for 0 <= a <= b, 2**-180 < b < 2**900, as (p, k): p + k * pi/4.

    The quotient's own rounding would cost 0.8 ulp; its low part comes back from the remainder of the division.
    """
    middle = a > b * ATAN_EDGE
    top, under = where(middle, a - b, a), where(middle, a + b, b)
    lost = where(middle, a - (under - b), ZERO)
    inverse = ONE / under
    high, part = half_bits(top * inverse), half_bits(under)
    low = (((top - high * part) - high * (under - part)) - high * lost) * inverse
    q = high + low
    z = q * q
    p = A6 + z * (A7 + z * (A8 + z * (A9 + z * (A10 + z * (A11 + z * A12)))))
    p = q * z * (A0 + z * (A1 + z * (A2 + z * (A3 + z * (A4 + z * (A5 + z * p))))))
    return high + (low + p), where(middle, ONE, ZERO)


@lane_code
def atan(x):
    a = magnitude(x)
    steep = a > ONE
    p, k = angle(where(steep, ONE, a), where(steep, where(a > f(2.0**60), f(2.0**60), a), ONE))
    p, k = where(steep, -p, p), where(steep, TWO - k, k)
    y = k * Q_HIGH + (p + k * Q_LOW)
    return where(x == x, where(negative(x), -y, y), NAN)


@lane_code
def atan2(y, x):
    v, h = magnitude(y), magnitude(x)
    steep = v > h
    a, b = where(steep, h, v), where(steep, v, h)
    same, infinite = a == b, b == INF  # with 0/0 and inf/inf
    a = where(same, where(b == ZERO, ZERO, ONE), where(infinite, ZERO, a))
    b = where(same, ONE, where(infinite, ONE, b))
    # exact where the result does not vanish: keeps a + b and 1 / b finite and normal, and remainders out of the subnormals
    scale = where(b < ONE, f(2.0**900), where(b > f(2.0**700), f(2.0**-200), LIFT))
    p, k = angle(a * scale, b * scale)
    p, k = where(steep, -p, p), where(steep, TWO - k, k)
    left = negative(x)
    p, k = where(left, -p, p), where(left, FOUR - k, k)
    t = k * Q_HIGH + (p + k * Q_LOW)
    return where(x == x, where(y == y, where(negative(y), -t, t), NAN), NAN)


@lane_code
def log2_pair(x):
    """log2 of a positive finite x as (high, low), relative error about 2**-64."""
    e, m = pieces(x)
    g, d = m - ONE, m + ONE
    d_low = m - (d - ONE)
    s = g / d
    h, t = product(s, d)
    s_low = (((g - h) - t) - s * d_low) / d
    z, z_low = product(s, s)
    z_low = z_low + TWO * s * s_low
    h, t = product(z, THIRD_HIGH)
    rest = W0 + z * (W1 + z * (W2 + z * (W3 + z * (W4 + z * (W5 + z * W6)))))
    t = t + (z * THIRD_LOW + z_low * THIRD_HIGH) + z * z * rest
    u = h + t
    u_low = (h - u) + t
    h, t = product(s, u)
    t = t + (s * u_low + s_low * u) + s_low
    w = s + h
    w_low = ((s - w) + h) + t
    h, t = product(w, P_HIGH)
    t = t + (w * P_LOW + w_low * P_HIGH)
    y = e + h
    low = ((e - y) + h) + t
    high = y + low
    return high, (y - high) + low


@lane_code
def pow(x, y):
    """x to the y for x >= 0 (NaN for x < 0, except that anything to the 0 is 1)."""
    high, low = log2_pair(x)
    v = where(y > f(2.0**70), f(2.0**70), where(y < f(-(2.0**70)), f(-(2.0**70)), y))
    p, t = product(v, high)
    t = t + v * low
    over, under = p > f(1030), p < f(-1080)
    t = where(over, ZERO, where(under, ZERO, t))
    p = where(over, f(1030), where(under, f(-1080), p))
    n = rint(p)
    r = p - n
    a = r + t
    result = scaled(ONE + exp_less_one_of_small(a * E_HIGH, a * E_LOW + ((r - a) + t) * E_HIGH), n)
    grows = y > ZERO
    result = where(x == ZERO, where(grows, ZERO, INF), where(x == INF, where(grows, INF, ZERO), result))
    result = where(x >= ZERO, where(y == y, result, NAN), NAN)
    return where(x == ONE, ONE, where(y == ZERO, ONE, result))


@lane_code
def cbrt(x):
    a = magnitude(x)
    e, m = pieces(where(a == ZERO, ONE, a))
    k = rint(e * ONE_THIRD)
    d = e - THREE * k
    w = m * where(d < ZERO, HALF, where(d > ZERO, TWO, ONE))
    y = B0 + w * (B1 + w * (B2 + w * (B3 + w * B4)))
    y3 = y * y * y
    y = y - y * ((y3 - w) / (y3 + y3 + w))
    y3 = y * y * y
    y = y - y * ((y3 - w) / (y3 + y3 + w))
    y = y * power_of_two(k + MAGIC)
    y = where(negative(x), -y, y)
    y = where(x == ZERO, x, where(a == INF, x, y))
    return where(x == x, y, NAN)


@lane_code
def inverse_sqrt(x):
    """A start within 3.6 % from halved exponent bits, then steps of degree 3 and 2 in what is missing: 11 multiplications."""
    y = bitcast(ROOT_START - (bitcast(x, i64) >> 1), f)
    e = ONE - x * y * y
    y = y + y * (e * (I0 + e * (I1 + e * I2)))
    e = ONE - x * y * y
    return y + y * (e * (HALF + e * THREE_EIGHTHS))


@lane_code
def normal_pair(u, v):
    """Two independent standard normals from two uniforms, u in (0, 1], v in [0, 1) (Box-Muller)."""
    r = sqrt(-TWO * log(u))
    s, k = sincos_turns(v)
    return r * k, r * s
