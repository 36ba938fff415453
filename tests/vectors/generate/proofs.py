"""Vectors of commitments and of proofs about them.

They are made by the literal ristretto255 and the literal prover of the tests, from numbers that
stand in the vectors: a real prover draws fresh ones for every proof.
"""

from tests.support import literal_range_proof as literal
from tests.support import ristretto
from tests.vectors.generate.fixed import fixed_bytes
from tests.vectors.generate.vector import Vector, bad, good

_ORDER = ristretto.ORDER
_TAG = b"a tag that names everything the proof must not be moved away from"
_GENERATOR = ristretto.encode(ristretto.GENERATOR)
_NO_POINT = "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371"
"""RFC 9496 A.2: no square."""


def _number(label: str) -> int:
    return int.from_bytes(fixed_bytes(f"proof {label}", 64), "little") % _ORDER


def _scalar(number: int) -> str:
    return number.to_bytes(32, "little").hex()


def commitment_vectors() -> list[Vector]:
    """PROTOCOL 20.1."""
    values = [0, 1, -1, 215, -400, 2**63 - 1, -(2**63)]
    vectors = []
    for value in values:
        blinding = _number(f"blinding {value}")
        given = {"value": value, "blinding": _scalar(blinding)}
        expect = {"commitment": literal.commit(value, blinding).hex()}
        vectors.append(good(f"to-{value}", given, expect))
    bads = {
        "blinding-of-31-bytes": "00" * 31,
        "blinding-of-33-bytes": "01" + "00" * 32,
        "blinding-is-the-order": _scalar(_ORDER),
        "blinding-with-the-order-added": _scalar(_number("blinding 215") + _ORDER),
        "blinding-with-its-highest-bit-set": _scalar(_number("blinding 215") + 2**255),
    }
    return vectors + [
        bad(name, {"value": 215, "blinding": blinding}, "malformed")
        for name, blinding in bads.items()
    ]


def opening_proof_vectors() -> list[Vector]:
    """PROTOCOL 20.3."""
    vectors = []
    for value in (0, 215, -(2**63)):
        blinding, draws = _number("opening"), [_number("nonce 0"), _number("nonce 1")]
        given = {
            "commitment": literal.commit(value, blinding).hex(),
            "tag": _TAG.hex(),
            "proof": literal.prove_opening(value, blinding, _TAG, draws).hex(),
            "value": value,
            "blinding": _scalar(blinding),
            "draws": [_scalar(number) for number in draws],
        }
        vectors.append(good(f"of-{value}", given, {}))
    base = {key: vectors[1]["input"][key] for key in ("commitment", "tag", "proof")}
    other = {"commitment": vectors[0]["input"]["commitment"]}
    cases = {
        "another-commitment": (other, "proof"),
        "another-tag": ({"tag": (_TAG + b"\0").hex()}, "proof"),
        "response-with-one-added": ({"proof": _added(base["proof"], 1, 1)}, "proof"),
        "response-with-the-order-added": ({"proof": _added(base["proof"], 2, _ORDER)}, "malformed"),
        "one-byte-short": ({"proof": base["proof"][:-2]}, "malformed"),
        "one-byte-long": ({"proof": base["proof"] + "00"}, "malformed"),
        "all-zero": ({"proof": "00" * 96}, "proof"),
    }
    return vectors + [bad(name, {**base, **change}, kind) for name, (change, kind) in cases.items()]


def range_proof_vectors() -> list[Vector]:
    """PROTOCOL 20.4."""
    honest = {
        "one-bit-low": (0, 0, 1),
        "one-bit-high": (1, 0, 1),
        "two-bits-of-a-width-of-two": (1, 0, 2),
        "lowest-of-eleven-bits": (-400, -400, 1250),
        "highest-of-eleven-bits": (1250, -400, 1250),
        "at-the-lower-end-of-64-bits": (-(2**63) + 3, -(2**63), -(2**63) + 5),
        "at-the-upper-end-of-64-bits": (2**63 - 1, 2**63 - 6, 2**63 - 1),
        "a-width-of-32-bits": (4_000_000_000, 0, 2**32 - 1),
    }
    goods = {name: _honest(name, *case) for name, case in honest.items()}
    vectors = [good(name, given, {}) for name, given in goods.items()]
    base = _statement(_honest("base", 3, -2, 4))
    cases = _changed(base) | _moved(base)
    return vectors + [bad(name, {**base, **change}, kind) for name, (change, kind) in cases.items()]


