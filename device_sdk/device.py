"""The public `Device`: everything that an application needs, and nothing that decides."""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from device_sdk import readings
from device_sdk.anonymous.wait import take_token
from device_sdk.asking import ask_everything, ask_owed
from device_sdk.assembly import STATE_FILE, assemble, make_link
from device_sdk.channels import ChannelWish, channel_wish
from device_sdk.content import Payload, encode
from device_sdk.courier import Courier
from device_sdk.enrolment.settings_file import read_pin, read_settings
from device_sdk.errors import (
    BrokerUnavailableError,
    GatewaySilentError,
    NotFlushedError,
    ReadersError,
)
from device_sdk.keys.keystore import KeyStore
from device_sdk.link.port import Link
from device_sdk.message import Message
from device_sdk.outbox.limits import OutboxLimits
from device_sdk.outbox.outbox import DEFAULT_LIMITS
from device_sdk.posting import Posting
from device_sdk.reading import InboxReading
from device_sdk.readings import Number
from device_sdk.recipients import Wish, anonymous_rule, check_anonymity, find_targets, readers_of
from device_sdk.sending import LIFETIME, draft
from device_sdk.sent import Sent, SentRecord
from device_sdk.state.state_file import StateFile
from device_sdk.status import Status
from device_sdk.status_view import status_of
from device_sdk.totals.asked import trustees_of
from device_sdk.tracking import Tracking
from device_sdk.transparency.report import LogReport
from device_sdk.wire.limits import MAX_PROOF
from device_sdk.wire.padding import padded_length

if TYPE_CHECKING:
    from device_sdk.totals.totals import Totals

CLOSE_GRACE = 2.0
"""Seconds that `Device.close` gives the broker to confirm the last read acks."""


