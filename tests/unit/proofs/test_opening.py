"""Okamoto's proof that somebody can open a commitment."""

import pytest

from device_sdk.proofs import pedersen
from device_sdk.proofs.errors import MalformedProofError, ProofError
from device_sdk.proofs.group import RISTRETTO255 as GROUP
from device_sdk.proofs.opening import OPENING_PROOF_SIZE, prove_opening, verify_opening

BLINDING = pedersen.random_blinding()
COMMITMENT = pedersen.commit(-7, BLINDING)
PROOF = prove_opening(-7, BLINDING, tag=b"bill 1")


def refused(proof: bytes, commitment: bytes = COMMITMENT, tag: bytes = b"bill 1") -> bool:
    try:
        verify_opening(proof, commitment, tag=tag)
    except ProofError:
        return True
    return False


def test_an_honest_proof_is_accepted_and_has_96_bytes() -> None:
    assert not refused(PROOF)
    assert len(PROOF) == OPENING_PROOF_SIZE == 96
    assert prove_opening(-7, BLINDING, tag=b"bill 1") != PROOF


def test_every_changed_byte_is_refused() -> None:
    for position in range(len(PROOF)):
        for mask in (1, 128):
            changed = bytearray(PROOF)
            changed[position] ^= mask
            assert refused(bytes(changed)), (position, mask)


def test_another_length_is_refused() -> None:
    for proof in (b"", PROOF[:-1], PROOF[:64], PROOF + b"\0", PROOF + PROOF):
        assert refused(proof)


def test_scalars_that_are_not_canonical_are_refused() -> None:
    for start in (0, 32, 64):
        number = int.from_bytes(PROOF[start : start + 32], "little") + GROUP.order
        shifted = PROOF[:start] + number.to_bytes(32, "little") + PROOF[start + 32 :]
        assert refused(shifted)


def test_a_proof_is_for_one_commitment_and_one_tag() -> None:
    assert refused(PROOF, pedersen.commit(-6, BLINDING))
    assert refused(PROOF, GROUP.add(COMMITMENT, pedersen.G))
    assert refused(PROOF, bytes(32))
    assert refused(PROOF, b"\x01" + bytes(31))
    assert refused(PROOF, COMMITMENT[:-1])
    assert refused(PROOF, tag=b"bill 2")
    assert refused(PROOF, tag=b"")


def test_what_hides_nothing_is_not_proved() -> None:
    with pytest.raises(ProofError):
        prove_opening(0, bytes(32), tag=b"")
    with pytest.raises(MalformedProofError):
        prove_opening(1, GROUP.order.to_bytes(32, "little"), tag=b"")


def test_two_proofs_from_one_nonce_give_the_opening_away() -> None:
    # The special-soundness extractor: a proof can only be made by somebody who knows an opening.
    nonces = [GROUP.random_scalar(), GROUP.random_scalar()]
    first = prove_opening(-7, BLINDING, tag=b"1", draw=iter(nonces).__next__)
    second = prove_opening(-7, BLINDING, tag=b"2", draw=iter(nonces).__next__)
    numbers = [
        [int.from_bytes(proof[i : i + 32], "little") for i in (0, 32, 64)]
        for proof in (first, second)
    ]
    (c1, m1, r1), (c2, m2, r2) = numbers
    inverse = pow(c1 - c2, -1, GROUP.order)
    assert (m1 - m2) * inverse % GROUP.order == -7 % GROUP.order
    assert (r1 - r2) * inverse % GROUP.order == int.from_bytes(BLINDING, "little")
