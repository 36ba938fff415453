"""A gateway's data directory with very many held messages, made through the gateway's own verbs."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from device_sdk.keys.keystore import KeyStore
from device_sdk.keys.vault import PrivateIdentity
from device_sdk.seal import Sealed, WrapTarget, seal
from device_sdk.trust import Pin
from device_sdk.wire.limits import DAY
from device_sdk.wire.roster_page import ROLE_GATEWAY
from device_sdk.wire.topics import Topics
from gateway.bundle import BundleWatch, pin_root
from gateway.enrolment import init_gateway, load_identity
from gateway.hold import take_in
from gateway.keeper import Keeper
from gateway.owner.fleet import Fleet
from gateway.situation import Limits
from gateway.store.port import Transaction
from gateway.store.sqlite import LEDGER_FILE, SqliteLedger
from tests.bench.sealing import PAYLOAD

GATEWAY = "gw-1"
TOPICS = Topics()
READERS, SENDERS = 20, 10
PROBE = f"sender-{SENDERS:02}"
"""Sends nothing of the backlog; it is who sends while the gateway reconciles."""
_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """A fleet and its gateway's directory."""

    fleet: Fleet
    data: Path
    bundle: Path
    identities: dict[str, PrivateIdentity]
    targets: list[WrapTarget]

    def seal(self, sender: str, target: WrapTarget, sequence: int) -> Sealed:
        """Seal 512 bytes to one reader, valid for a day."""
        now = int(time.time())
        return seal(
            PAYLOAD,
            recipients=[target],
            sender=sender,
            signer=self.identities[sender],
            aad=Pin.from_spki(self.fleet.root.spki).aad,
            content_type="application/octet-stream",
            issued=now,
            expires=now + DAY,
            sequence=sequence,
        )

    def messages(self, count: int) -> Iterator[tuple[str, Sealed]]:
        """Yield (sender, message), spread evenly over all pairs of a sender and a reader."""
        for number in range(count):
            sender = f"sender-{number % SENDERS:02}"
            target = self.targets[number // SENDERS % READERS]
            yield sender, self.seal(sender, target, number + 1)


def make(directory: Path, count: int) -> Backlog:
    """Make a fleet and a ledger with so many held messages, none of them published yet."""
    backlog = _make_fleet(directory)
    asyncio.run(_fill(backlog, count))
    return backlog


def _make_fleet(directory: Path) -> Backlog:
    now = int(time.time())
    fleet = Fleet.create(directory / "fleet", name="bench", passphrase=None, now=now)
    request = init_gateway(directory / "data", GATEWAY, None, now).read_bytes()
    fleet.admit(request, role=ROLE_GATEWAY, now=now)
    senders = [f"sender-{number:02}" for number in range(SENDERS + 1)]
    readers = [f"reader-{number:02}" for number in range(READERS)]

    def make_device(name: str) -> KeyStore:
        with KeyStore.create(directory / name, name, None, now=now) as store:
            return store

    names = [*senders, *readers]
    with ThreadPoolExecutor() as threads:  # RSA keys take their time
        stores = dict(zip(names, threads.map(make_device, names), strict=True))
    for name in names:
        fleet.admit((directory / name / "join-request").read_bytes(), now=now)
    return Backlog(
        fleet=fleet,
        data=directory / "data",
        bundle=directory / "fleet" / "public",
        identities={name: stores[name].identity for name in senders},
        targets=[
            WrapTarget(reader=name, key=stores[name].reader_keys[0].key.public) for name in readers
        ],
    )


async def _fill(backlog: Backlog, count: int) -> None:
    pin = pin_root(backlog.data, backlog.bundle)
    ledger = SqliteLedger.open(backlog.data / LEDGER_FILE)
    keeper = Keeper(ledger, pin, load_identity(backlog.data, None), Limits())

    def hold(batch: list[tuple[str, Sealed]], tx: Transaction) -> None:
        for sender, sealed in batch:
            topic = TOPICS.parse(TOPICS.send(sender, sealed.message_id))
            held = take_in(tx, topic, sealed.envelope, keeper.situation)
            assert held.reason is None, held.reason

    try:
        await keeper.start()
        await BundleWatch(backlog.bundle, keeper).take_first()
        messages = backlog.messages(count)
        while batch := list(islice(messages, _AT_ONCE)):
            await keeper.write(partial(hold, batch))
    finally:
        await keeper.stop()
        await ledger.close()
