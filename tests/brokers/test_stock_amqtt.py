"""Why the embedded broker does not use amqtt's own session layer: each scenario runs on both.

Stock amqtt has the same accounts and the same access table. A test that fails on it says that
amqtt has mended the defect.
"""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from amqtt.contexts import BaseContext
from amqtt.errors import PluginLoadError
from amqtt.plugins.manager import PluginManager
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.brokers.embedded import PREFIX, embedded_broker
from tests.brokers.raw_client import RawClient, connect, packet, publish
from tests.brokers.stock_amqtt import stock_amqtt

COPY = f"{PREFIX}/inbox/hub/thermo-1/0a"
NOTICE = f"{PREFIX}/notice/hub"
ROSTER = f"{PREFIX}/roster"

LogIn = Callable[..., Awaitable[RawClient]]


@pytest.fixture(autouse=True)
def _amqtt_is_quiet() -> None:
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    logging.getLogger("transitions").setLevel(logging.CRITICAL)


@contextlib.asynccontextmanager
async def _ours() -> AsyncIterator[int]:
    async with embedded_broker() as bench:
        yield bench.port


# The second says whether the defect is there.
_BOTH = pytest.mark.parametrize(
    ("broker", "defective"), [(stock_amqtt, True), (_ours, False)], ids=["stock", "ours"]
)


@contextlib.asynccontextmanager
async def _clients(port: int) -> AsyncIterator[LogIn]:
    async with contextlib.AsyncExitStack() as stack:

        async def log_in(name: str, password: str | None = None, **how: object) -> RawClient:
            client = await stack.enter_async_context(await RawClient.dial(port))
            await client.connect(name, name, password or name[::-1], **how)
            return client

        yield log_in


@_BOTH
async def test_a_client_gets_what_others_have_subscribed_to_and_it_may_not_receive(
    broker: Any, defective: bool
) -> None:
    async with broker() as port, _clients(port) as log_in:
        gateway, hub = await log_in("gw-1"), await log_in("hub")
        await hub.subscribe(f"{PREFIX}/inbox/hub/#")
        await gateway.publish(COPY, b"for hub alone", retain=True)
        assert await hub.until(COPY) == []
        mallory = await log_in("mallory")
        notice = f"{PREFIX}/notice/mallory"
        await mallory.subscribe(notice)
        await gateway.publish(notice, b"marker")
        leaked = [message.payload for message in await mallory.until(notice)]
        assert leaked == ([b"for hub alone"] if defective else [])


@_BOTH
async def test_a_stranger_ends_a_clients_subscriptions_by_knowing_its_id(
    broker: Any, defective: bool
) -> None:
    async with broker() as port, _clients(port) as log_in:
        gateway, hub, operator = await log_in("gw-1"), await log_in("hub"), await log_in("snooper")
        await hub.subscribe(NOTICE)
        await operator.subscribe("#")
        await log_in("hub", "wrong")
        await gateway.publish(NOTICE, b"x")
        await operator.until(NOTICE)
        await hub.send(packet(0xC0))
        assert (await _comes_first(hub) == "PINGRESP") is defective


async def _comes_first(client: RawClient) -> str:
    while (came := await client.read()) is not None:
        if came[0] >> 4 in (3, 13):
            return "PUBLISH" if came[0] >> 4 == 3 else "PINGRESP"
    return "the end"


@_BOTH
async def test_a_stranger_publishes_anything_as_the_will_of_a_client_whose_id_it_knows(
    broker: Any, defective: bool
) -> None:
    async with broker() as port, _clients(port) as log_in:
        gateway, operator = await log_in("gw-1"), await log_in("snooper")
        await operator.subscribe("#")
        await log_in("hub", clean=False)
        await log_in("hub", "wrong", clean=False, will=(ROSTER, b"forged"))
        await gateway.publish(NOTICE, b"marker")
        published = [message.payload for message in await operator.until(NOTICE)]
        assert published == ([b"forged"] if defective else [])


@_BOTH
async def test_a_will_is_published_and_retained_where_the_client_may_not_publish(
    broker: Any, defective: bool
) -> None:
    async with broker() as port, _clients(port) as log_in:
        gateway, operator = await log_in("gw-1"), await log_in("snooper")
        await operator.subscribe("#")
        mallory = await log_in("mallory", will=(ROSTER, b"forged"), will_retain=True)
        await mallory.close()
        if defective:  # only there is something to wait for
            await operator.until(ROSTER)
        await gateway.publish(NOTICE, b"marker")
        await operator.until(NOTICE)
        hub = await log_in("hub")
        await hub.subscribe(ROSTER, NOTICE)
        await gateway.publish(NOTICE, b"marker")
        planted = {message.payload for message in await hub.until(NOTICE)}
        assert planted == ({b"forged"} if defective else set())


@_BOTH
async def test_a_packet_of_any_size_is_accepted(broker: Any, defective: bool) -> None:
    async with broker() as port, _clients(port) as log_in:
        mallory = await log_in("mallory")
        await mallory.send(publish(f"{PREFIX}/query/mallory", bytes(20_000_000)))
        assert (await mallory.read() == (0x40, b"\0\1")) is defective


def test_the_access_plug_in_knows_no_rules_for_receiving() -> None:
    path = "amqtt.plugins.topic_checking.TopicAccessControlListPlugin"
    manager = PluginManager.__new__(PluginManager)
    manager.context, manager.logger = BaseContext(), logging.getLogger("amqtt.test")
    with pytest.raises(PluginLoadError):
        manager._load_str_plugin(path, {"receive_acl": {"hub": [COPY]}})


async def test_a_tls_client_without_a_certificate_gets_in(tmp_path: Path) -> None:
    # The embedded broker offers no TLS at all: test_embedded_broker.py.
    certificate, key = _self_signed(tmp_path)
    tls = {"ssl": True, "cafile": certificate, "certfile": certificate, "keyfile": key}
    context = ssl.create_default_context(cafile=str(certificate))
    async with stock_amqtt(**tls) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        client = RawClient(reader, writer)
        await client.send(connect("hub", "hub", "buh"))
        assert await client.read() == (0x20, b"\0\0")
        await client.close()


def _self_signed(directory: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "cert.pem", directory / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths
