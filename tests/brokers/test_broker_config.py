"""The shipped Mosquitto configuration starts as it is and keeps clients to their own topics."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.owner.mosquitto_acl import acl_text
from tests.brokers.mosquitto import _listens, free_port
from tests.brokers.raw_client import RawClient

SHIPPED = Path(__file__).parents[2] / "broker_config"
USERS = ("gw-1", "thermo-1", "hub")
MESSAGE = "00" * 16


@pytest.fixture
def port(tmp_path: Path, mosquitto: str) -> Iterator[int]:
    """Mosquitto as README says to run it; only the port is another."""
    directory = tmp_path / "broker_config"
    shutil.copytree(SHIPPED, directory)
    port = free_port()
    configuration = directory / "mosquitto.conf"
    text = configuration.read_text().replace("listener 1883 ", f"listener {port} ")
    if os.geteuid() == 0:
        text += "user root\n"
    configuration.write_text(text)
    hasher = shutil.which("mosquitto_passwd") or str(Path(mosquitto).with_name("mosquitto_passwd"))
    passwords = directory / "passwords"
    passwords.touch(mode=0o600)
    for user in USERS:
        subprocess.run([hasher, "-b", str(passwords), user, user[::-1]], check=True)
    process = subprocess.Popen([mosquitto, "-c", str(configuration)], cwd=tmp_path)
    while not _listens(port):
        assert process.poll() is None, "Mosquitto did not start with the shipped configuration"
    yield port
    process.terminate()
    process.wait()


async def log_in(port: int, name: str) -> RawClient:
    client = await RawClient.dial(port)
    assert await client.connect("whatever", name, name[::-1]) == b"\0\0"
    return client


async def test_what_devices_publish_reaches_the_gateway_only_on_their_own_topics(
    port: int,
) -> None:
    async with await log_in(port, "gw-1") as gateway, await log_in(port, "thermo-1") as thermo:
        assert await gateway.subscribe("sealgate/1/#") == [1]
        for topic in (
            f"sealgate/1/send/hub/{MESSAGE}",
            f"sealgate/1/inbox/hub/thermo-1/{MESSAGE}",
            f"sealgate/1/read/hub/thermo-1/{MESSAGE}",
            "sealgate/1/notice/hub",
            "sealgate/1/roster",
            "sealgate/1/keys/thermo-1",
            "sealgate/1/state/gw-1",
            "sealgate/1/query/hub",
        ):
            await thermo.publish(topic, b"not mine")
        own = f"sealgate/1/send/thermo-1/{MESSAGE}"
        await thermo.publish(own, b"mine")
        assert [message.topic for message in await gateway.until(own)] == []


async def test_a_device_receives_its_own_copies_and_nobody_elses(port: int) -> None:
    async with await log_in(port, "gw-1") as gateway, await log_in(port, "hub") as hub:
        await hub.subscribe("sealgate/1/inbox/#", "sealgate/1/notice/hub")
        await gateway.publish(f"sealgate/1/inbox/thermo-1/hub/{MESSAGE}", b"not for hub")
        own = f"sealgate/1/inbox/hub/thermo-1/{MESSAGE}"
        await gateway.publish(own, b"for hub")
        await gateway.publish("sealgate/1/notice/hub", b"")
        received = await hub.until("sealgate/1/notice/hub")
        assert [message.topic for message in received] == [own]


async def test_nobody_gets_in_without_a_password(port: int) -> None:
    for name, password in ((None, None), ("hub", "wrong")):
        async with await RawClient.dial(port) as client:
            answer = await client.connect("hub", name, password)
            assert answer is None or answer[1] != 0


def test_the_shipped_rules_are_the_embedded_brokers_rules() -> None:
    assert (SHIPPED / "acl").read_text() == acl_text(["gw-1"])