class Device:
    """One device of a fleet: seals messages to others, and opens those sealed to it.

    It may be used from several threads. One process at a time may have its directory open.
    """

    def __init__(self, keystore: KeyStore, state: StateFile, courier: Courier) -> None:
        """Use `Device.open`."""
        self._keystore, self._state, self._courier = keystore, state, courier
        self._parts = courier.parts
        self._tracking, self._posting = Tracking(courier), Posting(courier)
        self._is_closed = False

    @classmethod
    def open(
        cls,
        directory: str | os.PathLike[str],
        *,
        broker: str | None = None,
        passphrase: str | bytes | None = None,
        password_file: str | os.PathLike[str] | None = None,
        ca: str | os.PathLike[str] | None = None,
        link: Link | None = None,
        outbox_limits: OutboxLimits = DEFAULT_LIMITS,
    ) -> Self:
        """Open a device that was made with ``sealgate device init`` and ``device trust``.

        It connects in the background, now and whenever the connection is lost; an absent broker is
        no error here. ``broker``, ``password_file`` and ``ca`` take the place of what the device
        remembers; ``link`` takes the place of MQTT as a whole. ``outbox_limits`` bounds what `send`
        stores.

        Raises:
            NoDeviceError: there is no device in the directory.
            DirectoryInUseError: another process has it open.
            KeyFileError: a key is missing, damaged, open to others, or its passphrase is wrong.
            SettingsError: no owner or broker is known, or the settings are damaged.
            StateFileError: the state file is damaged or cannot be written.
        """
        path = Path(directory)
        secret = passphrase.encode() if isinstance(passphrase, str) else passphrase
        keystore = KeyStore.open(path, secret)
        try:
            pin, settings = read_pin(path), read_settings(path)
            if broker:  # the remembered password is the remembered broker's
                settings = replace(settings, password_file="")
            told = {"broker": broker, "password_file": password_file, "ca": ca}
            settings = replace(
                settings, **{name: os.fspath(value) for name, value in told.items() if value}
            )
            real = link or make_link(settings, keystore, pin)
            state = StateFile(path / STATE_FILE)
            try:
                parts = assemble(keystore, pin, state, settings.prefix, outbox_limits)
                courier = Courier(parts, state, real)
            except BaseException:
                state.close()
                raise
        except BaseException:
            keystore.close()
            raise
        device = cls(keystore, state, courier)
        courier.start()
        return device

    def close(self) -> None:
        """Disconnect and release the directory. What was not sent stays stored, and goes later."""
        with self._courier.changed:
            if self._is_closed:
                return
            self._is_closed = True
            if self._courier.is_ready:
                self._courier.wait(self._is_flushed, time.monotonic() + CLOSE_GRACE)
        with contextlib.ExitStack() as last:
            # The last one first; and whatever fails on the way, the directory is free again.
            last.callback(self._keystore.close)
            last.callback(self._state.close)
            last.callback(self._state.sweep)
            last.callback(self._parts.time.save)
            last.callback(self._parts.own_keys.close)
            last.callback(self._courier.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        """The device's id."""
        return self._keystore.name

    # Sending.

    def send(
        self,
        payload: Payload,
        to: Iterable[str] | None = None,
        *,
        channel: str | None = None,
        lifetime: timedelta | None = None,
        anonymous: bool | None = None,
        timeout: float = 10.0,
    ) -> Sent:
        """Seal a message to some readers, or to those of a channel, and store it.

        From then on it survives a crash. It is sent in the background, now or when the broker is
        back. Bytes and text go as they are, dict and list as JSON.

        Args:
            payload: at most 256 KiB; may be empty.
            to: 1 to 1,000 device ids; one named twice counts once.
            channel: a channel of the roster, instead of ``to``: its readers are those that the
                owner signed. Who cannot be sealed to is left out: see `Sent.left_out`. If the owner
                made it anonymous (experimental), the message does not say who sent it:
                `docs/zero-knowledge.md` says what still may.
            lifetime: how long the message may wait to be read, a second to 30 days. None is seven
                days, and on a channel what the owner gave it: on an anonymous one that is the most.
            anonymous: whether the message must, or must not, leave out who sent it. None is as the
                channel is by this device's roster, which may be old: say True if it matters.
            timeout: seconds to wait for a roster, a reader's key or a token that is not here yet.

        Raises:
            PayloadError, ReadersError, LifetimeError: not what is described above.
            OutboxFullError: too much waits already, see `OutboxLimits`.
            RosterUnknownError, RosterExpiredError: there is no roster to go by.
            NotAdmittedError: the owner has not admitted this device, or revoked it.
            UnknownReaderError: a reader that the owner has not admitted, or revoked.
            NoReaderKeyError: a reader whose key is not known, or not valid for long enough.
            UnknownChannelError, NotPermittedError: no such channel, or not for this device.
            AnonymityError: the channel is not as ``anonymous`` asks, or no longer anonymous.
            NoTokenError: an anonymous channel, and no token for another message to it.
            ReadingRequiredError: a channel that takes readings only, see `send_reading`.
            NoReadersLeftError: a channel of which no reader can be sealed to.
            ClockError: this device's clock is far from what owner or gateway have signed.
            StateFileError: the message cannot be stored.
        """
        data, content_type = encode(payload)
        wish = self._begin(padded_length(len(data)), to, channel, lifetime)
        sealed, token = None, None
        while sealed is None:  # again if a newer roster came while it was being sealed
            with self._courier.changed:
                addressed = find_targets(self._courier, wish, timeout)
                check_anonymity(addressed, anonymous)
                rule, name = anonymous_rule(addressed), addressed.message.channel
                if rule is not None and token is None:
                    anonymous = True  # from here on: see `check_anonymity`
                    token = take_token(self._courier, name, rule, timeout)
            readings.check_is_no_reading(addressed.roster, name)
            if token is not None:
                sealed = self._posting.post_anonymous(data, content_type, addressed, token)
            else:
                sealed = self._posting.post(data, content_type, addressed)
        return Sent(self._tracking, sealed.message_id)

    def send_reading(
        self,
        value: Number,
        *,
        channel: str,
        lifetime: timedelta | None = None,
        timeout: float = 10.0,
    ) -> Sent:
        """Seal a number to a channel's readers, with a proof that it is in the channel's range.

        Experimental until externally reviewed. The gateway verifies the proof and learns nothing
        but that; `docs/zero-knowledge.md` says what is proved and what is not. Where the owner has
        named trustees, each is sent its share, now or with a later reading: see `totals`. This
        waits for no trustee. The rest is as for `send`.

        Args:
            value: in the unit of the channel's policy; rounded to its nearest step.
            channel: one for which the owner has made a rule for readings.
            lifetime, timeout: as for `send`.

        Raises:
            OutOfRangeError: the owner does not allow this value. Nothing was stored.
            NoReadingRuleError: the channel has no rule for readings.
            PayloadError: not a finite number.
            ProofsNotInstalledError: this installation cannot prove anything: `sealgate[proofs]`.
            And as `send`, but for readers.
        """
        readings.check_is_number(value)
        size = padded_length(readings.MAX_SIZE) + MAX_PROOF
        wish = self._begin(size, None, channel, lifetime)
        if isinstance(wish, ChannelWish):
            wish = replace(wish, is_reading=True)
        sealed, is_shared_out = None, False
        while sealed is None:
            with self._courier.changed:
                addressed = find_targets(self._courier, wish, timeout)
            policy = readings.policy_for(addressed.roster, channel)
            steps = readings.steps_of(value, policy, channel)
            sealed = self._posting.post_reading(steps, policy, addressed)
            is_shared_out = bool(trustees_of(addressed.roster, channel))
        if is_shared_out:
            self.totals.share_at_once()
        return Sent(self._tracking, sealed.message_id)

    def _begin(
        self,
        size: int,
        to: Iterable[str] | None,
        channel: str | None,
        lifetime: timedelta | None,
    ) -> Wish:
        """Return whom a message of ``size`` bytes is for. Raises OutboxFullError and as `send`."""
        with self._courier.changed:
            self._courier.check_open()
            wish = self._wish(to, channel, lifetime)
            self._parts.outbox.check_room(size, len(readers_of(self._courier, wish)))
        return wish

    def _wish(
        self, to: Iterable[str] | None, channel: str | None, lifetime: timedelta | None
    ) -> Wish:
        now = self._courier.router.believed(self._courier.moment())
        if channel is None and to is not None:
            return draft(to, LIFETIME if lifetime is None else lifetime, now)
        if channel is None or to is not None:
            got = "neither" if channel is None else "both"
            raise ReadersError(f"a message goes to readers or to a channel, got {got}")
        return channel_wish(channel, lifetime, now)

    # Sent messages.

    def sent(self, limit: int = 100) -> list[SentRecord]:
        """Return what became of the latest messages, newest first, also of earlier processes."""
        return self._tracking.latest(limit)

    def record(self, message_id: str) -> SentRecord:
        """Return what became of one message.

        ``message_id`` is its id in hex, or as many first digits of it as no other one has.

        Raises:
            UnknownMessageError: none, or more than one.
        """
        return self._tracking.record(message_id)

    def find(self, message_id: str) -> Sent:
        """Return a message that was sent before, to wait for it. As `record`."""
        return Sent(self._tracking, self._tracking.find(message_id).message_id)

    # Reading.

    def inbox(
        self, timeout: float | None = 30.0, *, until_empty: bool = False
    ) -> Iterator[Message]:
        """Yield the messages sealed to this device; use each as a context manager.

        Leaving its block without an exception sends the read ack. A message whose block raised
        comes first in the next `inbox`, also of a later process; so does one that was never used
        as a context manager. What has been handled is never shown again: a message whose block was
        left has its read ack on disk. A process that is killed within the block, even at its very
        end, is shown the message again. Keep the iterator for as long as its message is in use:
        dropping it gives the message back to other iterations. Shares that are sent to a trustee
        (see `totals`) are not shown: `totals.collect` takes them.

        Args:
            timeout: ends after so many seconds without a message; None never does.
            until_empty: ends as soon as the gateway says that nothing waits.

        Raises:
            BrokenReaderKeyError: this device's own reader key is damaged.
            StateFileError: the state file cannot be written.
        """
        return InboxReading(self._courier, timeout=timeout, until_empty=until_empty).messages()

    def waiting(self, timeout: float = 10.0) -> int:
        """Ask the gateway how many messages it holds for this device.

        Raises:
            BrokerUnavailableError: there is no connection to the broker.
            GatewaySilentError: no answer within ``timeout`` seconds.
        """
        with self._courier.changed:
            return ask_owed(self._courier, timeout)

    def refresh(self, timeout: float = 10.0) -> None:
        """Ask the gateway what became of the open messages. Raises as `waiting`.

        What became of anonymous ones is heard while connected, and asked at random times, a minute
        to an hour apart: to ask now would tell whose they are.
        """
        with self._courier.changed:
            ask_everything(self._courier, timeout)

    def flush(self, timeout: float | None = 10.0) -> None:
        """Wait until the broker has confirmed every read ack. Raises NotFlushedError."""
        until = None if timeout is None else time.monotonic() + timeout
        with self._courier.changed:
            self._courier.check_open()
            if not self._courier.wait(self._is_flushed, until):
                raise NotFlushedError(self._parts.inbox.count_unconfirmed(), self._courier.why())

    def _is_flushed(self) -> bool:
        return self._parts.inbox.count_unconfirmed() == 0

    # Totals of readings.

    @property
    def totals(self) -> "Totals":
        """What this device does for totals: bills of its own readings, sums as a trustee.

        Raises ProofsNotInstalledError.
        """
        # Most devices never total anything, and need not have what calculates with commitments.
        from device_sdk.totals.totals import Totals

        return Totals(self._courier, self._posting)

    # How it is doing.

    def status(self, timeout: float = 5.0) -> Status:
        """Return how the device is doing, after asking the gateway for up to so many seconds."""
        with self._courier.changed:
            owed = None
            with contextlib.suppress(BrokerUnavailableError, GatewaySilentError):
                owed = ask_owed(self._courier, timeout)
            return status_of(self._courier, owed)

    def log_reports(self) -> list[LogReport]:
        """Return what was found about the gateway's log of rosters and keys, oldest first.

        A *split-view* among them is the proof, signed by the gateway, that it showed two devices
        two histories: give it to the owner.
        """
        with self._courier.changed:
            self._courier.check_open()
            return self._parts.log.reports()
