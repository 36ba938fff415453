"""Vectors of the signed records: everything that is not a message."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from device_sdk.wire import cbor, cose
from device_sdk.wire.excuse import Excuse
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.query import Query, Seen, Sent, Wanted
from device_sdk.wire.read_ack import ReadAck
from device_sdk.wire.state import State
from tests.vectors.generate.fixed import FixedSigner, fixed_bytes, spki
from tests.vectors.generate.fleet import (
    AAD,
    DAY,
    NOW,
    OTHER_AAD,
    OWNER,
    P256,
    RSA2048,
    VERSION,
    key_statement,
    signer,
)
from tests.vectors.generate.tamper import (
    Change,
    at,
    changed_record,
    drop_key,
    flip,
    put,
    set_key,
    signed_anew,
)
from tests.vectors.generate.vector import Vector, bad, good

ID, DIGEST = fixed_bytes("record id", 16), fixed_bytes("record digest", 32)
TOKEN = fixed_bytes("record token", 32)
LEDGER, INSTANCE = fixed_bytes("ledger", 16), fixed_bytes("instance", 16)
NONCE = fixed_bytes("nonce", 16)
SENT = Sent(message_id=ID, digest=DIGEST)

READ = ReadAck(
    verdict="read",
    sender="thermo-1",
    message_id=ID,
    digest=DIGEST,
    reader="hub",
    time=NOW,
    open_token=TOKEN,
)
UNREADABLE = ReadAck(
    verdict="unreadable",
    sender="thermo-1",
    message_id=ID,
    digest=DIGEST,
    reader="phone",
    time=NOW,
    reason="not-opened",
)
EXCUSE = Excuse(sender="thermo-1", message_id=ID, readers=("hub", "phone"), time=NOW)


def plain(value: Any) -> Any:
    """Return a record as JSON has it: bytes in hex, fields by their names."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def accepted(name: str, record: cose.Record, by: str, aad: bytes = AAD) -> Vector:
    """Return a record's good vector, signed by a member of the fleet."""
    data = cose.sign(record, signer(by), aad)
    return good(name, {"data": data.hex(), "signer": by}, {"claims": plain(record)})


def refused(
    record: cose.Record, by: str, *, cases: Mapping[str, Change], aad: bytes = AAD
) -> list[Vector]:
    """Return a record's bad vectors.

    The cases change the payload, and its signer signs that anew: they are refused for what they
    say. The others are the same for all records.
    """
    who = signer(by)
    data = cose.sign(record, who, aad)
    claims = cbor.decode(record.encode(), "record", limit=1 << 20)
    missing = {f"without-field-{key}": drop_key(key) for key in claims}
    mistyped = {f"field-{key}-of-another-type": _another_type(key) for key in claims}
    general = {**missing, **mistyped, "unknown-field": set_key(99, 0), "not-a-map": put([])}
    malformed = {
        name: signed_anew(data, who, aad, payload=change)
        for name, change in {**_only_required(record, general), **cases}.items()
    }
    headers = {
        "typ-of-another-record": set_key(16, "application/sealgate-other+cose"),
        "typ-missing": drop_key(16),
        "kid-missing": drop_key(4),
        "kid-of-15-bytes": set_key(4, who.kid[:15]),
        "algorithm-unknown": set_key(1, -8),
        "header-with-an-unknown-field": set_key(99, 0),
    }
    malformed |= {
        name: signed_anew(data, who, aad, protected=change) for name, change in headers.items()
    }
    malformed |= {
        "without-tag": data[1:],
        "another-tag": b"\xd1" + data[1:],
        "truncated": data[:-1],
        "trailing-byte": data + b"\0",
        "with-an-unprotected-header": changed_record(data, at(1, do=put({4: who.kid}))),
        "payload-detached": changed_record(data, at(2, do=put(None))),
        "payload-not-wrapped": changed_record(data, at(2, do=put(claims))),
        "payload-with-a-trailing-byte": changed_record(data, at(2, do=lambda p: p + b"\0")),
        "three-parts": changed_record(data, lambda parts: parts[:3]),
        "nothing": b"",
    }
    other_alg = -37 if who.alg == -7 else -7
    signature = {
        "payload-changed": changed_record(data, at(3, do=flip)),
        "signature-empty": changed_record(data, at(3, do=put(b""))),
        "signature-cut": changed_record(data, at(3, do=lambda s: s[:-1])),
        "signed-for-another-fleet": cose.sign(record, who, OTHER_AAD),
        "signed-by-another-key": cose.sign(record, _impostor(who), aad),
        "algorithm-of-another-key": signed_anew(data, who, aad, protected=set_key(1, other_alg)),
    }
    return [
        bad(name, {"data": value.hex(), "signer": by}, error)
        for error, group in (("malformed", malformed), ("signature", signature))
        for name, value in group.items()
    ]


