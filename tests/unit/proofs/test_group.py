"""ristretto255 twice: libsodium's through rbcl, and the literal one of the tests (RFC 9496)."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_sdk.proofs.group import RISTRETTO255
from tests.support import ristretto

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/sigma/rfc9496.json").read_text())
GROUP = RISTRETTO255
NUMBERS = st.integers(-(2**250), 2**250)


def point(number: int) -> bytes:
    return GROUP.multiply(GROUP.scalar(number), GROUP.generator)


@pytest.mark.parametrize(("number", "encoding"), list(enumerate(VECTORS["multiples"])))
def test_multiples_of_the_generator_are_those_of_the_rfc(number: int, encoding: str) -> None:
    assert GROUP.multiply_base(GROUP.scalar(number)).hex() == encoding
    assert point(number).hex() == encoding
    literal = ristretto.multiply(number, ristretto.GENERATOR)
    assert ristretto.encode(literal).hex() == encoding
    assert ristretto.encode(ristretto.decode(bytes.fromhex(encoding))).hex() == encoding
    assert GROUP.is_element(bytes.fromhex(encoding)) == (number != 0)


@pytest.mark.parametrize("encoding", VECTORS["invalid"])
def test_encodings_that_the_rfc_calls_invalid_are_no_elements(encoding: str) -> None:
    assert not GROUP.is_element(bytes.fromhex(encoding))
    with pytest.raises(ristretto.NoPointError):
        ristretto.decode(bytes.fromhex(encoding))


@pytest.mark.parametrize(("given_bytes", "encoding"), VECTORS["derived"])
def test_elements_are_derived_from_hashes_as_in_the_rfc(given_bytes: str, encoding: str) -> None:
    octets = bytes.fromhex(given_bytes)
    assert GROUP.from_hash(octets).hex() == encoding
    assert ristretto.encode(ristretto.from_hash(octets)).hex() == encoding


def test_neither_the_identity_nor_another_length_is_an_element_of_a_proof() -> None:
    for encoding in (GROUP.identity, b"", GROUP.generator[:-1], GROUP.generator + b"\0"):
        assert not GROUP.is_element(encoding)
    assert GROUP.is_element(GROUP.generator)


def test_a_scalar_is_below_the_order() -> None:
    order = GROUP.order
    for number in (0, 1, order - 1):
        assert GROUP.is_scalar(number.to_bytes(32, "little"))
    for number in (order, order + 1, 2**255, 2**256 - 1):
        assert not GROUP.is_scalar(number.to_bytes(32, "little"))
    assert not GROUP.is_scalar(bytes(31))
    assert not GROUP.is_scalar(bytes(33))


@given(NUMBERS, NUMBERS)
@settings(max_examples=25)
def test_the_library_and_the_literal_group_agree(left: int, right: int) -> None:
    a, b = point(left), point(right)
    literal_a, literal_b = ristretto.decode(a), ristretto.decode(b)
    assert ristretto.encode(ristretto.add(literal_a, literal_b)) == GROUP.add(a, b)
    difference = ristretto.add(literal_a, ristretto.negate(literal_b))
    assert ristretto.encode(difference) == GROUP.subtract(a, b)
    assert ristretto.encode(ristretto.multiply(right, literal_a)) == GROUP.multiply(
        GROUP.scalar(right), a
    )


@given(NUMBERS, NUMBERS)
def test_scalars_count_modulo_the_order(left: int, right: int) -> None:
    a, b = GROUP.scalar(left), GROUP.scalar(right)
    for scalar, number in (
        (a, left),
        (GROUP.scalar_add(a, b), left + right),
        (GROUP.scalar_subtract(a, b), left - right),
        (GROUP.scalar_multiply(a, b), left * right),
    ):
        assert scalar == (number % GROUP.order).to_bytes(32, "little")


@given(st.binary(min_size=48, max_size=48))
def test_a_challenge_is_the_squeezed_number_modulo_the_order(squeezed: bytes) -> None:
    number = int.from_bytes(squeezed, "little") % GROUP.order
    assert GROUP.decode_scalar(squeezed) == number.to_bytes(32, "little")


def test_zero_times_anything_is_the_identity_and_the_identity_adds_nothing() -> None:
    zero, element = GROUP.scalar(0), point(7)
    assert GROUP.multiply(zero, element) == GROUP.multiply_base(zero) == GROUP.identity
    assert GROUP.add(GROUP.identity, element) == element
    assert GROUP.subtract(element, element) == GROUP.identity


def test_random_scalars_are_canonical_and_differ() -> None:
    drawn = {GROUP.random_scalar() for _ in range(100)}
    assert len(drawn) == 100
    assert all(map(GROUP.is_scalar, drawn))
