"""Every valid record comes back as it was, in the one encoding that there is for it."""

from fractions import Fraction
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sdk.readings import steps_of
from device_sdk.wire import cbor, cose, limits
from device_sdk.wire.envelope import (
    Body,
    Copy,
    Countersignature,
    Envelope,
    Inclusion,
    Reader,
)
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.excuse import Excuse
from device_sdk.wire.header import TYP, Header
from device_sdk.wire.join_request import JoinRequest
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.log_proof import Included, LogProof, Prove
from device_sdk.wire.login import Login
from device_sdk.wire.notice import Event, EventKind, Excusal, Notice
from device_sdk.wire.query import Query, Seen, Sent, Wanted
from device_sdk.wire.read_ack import ReadAck
from device_sdk.wire.reading_policy import (
    MAX_EXPONENT,
    MAX_MANTISSA,
    MAX_SPAN,
    MAX_STEPS,
    MAX_UNIT,
    MODES,
    Committed,
    ReadingPolicy,
    ReadingRule,
)
from device_sdk.wire.reasons import Reason
from device_sdk.wire.roster_head import RootSuccession, RosterHead
from device_sdk.wire.roster_page import ROLES, ChannelEntry, DeviceEntry, RosterPage
from device_sdk.wire.state import OFFLINE, ONLINE, PAUSED, State
from device_sdk.wire.tree_head import TreeHead
from tests.vectors.generate.fixed import FixedSigner, spki
from tests.vectors.generate.fleet import AAD

names = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789._-", min_size=1, max_size=64)
numbers = st.integers(0, 2**64 - 1)
texts = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), min_size=1)
ids, hashes = st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32)
identities = st.sampled_from([spki("testECCP256"), spki("testRSA2048"), spki("testRSA4096")])
blobs = st.binary(min_size=1, max_size=200)


def few(strategy: st.SearchStrategy[Any], least: int = 0) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, min_size=least, max_size=4).map(tuple)


sorted_names = st.lists(names, max_size=4, unique=True).map(lambda found: tuple(sorted(found)))
sent = few(st.builds(Sent, message_id=ids, digest=hashes))


def acks() -> st.SearchStrategy[ReadAck]:
    common = {
        "sender": names,
        "message_id": ids,
        "digest": hashes,
        "reader": names,
        "time": numbers,
    }
    reasons = texts.filter(lambda text: len(text) <= limits.MAX_REASON)
    return st.builds(ReadAck, verdict=st.just("read"), open_token=hashes, **common) | st.builds(
        ReadAck, verdict=st.just("unreadable"), reason=reasons, **common
    )


def events() -> st.SearchStrategy[Event]:
    def event(kind: EventKind, **detail: Any) -> st.SearchStrategy[Event]:
        digest = st.just(b"") | hashes
        return st.builds(
            Event, kind=st.just(kind), sender=names, message_id=ids, digest=digest, **detail
        )

    excusals = st.builds(Excusal, readers=few(names, 1), excuse=blobs) | st.builds(
        Excusal, readers=few(names, 1), roster_version=numbers.filter(bool)
    )
    return st.one_of(
        event(EventKind.HELD, word=st.sampled_from(["", "finished"])),
        event(EventKind.REFUSED, word=st.sampled_from([str(reason) for reason in Reason])),
        event(EventKind.READ, ack=blobs),
        event(EventKind.UNREADABLE, ack=blobs),
        event(EventKind.EXCUSED, excusal=excusals),
        event(EventKind.EXPIRED, word=st.sampled_from(["", "sender-revoked"])),
        event(EventKind.UNKNOWN, word=st.sampled_from(["", "partial"])),
    )


def key_statements() -> st.SearchStrategy[KeyStatement]:
    return st.builds(
        KeyStatement,
        device=names,
        spki=st.sampled_from([spki("testRSA2048"), spki("testRSA4096")]),
        not_before=st.integers(0, 2**63),
        not_after=st.integers(2**63 + 1, 2**64 - 1),
        serial=numbers,
    )


