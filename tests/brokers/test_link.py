"""The broker edge on every broker: what the gateway's promises rest on."""

import asyncio
import datetime as dt
import ipaddress
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.link import buffer, paho_connection
from gateway.link.address import BrokerAddress, BrokerAddressError, parse_address
from gateway.link.paho import PahoLink
from gateway.link.paho_connection import PahoConnection
from gateway.link.port import (
    Arrival,
    BrokerRefusedError,
    Credentials,
    LinkError,
    LinkLostError,
    Will,
)
from tests.brokers.conftest import EmbeddedTestBroker, MosquittoTestBroker
from tests.brokers.mosquitto import Mosquitto
from tests.brokers.raw_client import RawClient

PREFIX = "sealgate/1"
Broker = EmbeddedTestBroker | MosquittoTestBroker
PATIENCE = 20


def link_to(
    port: int, name: str = "gw-1", *, client_id: str = "", will: Will | None = None
) -> PahoLink:
    return PahoLink(
        BrokerAddress(host="127.0.0.1", port=port, tls=False),
        client_id=client_id or name,
        credentials=lambda: Credentials(user=name, password=name[::-1]),
        will=None if will is None else lambda: will,
    )


@pytest.fixture
async def connection(broker: Broker) -> AsyncIterator[PahoConnection]:
    async with asyncio.timeout(PATIENCE):
        connection = await link_to(broker.port).connect()
    yield connection
    await connection.close()


async def arrivals(connection: PahoConnection, count: int) -> list[Arrival]:
    """Return so many arrivals, un-PUBACKed; they must come."""
    found: list[Arrival] = []
    async with asyncio.timeout(PATIENCE):
        while len(found) < count:
            found += await connection.batch()
    assert len(found) == count
    return found


async def test_what_is_published_arrives_once_and_in_order(
    connection: PahoConnection,
) -> None:
    await connection.subscribe([f"{PREFIX}/read/#"])
    topic = f"{PREFIX}/read/hub/thermo-1/0a"
    payloads = [bytes([number]) * 300 for number in range(200)]
    publishing = asyncio.gather(*(connection.publish(topic, payload) for payload in payloads))
    came = await arrivals(connection, len(payloads))
    connection.ack(came)
    await publishing
    assert [arrival.payload for arrival in came] == payloads
    assert {(arrival.topic, arrival.retained) for arrival in came} == {(topic, False)}


async def test_the_largest_envelope_passes(connection: PahoConnection) -> None:
    await connection.subscribe([f"{PREFIX}/send/#"])
    payload = bytes(1_000_000)
    await connection.publish(f"{PREFIX}/send/thermo-1/0a", payload)
    (came,) = await arrivals(connection, 1)
    assert came.payload == payload


async def test_a_subscription_brings_what_is_retained_before_what_is_published_later(
    connection: PahoConnection,
) -> None:
    topics = [f"{PREFIX}/inbox/hub/thermo-1/{number:032x}" for number in range(300)]
    await asyncio.gather(*(connection.publish(t, b"copy", retain=True) for t in topics))
    await connection.subscribe([f"{PREFIX}/inbox/#"])
    await connection.publish(f"{PREFIX}/inbox/hub/last", b"live")
    came = await arrivals(connection, len(topics) + 1)
    connection.ack(came)
    assert {arrival.topic for arrival in came[:-1]} == set(topics)
    assert all(arrival.retained for arrival in came[:-1])
    assert (came[-1].payload, came[-1].retained) == (b"live", False)


async def test_a_subscription_brings_what_is_retained_every_time(
    connection: PahoConnection,
) -> None:
    await connection.publish(f"{PREFIX}/roster", b"head", retain=True)
    for _ in range(3):
        await connection.subscribe([f"{PREFIX}/roster"])
        (came,) = await arrivals(connection, 1)
        connection.ack([came])
        assert came.retained


async def test_after_unsubscribing_nothing_more_comes(connection: PahoConnection) -> None:
    await connection.subscribe([f"{PREFIX}/inbox/#", f"{PREFIX}/notice/gw-1"])
    await connection.unsubscribe([f"{PREFIX}/inbox/#"])
    await connection.publish(f"{PREFIX}/inbox/hub/thermo-1/0a", b"copy")
    await connection.publish(f"{PREFIX}/notice/gw-1", b"marker")
    (came,) = await arrivals(connection, 1)
    assert came.payload == b"marker"


