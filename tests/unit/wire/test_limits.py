"""The limits belong together: the largest message of each kind fits, one more is refused."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from device_sdk.identity import Identity
from device_sdk.trust import Pin, verify_head
from device_sdk.wire import cbor, cose, limits
from device_sdk.wire.envelope import Body, Copy, Envelope, Reader, countersign
from device_sdk.wire.errors import InclusionError, MalformedError, TooLargeError
from device_sdk.wire.header import Header
from device_sdk.wire.merkle import root
from device_sdk.wire.owner_grant import OwnerGrant
from device_sdk.wire.padding import pad, padded_length, unpad
from device_sdk.wire.reading_policy import (
    MAX_EXPONENT,
    MAX_MANTISSA,
    MAX_SPAN,
    MAX_STEPS,
    MAX_UNIT,
    Committed,
    ReadingPolicy,
)
from device_sdk.wire.roster_head import RootSuccession, RosterHead

LONGEST_POLICY = ReadingPolicy(
    version=2**64 - 1,
    unit="u" * MAX_UNIT,
    exponent=-MAX_EXPONENT,
    mantissa=MAX_MANTISSA - 1,
    low=-MAX_STEPS,
    high=MAX_SPAN - MAX_STEPS,
)
LONGEST_NAME = "n" * limits.MAX_ID
AAD = cose.fleet_aad(b"f" * 16)


def longest_header(readers: tuple[Reader, ...], signer: Identity) -> Header:
    most = 2**64 - 1
    return Header(
        content_type="t" * limits.MAX_CONTENT_TYPE,
        sender_kid=signer.kid,
        iv=b"i" * limits.IV_SIZE,
        sender=LONGEST_NAME,
        channel=LONGEST_NAME,
        expires=most,
        issued=most,
        message_id=b"m" * limits.MESSAGE_ID_SIZE,
        reader_root=root([reader.leaf_hash() for reader in readers]),
        reader_count=len(readers),
        cek_commitment=b"c" * limits.HASH_SIZE,
        sequence=most,
        tree_head=b"t" * limits.MAX_TREE_HEAD,
        reading=Committed(policy=LONGEST_POLICY, commitment=b"p" * limits.POINT_SIZE),
    )


def largest_envelope(signer: Identity, count: int = limits.MAX_READERS) -> Envelope:
    """Every field at its longest. Nobody could open it, but nobody needs to."""
    readers = tuple(
        Reader(
            reader=f"{index:0{limits.MAX_ID}}",
            kid=b"k" * limits.KID_SIZE,
            open_hash=b"h" * limits.HASH_SIZE,
            wrapped_cek=b"w" * 512,
        )
        for index in range(count)
    )
    header = longest_header(readers, signer)
    protected = header.encode()
    ciphertext = bytes(padded_length(limits.MAX_PAYLOAD) + limits.TAG_SIZE)
    signature, _ = countersign(protected, ciphertext, signer, AAD)
    body = Body(
        protected=protected, header=header, countersignature=signature, ciphertext=ciphertext
    )
    return Envelope(body=body, readers=readers, proof=b"p" * limits.MAX_PROOF)


@pytest.fixture(scope="module")
def signer() -> Identity:
    """An identity with the longest signature that is allowed."""
    return Identity.from_key(rsa.generate_private_key(65537, 4096))


def test_the_largest_message_passes_whole_and_in_copies(signer: Identity) -> None:
    envelope = largest_envelope(signer)
    data = envelope.encode()
    assert Envelope.decode(data) == envelope
    for copy in envelope.copies():
        assert Copy.decode(copy.encode()) == copy
    assert len(data) <= limits.MAX_ENVELOPE
    assert len(envelope.body.protected) <= limits.MAX_HEADER


def test_the_reserve_in_every_limit_is_small(signer: Identity) -> None:
    # A limit that is far from what it limits would let through what nobody needs.
    envelope = largest_envelope(signer)
    copy = max(envelope.copies(), key=lambda copy: len(copy.encode()))
    entry = len(cbor.encode(copy.reader.to_cbor()))
    copy_entry = (
        entry
        + len(copy.encode())
        - len(Envelope(body=envelope.body, readers=(copy.reader,)).encode())
    )
    assert limits.MAX_READER_ENTRY * 0.9 < entry <= limits.MAX_READER_ENTRY
    assert limits.MAX_COPY_READER_ENTRY * 0.9 < copy_entry <= limits.MAX_COPY_READER_ENTRY
    assert limits.MAX_COPY * 0.99 < len(copy.encode()) <= limits.MAX_COPY
    assert limits.MAX_ENVELOPE * 0.9 < len(envelope.encode()) <= limits.MAX_ENVELOPE
    assert padded_length(limits.MAX_PAYLOAD) + limits.TAG_SIZE == limits.MAX_CIPHERTEXT


def test_one_reader_more_than_allowed_is_refused(signer: Identity) -> None:
    with pytest.raises(TooLargeError):
        Envelope.decode(largest_envelope(signer, limits.MAX_READERS + 1).encode())


def test_no_reader_at_all_is_refused(signer: Identity) -> None:
    body = largest_envelope(signer, 1).body
    with pytest.raises(MalformedError, match="at least 1"):
        Envelope.decode(Envelope(body=body, readers=()).encode())


def test_a_reader_list_that_is_not_the_signed_one_makes_no_copies(signer: Identity) -> None:
    envelope = largest_envelope(signer, 3)
    for readers in (envelope.readers[:2], envelope.readers[1:]):
        with pytest.raises(InclusionError):
            Envelope(body=envelope.body, readers=readers).copies()


def test_a_payload_of_the_greatest_length_is_padded_and_one_byte_more_is_refused() -> None:
    payload = b"p" * limits.MAX_PAYLOAD
    assert unpad(pad(payload)) == payload
    with pytest.raises(TooLargeError):
        pad(payload + b"p")
    # It would fill the same bucket, so that only the length in front tells.
    longer = (limits.MAX_PAYLOAD + 1).to_bytes(4) + payload + b"p"
    with pytest.raises(MalformedError):
        unpad(longer.ljust(len(pad(payload)), b"\0"))


def test_a_message_never_outlives_a_reader_key_that_was_renewed_in_time() -> None:
    least_left = limits.READER_KEY_VALIDITY - limits.READER_KEY_RENEWAL
    assert limits.DEFAULT_LIFETIME < limits.MAX_LIFETIME <= least_left


def test_the_largest_roster_head_passes_with_rsa_keys_only(signer: Identity) -> None:
    # One key in every place: what counts is how long it is.
    fleet_id, most = signer.kid, 2**64 - 1
    aad = cose.fleet_aad(fleet_id)
    grant = cose.sign(OwnerGrant(fleet_id=fleet_id, owner_spki=signer.spki, time=most), signer, aad)
    succession = RootSuccession(
        fleet_id=fleet_id, next_root_spki=signer.spki, time=most, grant=grant
    )
    head = RosterHead(
        fleet_id=fleet_id,
        version=most,
        issued=most,
        expires=most,
        page_hashes=(b"h" * limits.HASH_SIZE,) * limits.MAX_ROSTER_PAGES,
        successions=(cose.sign(succession, signer, aad),) * limits.MAX_SUCCESSIONS,
        grants=(grant,) * limits.MAX_GRANTS,
    )
    data = cose.sign(head, signer, aad)
    verified = verify_head(Pin.from_spki(signer.spki), data)
    assert verified.head == head
    assert len(verified.granted) == limits.MAX_GRANTS
    assert len(data) < 55_000  # as clause 11 says
    assert len(data) <= RosterHead.LIMIT
