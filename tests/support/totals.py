"""A fleet of meters and trustees in memory: real verbs, keys and rows, but no messages.

The gateway's requests are made here and signed with its key, so that tests can make wrong ones.
"""

import hmac
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from device_sdk.proofs import pedersen
from device_sdk.proofs.sharing import Part
from device_sdk.state.state_file import StateFile
from device_sdk.totals.bills import Billing
from device_sdk.totals.secrets import blinding_of, keep, share_out, steps_of
from device_sdk.totals.store import OwnReading, TotalsStore
from device_sdk.totals.trustee import Trustee
from device_sdk.trust import Roster
from device_sdk.wire import cose
from device_sdk.wire.reading_policy import REQUIRE, ReadingPolicy, ReadingRule
from device_sdk.wire.roster_page import ROLE_GATEWAY, ChannelEntry
from device_sdk.wire.totals_bill import BillItem, BillRequest
from device_sdk.wire.totals_rule import TotalsRule
from device_sdk.wire.totals_scale import Scale
from device_sdk.wire.totals_share import Share, Split
from device_sdk.wire.totals_sum import SumItem, SumRequest
from tests.support.envelopes import NOW, Fleet

EPOCH = 3600
START = NOW - NOW % EPOCH - 24 * EPOCH
"""A whole epoch that has ended."""
POLICY = ReadingPolicy(version=1, unit="kWh", exponent=-3, mantissa=1, low=0, high=60_000)
GATEWAY, METERS, TRUSTEES = "gw-1", ("meter-1", "meter-2", "meter-3"), ("ann", "bob")


@dataclass(kw_only=True)
class Meter:
    """A device with its reading key and its rows."""

    name: str
    store: TotalsStore
    key: bytes = field(default_factory=lambda: os.urandom(32))
    sequence: int = 1 << 32

    def mac(self, data: bytes, *, issued: int) -> bytes:
        """As the key store."""
        return hmac.digest(self.key + issued.to_bytes(8), data, "sha512")

    def read(self, steps: int, issued: int, channel: str, policy: ReadingPolicy = POLICY) -> bytes:
        """Take a reading and keep it; return its message id."""
        self.sequence += 1
        own = keep(
            self.mac,
            message_id=os.urandom(16),
            channel=channel,
            sequence=self.sequence,
            issued=issued,
            steps=steps,
            policy=policy,
        )
        self.store.add_own(own, to_share=channel == "load")
        return own.message_id

    def own(self, channel: str, message_id: bytes) -> OwnReading:
        """Return a reading that it keeps."""
        shared = {one.message_id: one for one in self.store.to_share(100_000)}
        return {**self.store.own(channel, 0, 2**62), **shared}[message_id]

    def commitment(self, own: OwnReading) -> bytes:
        """As it stands in the reading's header."""
        return pedersen.commit(steps_of(self.mac, own), blinding_of(self.mac, own))