async def test_only_what_was_not_pubacked_comes_again_after_a_reconnect(broker: Broker) -> None:
    first = await link_to(broker.port).connect()
    await first.subscribe([f"{PREFIX}/send/#"])
    for number in range(3):
        await first.publish(f"{PREFIX}/send/thermo-1/0{number}", bytes([number]))
    came = await arrivals(first, 3)
    first.ack(came[:1])
    await first.close()
    second = await link_to(broker.port).connect()
    again = await arrivals(second, 2)
    second.ack(again)
    await second.close()
    assert [arrival.payload for arrival in again] == [b"\1", b"\2"]


async def test_the_will_is_published_after_a_break_and_not_after_a_goodbye(
    broker: Broker, connection: PahoConnection
) -> None:
    will = Will(topic=f"{PREFIX}/state/gw-1", payload=b"offline")
    await connection.subscribe([will.topic])
    dying = link_to(broker.port, client_id="gw-1-other", will=will)
    (await dying.connect()).abort("the test wants it")
    assert [arrival.payload for arrival in await arrivals(connection, 1)] == [b"offline"]
    await (await dying.connect()).close()
    await connection.publish(will.topic, b"last")
    assert [arrival.payload for arrival in await arrivals(connection, 1)] == [b"last"]


async def test_a_lost_connection_ends_every_wait(
    broker: Broker, connection: PahoConnection
) -> None:
    waiting = asyncio.ensure_future(connection.batch())
    await connection.publish(f"{PREFIX}/roster", b"head", retain=True)
    await broker.stop()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(LinkLostError):
            await waiting
    with pytest.raises(LinkLostError):
        await connection.publish(f"{PREFIX}/roster", b"head")
    with pytest.raises(LinkLostError):
        await connection.subscribe([f"{PREFIX}/roster"])
    with pytest.raises(LinkLostError):
        connection.ack([])


async def test_a_broker_that_is_absent_is_waited_for(broker: Broker) -> None:
    await broker.stop()
    connecting = asyncio.ensure_future(link_to(broker.port).connect())
    done, _ = await asyncio.wait([connecting], timeout=0.5)
    assert not done
    await broker.start()
    async with asyncio.timeout(PATIENCE):
        connection = await connecting
    await connection.publish(f"{PREFIX}/roster", b"head", retain=True)
    await connection.close()


async def test_every_attempt_has_fresh_credentials(broker: Broker) -> None:
    asked: list[int] = []

    def credentials() -> Credentials:
        asked.append(1)
        return Credentials(user="gw-1", password="1-wg")

    link = PahoLink(
        BrokerAddress(host="127.0.0.1", port=broker.port, tls=False),
        client_id="gw-1",
        credentials=credentials,
    )
    await (await link.connect()).close()
    first = len(asked)
    await (await link.connect()).close()
    assert len(asked) > first


async def test_arrivals_beyond_the_buffer_wait_in_the_socket(
    broker: Broker, connection: PahoConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffer, "MOST", 10)
    sender = await RawClient.dial(broker.port)
    await sender.connect("thermo-1", "thermo-1", "1-omreht")
    await connection.subscribe([f"{PREFIX}/send/#"])
    for number in range(200):
        await sender.publish(f"{PREFIX}/send/thermo-1/{number:032x}", number.to_bytes(2))
    came: list[Arrival] = []
    async with asyncio.timeout(PATIENCE):
        while len(came) < 200:
            batch = await connection.batch(7)
            connection.ack(batch)
            came += batch
            assert len(connection._arrivals) < 10 + paho_connection._PACKETS_A_TURN
    assert [int.from_bytes(arrival.payload) for arrival in came] == list(range(200))
    await sender.close()


async def test_mqtt_5_and_message_expiry_are_used_where_the_broker_has_them(
    broker: Broker, connection: PahoConnection
) -> None:
    assert connection.mqtt5 is (broker.name == "mosquitto")
    topic = f"{PREFIX}/inbox/hub/thermo-1/0a"
    await connection.publish(topic, b"copy", retain=True, expiry=3600)
    await connection.subscribe([topic])
    (came,) = await arrivals(connection, 1)
    assert came.payload == b"copy"


