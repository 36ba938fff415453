"""Vectors of anonymous messages: keys for tokens, requests, answers, envelopes (PROTOCOL 19)."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from device_sdk.wire import cbor, cose, merkle
from device_sdk.wire.anonymous import AnonymousBody, AnonymousEnvelope, SpentToken
from device_sdk.wire.anonymous_header import AnonymousHeader
from device_sdk.wire.content_key import cek_commitment
from device_sdk.wire.epoch_key import EpochKey, TokenKeys
from device_sdk.wire.padding import pad
from device_sdk.wire.token_request import TokenIssue, TokenRequest, request_digest
from tests.vectors.generate.fixed import fixed_bytes
from tests.vectors.generate.fleet import AAD, DAY, NOW
from tests.vectors.generate.messages import PAYLOAD, TWO_READERS, Message
from tests.vectors.generate.records import accepted, refused
from tests.vectors.generate.tamper import (
    Change,
    at,
    changed,
    changed_envelope,
    drop_key,
    flip,
    set_key,
)
from tests.vectors.generate.vector import Vector, bad, good

BEGINS = NOW // DAY * DAY
ISSUED = NOW // 900 * 900
KEY = EpochKey(
    channel="kitchen", begins=BEGINS, ends=BEGINS + DAY, public=fixed_bytes("token key", 32)
)
NEXT = EpochKey(
    channel="kitchen", begins=BEGINS + DAY, ends=BEGINS + 2 * DAY, public=fixed_bytes("next", 32)
)
TOKEN, OUTPUT = fixed_bytes("a token", 32), fixed_bytes("a token's output", 64)


def token_keys_vectors() -> list[Vector]:
    """PROTOCOL 19.2."""
    keys = TokenKeys(gateway="gw-1", time=NOW, keys=(NEXT, KEY))

    def listed(change: Change) -> Change:
        return set_key(3, [changed(KEY.encode(), change)])

    cases: dict[str, Change] = {
        "gateway-in-upper-case": set_key(1, "GW-1"),
        "a-key-that-is-not-encoded": set_key(3, [{1: "kitchen"}]),
        "a-period-twice": set_key(3, [KEY.encode()] * 2),
        "a-period-of-an-hour-less-a-second": listed(set_key(3, BEGINS + 3599)),
        "a-period-that-begins-between-two": listed(lambda f: {**f, 2: f[2] + 60, 3: f[3] + 60}),
        "a-period-that-ends-before-it-begins": listed(set_key(3, BEGINS - DAY)),
        "a-key-of-31-bytes": listed(set_key(4, KEY.public[:31])),
        "a-key-with-an-unknown-field": listed(set_key(5, 0)),
    }
    return [
        accepted("two-periods", keys, "gw-1"),
        accepted("none", TokenKeys(gateway="gw-1", time=NOW, keys=()), "gw-1"),
        *refused(keys, "gw-1", cases=cases),
    ]


def token_request_vectors() -> list[Vector]:
    """PROTOCOL 19.3."""
    blinded = (fixed_bytes("first blinded", 32), fixed_bytes("second blinded", 32))
    request = TokenRequest(device="thermo-1", key_id=KEY.key_id, blinded=blinded)
    cases: dict[str, Change] = {
        "key-id-of-15-bytes": set_key(2, KEY.key_id[:15]),
        "nothing-blinded": set_key(3, []),
        "an-element-of-31-bytes": set_key(3, [blinded[0][:31]]),
    }
    too_many = set_key(3, [blinded[0]] * 1001)
    vectors = refused(request, "thermo-1", cases={**cases, "1001-elements": too_many})
    for vector in vectors:
        if vector["name"] == "1001-elements":
            vector["error"] = "too-large"
    return [accepted("two-elements", request, "thermo-1"), *vectors]


def token_issue_vectors() -> list[Vector]:
    """PROTOCOL 19.3."""
    elements = (fixed_bytes("first evaluated", 32), fixed_bytes("second evaluated", 32))
    asked = request_digest(KEY.key_id, elements)
    issue = TokenIssue(
        key_id=KEY.key_id, request=asked, evaluated=elements, proof=fixed_bytes("proof", 64)
    )
    denied = TokenIssue(key_id=KEY.key_id, request=asked, denial="taken")
    data = issue.encode()
    cases: dict[str, Change] = {
        "tokens-and-a-denial": set_key(5, "taken"),
        "proof-of-63-bytes": set_key(4, issue.proof[:63]),
        "no-elements": set_key(3, []),
        "an-element-of-33-bytes": set_key(3, [bytes(33)]),
        "unknown-field": set_key(6, 0),
        **{f"without-field-{key}": drop_key(key) for key in (1, 2, 3, 4)},
    }
    unknown = changed(denied.encode(), set_key(5, "because"))
    return [
        good("two-tokens", _data(data), _claims(issue)),
        good("denied", _data(denied.encode()), _claims(denied)),
        *(bad(name, _data(changed(data, case)), "malformed") for name, case in cases.items()),
        bad("denied-for-a-reason-of-its-own", _data(unknown), "malformed"),
        bad("trailing-byte", _data(data + b"\0"), "malformed"),
        bad("1001-tokens", _data(changed(data, set_key(3, [bytes(32)] * 1001))), "too-large"),
    ]


def _data(data: bytes) -> dict[str, str]:
    return {"data": data.hex()}


def _claims(issue: TokenIssue) -> dict[str, Any]:
    return {
        "key_id": issue.key_id.hex(),
        "request": issue.request.hex(),
        "evaluated": [element.hex() for element in issue.evaluated],
        "proof": issue.proof.hex(),
        "denial": str(issue.denial),
    }


# ------------------------------------------------------------- envelopes


def _sealed(name: str, expires: int = ISSUED + 7 * DAY) -> AnonymousEnvelope:
    """Return an anonymous message to two readers; its mac is calculated here once more."""
    base = Message(name, TWO_READERS)
    readers = [base.reader(reader) for reader in sorted(base.readers)]
    header = AnonymousHeader(
        content_type="application/json",
        iv=fixed_bytes(f"{name} iv", 12),
        channel="kitchen",
        expires=expires,
        issued=ISSUED,
        message_id=base.message_id,
        reader_root=merkle.root([reader.leaf_hash() for reader in readers]),
        reader_count=len(readers),
        cek_commitment=cek_commitment(base.content_key, base.message_id),
        key_id=KEY.key_id,
    )
    protected = header.encode()
    ciphertext = AESGCM(base.content_key).encrypt(
        header.iv, pad(PAYLOAD), cose.encrypt_structure(protected, AAD)
    )
    topic = f"send/anonymous/{header.message_id.hex()}".encode()
    said = b"sealgate 1 anonymous" + topic + _digest(protected, ciphertext)
    token = SpentToken(token=TOKEN, mac=hmac.digest(OUTPUT, said, hashlib.sha256))
    body = AnonymousBody(protected=protected, header=header, token=token, ciphertext=ciphertext)
    return AnonymousEnvelope(body=body, readers=tuple(readers))


def _digest(protected: bytes, ciphertext: bytes) -> bytes:
    return hashlib.sha256(cbor.encode(["Anonymous", protected, AAD, ciphertext])).digest()


def anonymous_envelope_vectors() -> list[Vector]:
    """PROTOCOL 19.4."""
    base = _sealed("anonymous")
    data, body = base.encode(), base.body
    ordinary = Message("ordinary", TWO_READERS).sealed().encode()

    def header(change: Change) -> Change:
        return at(0, do=lambda protected: changed(protected, change))

    def claims(fields: dict[int, Any]) -> Change:
        return header(lambda h: {**h, 15: dict(sorted({**h[15], **fields}.items()))})

    malformed: dict[str, Change] = {
        "with-a-sender": claims({1: "thermo-1"}),
        "with-a-sender-kid": header(lambda h: dict(sorted({**h, 4: bytes(16)}.items()))),
        "with-a-sequence": header(_insert(-70003, 1)),
        "expiry-to-the-second": claims({4: body.header.expires + 1}),
        "issued-to-the-second": claims({6: body.header.issued + 1}),
        "direct": claims({3: "direct"}),
        "without-a-key-id": header(drop_key(-70010)),
        "without-a-token": at(1, do=lambda _: {}),
        "token-of-31-bytes": at(1, -70011, 0, do=lambda token: token[:31]),
        "mac-of-33-bytes": at(1, -70011, 1, do=lambda mac: mac + b"\0"),
        "with-a-countersignature": at(1, do=lambda u: {11: [b"", {}, b""], **u}),
        "readers-in-another-order": at(3, do=lambda readers: readers[::-1]),
    }
    spoilt: dict[str, Change] = {
        "mac-changed": at(1, -70011, 1, do=flip),
        "ciphertext-changed": at(2, do=flip),
        "channel-changed": claims({3: "garden"}),
    }
    return [
        good("two-readers", _given(data), _expect(data, genuine=True)),
        *(
            good(name, _given(other), _expect(other, genuine=False))
            for name, change in spoilt.items()
            for other in [changed_envelope(data, change)]
        ),
        *(
            bad(name, _given(changed_envelope(data, change)), "malformed")
            for name, change in malformed.items()
        ),
        bad("an-ordinary-envelope", _given(ordinary), "malformed"),
        bad("a-copy-instead", _given(base.copies()[0].encode()), "malformed"),
        bad("trailing-byte", _given(data + b"\0"), "malformed"),
        bad(
            "a-reader-removed",
            _given(changed_envelope(data, at(3, do=lambda readers: readers[:1]))),
            "inclusion",
        ),
    ]


def _insert(label: int, value: int) -> Callable[[Any], Any]:
    """Return what adds a field where deterministic encoding wants it."""

    def change(fields: Any) -> Any:
        both = {**fields, label: value}
        return dict(sorted(both.items(), key=lambda item: cbor.encode(item[0])))

    return change


def _given(data: bytes) -> dict[str, str]:
    return {"envelope": data.hex(), "output": OUTPUT.hex()}


def _expect(data: bytes, *, genuine: bool) -> dict[str, Any]:
    envelope = AnonymousEnvelope.decode(data)
    expect: dict[str, Any] = {
        "digest": _digest(envelope.body.protected, envelope.body.ciphertext).hex(),
        "key_id": envelope.body.header.key_id.hex(),
        "is_genuine": genuine,
    }
    if genuine:
        expect["copies"] = [copy.encode().hex() for copy in envelope.copies()]
    return expect
