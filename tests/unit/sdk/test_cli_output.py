"""What the device's commands print."""

import contextlib
from datetime import UTC, datetime

from device_sdk.cli.output import message_as_json
from device_sdk.message import Message


def test_a_message_in_json_names_the_first_and_the_last_number_of_each_gap() -> None:
    now = datetime(2027, 1, 15, tzinfo=UTC)
    message = Message(
        message_id="ab" * 16,
        sender="thermo-1",
        sent_at=now,
        expires_at=now,
        channel="direct",
        content_type="text/plain",
        sequence=9,
        missed=(range(2, 3), range(5, 9)),
        payload=b"21.5",
        _block=contextlib.nullcontext(),
    )
    assert message_as_json(message)["missed"] == [[2, 2], [5, 8]]