async def test_an_expired_copy_is_not_replayed_by_a_broker_with_mqtt_5(
    tmp_path: Path, mosquitto: str
) -> None:
    with Mosquitto(tmp_path, program=mosquitto) as broker:
        connection = await link_to(broker.port).connect()
        await connection.publish(f"{PREFIX}/inbox/hub/a", b"copy", retain=True, expiry=1)
        async with asyncio.timeout(PATIENCE):
            replayed = True
            while replayed:  # until its second is over
                await connection.subscribe([f"{PREFIX}/inbox/#", f"{PREFIX}/notice/gw-1"])
                await connection.publish(f"{PREFIX}/notice/gw-1", b"marker")
                came = await connection.batch()
                while came[-1].payload != b"marker":
                    came += await connection.batch()
                connection.ack(came)
                replayed = len(came) > 1
        await connection.close()


async def test_a_refused_subscription_is_an_error(tmp_path: Path) -> None:
    broker = EmbeddedTestBroker()
    await broker.start()
    connection = await link_to(broker.port, name="hub").connect()
    with pytest.raises(BrokerRefusedError, match="subscription"):
        await connection.subscribe([f"{PREFIX}/inbox/thermo-1/#"])
    await connection.close()
    await broker.stop()


# ---------------------------------------------------------------------------- TLS and addresses


def make_certificate(directory: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test broker")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / "broker.pem"
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    (directory / "broker.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return path


# paho leaves the socket of a failed TLS handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_over_tls_only_a_broker_with_a_known_authority_is_spoken_to(
    tmp_path: Path, mosquitto: str
) -> None:
    certificate = make_certificate(tmp_path)
    other = make_certificate(tmp_path_of(tmp_path, "other"))
    extra = f"certfile {certificate}\nkeyfile {tmp_path / 'broker.key'}\n"
    with Mosquitto(tmp_path, program=mosquitto, extra=extra) as broker:
        address = BrokerAddress(host="127.0.0.1", port=broker.port, tls=True)

        def link(ca: Path) -> PahoLink:
            return PahoLink(address, client_id="gw-1", credentials=lambda: None, ca=ca)

        connection = await link(certificate).connect()
        await connection.subscribe([f"{PREFIX}/send/#"])
        payloads = [bytes(30_000) + bytes([number]) for number in range(50)]
        await asyncio.gather(*(connection.publish(f"{PREFIX}/send/a/b", p) for p in payloads))
        assert [arrival.payload for arrival in await arrivals(connection, 50)] == payloads
        await connection.close()
        connecting = asyncio.ensure_future(link(other).connect())
        done, _ = await asyncio.wait([connecting], timeout=0.5)
        assert not done
        connecting.cancel()
    with pytest.raises(LinkError, match="PEM"):
        link(tmp_path / "broker.key")


def tmp_path_of(directory: Path, name: str) -> Path:
    path = directory / name
    path.mkdir()
    return path


def test_a_broker_url_is_taken_apart() -> None:
    assert parse_address("mqtt://localhost") == BrokerAddress(
        host="localhost", port=1883, tls=False
    )
    full = parse_address("mqtts://gw%2F1:p%40ss@[::1]:9999")
    assert (full.host, full.port, full.tls) == ("::1", 9999, True)
    assert full.credentials() == Credentials(user="gw/1", password="p@ss")
    assert full.credentials("from a file") == Credentials(user="gw/1", password="from a file")
    assert str(full) == "mqtts://[::1]:9999"
    assert parse_address("mqtt://broker:1").credentials() is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:1883",
        "http://localhost",
        "mqtt://",
        "mqtt://:1883",
        "mqtt://host:99999",
        "mqtt://host:0",
        "mqtt://host:port",
        "mqtt://host/path",
        "mqtt://:secret@host",
        "mqtt://host?x=1",
    ],
)
def test_another_url_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(BrokerAddressError) as caught:
        parse_address(url)
    assert "secret" not in str(caught.value)