def _impostor(who: FixedSigner) -> FixedSigner:
    other = RSA2048 if who.key == P256 else P256
    return FixedSigner(other, claimed_alg=who.alg, claimed_kid=who.kid)


def _another_type(key: int) -> Change:
    def change(claims: dict[int, Any]) -> dict[int, Any]:
        wrong = 7 if isinstance(claims[key], bytes | str) else "7"
        return {**claims, key: wrong}

    return change


_OPTIONAL = {
    "application/sealgate-notice+cose": {"without-field-7", "without-field-8"},
    "application/sealgate-join+cose": {"without-field-4"},
    "application/sealgate-roster+cose": {"without-field-6"},
}


def _only_required(record: cose.Record, cases: dict[str, Change]) -> dict[str, Change]:
    optional = _OPTIONAL.get(record.TYP, set())
    return {name: change for name, change in cases.items() if name not in optional}


# ------------------------------------------------------------- one function a file


def read_ack_vectors() -> list[Vector]:
    """PROTOCOL 7."""
    cases = {
        "verdict-unknown": set_key(1, "seen"),
        "read-without-token": drop_key(7),
        "read-with-reason": set_key(8, "not-opened"),
        "read-with-reason-instead-of-token": lambda c: {
            **{k: v for k, v in c.items() if k != 7},
            8: "not-opened",
        },
        "unreadable-with-token": set_key(1, "unreadable"),
        "token-of-31-bytes": set_key(7, TOKEN[:31]),
        "digest-of-31-bytes": set_key(4, DIGEST[:31]),
        "message-id-of-17-bytes": set_key(3, ID + b"\0"),
        "reader-in-upper-case": set_key(5, "Hub"),
        "time-negative": set_key(6, -1),
        "time-as-text": set_key(6, "now"),
    }
    gone = ReadAck(**{**plain_fields(UNREADABLE), "reason": "key-gone", "reader": "hub"})
    return [
        accepted("read", READ, "hub"),
        accepted("unreadable-by-a-ps256-identity", UNREADABLE, "phone"),
        accepted("unreadable-because-the-key-is-gone", gone, "hub"),
        *refused(READ, "hub", cases=cases),
    ]


