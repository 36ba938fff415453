"""Vectors of copies: all that a reader checks, in its order, and what opens."""

from typing import Any

from device_sdk.wire.content_key import open_token
from device_sdk.wire.envelope import Copy
from device_sdk.wire.padding import pad
from tests.vectors.generate.envelopes import TEN_READERS
from tests.vectors.generate.fixed import FixedSigner, fixed_bytes
from tests.vectors.generate.fleet import AAD, NOW, OTHER_AAD, RSA2048, RSA4096, signer
from tests.vectors.generate.headers import claims
from tests.vectors.generate.messages import PAYLOAD, TWO_READERS, Message, digest, topic
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

BASE = Message("copy", {**TWO_READERS, "phone": RSA4096})


def copy_vectors() -> list[Vector]:
    """PROTOCOL 6."""
    to_hub = Message("to hub", {"hub": RSA2048})
    empty = Message("empty copy", TWO_READERS, plaintext=pad(b""))
    to_channel = Message("channel", TWO_READERS, header={"channel": "kitchen"})
    return [
        _opens("one-reader", to_hub, "hub"),
        _opens("first-of-three-readers", BASE, "hub"),
        _opens("last-of-three-readers-with-a-4096-bit-key", BASE, "phone"),
        _opens("one-of-ten-readers", Message("ten", TEN_READERS), "phone"),
        _opens("from-a-ps256-identity", Message("ps256", TWO_READERS, sender="meter-1"), "hub"),
        _opens("to-a-channel", to_channel, "hub"),
        _opens("empty-payload", empty, "hub", b""),
        *_damaged(),
        *_dropped(),
    ]


def copy_input(
    copy: Copy | bytes, *, reader: str = "hub", on: str = "", key: str = ""
) -> dict[str, Any]:
    """Return what a reader has: a copy, the topic it stands under, and a private key."""
    data = copy if isinstance(copy, bytes) else copy.encode()
    return {
        "topic": on or topic(Copy.decode(data), reader),
        "reader": reader,
        "key": key or {"phone": RSA4096}.get(reader, RSA2048),
        "copy": data.hex(),
    }


def good_copy(name: str, copy: Copy, cek: bytes, payload: bytes = PAYLOAD) -> Vector:
    """Return the vector of a copy that opens."""
    header, reader = copy.body.header, copy.reader
    token = open_token(cek, header.message_id, reader.kid, reader.reader)
    expect = {
        "digest": digest(copy).hex(),
        "sender": header.sender,
        "message_id": header.message_id.hex(),
        "payload": payload.hex(),
        "open_token": token.hex(),
    }
    return good(name, copy_input(copy, reader=reader.reader), expect)


def _opens(name: str, message: Message, reader: str, payload: bytes = PAYLOAD) -> Vector:
    return good_copy(name, message.copy(reader), message.content_key, payload)


