"""Between what an application says and the bytes that are sealed. Pure."""

import json
from typing import Any

from device_sdk.errors import PayloadError
from device_sdk.wire.limits import MAX_PAYLOAD

BYTES, TEXT, JSON = "application/octet-stream", "text/plain; charset=utf-8", "application/json"

Payload = bytes | bytearray | memoryview | str | dict[str, Any] | list[Any]


def encode(payload: Payload) -> tuple[bytes, str]:
    """Return (bytes, content type). Empty payloads are messages like any other.

    Raises:
        PayloadError: another type, nothing that JSON can say, or over 256 KiB.
    """
    data, content_type = _encode(payload)
    if len(data) > MAX_PAYLOAD:
        raise PayloadError(
            f"a payload has at most {MAX_PAYLOAD} bytes, got {len(data)}: send it in parts"
        )
    return data, content_type


def _encode(payload: Payload) -> tuple[bytes, str]:
    if isinstance(payload, bytes | bytearray | memoryview):
        return bytes(payload), BYTES
    try:
        if isinstance(payload, str):
            return payload.encode(), TEXT
        if isinstance(payload, dict | list):
            text = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            return text.encode(), JSON
    except (TypeError, ValueError, RecursionError):  # never the text of it: it quotes the payload
        raise PayloadError("the payload holds something that JSON or UTF-8 cannot say") from None
    raise PayloadError(f"a payload is bytes, str, dict or list, got {type(payload).__name__}")
