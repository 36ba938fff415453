"""Vectors of envelopes: what a gateway checks without opening anything."""

from typing import Any

from device_sdk.wire.envelope import Envelope
from tests.vectors.generate.fixed import FixedSigner, fixed_bytes
from tests.vectors.generate.fleet import AAD, OTHER_AAD, P256, RSA2048, RSA4096, signer
from tests.vectors.generate.headers import BASE, POLICY, claims, with_reading
from tests.vectors.generate.messages import TWO_READERS, Message, digest
from tests.vectors.generate.tamper import (
    Change,
    at,
    changed,
    changed_envelope,
    changed_header,
    drop_key,
    flip,
    put,
    set_key,
)
from tests.vectors.generate.vector import Vector, bad, good

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256."""

TEN_READERS = {f"reader-{index}": RSA2048 for index in range(8)} | {
    "hub": RSA2048,
    "phone": RSA4096,
}


def envelope_vectors() -> list[Vector]:
    """PROTOCOL 5."""
    from_rsa = Message("from an RSA identity", TWO_READERS, sender="meter-1")
    base = BASE.sealed()
    other_half = changed_envelope(base.encode(), _countersignature(2, _other_half))
    goods = [
        _good_envelope("one-reader", Message("one reader", {"hub": RSA2048})),
        _good_envelope("two-readers", BASE),
        _good_envelope("three-readers", Message("three", {**TWO_READERS, "phone": RSA4096})),
        _good_envelope("ten-readers", Message("ten", TEN_READERS)),
        _good_envelope("from-a-ps256-identity", from_rsa),
        _good_envelope("empty-payload", Message("empty", {"hub": RSA2048}, plaintext=bytes(256))),
        # Nothing but a gateway looks at a proof: the copies are the same without it.
        good(
            "with-a-proof",
            _envelope(changed_envelope(base.encode(), at(1, do=set_key(-70008, b"proof")))),
            {
                "digest": digest(base).hex(),
                "readers": ["hub", "lamp"],
                "copies": [copy.encode().hex() for copy in base.copies()],
            },
        ),
        _good_envelope(
            "with-a-reading", Message("reading", TWO_READERS, header=with_reading(POLICY))
        ),
        # Anybody can turn (r, s) into (r, n - s). The message and its digest stay the same.
        good(
            "the-other-signature-with-the-same-meaning",
            _envelope(other_half),
            {"digest": digest(base).hex(), "readers": ["hub", "lamp"]},
        ),
    ]
    return [*goods, *_refused_for_shape(base), *_refused_for_content(base)]


def _envelope(data: bytes) -> dict[str, Any]:
    return {"envelope": data.hex()}


def _good_envelope(name: str, message: Message) -> Vector:
    envelope = message.sealed()
    expect = {
        "digest": digest(envelope).hex(),
        "readers": [reader.reader for reader in envelope.readers],
    }
    if len(envelope.readers) <= 3:
        expect["copies"] = [copy.encode().hex() for copy in envelope.copies()]
    return good(name, _envelope(envelope.encode()), expect)


def _countersignature(part: int, change: Change) -> Change:
    return at(1, 11, part, do=change)


def _reader(index: int, part: int, change: Change) -> Change:
    return at(3, index, part, do=change)


def _readers(change: Change) -> Change:
    return at(3, do=change)


def _other_half(signature: bytes) -> bytes:
    return signature[:32] + (ORDER - int.from_bytes(signature[32:])).to_bytes(32)


def _refused_for_shape(base: Envelope) -> list[Vector]:
    data = base.encode()
    path = set_key(-70004, [0, [bytes(32)]])
    signed_by = base.body.countersignature
    cases: dict[str, Change] = {
        "no-readers": _readers(put([])),
        "readers-in-another-order": _readers(lambda readers: readers[::-1]),
        "a-reader-twice": _readers(lambda readers: [readers[0], readers[0]]),
        "readers-not-a-list": _readers(put({})),
        "reader-of-two-parts": _readers(lambda readers: [readers[0][:2], readers[1]]),
        "reader-with-a-protected-header": _reader(0, 0, put(b"\xa0")),
        "reader-with-an-inclusion-path": _reader(0, 1, path),
        "reader-with-rsa-oaep-and-sha-1": _reader(0, 1, set_key(1, -40)),
        "reader-with-direct-key": _reader(0, 1, set_key(1, -6)),
        "reader-with-an-unknown-field": _reader(0, 1, set_key(99, 0)),
        "reader-without-open-hash": _reader(0, 1, drop_key(-70005)),
        "reader-without-kid": _reader(0, 1, drop_key(4)),
        "reader-kid-of-8-bytes": _reader(0, 1, set_key(4, bytes(8))),
        "reader-id-in-upper-case": _reader(0, 1, set_key(-70007, "HUB")),
        "wrapped-key-of-255-bytes": _reader(0, 2, lambda wrapped: wrapped[:255]),
        "ciphertext-shorter-than-the-floor": at(2, do=lambda ciphertext: ciphertext[:271]),
        "ciphertext-detached": at(2, do=put(b"")),
        "proof-empty": at(1, do=set_key(-70008, b"")),
        "proof-as-text": at(1, do=set_key(-70008, "proof")),
        "unprotected-field": at(1, do=set_key(5, bytes(12))),
        "no-countersignature": at(1, do=put({})),
        "two-countersignatures": at(1, do=lambda u: {11: [u[11], u[11]]}),
        "countersignature-with-unprotected-field": _countersignature(1, set_key(4, b"")),
        "countersignature-with-the-type-of-an-ack": _countersignature(
            0, lambda p: changed(p, set_key(16, "application/sealgate-ack+cose"))
        ),
        "countersignature-with-another-kid": _countersignature(
            0, lambda p: changed(p, set_key(4, FixedSigner(RSA2048).kid))
        ),
        "countersignature-with-an-unknown-algorithm": _countersignature(
            0, lambda p: changed(p, set_key(1, -8))
        ),
        "countersignature-without-kid": _countersignature(0, lambda p: changed(p, drop_key(4))),
        "five-parts": lambda fields: [*fields, b""],
        "three-parts": lambda fields: fields[:3],
    }
    vectors = [
        bad(name, _envelope(changed_envelope(data, case)), "malformed")
        for name, case in cases.items()
    ]
    return [
        *vectors,
        bad("nothing", _envelope(b""), "malformed"),
        bad("without-tag", _envelope(data[2:]), "malformed"),
        bad("tagged-as-encrypt0", _envelope(b"\xd0" + data[2:]), "malformed"),
        bad("tag-in-a-longer-form", _envelope(b"\xd9\x00\x60" + data[2:]), "malformed"),
        bad("truncated", _envelope(data[:-1]), "malformed"),
        bad("trailing-byte", _envelope(data + b"\0"), "malformed"),
        bad("a-copy-instead", _envelope(base.copies()[0].encode()), "malformed"),
        bad(
            "wrapped-key-of-513-bytes",
            _envelope(changed_envelope(data, _reader(0, 2, put(bytes(513))))),
            "too-large",
        ),
        bad(
            "proof-of-4161-bytes",
            _envelope(changed_envelope(data, at(1, do=set_key(-70008, bytes(4161))))),
            "too-large",
        ),
        bad(
            "signature-of-513-bytes",
            _envelope(changed_envelope(data, _countersignature(2, put(bytes(513))))),
            "too-large",
        ),
        bad(
            "countersigners-header-not-deterministic",
            _envelope(
                changed_envelope(data, _countersignature(0, lambda p: p[:1] + p[3:] + p[1:3])),
            ),
            "malformed",
        ),
        bad(
            "countersignature-as-abbreviated-one",
            _envelope(
                changed_envelope(data, at(1, do=put({12: signed_by.signature}))),
            ),
            "malformed",
        ),
    ]


def _refused_for_content(base: Envelope) -> list[Vector]:
    data = base.encode()
    sender, meter = signer("thermo-1"), signer("meter-1")

    def header(change: Change) -> bytes:
        return changed_envelope(data, at(0, do=lambda p: changed(p, change)))

    def signed_header(change: Change) -> bytes:
        return changed_header(data, change, sender, AAD)

    def shape(change: Change) -> bytes:
        return changed_envelope(data, change)

    root, count = base.body.header.reader_root, base.body.header.reader_count
    claims_es256 = FixedSigner(RSA2048, claimed_alg=-7, claimed_kid=sender.kid)
    claims_ps256 = FixedSigner(P256, claimed_alg=-37)
    name = Message("envelope", TWO_READERS, signer=meter)
    signature = {
        "content-type-changed": header(set_key(3, "text/plain")),
        "expiry-changed": header(claims({4: 2**40})),
        "sender-changed": header(claims({1: "hub"})),
        "message-id-changed": header(claims({7: fixed_bytes("another id", 16)})),
        "channel-changed": header(claims({3: "kitchen"})),
        "sequence-changed": header(set_key(-70003, 2)),
        "commitment-changed": header(set_key(-70002, bytes(32))),
        "ciphertext-changed": shape(at(2, do=flip)),
        "ciphertext-with-16-bytes-more": shape(at(2, do=lambda c: c + bytes(16))),
        "signature-changed": shape(_countersignature(2, flip)),
        "signature-of-zeros": shape(_countersignature(2, put(bytes(64)))),
        "signature-empty": shape(_countersignature(2, put(b""))),
        "signature-one-byte-short": shape(_countersignature(2, lambda s: s[:-1])),
        "signature-in-der": shape(
            _countersignature(2, lambda s: b"\x30\x44\x02\x20" + s[:32] + b"\x02\x20" + s[32:])
        ),
        "for-another-fleet": Message("envelope", TWO_READERS, aad=OTHER_AAD).sealed().encode(),
        "signed-by-another-key": Message("envelope", TWO_READERS, signer=claims_es256)
        .sealed()
        .encode(),
        "ps256-claimed-for-a-p256-key": Message("envelope", TWO_READERS, signer=claims_ps256)
        .sealed()
        .encode(),
    }
    inclusion = {
        "reader-root-changed": header(set_key(-70001, [flip(root), count])),
        "wrapped-key-changed": shape(_reader(0, 2, flip)),
        "open-hash-changed": shape(_reader(0, 1, set_key(-70005, bytes(32)))),
        "reader-kid-changed": shape(_reader(0, 1, set_key(4, bytes(16)))),
        "re-addressed": shape(_reader(0, 1, set_key(-70007, "kim"))),
        "a-reader-removed": shape(_readers(lambda readers: readers[:1])),
        "a-reader-added": shape(_readers(lambda readers: [*readers, _another(readers[1])])),
        "count-signed-too-low": signed_header(set_key(-70001, [root, 1])),
        "count-signed-too-high": signed_header(set_key(-70001, [root, 3])),
        "root-signed-wrong": signed_header(set_key(-70001, [bytes(32), count])),
    }
    unknown = {
        "kid-of-another-device": name.sealed().encode(),
        "sender-not-in-the-roster": signed_header(claims({1: "stranger"})),
        "sender-is-a-gateway": signed_header(claims({1: "gw-1"})),
    }
    return [
        bad(case, _envelope(envelope), error)
        for error, cases in (
            ("signature", signature),
            ("inclusion", inclusion),
            ("unknown-device", unknown),
        )
        for case, envelope in cases.items()
    ]


def _another(reader: list[Any]) -> list[Any]:
    return [reader[0], {**reader[1], -70007: "zoe"}, reader[2]]
