"""What somebody who may read everything at the broker gets to see, on each broker."""

import os

from device_sdk import Device
from gateway.cli.demo.facts import becomes_true, found_in, found_in_files, secrets_of
from tests.support.home import Home
from tests.support.onlooker import inboxes, onlooker

PATIENCE = 60.0


def test_a_snooper_never_sees_the_text_and_after_the_last_read_ack_nothing_is_left(
    home_on_each_broker: Home,
) -> None:
    home, marker = home_on_each_broker, os.urandom(32)
    with onlooker(home) as snooper:
        with Device.open(home.directory / "thermo-1") as device:
            sent = device.send(marker, to=["hub", "phone"])
            sent.wait_held(PATIENCE)
            assert len(inboxes(snooper.standing())) == 2
            topic = f"/send/thermo-1/{sent.message_id}"
            (envelope,) = snooper.wait_for(lambda packet: packet.topic.endswith(topic))
            secrets = secrets_of(envelope.payload)
            data = home.directory / "gateway-data"
            assert found_in_files(data, secrets) == set(secrets)
            for reader in ("hub", "phone"):
                home.read(reader)
            sent.wait_read(PATIENCE)
            assert inboxes(snooper.standing()) == []
            assert becomes_true(lambda: found_in_files(data, secrets) <= {"message id"}, PATIENCE)
            device.refresh(PATIENCE)  # the gateway has taken in that the outcome was noted
            assert becomes_true(lambda: found_in_files(data, secrets) == set(), PATIENCE)
        seen = b"".join(packet.topic.encode() + packet.payload for packet in snooper.packets)
    assert envelope.payload in seen
    assert found_in(seen, {"marker": marker}) == set()
