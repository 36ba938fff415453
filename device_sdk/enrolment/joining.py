"""Joining over the network: a device asks with its ticket's code, and waits (PROTOCOL 12.3).

What the broker says meanwhile is believed as always: by the root, which the ticket pins.
"""

import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key

from device_sdk.enrolment.certificate import CA_FILE
from device_sdk.enrolment.certificate_files import own_certificate
from device_sdk.enrolment.enrol import create_device, trust_root
from device_sdk.enrolment.settings_file import read_pin
from device_sdk.errors import (
    NameTakenError,
    SettingsError,
    TicketError,
    TicketExpiredError,
    WaitingForOwnerError,
)
from device_sdk.identity import Identity
from device_sdk.keys.keystore import JOIN_REQUEST, holds_device
from device_sdk.link.broker_url import BrokerUrl
from device_sdk.link.mqtt import MqttLink
from device_sdk.link.port import Connected, Disconnected, Link, LinkEvent, Received
from device_sdk.pace import Backoff
from device_sdk.trust import (
    Pin,
    Roster,
    TrustError,
    VerifiedHead,
    check_successor,
    complete_roster,
    verify_head,
)
from device_sdk.wire.certificates import authorities, to_pem
from device_sdk.wire.errors import KeyFormatError, MalformedError, WireError
from device_sdk.wire.join_offer import JoinOffer
from device_sdk.wire.names import JOINER
from device_sdk.wire.roster_page import page_hash
from device_sdk.wire.ticket import Ticket
from device_sdk.wire.topics import Kind, Topics

_ASK_AGAIN = 30.0
"""Seconds: a gateway that was away, or had no room, has missed the request."""
_RECONNECT = Backoff(first=4.0, most=60.0)
"""At Mosquitto all who join have one name and so one connection: each new one ends the one before.
They must not throw each other out all the time."""

Progress = Callable[[str], None]


def read_ticket(text: str, *, now: int) -> Ticket:
    """Return a ticket.

    Raises:
        TicketError: no ticket, or half of one.
        TicketExpiredError: it is too late to use it.
    """
    try:
        ticket = Ticket.decode(text)
        BrokerUrl.parse(ticket.broker)
    except (MalformedError, SettingsError) as error:
        raise TicketError(f"this is not a whole ticket: {error}") from error
    if now >= ticket.expires:
        raise TicketExpiredError(ticket.device)
    return ticket


def prepare(directory: Path, ticket: Ticket, passphrase: bytes | None, *, now: int) -> Path:
    """Make the device if it is not there yet, and let it trust the ticket's owner and broker.

    Returns the path of its join request. What was cut off can be repeated.

    Raises:
        TicketError: the directory holds another device than the ticket is for, or one that has a
            certificate by another root, or the ticket's authority is not its root's.
        RootMismatchError: it belongs to another owner.
        KeyFileError, LoosePermissionsError, SettingsError: see `create_device`, `trust_root`.
    """
    present = _present_root(ticket)
    if not holds_device(directory):
        create_device(directory, ticket.device, passphrase, now=now)
    own = own_certificate(directory)
    if own.name != ticket.device:
        raise TicketError(
            f"the ticket is for {ticket.device}, and {directory} holds {own.name}: "
            "every device needs a ticket of its own"
        )
    if own.root() not in (None, present):
        raise TicketError(f"{directory} has a certificate by another root than the ticket's")
    trust_root(
        directory,
        Pin.from_spki(ticket.root).to_pem(),
        broker=ticket.broker,
        prefix=ticket.prefix,
        successions=ticket.successions,
    )
    own.believe([ticket.ca], present, now=now)
    return directory / JOIN_REQUEST


def _present_root(ticket: Ticket) -> bytes:
    """Return the root that signs now, by the ticket; its authority vouches for the broker."""
    try:
        present = Pin.from_spki(ticket.root).after(ticket.successions).present.spki
        if authorities([ticket.ca], [present]):
            return present
    except WireError as error:
        raise TicketError(f"the ticket contradicts itself: {error}") from error
    raise TicketError("the ticket contradicts itself: its authority is not its root's")