RECORDS: dict[type[cose.Record], st.SearchStrategy[Any]] = {
    ReadAck: acks(),
    Notice: st.builds(
        Notice,
        device=names,
        ledger_id=ids,
        counter=numbers,
        time=numbers,
        roster_version=numbers,
        events=few(events()),
        query_nonce=st.just(b"") | ids,
        owed=st.none() | numbers,
    ),
    Query: st.builds(
        Query,
        device=names,
        time=numbers,
        nonce=ids,
        sent=sent,
        wanted=few(st.builds(Wanted, sender=names, message_id=ids)),
    ),
    Seen: st.builds(Seen, device=names, time=numbers, messages=sent),
    State: st.builds(
        State,
        gateway=names,
        ledger_id=ids,
        instance=ids,
        status=st.sampled_from([ONLINE, OFFLINE, PAUSED]),
        time=numbers,
        roster_version=numbers,
        software=texts.filter(lambda text: len(text) <= 64),
        max_payload=numbers,
        max_readers=numbers,
        max_lifetime=numbers,
    ),
    TreeHead: st.builds(
        TreeHead,
        log_id=ids,
        size=st.integers(1, limits.MAX_LOG_SIZE),
        root=hashes,
        time=numbers,
        roster_version=numbers,
    ),
    Prove: st.builds(
        Prove,
        device=names,
        gateway=names,
        first=st.integers(0, 1000),
        second=st.integers(1000, limits.MAX_LOG_SIZE),
        leaves=few(hashes),
    ),
    KeyStatement: key_statements(),
    JoinRequest: st.builds(
        JoinRequest,
        name=names,
        identity_spki=identities,
        time=numbers,
        key_statement=st.just(b"") | blobs,
    ),
    RosterHead: st.builds(
        RosterHead,
        fleet_id=ids,
        version=numbers,
        issued=numbers,
        expires=numbers,
        page_hashes=few(hashes, 1),
        successions=few(blobs),
    ),
    RootSuccession: st.builds(
        RootSuccession, fleet_id=ids, next_root_spki=identities, time=numbers
    ),
    Excuse: st.builds(Excuse, sender=names, message_id=ids, readers=few(names, 1), time=numbers),
    Login: st.builds(
        Login,
        name=names,
        audience=texts.filter(lambda text: len(text) <= 64),
        expires=numbers,
        issued=numbers,
    ),
}


def in_order(value: Any) -> Any:
    """Return a value with its maps sorted by the bytes of their keys, by RFC 8949 4.2.1."""
    if isinstance(value, list):
        return [in_order(item) for item in value]
    if isinstance(value, dict):
        pairs = sorted(value.items(), key=lambda pair: cbor2.dumps(pair[0]))
        return {key: in_order(item) for key, item in pairs}
    return value


def is_deterministic(data: bytes) -> bool:
    return cbor2.dumps(in_order(cbor2.loads(data))) == data


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_a_record_comes_back_as_it_was(kind: type[cose.Record], data: st.DataObject) -> None:
    record = data.draw(RECORDS[kind])
    encoded = record.encode()
    assert is_deterministic(encoded)
    assert kind.parse(cbor.decode(encoded, "record", limit=kind.LIMIT)) == record


SIGNER = FixedSigner("testECCP256")


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_a_signed_record_passes_for_its_own_kind_only(
    kind: type[cose.Record], data: st.DataObject
) -> None:
    record = data.draw(RECORDS[kind])
    signed = cose.sign(record, SIGNER, AAD)
    assert signed[:1] == b"\xd2"
    assert is_deterministic(signed[1:])
    assert cose.parse_signed(kind, signed).verify(SIGNER.public, AAD) == record
    for other in RECORDS:
        if other is not kind:
            with pytest.raises(MalformedError):
                cose.parse_signed(other, signed)


@st.composite
def policies(draw: Any) -> ReadingPolicy:
    low = draw(st.integers(-MAX_STEPS, MAX_STEPS - 1))
    return ReadingPolicy(
        version=draw(numbers),
        unit=draw(texts.filter(lambda text: len(text) <= MAX_UNIT)),
        exponent=draw(st.integers(-MAX_EXPONENT, MAX_EXPONENT)),
        mantissa=draw(st.integers(1, MAX_MANTISSA).filter(lambda number: number % 10)),
        low=low,
        high=draw(st.integers(low + 1, min(low + MAX_SPAN, MAX_STEPS))),
    )


committed = st.builds(Committed, policy=policies(), commitment=hashes)
rules = st.builds(ReadingRule, mode=st.sampled_from(MODES), policy=policies())


