"""Which key for tokens a gateway shows for a period, and that it shows no other (PROTOCOL 19.2).

A gateway that gave each device a key of its own would know by the key who has sent what. So the
first key counts, and another one is reported: whether the gateway shows it to this device, or an
anonymous message was made with it. Nothing is refused for it but to use that other key.
"""

import logging

from device_sdk.anonymous.store import TokenStore
from device_sdk.gateways import Gateways
from device_sdk.times import as_datetime
from device_sdk.transparency.entries import LogEntries
from device_sdk.transparency.report import ReportKind
from device_sdk.transparency.store import LogStore
from device_sdk.trust import Roster
from device_sdk.wire.anonymous_header import AnonymousHeader
from device_sdk.wire.anonymous_rule import AnonymousRule
from device_sdk.wire.epoch_key import EpochKey
from device_sdk.wire.errors import SignatureError
from device_sdk.wire.limits import CLOCK_SKEW, MAX_LIFETIME

logger = logging.getLogger(__name__)


class TokenKeys:
    """The keys that this device was shown."""

    def __init__(
        self,
        store: TokenStore,
        reports: LogStore,
        gateways: Gateways,
        entries: LogEntries,
        name: str,
    ) -> None:
        self._store, self._reports = store, reports
        self._gateways, self._entries = gateways, entries
        self._name = name

    def rules(self, roster: Roster) -> dict[str, AnonymousRule]:
        """Return the rules of the anonymous channels to which this device may send."""
        return {
            channel: entry.anonymous
            for channel, entry in roster.channels.items()
            if entry.anonymous is not None and self._name in entry.senders
        }

    def concerns(self, roster: Roster) -> bool:
        """Tell whether this device sends to, or reads, any anonymous channel."""
        return any(self._is_mine(channel, roster) for channel in roster.channels)

    def take(self, gateway: str, data: bytes, roster: Roster, now: int) -> None:
        """Take in what stands under ``tokens/{gateway}``.

        Raises:
            WireError, UnknownDeviceError: it is not that gateway's list.
        """
        signer, shown = self._gateways.verify_token_keys(data, now)
        if not signer == shown.gateway == gateway:
            raise SignatureError("a list of keys for tokens is another gateway's than its topic's")
        for key in shown.keys:
            if self._is_mine(key.channel, roster) and _is_due(key, roster, now):
                self._take_one(gateway, key, data, roster, now)

    def _take_one(self, gateway: str, key: EpochKey, data: bytes, roster: Roster, now: int) -> None:
        known = self._store.known(gateway, key)
        if known is None:
            self._store.add_key(gateway, key, data)
        elif known != key:
            self._report(gateway, key, self._store.list_of(known.key_id), data, now)
            return
        if key.channel in self.rules(roster) and key.begins <= now < key.ends:
            self._entries.use(key)

    def compare(self, header: AnonymousHeader, roster: Roster, now: int) -> None:
        """Compare a message's key with those that this device was shown for its period.

        The sender has sealed it into the header, so that no gateway can have put another one there.
        A key that nobody has shown to this device is reported too, while its period lasts: the
        gateway shows to all what it shows to any.
        """
        shown = [
            (gateway, key)
            for gateway, key in self._store.keys_of(header.channel)
            if key.is_for(header.issued)
        ]
        if any(key.key_id == header.key_id for _, key in shown):
            return
        if shown:
            gateway, key = shown[-1]
            self._report(gateway, key, self._store.list_of(key.key_id), b"", now)
            return
        entry = roster.channels.get(header.channel)
        if entry is None or entry.anonymous is None:
            return
        begins, ends = entry.anonymous.period(header.issued)
        if now < ends:
            self._say(ReportKind.UNSHOWN_KEY, "", _about(header.channel, begins), b"", b"", now)

    def _is_mine(self, channel: str, roster: Roster) -> bool:
        entry = roster.channels.get(channel)
        if entry is None or entry.anonymous is None:
            return False
        return self._name in entry.senders or self._name in entry.readers

    def _report(self, gateway: str, key: EpochKey, first: bytes, second: bytes, now: int) -> None:
        about = _about(key.channel, key.begins)
        self._say(ReportKind.SECOND_KEY, gateway, about, first, second, now)

    def _say(
        self, kind: ReportKind, gateway: str, about: str, first: bytes, second: bytes, now: int
    ) -> None:
        if self._reports.report(kind, gateway, about, first, second, now):
            logger.error("%s", self._reports.reports()[-1])


def _is_due(key: EpochKey, roster: Roster, now: int) -> bool:
    """Tell whether a key may be believed: its period is one of the owner's rule, not later than the
    next one, and not so long over that no message of it can come. What a gateway could show beyond
    that would mark senders, or fill the disk."""
    rule = roster.channels[key.channel].anonymous
    if rule is None or not rule.has_period(key.begins, key.ends):
        return False
    return key.begins <= now + rule.epoch + CLOCK_SKEW and key.ends > now - MAX_LIFETIME


def _about(channel: str, begins: int) -> str:
    return f"{channel}, from {as_datetime(begins):%Y-%m-%d %H:%M} UTC"
