"""The digits of a number below a width: every number, and no other."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sdk.proofs.digits import digits, weighted_sum, weights
from device_sdk.proofs.group import RISTRETTO255 as GROUP


@pytest.mark.parametrize("width", range(1, 130))
def test_the_subsets_of_the_weights_add_up_to_every_number_of_the_range_and_no_other(
    width: int,
) -> None:
    of = weights(width)
    assert len(of) == width.bit_length()
    choices = product((0, 1), repeat=len(of))
    sums = {sum(w * d for w, d in zip(of, chosen, strict=True)) for chosen in choices}
    assert sums == set(range(width + 1))


@pytest.mark.parametrize("width", range(1, 300))
def test_the_digits_of_every_number_add_up_to_it(width: int) -> None:
    of = weights(width)
    for number in range(width + 1):
        found = digits(number, of)
        assert set(found) <= {0, 1}
        assert sum(w * d for w, d in zip(of, found, strict=True)) == number


@given(st.data())
def test_so_do_those_of_numbers_of_32_bits(data: st.DataObject) -> None:
    width = data.draw(st.integers(1, 2**32 - 1))
    of = weights(width)
    for number in {0, width, data.draw(st.integers(0, width))}:
        found = digits(number, of)
        assert set(found) <= {0, 1}
        assert sum(w * d for w, d in zip(of, found, strict=True)) == number


@given(st.one_of(st.integers(1, 64), st.integers(1, 2**32 - 1)))
def test_the_weighted_sum_by_additions_is_that_by_multiplications(width: int) -> None:
    of = weights(width)
    elements = [GROUP.multiply_base(GROUP.random_scalar()) for _ in of]
    expected = GROUP.identity
    for weight, element in zip(of, elements, strict=True):
        expected = GROUP.add(expected, GROUP.multiply(GROUP.scalar(weight), element))
    assert weighted_sum(elements, width) == expected