def plain_fields(record: Any) -> dict[str, Any]:
    """Return a record's fields for making a changed one."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def query_vectors() -> list[Vector]:
    """PROTOCOL 10.2."""
    wanted = Wanted(sender="thermo-1", message_id=ID)
    query = Query(device="hub", time=NOW, nonce=NONCE, sent=(SENT,), wanted=(wanted,))
    cases = {
        "nonce-of-15-bytes": set_key(3, NONCE[:15]),
        "sent-without-digest": set_key(4, [[ID]]),
        "sent-with-a-short-digest": set_key(4, [[ID, DIGEST[:31]]]),
        "wanted-in-the-other-order": set_key(5, [[ID, "thermo-1"]]),
        "wanted-from-nobody": set_key(5, [["", ID]]),
    }
    return [
        accepted("about-nothing", Query(device="hub", time=NOW, nonce=NONCE), "hub"),
        accepted("about-one-of-each", query, "hub"),
        *refused(query, "hub", cases=cases),
    ]


def seen_vectors() -> list[Vector]:
    """PROTOCOL 10.2."""
    seen = Seen(device="thermo-1", time=NOW, messages=(SENT,))
    two = Seen(
        device="thermo-1",
        time=NOW,
        messages=(SENT, Sent(message_id=fixed_bytes("second id", 16), digest=DIGEST)),
    )
    cases = {"message-without-digest": set_key(3, [[ID]])}
    return [
        accepted("one-outcome", seen, "thermo-1"),
        accepted("two-outcomes", two, "thermo-1"),
        *refused(seen, "thermo-1", cases=cases),
    ]


def state_vectors() -> list[Vector]:
    """PROTOCOL 10.4."""

    def state(status: str) -> State:
        return State(
            gateway="gw-1",
            ledger_id=LEDGER,
            instance=INSTANCE,
            status=status,
            time=NOW,
            roster_version=VERSION,
            software="sealgate 0.1.0",
            max_payload=262_144,
            max_readers=1000,
            max_lifetime=30 * DAY,
        )

    cases = {
        "status-unknown": set_key(4, "busy"),
        "ledger-id-of-15-bytes": set_key(2, LEDGER[:15]),
        "instance-of-17-bytes": set_key(3, INSTANCE + b"\0"),
        "software-with-a-control-character": set_key(7, "sealgate\x1b[2J"),
        "software-of-65-characters": set_key(7, "s" * 65),
        "two-limits": set_key(8, [1, 2]),
        "limit-negative": set_key(8, [1, 2, -3]),
    }
    return [
        *(accepted(status, state(status), "gw-1") for status in ("online", "offline", "paused")),
        *refused(state("online"), "gw-1", cases=cases),
    ]


def excuse_vectors() -> list[Vector]:
    """PROTOCOL 8.5."""
    cases = {
        "nobody-excused": set_key(3, []),
        "reader-in-upper-case": set_key(3, ["HUB"]),
        "message-id-of-15-bytes": set_key(2, ID[:15]),
    }
    one = Excuse(sender="thermo-1", message_id=ID, readers=("hub",), time=NOW)
    return [
        accepted("one-reader", one, OWNER),
        accepted("two-readers", EXCUSE, OWNER),
        *refused(EXCUSE, OWNER, cases=cases),
    ]


def key_statement_vectors() -> list[Vector]:
    """PROTOCOL 8.1."""
    statement = key_statement("hub")
    cases = {
        "ends-before-it-begins": set_key(4, NOW - 1),
        "ends-as-it-begins": set_key(4, NOW),
        "key-on-an-elliptic-curve": set_key(2, spki(P256)),
        "key-of-1024-bits": set_key(2, spki("testRSA1024")),
        "key-with-a-byte-behind": set_key(2, spki(RSA2048) + b"\0"),
        "serial-negative": set_key(5, -1),
    }
    vectors = refused(statement, "hub", cases=cases, aad=cose.FLEETLESS_AAD)
    for vector in vectors:
        if vector["name"].startswith("key-"):
            vector["error"] = "key-format"
    as_others = cose.sign(key_statement("lamp"), signer("hub"), cose.FLEETLESS_AAD)
    in_fleet = cose.sign(statement, signer("hub"), AAD)
    return [
        accepted("a-2048-bit-key", statement, "hub", cose.FLEETLESS_AAD),
        accepted("a-4096-bit-key", key_statement("phone"), "phone", cose.FLEETLESS_AAD),
        *vectors,
        bad("another-devices", {"data": as_others.hex(), "signer": "hub"}, "signature"),
        bad("signed-with-the-fleets-aad", {"data": in_fleet.hex(), "signer": "hub"}, "signature"),
    ]


def statement_of(name: str, **changes: Any) -> bytes:
    """Return a device's signed reader-key statement."""
    statement: KeyStatement = key_statement(name, **changes)
    return cose.sign(statement, signer(name), cose.FLEETLESS_AAD)
