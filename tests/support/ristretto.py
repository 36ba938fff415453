"""ristretto255 as RFC 9496 4 writes it: integers, no library, nothing shared with the project.

Points are extended coordinates (X, Y, Z, T) on -x^2 + y^2 = 1 + d x^2 y^2 with x = X/Z, y = Y/Z,
T = XY/Z. Slow, and in any time it likes.
"""

Point = tuple[int, int, int, int]
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
IDENTITY: Point = (0, 1, 1, 0)


class NoPointError(ValueError):
    """Bytes that encode no element."""


def is_negative(number: int) -> bool:
    return number % P % 2 == 1


def absolute(number: int) -> int:
    return -number % P if is_negative(number) else number % P


def sqrt_ratio(u: int, v: int) -> tuple[bool, int]:
    """RFC 9496 4.2: whether u/v is a square, and the root of it or of SQRT_M1 * u/v."""
    root = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    check = v * root * root % P
    correct, flipped = check == u % P, check == -u % P
    flipped_i = check == -u * SQRT_M1 % P
    if flipped or flipped_i:
        root = root * SQRT_M1 % P
    return correct or flipped, absolute(root)


ONE_MINUS_D_SQ = (1 - D * D) % P
D_MINUS_ONE_SQ = (D - 1) ** 2 % P
INVSQRT_A_MINUS_D = sqrt_ratio(1, -1 - D)[1]
# The RFC's table gives the odd root here.
SQRT_AD_MINUS_ONE = 25063068953384623474111414158702152701244531502492656460079210482610430750235


def decode(octets: bytes) -> Point:
    """RFC 9496 4.3.1."""
    s = int.from_bytes(octets, "little")
    if len(octets) != 32 or s >= P or is_negative(s):
        raise NoPointError
    u1, u2 = (1 - s * s) % P, (1 + s * s) % P
    v = (-(D * u1 * u1) - u2 * u2) % P
    was_square, inverse = sqrt_ratio(1, v * u2 * u2)
    x = absolute(2 * s * inverse * u2)
    y = u1 * inverse * inverse * u2 * v % P
    t = x * y % P
    if not was_square or is_negative(t) or y == 0:
        raise NoPointError
    return x, y, 1, t


def encode(point: Point) -> bytes:
    """RFC 9496 4.3.2."""
    x0, y0, z0, t0 = point
    u1, u2 = (z0 + y0) * (z0 - y0) % P, x0 * y0 % P
    _, inverse = sqrt_ratio(1, u1 * u2 * u2)
    den1, den2 = inverse * u1 % P, inverse * u2 % P
    z_inverse = den1 * den2 * t0 % P
    if is_negative(t0 * z_inverse):
        x, y, den = y0 * SQRT_M1, x0 * SQRT_M1, den1 * INVSQRT_A_MINUS_D
    else:
        x, y, den = x0, y0, den2
    if is_negative(x * z_inverse):
        y = -y
    return absolute(den * (z0 - y)).to_bytes(32, "little")


def add(left: Point, right: Point) -> Point:
    """The complete addition of extended twisted Edwards coordinates with a = -1."""
    (x1, y1, z1, t1), (x2, y2, z2, t2) = left, right
    a, b = (y1 - x1) * (y2 - x2), (y1 + x1) * (y2 + x2)
    c, d = 2 * D * t1 * t2, 2 * z1 * z2
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def negate(point: Point) -> Point:
    x, y, z, t = point
    return -x % P, y, z, -t % P


def multiply(number: int, point: Point) -> Point:
    total, number = IDENTITY, number % ORDER
    while number:
        if number & 1:
            total = add(total, point)
        point, number = add(point, point), number >> 1
    return total


def from_hash(octets: bytes) -> Point:
    """RFC 9496 4.3.4: the element derivation from 64 bytes."""
    halves = (int.from_bytes(half, "little") % 2**255 for half in (octets[:32], octets[32:]))
    first, second = map(_map, halves)
    return add(first, second)


def _map(t: int) -> Point:
    r = SQRT_M1 * t * t % P
    u = (r + 1) * ONE_MINUS_D_SQ % P
    v = (-1 - r * D) * (r + D) % P
    was_square, s = sqrt_ratio(u, v)
    c = -1 if was_square else r
    s = s if was_square else -absolute(s * t) % P
    n = (c * (r - 1) * D_MINUS_ONE_SQ - v) % P
    w0, w1 = 2 * s * v, n * SQRT_AD_MINUS_ONE
    w2, w3 = 1 - s * s, 1 + s * s
    return w0 * w3 % P, w2 * w1 % P, w1 * w3 % P, w0 * w2 % P


GENERATOR = decode(
    bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76")
)
