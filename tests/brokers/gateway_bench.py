"""A whole gateway on a real broker, and devices written from the wire: the bench of its tests."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from device_sdk.identity import Identity
from device_sdk.wire import cose
from device_sdk.wire.key_statement import encode_key_list
from device_sdk.wire.login import make_token
from device_sdk.wire.notice import Event, EventKind, Notice
from device_sdk.wire.query import Query
from device_sdk.wire.roster_page import ROLE_GATEWAY, DeviceEntry, encode_bundle
from gateway.enrolment import IDENTITY_FILE, init_gateway
from gateway.login import OPERATOR, operator_password
from gateway.service import Gateway
from gateway.settings import load_settings
from tests.brokers import raw_client
from tests.brokers.mosquitto import Mosquitto
from tests.brokers.raw_client import RawClient, Received
from tests.support.envelopes import NOW, TOPICS, YEAR, Fleet, SealedMessage

PATIENCE = 30.0
_BEGAN = time.monotonic()


def wall() -> float:
    """The time at which tests happen, passing as usual."""
    return NOW + time.monotonic() - _BEGAN


class Device:
    """A device, or somebody else at the broker, that remembers all it has received."""

    def __init__(self, name: str, client: RawClient, bench: "GatewayBench") -> None:
        self.name = name
        self.received: list[Received] = []
        self._client = client
        self._bench = bench
        self._news = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._packet_id = 0

    def listen(self) -> None:
        """Read from now on; whoever subscribes, does it before."""
        self._task = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        while (message := await self._next()) is not None:
            async with self._news:
                self.received.append(message)
                self._news.notify_all()

    async def _next(self) -> Received | None:
        while True:
            with contextlib.suppress(TimeoutError):  # a long silence is nothing wrong
                return await self._client.next()

    async def close(self) -> None:
        """Go without a word."""
        if self._task is not None:
            self._task.cancel()
        await self._client.close()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1."""
        self._packet_id = self._packet_id % 65_535 + 1
        await self._client.send(
            raw_client.publish(topic, payload, retain=retain, packet_id=self._packet_id)
        )

    async def until(self, wanted: Callable[[Received], Any]) -> Any:
        """Return the first true answer about anything received, now or later."""
        looked_at = 0
        async with asyncio.timeout(PATIENCE), self._news:
            while True:
                for message in self.received[looked_at:]:
                    if answer := wanted(message):
                        return answer
                looked_at = len(self.received)
                await self._news.wait()

    # ------------------------------------------------------------------ what devices do

    async def send(self, message: SealedMessage) -> None:
        """Publish an envelope."""
        await self.publish(message.topic, message.data)

    async def read(self, message: SealedMessage, **changes: object) -> None:
        """Publish a read ack."""
        topic = TOPICS.read(self.name, message.sender, message.message_id)
        ack = self._bench.fleet.read_ack(message, self.name, **changes)  # type: ignore[arg-type]
        await self.publish(topic, ack)

    async def copy(self, message: SealedMessage) -> bytes:
        """Wait for one's copy of a message."""
        topic = TOPICS.inbox(self.name, message.sender, message.message_id)
        copy = await self.until(lambda m: m.topic == topic and m.payload)
        assert isinstance(copy, bytes)
        return copy

    async def cleared(self, message: SealedMessage) -> None:
        """Wait until one's copy is cleared."""
        topic = TOPICS.inbox(self.name, message.sender, message.message_id)
        await self.until(lambda m: m.topic == topic and not m.payload)

    async def told(self, kind: EventKind, message: SealedMessage) -> Event:
        """Wait for an event in a notice that the gateway signed."""

        def wanted(received: Received) -> Event | None:
            for event in self.events(received):
                if (event.kind, event.message_id) == (kind, message.message_id):
                    return event
            return None

        event = await self.until(wanted)
        assert isinstance(event, Event)
        return event

    def events(self, received: Received) -> tuple[Event, ...]:
        """Return the events of a notice, whose signature must hold."""
        notice = self.notice(received)
        return notice.events if notice is not None else ()

    def notice(self, received: Received) -> Notice | None:
        """Return a received notice, whose signature must hold."""
        if received.topic != TOPICS.notice(self.name):
            return None
        unverified = cose.parse_signed(Notice, received.payload)
        return unverified.verify(self._bench.identity.public, self._bench.fleet.pin.aad)

    async def answer_to(self, query: bytes) -> list[Notice]:
        """Ask and return every notice of the answer."""
        nonce = cose.parse_signed(Query, query).claims.nonce
        await self.publish(TOPICS.query(self.name), query)
        found: list[Notice] = []

        def last(received: Received) -> bool:
            notice = self.notice(received)
            if notice is None or notice.query_nonce != nonce:
                return False
            found.append(notice)
            return notice.owed is not None

        await self.until(last)
        return found