class Metering:
    """Made once a test; ``bills`` and ``load`` are channels for either kind of total."""

    def __init__(self, directory: Path, *, least: int = 3) -> None:
        self.fleet = Fleet()
        self.fleet.admit(*METERS, *TRUSTEES)
        self.fleet.admit(GATEWAY, "gw-2", roles=(ROLE_GATEWAY,))
        self.rules = {
            "bills": TotalsRule(epoch=EPOCH, least=least),
            "load": TotalsRule(epoch=EPOCH, least=least, trustees=TRUSTEES),
        }
        for name, rule in self.rules.items():
            self.fleet.channels[name] = ChannelEntry(
                readers=("ann",),
                senders=METERS,
                lifetime=3600,
                reading=ReadingRule(mode=REQUIRE, policy=POLICY),
                totals=rule,
            )
        self.roster: Roster = self.fleet.roster()
        self._states = {name: StateFile(directory / name) for name in (*METERS, *TRUSTEES)}
        self.meters = {
            name: Meter(name=name, store=TotalsStore(self._states[name])) for name in METERS
        }
        self.trustees = {name: self.trustee(name) for name in TRUSTEES}

    def close(self) -> None:
        """Close all files."""
        for state in self._states.values():
            state.close()

    @property
    def aad(self) -> bytes:
        """Of the fleet."""
        return self.fleet.pin.aad

    def trustee(self, name: str) -> Trustee:
        """Return a trustee, as after a restart."""
        return Trustee(
            TotalsStore(self._states[name]),
            name=name,
            signer=self.fleet.members[name].identity,
            aad=self.aad,
            mac=self._trustee_mac,
        )

    @staticmethod
    def _trustee_mac(data: bytes, *, issued: int) -> bytes:
        return hmac.digest(b"a trustee's reading key" + issued.to_bytes(8), data, "sha512")

    def billing(self, name: str) -> Billing:
        """Return what answers bills of a meter."""
        meter = self.meters[name]
        return Billing(
            meter.store,
            name=name,
            signer=self.fleet.members[name].identity,
            aad=self.aad,
            mac=meter.mac,
        )

    def sign(self, record: cose.Record, who: str = GATEWAY) -> bytes:
        """Sign anything by anybody."""
        return cose.sign(record, self.fleet.members[who].identity, self.aad)

    # Bills.

    def consume(self, name: str, *steps: int, channel: str = "bills") -> list[bytes]:
        """Let a meter take readings, an epoch apart; return their message ids."""
        return [
            self.meters[name].read(one, START + hour * EPOCH + 7, channel)
            for hour, one in enumerate(steps)
        ]

    def items(
        self, name: str, ids: Iterable[bytes], weights: Sequence[int]
    ) -> tuple[BillItem, ...]:
        """Return what the gateway's register has of these readings."""
        meter, found = self.meters[name], []
        for message_id, weight in zip(ids, weights, strict=True):
            own = meter.own("bills", message_id)
            found.append(
                BillItem(
                    message_id=message_id,
                    issued=own.issued,
                    commitment=meter.commitment(own),
                    weight=weight,
                )
            )
        return tuple(sorted(found, key=lambda item: item.message_id))

    def bill(
        self, name: str, items: tuple[BillItem, ...], *, hours: int = 24, start: int = START
    ) -> BillRequest:
        """Return a request for a bill."""
        return BillRequest(
            gateway=GATEWAY,
            device=name,
            channel="bills",
            rule=self.rules["bills"],
            start=start,
            until=start + hours * EPOCH,
            scale=Scale.of(POLICY),
            price="cent",
            items=items,
            time=NOW,
        )

    # Sums.

    def shares(self, name: str, message_id: bytes) -> dict[str, tuple[Split, Part]]:
        """Return what a meter sends its trustees about a reading on ``load``."""
        meter = self.meters[name]
        own = meter.own("load", message_id)
        parts = share_out(meter.mac, own, TRUSTEES)
        split = Split(
            sender=name,
            channel="load",
            message_id=message_id,
            issued=own.issued,
            shares=tuple((one, parts[one].commitment) for one in TRUSTEES),
            scale=Scale.of(own.policy),
        )
        return {one: (split, parts[one]) for one in TRUSTEES}

    def payload(self, split: Split, part: Part, signer: str = "") -> bytes:
        """Return the payload of a share."""
        signed = self.sign(split, signer or split.sender)
        return Share(split=signed, value=part.value, blinding=part.blinding).encode()

    def deliver(self, name: str, message_id: bytes, trustees: Sequence[str] = TRUSTEES) -> None:
        """Let a meter's shares arrive at trustees."""
        shares = self.shares(name, message_id)
        for one in trustees:
            assert self.trustees[one].take(name, self.payload(*shares[one]), self.roster, NOW)

    def sum_item(self, name: str, message_id: bytes) -> SumItem:
        """Return what the gateway's register has of a reading on ``load``."""
        meter = self.meters[name]
        commitment = meter.commitment(meter.own("load", message_id))
        return SumItem(sender=name, message_id=message_id, commitment=commitment)

    def sum_of(self, *items: SumItem, start: int = START) -> SumRequest:
        """Return a request for a sum."""
        return SumRequest(
            gateway=GATEWAY,
            channel="load",
            rule=self.rules["load"],
            start=start,
            scale=Scale.of(POLICY),
            items=tuple(sorted(items)),
            time=NOW,
        )

    def measured(self, *steps: int) -> list[SumItem]:
        """Let each meter take one reading on ``load`` and share it out."""
        items = []
        for name, one in zip(METERS, steps, strict=True):
            (message_id,) = self.consume(name, one, channel="load")
            self.deliver(name, message_id)
            items.append(self.sum_item(name, message_id))
        return items

    def reports(self, request: bytes) -> list[bytes]:
        """Ask every trustee what it has."""
        return [one.report(request, self.roster, NOW) for one in self.trustees.values()]
