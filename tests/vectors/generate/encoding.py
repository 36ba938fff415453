"""Vectors of strict CBOR and of topics."""

from tests.vectors.generate.fixed import fixed_bytes
from tests.vectors.generate.vector import Vector, bad, good

_GOOD_CBOR = {
    "zero": ("00", "0"),
    "23-in-one-byte": ("17", "23"),
    "24-in-two-bytes": ("1818", "24"),
    "256-in-three-bytes": ("190100", "256"),
    "65536-in-five-bytes": ("1a00010000", "65536"),
    "2-to-the-32-in-nine-bytes": ("1b0000000100000000", "4294967296"),
    "largest-integer": ("1bffffffffffffffff", "18446744073709551615"),
    "minus-one": ("20", "-1"),
    "a-private-label": ("3a00011170", "-70001"),
    "smallest-integer": ("3bffffffffffffffff", "-18446744073709551616"),
    "empty-bytes": ("40", "h''"),
    "bytes": ("43010203", "h'010203'"),
    "empty-text": ("60", '""'),
    "text": ("63687562", '"hub"'),
    "text-beyond-ascii-is-refused-by-the-fields-not-here": ("62c3a4", '"\u00e4"'),
    "empty-array": ("80", "[]"),
    "array-of-24-items": ("9818" + "00" * 24, "[" + ", ".join(["0"] * 24) + "]"),
    "empty-map": ("a0", "{}"),
    "map-in-bytewise-order": ("a4010a18640b2014616128", '{1: 10, 100: 11, -1: 20, "a": -9}'),
    "map-with-the-shorter-name-first": ("a2616202626161" + "01", '{"b": 2, "aa": 1}'),
    "eight-levels": ("81" * 8 + "00", "[" * 8 + "0" + "]" * 8),
}

_BAD_CBOR = {
    "nothing": "",
    "truncated-integer": "19 01",
    "truncated-bytes": "43 0102",
    "truncated-text": "63 6875",
    "truncated-array": "82 00",
    "truncated-map": "a1 00",
    "array-that-claims-more-than-there-is": "9b ffffffffffffffff",
    "bytes-that-claim-more-than-there-is": "5b ffffffffffffffff",
    "trailing-byte": "00 00",
    "integer-longer-than-needed-1": "18 17",
    "integer-longer-than-needed-2": "19 00ff",
    "integer-longer-than-needed-4": "1a 0000ffff",
    "integer-longer-than-needed-8": "1b 00000000ffffffff",
    "negative-longer-than-needed": "38 17",
    "length-longer-than-needed": "58 01 ff",
    "array-length-longer-than-needed": "98 01 00",
    "map-length-longer-than-needed": "b8 01 00 00",
    "indefinite-bytes": "5f 41 01 ff",
    "indefinite-text": "7f 61 61 ff",
    "indefinite-array": "9f 00 ff",
    "indefinite-map": "bf 00 00 ff",
    "break-alone": "ff",
    "reserved-length": "1c",
    "duplicate-key": "a2 01 02 01 02",
    "duplicate-key-with-two-values": "a2 01 02 01 03",
    "keys-in-the-other-order": "a2 02 01 01 02",
    "keys-in-the-order-of-rfc-7049": "a2 20 00 18 64 00",
    "names-in-alphabetical-order": "a2 62 6161 01 61 62 02",
    "bytes-as-key": "a1 41 00 00",
    "array-as-key": "a1 80 00",
    "true-as-key": "a1 f5 00",
    "half-float": "f9 3c00",
    "single-float": "fa 3f800000",
    "double-float": "fb 3ff0000000000000",
    "nan": "f9 7e00",
    "infinity": "f9 7c00",
    "false": "f4",
    "true-for-one": "81 f5",
    "null": "f6",
    "undefined": "f7",
    "simple-value": "f8 20",
    "date-as-text": "c0 74 323031332d30332d32315432303a30343a30305a",
    "date-as-number": "c1 1a 514b67b0",
    "bignum": "c2 49 010000000000000000",
    "bignum-for-one": "c2 41 01",
    "negative-bignum": "c3 49 010000000000000000",
    "bignum-as-key": "a1 c2 49 010000000000000000 00",
    "decimal-fraction": "c4 82 21 19 6ab3",
    "regular-expression": "d8 23 61 61",
    "shared-value": "82 d8 1c 80 d8 1d 00",
    "value-that-contains-itself": "d8 1c 81 d8 1d 00",
    "self-described-cbor": "d9 d9f7 00",
    "nine-levels": "81" * 9 + "00",
    "nine-hundred-levels": "81" * 900 + "00",
    "text-that-is-not-utf-8": "61 ff",
    "text-with-a-surrogate": "63 eda080",
}


