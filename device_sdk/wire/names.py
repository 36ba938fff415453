"""Device ids, gateway ids, channel names and message ids (PROTOCOL 2)."""

import re

from device_sdk.wire.errors import MalformedError
from device_sdk.wire.limits import MAX_ID, MESSAGE_ID_SIZE

OPERATOR, JOINER, ANONYMOUS = "operator", "join", "anonymous"
"""Accounts at brokers, which no member may be called (PROTOCOL 12, 12.3, 19). The last one also
stands where a sender's name would, in topics and wherever a message is named."""
DIRECT = "direct"
"""The channel of a message that names its readers itself; no channel may have this name."""

_NAME = re.compile(rf"[a-z0-9._-]{{1,{MAX_ID}}}")
_HEX_ID = re.compile(rf"[0-9a-f]{{{2 * MESSAGE_ID_SIZE}}}")


def as_name(value: object, what: str) -> str:
    """Return a device, gateway or channel name: 1 to 64 of ``a-z 0-9 . _ -``.

    The alphabet is narrow because names are topic levels, certificate names and user names at the
    broker, where wildcards have bypassed access rules before.
    """
    if type(value) is not str or not _NAME.fullmatch(value):
        raise MalformedError(what, expected=f"1 to {MAX_ID} of a-z 0-9 . _ -", got="something else")
    return value


def is_name(value: str) -> bool:
    """Tell whether `as_name` would accept it."""
    return _NAME.fullmatch(value) is not None


def is_hex_id(value: str) -> bool:
    """Tell whether a topic level is a message id: 32 lower-case hex digits."""
    return _HEX_ID.fullmatch(value) is not None
