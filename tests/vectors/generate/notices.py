"""Vectors of notices: every event there is, and details that do not belong to theirs."""

from typing import Any

from device_sdk.wire import cose
from device_sdk.wire.notice import Event, EventKind, Excusal, Notice
from device_sdk.wire.reasons import Reason
from tests.vectors.generate.fleet import AAD, NOW, OWNER, VERSION, signer
from tests.vectors.generate.records import (
    DIGEST,
    EXCUSE,
    ID,
    LEDGER,
    NONCE,
    READ,
    UNREADABLE,
    accepted,
    refused,
)
from tests.vectors.generate.tamper import Change, set_key, signed_anew
from tests.vectors.generate.vector import Vector, bad

READ_ACK = cose.sign(READ, signer("hub"), AAD)
UNREADABLE_ACK = cose.sign(UNREADABLE, signer("phone"), AAD)
SIGNED_EXCUSE = cose.sign(EXCUSE, signer(OWNER), AAD)


def notice_vectors() -> list[Vector]:
    """PROTOCOL 10.1."""
    empty = _notice()
    stranger = signed_anew(cose.sign(empty, signer("hub"), AAD), signer("hub"), AAD)
    return [
        *(accepted(name, _notice(event), "gw-1") for name, event in _events().items()),
        accepted("no-events", empty, "gw-1"),
        accepted("an-answer-to-a-query", _notice(query_nonce=NONCE, owed=0), "gw-1"),
        accepted("all-events-in-one", _notice(*_events().values()), "gw-1"),
        *refused(
            _notice(_event(EventKind.HELD), query_nonce=NONCE, owed=3), "gw-1", cases=_cases()
        ),
        _too_many_fields(),
        bad("a-read-ack-instead", {"data": READ_ACK.hex(), "signer": "gw-1"}, "malformed"),
        bad(
            "signed-by-a-device-that-is-no-gateway",
            {"data": stranger.hex(), "signer": "hub"},
            "unknown-device",
        ),
    ]


def _notice(*events: Event, **more: Any) -> Notice:
    return Notice(
        device="thermo-1",
        ledger_id=LEDGER,
        counter=7,
        time=NOW,
        roster_version=VERSION,
        events=events,
        **more,
    )


def _event(kind: EventKind, digest: bytes = DIGEST, **detail: Any) -> Event:
    return Event(kind=kind, sender="thermo-1", message_id=ID, digest=digest, **detail)


def _events() -> dict[str, Event]:
    excused = {
        "excused-by-the-owner": Excusal(readers=("hub", "phone"), excuse=SIGNED_EXCUSE),
        "excused-by-revocation": Excusal(readers=("lost",), roster_version=VERSION),
    }
    return {
        "held": _event(EventKind.HELD),
        "held-finished": _event(EventKind.HELD, word="finished"),
        **{f"refused-{r}": _event(EventKind.REFUSED, word=str(r)) for r in Reason},
        "refused-without-digest": _event(EventKind.REFUSED, b"", word="malformed"),
        "read": _event(EventKind.READ, ack=READ_ACK),
        "unreadable": _event(EventKind.UNREADABLE, ack=UNREADABLE_ACK),
        **{name: _event(EventKind.EXCUSED, excusal=e) for name, e in excused.items()},
        "expired": _event(EventKind.EXPIRED),
        "expired-as-its-sender-was-revoked": _event(EventKind.EXPIRED, word="sender-revoked"),
        "unknown": _event(EventKind.UNKNOWN, b""),
        "unknown-partial": _event(EventKind.UNKNOWN, word="partial"),
    }


def _too_many_fields() -> Vector:
    data = cose.sign(_notice(_event(EventKind.HELD)), signer("gw-1"), AAD)
    six = set_key(6, [["held", "thermo-1", ID, DIGEST, "finished", ""]])
    changed = signed_anew(data, signer("gw-1"), AAD, payload=six)
    return bad("event-with-six-fields", {"data": changed.hex(), "signer": "gw-1"}, "too-large")


def _cases() -> dict[str, Change]:
    def event(*fields: Any) -> Change:
        return set_key(6, [list(fields)])

    base = ("thermo-1", ID, DIGEST)
    return {
        "event-unknown": event("lost", *base),
        "event-without-digest": event("held", "thermo-1", ID),
        "event-with-a-short-digest": event("held", "thermo-1", ID, DIGEST[:31]),
        "event-with-a-short-id": event("held", "thermo-1", ID[:15], DIGEST),
        "event-with-a-sender-in-upper-case": event("held", "Thermo", ID, DIGEST),
        "held-with-an-unknown-detail": event("held", *base, "perhaps"),
        "held-with-an-empty-detail": event("held", *base, ""),
        "held-with-a-detail-of-expired": event("held", *base, "sender-revoked"),
        "refused-without-reason": event("refused", *base),
        "refused-with-an-unknown-reason": event("refused", *base, "because"),
        "read-without-ack": event("read", *base),
        "read-with-an-empty-ack": event("read", *base, b""),
        "read-with-a-word": event("read", *base, "finished"),
        "excused-without-evidence": event("excused", *base),
        "excused-with-nobody": event("excused", *base, [[], VERSION]),
        "excused-by-roster-version-0": event("excused", *base, [["hub"], 0]),
        "excused-with-an-empty-excuse": event("excused", *base, [["hub"], b""]),
        "nonce-of-15-bytes": set_key(7, NONCE[:15]),
        "owed-negative": set_key(8, -1),
        "ledger-id-of-17-bytes": set_key(2, LEDGER + b"\0"),
    }
