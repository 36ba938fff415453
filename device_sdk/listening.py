"""What a device has to hear from its broker, and how much of it has come. No sockets."""

from collections.abc import Iterable

from device_sdk.parts import Parts
from device_sdk.wire.names import ANONYMOUS


class Listening:
    """The topics of one device; every method is called with the device's lock held."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._name = parts.keystore.name
        self._stale: list[str] = []
        self._has_head = False
        self.watched: set[str] = set()
        """Devices to which this one writes."""
        self.is_reading = False
        """Whether to listen to the own inbox: who only sends need not hold copies in memory."""
        self.fresh_keys: set[str] = set()
        """Devices whose key list has come through this connection, or was waited for in vain."""
        self.keyless: set[str] = set()
        """Readers of channels whose keys were waited for in vain since this connection was made."""
        self.is_roster_awaited = False
        """Whether somebody has waited for the roster since this connection was made."""

    def connected(self) -> None:
        """There is a new connection: nothing is fresh any more."""
        self.fresh_keys.clear()
        self.keyless.clear()
        self._has_head = self.is_roster_awaited = False
        self._stale = []

    def head_came(self) -> None:
        """The roster's head has come through this connection."""
        self._has_head = True

    def keys_came(self, device: str) -> None:
        """A device's key list has come through this connection."""
        if device in {self._name, *self.watched}:  # nobody asked for the others
            self.fresh_keys.add(device)

    def roster_came(self) -> None:
        """There is a new roster: what did not verify by the old one may do so now."""
        self._stale = self._verifiable()

    def filters(self) -> list[str]:
        """Return everything that the device needs to hear now, the roster first.

        Before there is a roster nothing else could be verified.
        """
        topics, rosters = self._parts.topics, self._parts.rosters
        needed = [topics.roster(), *map(topics.roster_page, rosters.missing_pages)]
        if rosters.roster is not None:
            needed += self._verifiable()
        return needed

    def _verifiable(self) -> list[str]:
        topics = self._parts.topics
        filters = [topics.state("+"), self.notice_filter, topics.cert(self._name)]
        filters += [topics.log("+"), topics.proof(self._name)]
        filters += [topics.keys(device) for device in sorted({self._name, *self.watched})]
        filters += self._for_anonymity()
        return [*filters, self.inbox_filter] if self.is_reading else filters

    def _for_anonymity(self) -> list[str]:
        """Return what only those need who send to, or read, an anonymous channel."""
        topics, roster = self._parts.topics, self._parts.rosters.roster
        keys = self._parts.purse.keys
        if roster is None or not keys.concerns(roster):
            return []
        if not keys.rules(roster):
            return [topics.tokens("+")]
        return [topics.tokens("+"), topics.issue(self._name), topics.notice(ANONYMOUS)]

    @property
    def is_roster_fresh(self) -> bool:
        """Whether the newest roster has come through this connection, with all its pages."""
        return self._has_head and not self._parts.rosters.missing_pages

    @property
    def notice_filter(self) -> str:
        """What brings the gateway's answers: nothing is said before it is subscribed to."""
        return self._parts.topics.notice(self._name)

    @property
    def inbox_filter(self) -> str:
        """What brings the copies."""
        return self._parts.topics.inbox_of(self._name)

    def take_stale(self) -> list[str]:
        """Return what is to be subscribed to once more, because a new roster came: what did not
        verify by the old one may do so now. Each new roster's once."""
        stale, self._stale = self._stale, []
        return stale

    def watch_keys(self, devices: Iterable[str]) -> bool:
        """Listen to the keys of devices to which this one writes; tell whether any are new."""
        before = len(self.watched)
        self.watched.update(devices)
        return len(self.watched) > before
