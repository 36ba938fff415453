"""The statements that are proved: preimages of a linear map (draft-irtf-cfrg-sigma-protocols 3).

A relation says: I know scalars s_0, s_1, ... such that in every equation

    sum(coefficient * element, over its image) = sum(coefficient * s_j * element, over its terms).

All elements of the statement stand in it one by one, constants as image terms: a precomputed sum
would let one proof pass for other statements with the same sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from device_sdk.proofs.codecs import le
from device_sdk.proofs.errors import InvalidRelationError
from device_sdk.proofs.group import Group

_LIMIT = 2**32
"""Counts and indices are encoded in four bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Equation:
    """One row of the map. Coefficients are public, and any integers modulo the order."""

    image: tuple[tuple[int, int], ...]
    """Pairs of element index and coefficient."""
    terms: tuple[tuple[int, int, int], ...]
    """Triplets of scalar index, element index and coefficient."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearRelation:
    """A statement: what is proved about which elements."""

    elements: tuple[bytes, ...]
    """Encoded elements of the group; the first is its generator."""
    equations: tuple[Equation, ...]

    @property
    def scalars(self) -> int:
        """Return the number of scalars in the witness."""
        return 1 + max((s for eq in self.equations for s, _, _ in eq.terms), default=-1)


def serialize(group: Group, relation: LinearRelation) -> bytes:
    """Return SerializeLinearRelation(relation): prefix-free, the elements at its end."""
    parts = [le(len(relation.equations))]
    for equation in relation.equations:
        parts.append(le(len(equation.image)))
        for element, coefficient in equation.image:
            parts += le(element), group.scalar(coefficient)
        parts.append(le(len(equation.terms)))
        for scalar, element, coefficient in equation.terms:
            parts += le(scalar), le(element), group.scalar(coefficient)
    return b"".join(chain(parts, relation.elements[1:]))


def evaluate(group: Group, relation: LinearRelation, scalars: Sequence[bytes]) -> list[bytes]:
    """Return map(relation, scalars), one element for each equation; the scalars may be secret."""
    return [_row(group, relation, equation, scalars) for equation in relation.equations]


def _row(
    group: Group, relation: LinearRelation, equation: Equation, scalars: Sequence[bytes]
) -> bytes:
    total = group.identity
    for scalar, element, coefficient in equation.terms:
        factor = scalars[scalar]
        if coefficient != 1:
            factor = group.scalar_multiply(group.scalar(coefficient), factor)
        total = group.add(total, group.multiply(factor, relation.elements[element]))
    return total


def image(group: Group, relation: LinearRelation) -> list[bytes]:
    """Return image(relation), one element for each equation."""
    return [
        _combination(group, relation, [(element, c) for element, c in equation.image])
        for equation in relation.equations
    ]


def _combination(group: Group, relation: LinearRelation, parts: Sequence[tuple[int, int]]) -> bytes:
    total = group.identity
    for index, coefficient in parts:
        element = relation.elements[index]
        if coefficient != 1:
            element = group.multiply(group.scalar(coefficient), element)
        total = group.add(total, element)
    return total


def validate(group: Group, relation: LinearRelation) -> None:
    """Raise InvalidRelationError unless ValidateInstance(relation) holds (sigma-protocols 3.5)."""
    _check_shape(relation)
    _check_indices(relation)
    if relation.elements[0] != group.generator:  # check 7
        raise InvalidRelationError("the first element is not the generator")
    for element in relation.elements:  # check 8, and canonical encodings
        if not group.is_element(element):
            raise InvalidRelationError("an element is no canonical point, or the identity")
    if group.identity in image(group, relation):  # check 9
        raise InvalidRelationError("an equation's image is the identity: no witness is needed")
    for scalar in range(relation.scalars):  # check 10
        if not _constrains(group, relation, scalar):
            raise InvalidRelationError(f"scalar {scalar} cancels in every equation")


def _check_shape(relation: LinearRelation) -> None:
    if not relation.equations or not relation.elements:  # checks 1 and 7
        raise InvalidRelationError("no equation, or no element")
    if len(relation.equations) >= _LIMIT:  # check 3
        raise InvalidRelationError("too many equations")
    for equation in relation.equations:  # checks 2 and 3
        if not 0 < len(equation.image) < _LIMIT or not 0 < len(equation.terms) < _LIMIT:
            raise InvalidRelationError("an equation without an image or without terms")


def _check_indices(relation: LinearRelation) -> None:
    used = {e for eq in relation.equations for e, _ in eq.image}
    used |= {e for eq in relation.equations for _, e, _ in eq.terms}
    scalars = {s for eq in relation.equations for s, _, _ in eq.terms}
    if min(used | scalars) < 0 or max(used | scalars) >= _LIMIT:  # check 3
        raise InvalidRelationError("an index that is no unsigned 32-bit number")
    if used | {0} != set(range(len(relation.elements))):  # checks 4 and 5
        raise InvalidRelationError("an index without an element, or an element without a use")
    # A large index would make a set of that size: the count alone tells as much.
    if len(scalars) != max(scalars) + 1:  # check 6
        raise InvalidRelationError("a scalar that no equation binds")


def _constrains(group: Group, relation: LinearRelation, scalar: int) -> bool:
    columns = (
        [(element, c) for s, element, c in equation.terms if s == scalar]
        for equation in relation.equations
    )
    return any(_combination(group, relation, column) != group.identity for column in columns)