def _damaged() -> list[Vector]:
    copy = BASE.copy("hub")
    data, phones = copy.encode(), BASE.copy("phone").encode()
    path = list(copy.inclusion.path)
    sender = signer("thermo-1")
    message_id, other_id = BASE.message_id, fixed_bytes("another id", 16)

    def reader(part: int, change: Change) -> bytes:
        return changed_envelope(data, at(3, 0, part, do=change))

    def with_path(index: Any, nodes: list[Any]) -> bytes:
        return reader(1, set_key(-70004, [index, nodes]))

    inclusion = {
        "path-with-a-node-changed": with_path(0, [path[0], flip(path[1])]),
        "path-in-another-order": with_path(0, path[::-1]),
        "path-too-short": with_path(0, path[:1]),
        "path-too-long": with_path(0, [*path, path[0]]),
        "path-for-another-index": with_path(1, path),
        "index-outside-the-list": with_path(3, path),
        "wrapped-key-changed": reader(2, flip),
        "open-hash-changed": reader(1, set_key(-70005, bytes(32))),
        "kid-changed": reader(1, set_key(4, bytes(16))),
        "anothers-copy-re-addressed": changed_envelope(
            phones, at(3, 0, 1, do=set_key(-70007, "hub"))
        ),
    }
    signature = {
        "ciphertext-changed": changed_envelope(data, at(2, do=flip)),
        "expiry-changed": changed_envelope(
            data, at(0, do=lambda p: changed(p, claims({4: NOW + 1})))
        ),
        "signature-changed": changed_envelope(data, at(1, 11, 2, do=flip)),
        "for-another-fleet": Message("copy", TWO_READERS, aad=OTHER_AAD).copy("hub").encode(),
        "signed-by-another-key": Message(
            "copy",
            TWO_READERS,
            signer=FixedSigner(RSA2048, claimed_alg=-7, claimed_kid=sender.kid),
        )
        .copy("hub")
        .encode(),
    }
    malformed = {
        "anothers-copy": (phones, topic(copy)),
        "on-the-topic-of-another-reader": (data, topic(copy, "lamp")),
        "on-the-topic-of-another-sender": (
            data,
            f"sealgate/1/inbox/hub/meter-1/{message_id.hex()}",
        ),
        "on-the-topic-of-another-message": (
            data,
            f"sealgate/1/inbox/hub/thermo-1/{other_id.hex()}",
        ),
        "without-a-path": (reader(1, drop_key(-70004)), topic(copy)),
        "path-with-a-short-node": (with_path(0, [path[0], path[1][:31]]), topic(copy)),
        "index-negative": (with_path(-1, path), topic(copy)),
        "no-reader": (changed_envelope(data, at(3, do=put([]))), topic(copy)),
        "truncated": (data[:-1], topic(copy)),
        "trailing-byte": (data + b"\0", topic(copy)),
        "to-a-channel-that-is-not-there": (
            changed_header(data, claims({3: "cellar"}), sender, AAD),
            topic(copy),
        ),
        "to-a-channel-not-open-to-its-sender": (
            Message("no", TWO_READERS, sender="meter-1", header={"channel": "kitchen"})
            .copy("hub")
            .encode(),
            "",
        ),
    }
    too_large = {
        "an-envelope-instead": BASE.sealed().encode(),
        "two-readers": changed_envelope(data, at(3, do=lambda r: [*r, *r])),
        "index-of-1000": with_path(1000, path),
        "path-of-eleven-nodes": with_path(0, [bytes(32)] * 11),
    }
    unknown = {
        "sender-not-in-the-roster": changed_header(data, claims({1: "stranger"}), sender, AAD),
        "sender-is-a-gateway": changed_header(data, claims({1: "gw-1"}), sender, AAD),
        "kid-of-another-device": Message("copy", TWO_READERS, signer=signer("meter-1"))
        .copy("hub")
        .encode(),
    }
    return [
        *(_refused(n, copy_input(c), "damaged", "inclusion") for n, c in inclusion.items()),
        *(_refused(n, copy_input(c), "damaged", "signature") for n, c in signature.items()),
        *(_refused(n, copy_input(c), "damaged", "unknown-device") for n, c in unknown.items()),
        *(
            _refused(name, copy_input(data, on=topic(copy)), "damaged", "too-large")
            for name, data in too_large.items()
        ),
        *(
            _refused(name, copy_input(data, on=on), "damaged", "malformed")
            for name, (data, on) in malformed.items()
        ),
    ]


def _refused(name: str, given: dict[str, Any], error: str, because: str) -> Vector:
    return {**bad(name, given, error), "because": because}


def _dropped() -> list[Vector]:
    def expiring(seconds: int) -> Message:
        header = {"issued": NOW - 9, "expires": NOW + seconds}
        return Message("expiring", TWO_READERS, header=header)

    lost = Message("from lost", TWO_READERS, sender="lost")
    return [
        _opens("one-second-before-its-expiry", expiring(1), "hub"),
        bad("at-its-expiry", copy_input(expiring(0).copy("hub")), "dropped"),
        bad("long-expired", copy_input(expiring(-8).copy("hub")), "dropped"),
        bad("from-a-revoked-sender", copy_input(lost.copy("hub")), "dropped"),
    ]