@given(policy=policies(), data=st.data())
def test_a_policy_comes_back_as_it_was_and_its_steps_as_they_are_said(
    policy: ReadingPolicy, data: st.DataObject
) -> None:
    assert is_deterministic(policy.encode())
    assert ReadingPolicy.parse(cbor.decode(policy.encode(), "policy", limit=1000)) == policy
    steps = data.draw(st.integers(policy.low, policy.high))
    value = policy.value_of(steps)
    assert steps_of(value, policy, "cellar") == steps
    assert value == Fraction(steps * policy.mantissa) * Fraction(10) ** policy.exponent


headers = st.builds(
    Header,
    content_type=texts.filter(lambda text: len(text) <= 128),
    sender_kid=ids,
    iv=st.binary(min_size=12, max_size=12),
    sender=names,
    channel=names,
    expires=numbers,
    issued=numbers,
    message_id=ids,
    reader_root=hashes,
    reader_count=st.integers(0, 1000),
    cek_commitment=hashes,
    sequence=numbers,
    tree_head=st.just(b"") | blobs,
    reading=st.none() | committed,
)
readers = st.builds(
    Reader,
    reader=names,
    kid=ids,
    open_hash=hashes,
    wrapped_cek=st.binary(min_size=256, max_size=512),
)


@st.composite
def bodies(draw: Any) -> Body:
    header = draw(headers)
    alg = draw(st.sampled_from([-7, -37]))
    return Body(
        protected=header.encode(),
        header=header,
        countersignature=Countersignature(
            protected=cose.signer_header(alg, header.sender_kid, TYP),
            alg=alg,
            kid=header.sender_kid,
            signature=draw(st.binary(max_size=512)),
        ),
        ciphertext=draw(st.binary(min_size=272, max_size=300)),
    )


@given(header=headers)
def test_a_header_comes_back_as_it_was(header: Header) -> None:
    assert is_deterministic(header.encode())
    assert Header.decode(header.encode()) == header


@given(
    body=bodies(),
    found=st.lists(readers, min_size=1, max_size=5, unique_by=lambda r: r.reader),
    proof=st.binary(max_size=200),
)
def test_an_envelope_comes_back_as_it_was(body: Body, found: list[Reader], proof: bytes) -> None:
    in_line = tuple(sorted(found, key=lambda reader: reader.reader))
    envelope = Envelope(body=body, readers=in_line, proof=proof)
    data = envelope.encode()
    assert data[:2] == b"\xd8\x60"
    assert is_deterministic(data[2:])
    assert Envelope.decode(data) == envelope


@given(
    body=bodies(),
    reader=readers,
    inclusion=st.builds(
        Inclusion, index=st.integers(0, 999), path=st.lists(hashes, max_size=10).map(tuple)
    ),
)
def test_a_copy_comes_back_as_it_was(body: Body, reader: Reader, inclusion: Inclusion) -> None:
    copy = Copy(body=body, reader=reader, inclusion=inclusion)
    assert is_deterministic(copy.encode()[2:])
    assert Copy.decode(copy.encode()) == copy


@given(
    proof=st.builds(
        LogProof,
        first=st.integers(0, 1000),
        second=st.integers(1000, limits.MAX_LOG_SIZE),
        consistency=st.none() | few(hashes),
        included=few(
            st.builds(Included, leaf=hashes, index=st.integers(0, 2**32 - 1), path=few(hashes))
        ),
    )
)
def test_a_logs_proof_comes_back_as_it_was(proof: LogProof) -> None:
    assert is_deterministic(proof.encode())
    assert LogProof.decode(proof.encode()) == proof


devices = st.builds(
    DeviceEntry,
    identities=few(identities, 1),
    roles=st.sampled_from([("device",), ("gateway",), ROLES]),
    not_after=numbers,
    revoked_at=numbers,
)
channels = st.builds(
    ChannelEntry,
    readers=sorted_names,
    senders=sorted_names,
    lifetime=st.integers(0, limits.MAX_LIFETIME),
    reading=st.none() | rules,
)


@given(
    page=st.builds(
        RosterPage,
        devices=st.dictionaries(names, devices, max_size=6),
        channels=st.dictionaries(names.filter(lambda n: n != "direct"), channels, max_size=6),
    )
)
def test_a_roster_page_comes_back_as_it_was(page: RosterPage) -> None:
    assert is_deterministic(page.encode())
    assert RosterPage.decode(page.encode()) == page