def make_link(directory: Path, ticket: Ticket) -> MqttLink:
    """Return a link that may do nothing but ask. Raises TicketError, SettingsError."""
    try:
        key = load_der_private_key(ticket.key, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TicketError("the ticket holds another kind of key than it should")
        stranger, certificate = Identity.from_key(key), to_pem([ticket.certificate])
    except (ValueError, TypeError, KeyFormatError, MalformedError) as error:
        raise TicketError("the ticket holds no usable certificate") from error
    url = BrokerUrl.parse(ticket.broker)
    return MqttLink(
        url,
        client_id=ticket.device,
        # The user name says what this is; with TLS the certificate says it.
        credentials=lambda: None if url.tls else (JOINER, JOINER),
        ca=str(directory / CA_FILE) if url.tls else "",
        present=lambda context: stranger.present(context, certificate),
        reconnect=_RECONNECT,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Joined:
    """A device that is ready to be used."""

    name: str
    roster_version: int


def wait_for_admission(
    directory: Path,
    ticket: Ticket,
    link: Link,
    *,
    timeout: float | None,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
) -> Joined:
    """Ask to be admitted until the owner has done it, and take the certificate.

    Raises:
        WaitingForOwnerError: not within ``timeout`` seconds; it can be done again.
        NameTakenError: the owner has admitted another key under the device's name.
        StateFileError: the certificate cannot be stored.
    """
    asking = _Asking(directory, ticket)
    events: queue.SimpleQueue[LinkEvent] = queue.SimpleQueue()
    until = None if timeout is None else clock() + timeout
    link.start(events.put)
    try:
        return asking.run(link, events, until, progress, clock)
    finally:
        link.close()


class _Asking:
    """What a joining device knows by now."""

    def __init__(self, directory: Path, ticket: Ticket) -> None:
        self._ticket = ticket
        self._topics = Topics(ticket.prefix)
        self._pin = read_pin(directory)
        self._own = own_certificate(directory)
        self._request = (directory / JOIN_REQUEST).read_bytes()
        self._head: VerifiedHead | None = None
        self._pages: dict[bytes, bytes] = {}
        self._certificates = b""
        self._needs_certificate = BrokerUrl.parse(ticket.broker).tls
        self._said = self._why = ""

    def run(
        self,
        link: Link,
        events: "queue.SimpleQueue[LinkEvent]",
        until: float | None,
        progress: Progress,
        clock: Callable[[], float],
    ) -> Joined:
        """Take in events until the device is ready."""
        ask_at: float | None = None
        while True:
            if until is not None and clock() >= until:
                raise WaitingForOwnerError(self._ticket.device, self._why)
            if ask_at is not None and clock() >= ask_at:
                link.publish(self._topics.join(self._ticket.device), self._offer())
                ask_at = clock() + _ASK_AGAIN
            try:
                event = events.get(timeout=_until_next(clock(), ask_at, until))
            except queue.Empty:
                continue
            if isinstance(event, Connected):
                link.subscribe([self._topics.roster(), self._topics.cert(self._ticket.device)])
                ask_at = clock()
                self._say(progress, self._waiting())
            elif isinstance(event, Disconnected):
                ask_at = None
                self._say(progress, event.problem)
            elif isinstance(event, Received) and self._received(event, link):
                if (joined := self._joined()) is not None:
                    return joined
                self._say(progress, self._waiting())

    def _offer(self) -> bytes:
        return JoinOffer.make(
            self._request,
            code=self._ticket.code,
            device=self._ticket.device,
            fleet_id=self._pin.fleet_id,
        ).encode()

    def _waiting(self) -> str:
        if self._is_listed():
            return f"admitted; waiting for the certificate of {self._ticket.device}"
        return f"waiting for the owner to admit {self._ticket.device}"

    def _say(self, progress: Progress, text: str) -> None:
        self._why = text
        if text != self._said:
            self._said = text
            progress(text)

    def _received(self, event: Received, link: Link) -> bool:
        """Take in a message; tell whether it may have changed something."""
        try:
            topic = self._topics.parse(event.topic)
            if topic.kind is Kind.CERT and topic.owner == self._ticket.device:
                self._certificates = event.payload
            elif topic.kind is Kind.ROSTER and topic.page_hash:
                self._take_page(topic.page_hash, event.payload)
            elif topic.kind is Kind.ROSTER and event.payload:
                self._take_head(event.payload, link)
        except (WireError, TrustError):
            return False
        return True

    def _take_head(self, data: bytes, link: Link) -> None:
        head = verify_head(self._pin, data)
        check_successor(self._head, head)
        self._head = head
        missing = [one for one in head.head.page_hashes if one not in self._pages]
        self._pages = {one: self._pages[one] for one in head.head.page_hashes if one in self._pages}
        if missing:
            link.subscribe([self._topics.roster_page(one) for one in missing])

    def _take_page(self, digest: bytes, data: bytes) -> None:
        wanted = self._head is not None and digest in self._head.head.page_hashes
        if wanted and page_hash(data) == digest:
            self._pages[digest] = data

    def _roster(self) -> Roster | None:
        try:
            return None if self._head is None else complete_roster(self._head, self._pages)
        except (WireError, TrustError):
            return None  # some pages are still to come

    def _is_listed(self) -> bool:
        roster = self._roster()
        entry = None if roster is None else roster.devices.get(self._ticket.device)
        if entry is None:
            return False
        if self._own.identity not in entry.identities or entry.revoked_at:
            raise NameTakenError(self._ticket.device)
        return True

    def _joined(self) -> Joined | None:
        roster = self._roster() if self._is_listed() else None
        if roster is None:
            return None
        if self._certificates:
            try:
                self._own.take(self._certificates, roster, now=int(time.time()))
            except WireError:
                self._certificates = b""
        if self._needs_certificate and self._own.current(roster.head.root.spki) is None:
            return None
        return Joined(name=self._ticket.device, roster_version=roster.version)


def _until_next(now: float, *moments: float | None) -> float | None:
    """Return the seconds until the next of some moments; None if there is none."""
    due = [moment - now for moment in moments if moment is not None]
    return max(min(due), 0.001) if due else None