def _honest(name: str, value: int, low: int, high: int) -> Vector:
    count = 4 * (high - low).bit_length() + 1
    blinding = _number(f"{name} blinding")
    draws = [_number(f"{name} {index}") for index in range(count)]
    return {
        "commitment": literal.commit(value, blinding).hex(),
        "low": low,
        "high": high,
        "tag": _TAG.hex(),
        "proof": literal.prove(value, blinding, low, high, _TAG, draws).hex(),
        "value": value,
        "blinding": _scalar(blinding),
        "draws": [_scalar(number) for number in draws],
    }


def _statement(given: Vector) -> Vector:
    return {key: given[key] for key in ("commitment", "low", "high", "tag", "proof")}


def _changed(base: Vector) -> dict[str, tuple[Vector, str]]:
    """Other bytes for the same statement; the base has three digits: -2 to 4, of 3."""
    proof = base["proof"]

    def piece(index: int, text: str) -> Vector:
        return {"proof": proof[: 64 * index] + text + proof[64 * index + 64 :]}

    swapped = proof[64:128] + proof[:64] + proof[128:]
    return {
        "one-byte-short": ({"proof": proof[:-2]}, "malformed"),
        "one-byte-long": ({"proof": proof + "00"}, "malformed"),
        "a-scalar-too-many-before-the-last": (
            {"proof": proof[:-64] + "00" * 32 + proof[-64:]},
            "malformed",
        ),
        "empty": ({"proof": ""}, "malformed"),
        "all-zero": ({"proof": "00" * (len(proof) // 2)}, "malformed"),
        "digit-is-the-identity": (piece(0, "00" * 32), "malformed"),
        "digit-is-no-point": (piece(1, _NO_POINT), "malformed"),
        "digit-is-not-canonical": (piece(2, "ed" + "ff" * 30 + "7f"), "malformed"),
        "digits-change-places": ({"proof": swapped}, "proof"),
        "challenge-with-the-order-added": ({"proof": _added(proof, 3, _ORDER)}, "malformed"),
        "response-with-the-order-added": ({"proof": _added(proof, 13, _ORDER)}, "malformed"),
        "response-with-its-highest-bit-set": ({"proof": _added(proof, 5, 2**255)}, "malformed"),
        "challenge-with-one-added": ({"proof": _added(proof, 3, 1)}, "proof"),
        "first-response-with-one-added": ({"proof": _added(proof, 4, 1)}, "proof"),
        "last-response-with-one-added": ({"proof": _added(proof, 13, 1)}, "proof"),
        "responses-of-zero": ({"proof": proof[: 64 * 4] + "00" * 320}, "proof"),
    }


def _moved(base: Vector) -> dict[str, tuple[Vector, str]]:
    """The same proof for other statements, and commitments that are none."""
    point = ristretto.decode(bytes.fromhex(base["commitment"]))
    shifted = ristretto.encode(ristretto.add(point, ristretto.GENERATOR)).hex()
    low, high = base["low"], base["high"]
    return {
        "another-commitment": ({"commitment": _GENERATOR.hex()}, "proof"),
        "commitment-is-the-identity": ({"commitment": "00" * 32}, "malformed"),
        "commitment-is-no-point": ({"commitment": _NO_POINT}, "malformed"),
        "another-tag": ({"tag": _TAG[:-1].hex()}, "proof"),
        "no-tag": ({"tag": ""}, "proof"),
        "lower-by-one": ({"low": low - 1, "high": high - 1}, "proof"),
        "narrower-by-one": ({"high": high - 1}, "proof"),
        "wider-by-one": ({"high": high + 1}, "proof"),
        "shifted-with-its-statement": (
            {"commitment": shifted, "low": low + 1, "high": high + 1},
            "proof",
        ),
        "a-range-of-one-number": ({"high": low}, "malformed"),
        "a-range-of-33-bits": ({"high": low + 2**32}, "malformed"),
        "a-range-beyond-64-bits": ({"low": 2**63 - 4, "high": 2**63 + 2}, "malformed"),
    }


def _added(proof: str, index: int, number: int) -> str:
    start, end = 64 * index, 64 * index + 64
    sum_ = int.from_bytes(bytes.fromhex(proof[start:end]), "little") + number
    if number == 1:
        sum_ %= _ORDER
    return proof[:start] + _scalar(sum_) + proof[end:]