class GatewayBench:
    """A fleet, its bundle, a gateway's data directory, and a broker of one kind.

    With Mosquitto the broker runs as long as the bench, else inside the gateway.
    """

    def __init__(self, directory: Path, mosquitto: Mosquitto | None) -> None:
        self.directory = directory
        self.mosquitto = mosquitto
        self.bundle = directory / "public"
        self.fleet = Fleet()
        self.fleet.admit("thermo-1", "hub", "phone")
        self.name = "gw-1"
        self.data = self.make_gateway(self.name)
        self.identity = Identity.load(self.data / IDENTITY_FILE, None)
        self.url = mosquitto.url if mosquitto is not None else ""
        self._listen = "127.0.0.1:0"
        self._devices: list[Device] = []
        self.write_bundle()

    def make_gateway(self, name: str, directory: str = "") -> Path:
        """Make a data directory and admit its gateway."""
        data = self.directory / (directory or name)
        init_gateway(data, name, None, NOW)
        identity = Identity.load(data / IDENTITY_FILE, None)
        self.fleet.entries[name] = DeviceEntry(
            identities=(identity.spki,), roles=(ROLE_GATEWAY,), not_after=NOW + 2 * YEAR
        )
        return data

    def write_bundle(self, *keys: str) -> None:
        """Publish the fleet as it is now, as an owner would: the roster last."""
        (self.bundle / "keys").mkdir(parents=True, exist_ok=True)
        (self.bundle / "root.pub").write_bytes(self.fleet.pin.to_pem())
        for name in keys or tuple(self.fleet.members):
            statement = self.fleet.members[name].statement
            (self.bundle / "keys" / name).write_bytes(encode_key_list([statement]))
        roster = self.bundle / "new"
        roster.write_bytes(encode_bundle(*self.fleet.signed_roster()))
        roster.rename(self.bundle / "roster")

    def gateway(self, **options: object) -> Gateway:
        """Return a gateway that is not running yet."""
        where = {"broker": self.url} if self.mosquitto is not None else {"listen": self._listen}
        settings = {
            "data": self.data,
            "bundle": self.bundle,
            "bundle_poll": 0.05,
            "tick": 0.1,
            **where,
            **options,
        }
        return Gateway(load_settings(**settings), on_ready=self._on_ready, wall=wall)

    def _on_ready(self, url: str) -> None:
        self.url = url
        self._listen = url.removeprefix("mqtt://")

    @contextlib.asynccontextmanager
    async def running(self, **options: object) -> AsyncIterator[asyncio.Task[None]]:
        """Run a gateway until the block ends; it is ready when the block begins."""
        gateway = self.gateway(**options)
        task = asyncio.ensure_future(gateway.run())
        try:
            await ready(gateway, task)
            yield task
        finally:
            for device in self._devices:
                await device.close()
            self._devices.clear()
            if not task.done():  # else the test has seen how it ended
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    def use(self, data: Path, name: str) -> None:
        """Let another gateway run from now on."""
        self.data, self.name = data, name
        self.identity = Identity.load(data / IDENTITY_FILE, None)

    def keep(self, device: Device) -> None:
        """Do not close this one with the gateway; the test closes it."""
        self._devices.remove(device)

    def in_files(self, needle: bytes) -> bool:
        """Tell whether these bytes are anywhere in the gateway's files."""
        return any(needle in path.read_bytes() for path in self.data.iterdir() if path.is_file())

    @property
    def port(self) -> int:
        """Where the broker listens."""
        return int(self.url.rpartition(":")[2])

    async def device(self, name: str, *filters: str) -> Device:
        """Return a connected device that is subscribed to what is its own (or to ``filters``)."""
        signer = self.fleet.members[name].identity
        pin = self.fleet.pin
        token = make_token(
            name, audience=pin.fingerprint, now=int(wall()), signer=signer, aad=pin.aad
        )
        own = (TOPICS.inbox_of(name), TOPICS.notice(name))
        return await self._connect(name, name, token, filters or own)

    async def snooper(self, *filters: str) -> Device:
        """Return somebody with every right to read at the broker."""
        password = "" if self.mosquitto is not None else operator_password(self.data)
        return await self._connect("snooper", OPERATOR, password, filters)

    async def _connect(
        self, client_id: str, user: str, password: str, filters: tuple[str, ...]
    ) -> Device:
        client = await RawClient.dial(self.port)
        accepted = await client.connect(client_id, user, password)
        assert accepted is not None
        assert accepted[1] == 0, f"{user} was not admitted"
        device = Device(client_id, client, self)
        self._devices.append(device)
        codes = await client.subscribe(*filters)
        assert 0x80 not in codes
        device.listen()
        return device

    async def retained(self, *filters: str) -> dict[str, bytes]:
        """Return what is retained under these filters right now."""
        snooper = await self.snooper(*filters, TOPICS.state(self.name))
        # The gateway's state always stands there, and is asked for last.
        await snooper.until(lambda m: m.topic == TOPICS.state(self.name) and m.retain)
        found = {m.topic: m.payload for m in snooper.received if m.retain}
        del found[TOPICS.state(self.name)]
        await snooper.close()
        return found


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait for something that nobody reports, such as bytes leaving a file."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.02)


async def ready(gateway: Gateway, task: "asyncio.Task[None]") -> None:
    """Wait until a gateway serves; raises what it ends with instead."""
    serving = asyncio.Event()
    told = gateway._on_ready

    def on_ready(url: str) -> None:
        told(url)
        serving.set()

    gateway._on_ready = on_ready
    waiting = asyncio.ensure_future(serving.wait())
    await asyncio.wait([task, waiting], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        waiting.cancel()
        task.result()
    assert serving.is_set(), "the gateway is not ready in time"
