"""Vectors of headers: what a sender says about a message to everybody, and signs."""

from typing import Any

from tests.vectors.generate.messages import TWO_READERS, Message
from tests.vectors.generate.tamper import Change, at, changed, drop_key, in_order, set_key
from tests.vectors.generate.vector import Vector, bad, good

BASE = Message("envelope", TWO_READERS)


def header_vectors() -> list[Vector]:
    """PROTOCOL 5.1."""
    data = BASE.sealed().body.protected
    header = BASE.sealed().body.header
    longest = Message(
        "longest header",
        TWO_READERS,
        header={
            "content_type": "t" * 128,
            "sender": "s" * 64,
            "channel": "c" * 64,
            "issued": 2**64 - 1,
            "expires": 2**64 - 1,
            "sequence": 2**64 - 1,
            "tree_head": b"h" * 704,
        },
    )
    goods = [
        _good_header("direct", BASE),
        _good_header(
            "to-a-channel", Message("channel", TWO_READERS, header={"channel": "kitchen"})
        ),
        _good_header("every-field-at-its-longest", longest),
        _good_header("with-a-tree-head", Message("log", TWO_READERS, header=_head(b"h" * 220))),
        _good_header("with-the-shortest-head", Message("log", TWO_READERS, header=_head(b"h"))),
        _good_header("all-numbers-zero", Message("zero", TWO_READERS, header=_zeros())),
    ]
    cases: dict[str, Change] = {
        "another-content-algorithm": set_key(1, 1),
        "algorithm-as-text": set_key(1, "A256GCM"),
        "another-type": set_key(16, "application/sealgate-ack+cose"),
        "kid-of-15-bytes": set_key(4, header.sender_kid[:-1]),
        "iv-of-11-bytes": set_key(5, header.iv[:-1]),
        "iv-of-16-bytes": set_key(5, header.iv + bytes(4)),
        "commitment-of-31-bytes": set_key(-70002, header.cek_commitment[:-1]),
        "root-of-31-bytes": set_key(-70001, [header.reader_root[:-1], 2]),
        "root-without-count": set_key(-70001, [header.reader_root]),
        "count-as-bytes": set_key(-70001, [header.reader_root, b"\x02"]),
        "content-type-empty": set_key(3, ""),
        "content-type-of-129-characters": set_key(3, "t" * 129),
        "content-type-beyond-ascii": set_key(3, "t\u00e4xt"),
        "content-type-with-a-control-character": set_key(3, "text\x1b[2J"),
        "content-type-as-a-coap-number": set_key(3, 50),
        "sequence-negative": set_key(-70003, -1),
        "reserved-policy-binding": set_key(-70006, [1]),
        "tree-head-empty": set_key(-70009, b""),
        "tree-head-as-text": set_key(-70009, "head"),
        "unknown-field": set_key(99, 0),
        "critical-fields-listed": set_key(2, [-70001]),
        **{f"without-field-{key}": drop_key(key) for key in (1, 3, 4, 5, 15, 16, -70001, -70003)},
    }
    claim_cases: dict[str, dict[int, Any]] = {
        "sender-in-upper-case": {1: "Thermo"},
        "sender-empty": {1: ""},
        "channel-with-a-slash": {3: "a/b"},
        "expiry-negative": {4: -1},
        "issued-as-text": {6: "1800000000"},
        "message-id-of-15-bytes": {7: header.message_id[:-1]},
        "unknown-claim": {8: 0},
    }
    cases |= {name: claims(claim) for name, claim in claim_cases.items()}
    vectors = [bad(name, _header(changed(data, case)), "malformed") for name, case in cases.items()]
    count = changed(data, set_key(-70001, [header.reader_root, 1001]))
    too_long = changed(data, set_key(3, "t" * 1400))
    long_head = changed(data, set_key(-70009, b"h" * 705))
    return [
        *goods,
        *vectors,
        bad("1001-readers", _header(count), "too-large"),
        bad("1361-bytes-and-more", _header(too_long), "too-large"),
        bad("tree-head-of-705-bytes", _header(long_head), "too-large"),
        bad("trailing-byte", _header(data + b"\0"), "malformed"),
        bad("not-a-map", _header(b"\x80"), "malformed"),
    ]


def _header(data: bytes) -> dict[str, Any]:
    return {"header": data.hex()}


def _head(data: bytes) -> dict[str, Any]:
    return {"tree_head": data}


def _zeros() -> dict[str, Any]:
    return {"issued": 0, "expires": 0, "sequence": 0, "sender": "0"}


def claims(changes: dict[int, Any]) -> Change:
    """Return a change of the header's CWT claims."""
    return at(15, do=lambda fields: in_order({**fields, **changes}))


def _good_header(name: str, message: Message) -> Vector:
    body = message.sealed().body
    fields = {
        field: getattr(body.header, field)
        for field in (
            "content_type",
            "sender_kid",
            "iv",
            "sender",
            "channel",
            "expires",
            "issued",
            "message_id",
            "reader_root",
            "reader_count",
            "cek_commitment",
            "sequence",
            "tree_head",
        )
    }
    plain = {k: v.hex() if isinstance(v, bytes) else v for k, v in fields.items()}
    return good(name, _header(body.protected), plain)
