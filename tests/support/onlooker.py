"""Somebody with every right to read at a home's broker, and what was ever published there."""

from urllib.parse import urlsplit

from gateway.cli.demo.snooper import Packet, Snooper
from gateway.login import OPERATOR_FILE
from tests.support.home import Home


def onlooker(home: Home) -> Snooper:
    """Return a snooper at the home's broker, to be used as a context manager."""
    address = urlsplit(home.url)
    assert address.hostname is not None
    assert address.port is not None
    # Only the gateway's own broker knows accounts; the other one takes any password.
    file = home.directory / "gateway-data" / OPERATOR_FILE
    password = file.read_text().strip() if file.exists() else ""
    return Snooper(address.hostname, address.port, password)


def is_copy(packet: Packet) -> bool:
    """Tell whether a packet is a copy as it was just published, not a clear or a replay."""
    return "/inbox/" in packet.topic and bool(packet.payload) and not packet.retained


def inboxes(standing: dict[str, bytes]) -> list[str]:
    """Return the topics of the copies among what stands at a broker."""
    return [topic for topic in standing if "/inbox/" in topic]
