"""Vectors of headers: what a sender says about a message to everybody, and signs."""

import dataclasses
from dataclasses import replace
from typing import Any

from device_sdk.wire.reading_policy import Committed, ReadingPolicy
from tests.vectors.generate.fixed import fixed_bytes
from tests.vectors.generate.messages import TWO_READERS, Message
from tests.vectors.generate.tamper import Change, at, changed, drop_key, in_order, set_key
from tests.vectors.generate.vector import Vector, bad, good

BASE = Message("envelope", TWO_READERS)
POLICY = ReadingPolicy(version=3, unit="celsius", exponent=-1, mantissa=1, low=-400, high=1250)
WIDEST = replace(POLICY, exponent=18, low=-(2**62), high=2**32 - 1 - 2**62)
LONGEST_POLICY = replace(WIDEST, version=2**64 - 1, unit="u" * 32, exponent=-18, mantissa=10**9 - 1)


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
            "reading": Committed(policy=LONGEST_POLICY, commitment=bytes(32)),
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
        _good_header(
            "with-a-reading", Message("reading", TWO_READERS, header=with_reading(POLICY))
        ),
        _good_header(
            "with-the-widest-range", Message("wide", TWO_READERS, header=with_reading(WIDEST))
        ),
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
        **{f"reading-{name}": set_key(-70006, value) for name, value in _no_readings().items()},
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
    large_readings = {
        "step-of-10-to-the-19": _policy({2: 19}),
        "mantissa-of-1000000001": _policy({3: 1_000_000_001}),
        "bound-beyond-two-to-the-62": _policy({4: 2**62 + 1, 5: 2**62 + 2}),
    }
    long_head = changed(data, set_key(-70009, b"h" * 705))
    return [
        *goods,
        *vectors,
        bad("1001-readers", _header(count), "too-large"),
        bad("1361-bytes-and-more", _header(too_long), "too-large"),
        bad("tree-head-of-705-bytes", _header(long_head), "too-large"),
        *(
            bad(
                f"reading-{name}",
                _header(changed(data, set_key(-70006, change))),
                "too-large",
            )
            for name, change in large_readings.items()
        ),
        bad("trailing-byte", _header(data + b"\0"), "malformed"),
        bad("not-a-map", _header(b"\x80"), "malformed"),
    ]


def _header(data: bytes) -> dict[str, Any]:
    return {"header": data.hex()}


def with_reading(policy: ReadingPolicy) -> dict[str, Any]:
    """Return what a header has that commits to a reading."""
    committed = Committed(policy=policy, commitment=fixed_bytes("commitment", 32))
    return {"reading": committed, "channel": "kitchen"}


def _policy(changes: dict[int, Any]) -> list[Any]:
    fields = dict(enumerate(POLICY.to_cbor())) | changes
    return [list(fields.values()), bytes(32)]


def _no_readings() -> dict[str, Any]:
    """What is no reading's field, by what is wrong with it."""
    policy = POLICY.to_cbor()
    return {
        "with-nothing-but-a-policy": [policy],
        "as-a-map": {1: policy},
        "commitment-of-31-bytes": [policy, bytes(31)],
        "commitment-of-33-bytes": [policy, bytes(33)],
        "policy-of-five-fields": [policy[:5], bytes(32)],
        "policy-of-seven-fields": [[*policy, 0], bytes(32)],
        "unit-empty": _policy({1: ""}),
        "unit-of-33-characters": _policy({1: "u" * 33}),
        "unit-beyond-ascii": _policy({1: "\u00b0C"}),
        "mantissa-zero": _policy({3: 0}),
        "mantissa-that-ends-in-0": _policy({3: 10}),
        "mantissa-negative": _policy({3: -1}),
        "range-of-one-value": _policy({4: 5, 5: 5}),
        "range-upside-down": _policy({4: 5, 5: 4}),
        "range-of-33-bits": _policy({4: 0, 5: 2**32}),
        "bound-as-text": _policy({4: "0"}),
    }


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
    plain["reading"] = None
    if (reading := body.header.reading) is not None:
        plain["reading"] = {
            "policy": dataclasses.asdict(reading.policy),
            "commitment": reading.commitment.hex(),
        }
    return good(name, _header(body.protected), plain)
