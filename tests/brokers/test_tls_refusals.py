"""What a device and a gateway say when a broker refuses their certificate, or they refuse its."""

import asyncio
import queue
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog.testing

from device_sdk.errors import (
    BrokerCertificateError,
    BrokerUnavailableError,
    OwnCertificateError,
)
from device_sdk.link.broker_url import BrokerUrl
from device_sdk.link.mqtt import MqttLink
from device_sdk.link.port import Connected, Disconnected, LinkEvent
from gateway.link.address import parse_address
from gateway.link.paho import PahoLink
from tests.support.tls_fleet import TlsBroker, TlsFleet, foreign_authority

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PATIENCE = 30.0
REFUSALS = {
    "missing": "it wants a certificate of the fleet's owner, and there is none here",
    "revoked": "the owner has revoked it",
    "foreign": "it is by another owner",
    "expired": "it has expired",
}


@pytest.fixture(scope="module")
def broker(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[TlsBroker]:
    program = request.getfixturevalue("mosquitto")
    tls = TlsFleet(tmp_path_factory.mktemp("tls"))
    tls.revoke("lost")
    broker = TlsBroker(tls, program)
    with broker.mosquitto:
        yield broker


def chain(tls: TlsFleet, what: str) -> tuple[str, bytes]:
    """Return whose certificate it is, and the certificate."""
    if what == "revoked":
        return "lost", tls.chains["lost"]
    if what == "foreign":
        return "hub", tls.issue("hub", tls.identities["hub"], foreign_authority())
    if what == "expired":
        return "hub", tls.issue("hub", tls.identities["hub"], validity=-3600)
    return "hub", tls.chains["hub"]


def first_event(broker: TlsBroker, what: str, ca: Path | None = None) -> LinkEvent:
    """Return what a device's link reports first."""
    tls = broker.fleet
    name, certificate = chain(tls, what)
    events: queue.SimpleQueue[LinkEvent] = queue.SimpleQueue()
    link = MqttLink(
        BrokerUrl.parse(broker.url),
        client_id=name,
        credentials=lambda: None,
        ca=str(ca or tls.fleet.directory / "public/ca.pem"),
        present=None
        if what == "missing"
        else lambda context: tls.identities[name].present(context, certificate),
    )
    link.start(events.put)
    try:
        return events.get(timeout=PATIENCE)
    finally:
        link.close()


def test_a_member_gets_in(broker: TlsBroker) -> None:
    assert isinstance(first_event(broker, "valid"), Connected)


@pytest.mark.parametrize("what", REFUSALS)
def test_a_device_says_why_its_certificate_is_refused(broker: TlsBroker, what: str) -> None:
    event = first_event(broker, what)
    assert isinstance(event, Disconnected)
    assert event.kind is OwnCertificateError
    assert issubclass(event.kind, BrokerUnavailableError)
    assert REFUSALS[what] in event.problem


def test_a_device_does_not_talk_to_another_fleets_broker(broker: TlsBroker, tmp_path: Path) -> None:
    other = TlsFleet(tmp_path)
    event = first_event(broker, "valid", other.fleet.directory / "public/ca.pem")
    assert isinstance(event, Disconnected)
    assert event.kind is BrokerCertificateError
    assert "certificate is not to be trusted" in event.problem


@pytest.mark.parametrize("what", REFUSALS)
async def test_a_gateway_logs_why_its_certificate_is_refused(broker: TlsBroker, what: str) -> None:
    tls = broker.fleet
    name, certificate = chain(tls, what)
    link = PahoLink(
        parse_address(broker.url),
        client_id=name,
        credentials=lambda: None,
        ca=tls.fleet.directory / "public/ca.pem",
        present=None
        if what == "missing"
        else lambda context: tls.identities[name].present(context, certificate),
    )
    with structlog.testing.capture_logs() as logs:
        task = asyncio.ensure_future(link.connect())
        async with asyncio.timeout(PATIENCE):
            while not logs:  # noqa: ASYNC110 - a log has no event
                await asyncio.sleep(0.01)
        task.cancel()
    assert "refuses this gateway's certificate" in logs[0]["reason"]
    assert REFUSALS[what] in logs[0]["reason"]