def cbor_vectors() -> list[Vector]:
    """PROTOCOL 2."""
    goods = [
        good(name, {"data": data}, {"diagnostic": text})
        for name, (data, text) in _GOOD_CBOR.items()
    ]
    bads = [
        bad(name, {"data": data.replace(" ", "")}, "malformed") for name, data in _BAD_CBOR.items()
    ]
    return goods + bads


_ID, _HASH = fixed_bytes("topic id", 16).hex(), fixed_bytes("topic page", 32).hex()

_GOOD_TOPICS: dict[str, dict[str, str]] = {
    f"sealgate/1/send/thermo-1/{_ID}": {"kind": "send", "owner": "thermo-1", "message_id": _ID},
    f"sealgate/1/inbox/hub/thermo-1/{_ID}": {
        "kind": "inbox",
        "owner": "hub",
        "sender": "thermo-1",
        "message_id": _ID,
    },
    f"sealgate/1/read/hub/thermo-1/{_ID}": {
        "kind": "read",
        "owner": "hub",
        "sender": "thermo-1",
        "message_id": _ID,
    },
    "sealgate/1/notice/a": {"kind": "notice", "owner": "a"},
    "sealgate/1/query/a.b_c-9": {"kind": "query", "owner": "a.b_c-9"},
    "sealgate/1/seen/" + "n" * 64: {"kind": "seen", "owner": "n" * 64},
    "sealgate/1/announce/hub": {"kind": "announce", "owner": "hub"},
    "sealgate/1/join/hub": {"kind": "join", "owner": "hub"},
    "sealgate/1/cert/hub": {"kind": "cert", "owner": "hub"},
    "sealgate/1/keys/hub": {"kind": "keys", "owner": "hub"},
    "sealgate/1/roster": {"kind": "roster"},
    f"sealgate/1/roster/{_HASH}": {"kind": "roster", "page_hash": _HASH},
    "sealgate/1/state/gw-1": {"kind": "state", "owner": "gw-1"},
    "sealgate/1/log/gw-1": {"kind": "log", "owner": "gw-1"},
    "sealgate/1/prove/hub": {"kind": "prove", "owner": "hub"},
    "sealgate/1/proof/hub": {"kind": "proof", "owner": "hub"},
}

_BAD_TOPICS = {
    "nothing": "",
    "prefix-alone": "sealgate/1",
    "prefix-and-slash": "sealgate/1/",
    "another-prefix": "sealgate/2/notice/hub",
    "prefix-not-at-the-start": "x/sealgate/1/notice/hub",
    "leading-slash": "/sealgate/1/notice/hub",
    "unknown-kind": "sealgate/1/other/hub",
    "kind-in-upper-case": "sealgate/1/NOTICE/hub",
    "no-name": "sealgate/1/notice",
    "empty-name": "sealgate/1/notice/",
    "one-level-too-many": "sealgate/1/notice/hub/x",
    "name-in-upper-case": "sealgate/1/notice/Hub",
    "name-with-a-wildcard": "sealgate/1/notice/hub+",
    "wildcard-for-a-name": "sealgate/1/notice/+",
    "wildcard-at-the-end": "sealgate/1/notice/#",
    "name-with-a-space": "sealgate/1/notice/my hub",
    "name-with-a-dollar": "sealgate/1/notice/$hub",
    "name-beyond-ascii": "sealgate/1/notice/h\u00fcb",
    "name-of-65-characters": "sealgate/1/notice/" + "n" * 65,
    "id-in-upper-case": f"sealgate/1/send/thermo-1/{_ID.upper()}",
    "id-one-digit-short": f"sealgate/1/send/thermo-1/{_ID[:-1]}",
    "id-one-digit-long": f"sealgate/1/send/thermo-1/{_ID}0",
    "id-that-is-not-hex": f"sealgate/1/send/thermo-1/{_ID[:-1]}g",
    "send-with-a-reader": f"sealgate/1/send/hub/thermo-1/{_ID}",
    "inbox-without-a-sender": f"sealgate/1/inbox/hub/{_ID}",
    "inbox-with-an-empty-reader": f"sealgate/1/inbox//thermo-1/{_ID}",
    "page-hash-too-short": f"sealgate/1/roster/{_HASH[:-2]}",
    "page-hash-in-upper-case": f"sealgate/1/roster/{_HASH.upper()}",
    "page-with-a-level-below": f"sealgate/1/roster/{_HASH}/x",
}


def topic_vectors() -> list[Vector]:
    """PROTOCOL 9."""
    goods = [
        good(fields["kind"] + ("-page" if "page_hash" in fields else ""), {"topic": text}, fields)
        for text, fields in _GOOD_TOPICS.items()
    ]
    return goods + [bad(name, {"topic": text}, "topic") for name, text in _BAD_TOPICS.items()]
