"""What the device's commands print: records as JSON objects, and as lines and tables for people."""

import base64
import re
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from device_sdk.message import Message
from device_sdk.sent import Outcome, SentRecord
from device_sdk.status import Status
from device_sdk.transparency.report import LogReport

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Everything but tab and newline that makes a terminal do something instead of showing it."""


def message_as_json(message: Message) -> dict[str, Any]:
    """Return a received message; its payload as ``text``, or as ``base64`` if it is no UTF-8.

    ``missed`` lists the first and the last number of each gap.
    """
    text = as_text(message.payload)
    return {
        "message_id": message.message_id,
        "sender": message.sender,
        "sent_at": _seconds(message.sent_at),
        "expires_at": _seconds(message.expires_at),
        "channel": message.channel,
        "content_type": message.content_type,
        "sequence": message.sequence,
        "missed": [[numbers[0], numbers[-1]] for numbers in message.missed],
        **_reading(message),
        **({"base64": as_base64(message.payload)} if text is None else {"text": text}),
    }


def _reading(message: Message) -> dict[str, Any]:
    """Return a checked reading; its value is text, as JSON's numbers are floats elsewhere."""
    reading = message.reading
    if reading is None:
        return {}
    policy = reading.policy
    return {
        "reading": {
            "value": reading.text(),
            "unit": reading.unit,
            "low": f"{policy.value_of(policy.low):f}",
            "high": f"{policy.value_of(policy.high):f}",
            "step": f"{policy.step:f}",
            "policy_version": policy.version,
            "is_current": reading.is_current,
            "is_required": reading.is_required,
        }
    }


def as_text(payload: bytes) -> str | None:
    """Return a payload as text, None if it is none."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None


def as_base64(payload: bytes) -> str:
    """Return a payload in base64, on one line."""
    return base64.b64encode(payload).decode()


def harmless(text: str) -> str:
    """Return a text of which nothing takes control of the terminal that shows it."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def sent_as_json(record: SentRecord) -> dict[str, Any]:
    """Return a sent message and what became of it at each reader."""
    return {
        "message_id": record.message_id,
        "state": str(record.state),
        "detail": record.detail,
        "channel": record.channel,
        "sent_at": _seconds(record.sent_at),
        "expires_at": _seconds(record.expires_at),
        "held_at": _seconds(record.held_at),
        "closed_at": _seconds(record.closed_at),
        "readers": [_verdict(record.outcome, reader) for reader in record.readers],
        "left_out": dict(record.left_out),
    }


def _verdict(outcome: Outcome, reader: str) -> dict[str, Any]:
    verdict: dict[str, Any] = {"reader": reader, "verdict": "owed", "read_at": None, "detail": ""}
    if reader in outcome.read_by:
        verdict.update(verdict="read", read_at=_seconds(outcome.read_by[reader]))
    elif reader in outcome.unreadable:
        verdict.update(verdict="unreadable", detail=outcome.unreadable[reader])
    elif reader in outcome.excused:
        verdict.update(verdict="excused", detail=outcome.excused[reader])
    return verdict


SENT_COLUMNS = ["id", "sent", "state", "read by", "waiting for", "otherwise"]


def sent_as_row(record: SentRecord) -> list[str]:
    """Return a sent message as a row of a table with `SENT_COLUMNS`."""
    outcome = record.outcome
    otherwise = [
        *outcome.unreadable.items(),
        *outcome.excused.items(),
        *((reader, f"left out: {why}") for reader, why in record.left_out.items()),
    ]
    return [
        record.message_id[:8],
        local_time(record.sent_at),
        f"{record.state} {record.detail}".strip(),
        _names(outcome.read_by),
        _names(outcome.waiting_for),
        _names(f"{reader} ({why})" for reader, why in otherwise),
    ]


def outcome_as_lines(outcome: Outcome) -> list[str]:
    """Return what became of one message, a line for each reader."""
    return [
        *(f"{reader}: read {local_time(at)}" for reader, at in outcome.read_by.items()),
        *(f"{reader}: unreadable ({why})" for reader, why in outcome.unreadable.items()),
        *(f"{reader}: excused ({why})" for reader, why in outcome.excused.items()),
        *(f"{reader}: not yet" for reader in outcome.waiting_for),
    ]


def status_as_json(status: Status) -> dict[str, Any]:
    """Return a device's status; times as Unix seconds."""
    return {name: _plain(value) for name, value in asdict(status).items()}


def report_as_json(report: LogReport) -> dict[str, Any]:
    """Return a finding about the gateway's log; its signed heads in hex."""
    return {name: _plain(value) for name, value in asdict(report).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return _seconds(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def status_as_lines(status: Status) -> list[str]:
    """Return a device's status for people."""
    keys, gateway, expires = status.reader_keys, status.gateway, status.roster_expires
    if expires is None:
        roster = "none has come yet"
    else:
        until = "valid until" if status.is_roster_valid else "EXPIRED since"
        roster = f"version {status.roster_version}, {until} {local_time(expires)}"
    heard = "" if gateway is None else f"{gateway.name} is {gateway.status} ({gateway.software})"
    waiting = "unknown" if status.copies_waiting is None else str(status.copies_waiting)
    rows = {
        "device": status.name,
        "fleet": status.fleet,
        "admitted": "yes" if status.is_admitted else "no",
        "roster": roster,
        "reader keys": ", ".join(f"until {local_time(key.not_after)}" for key in keys),
        "broker": f"{status.broker}, {'connected' if status.is_connected else 'not connected'}",
        "gateway": heard or "none heard",
        "its log": _log(status),
        "to read": waiting,
        "own messages": f"{status.messages_waiting} not held yet, {status.messages_held} unread",
        **({"tokens left": _tokens(status)} if status.tokens else {}),
        "problem": status.problem or "none",
    }
    lines = [f"{name:<14}{value}" for name, value in rows.items()]
    lines += [f"{'warning':<14}{warning.text}" for warning in status.warnings]
    return lines + [f"{'found':<14}{report}" for report in status.log_reports]


def _log(status: Status) -> str:
    if status.log is None:
        return "none seen"
    return f"{status.log.size} rosters and keys, {local_time(status.log.at)}"


def _tokens(status: Status) -> str:
    return ", ".join(f"{left} for {channel}" for channel, left in status.tokens.items())


def local_time(moment: datetime) -> str:
    """Return a time by this machine's clock, for people."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def _names(readers: Iterable[str]) -> str:
    names = list(readers)
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"
