"""What can go wrong between an application and its device, as one small tree of exceptions.

Wrong bytes are `device_sdk.wire.errors`, strangers and old rosters `device_sdk.trust`, key files
`device_sdk.key_file`. All of them are a `SealgateError`. Texts name message ids by their first
digits and never quote plaintext, keys or tokens.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from device_sdk.wire.errors import SealgateError

if TYPE_CHECKING:
    from device_sdk.sent import Outcome


class DeviceError(SealgateError):
    """The root of everything below."""


class ClosedError(DeviceError):
    """The device was closed."""


class SettingsError(DeviceError):
    """A device directory without a pinned owner or a broker, or with damaged settings."""


class RootMismatchError(SettingsError):
    """Another owner than the one this device has pinned: a device changes its fleet by no file."""


class TicketError(SettingsError):
    """A text that is no whole ticket, or a ticket for something else than it is used for."""


class TicketExpiredError(TicketError):
    """A ticket for ``device`` that can no longer be used."""

    def __init__(self, device: str) -> None:
        super().__init__(
            f"the ticket for {device} has expired, or this machine's clock is wrong: "
            "ask the owner for another one"
        )
        self.device = device


class WaitingForOwnerError(DeviceError):
    """``device`` was not admitted in time. It may ask again at any time."""

    def __init__(self, device: str, why: str) -> None:
        super().__init__(
            f"{device} is not admitted yet ({why or 'no connection to the broker'}): "
            "run the same command again"
        )
        self.device = device


class NameTakenError(DeviceError):
    """The owner's roster has another key under the name ``device``, or has revoked it: perhaps
    somebody else has used this ticket."""

    def __init__(self, device: str) -> None:
        super().__init__(
            f"the owner has admitted another key as {device}, or revoked it: if this device's "
            "ticket was used by somebody else, tell the owner at once"
        )
        self.device = device


class StateFileError(DeviceError):
    """The state file is damaged, newer than this software, or its disk is full."""


class BrokerUnavailableError(DeviceError):
    """The broker cannot be reached, or does not let this device in."""


class BrokerCertificateError(BrokerUnavailableError):
    """The broker's certificate is not to be trusted: this device does not talk to it."""


class OwnCertificateError(BrokerUnavailableError):
    """The broker does not accept this device's certificate, or wants one that it does not have."""


class GatewaySilentError(DeviceError):
    """The broker is there, but no gateway answered in time."""


class NotFlushedError(DeviceError):
    """Read acks that the broker has not confirmed in time; they stay stored and go out later."""

    def __init__(self, count: int, why: str) -> None:
        super().__init__(
            f"{count} read acks are stored, but the broker has not confirmed them: {why}"
        )
        self.count = count


# Before anything is sealed.


class NotSealedError(DeviceError):
    """A message that was refused before anything of it was stored."""


class RosterUnknownError(NotSealedError):
    """This device has never received its fleet's roster."""


class NotAdmittedError(NotSealedError):
    """The roster does not list this device as active with its present identity key."""


class UnknownReaderError(NotSealedError):
    """The roster lists no active device of this name: ``reader``."""

    def __init__(self, reader: str) -> None:
        super().__init__(
            f"the roster lists no active device named {reader}: the owner must admit it first"
        )
        self.reader = reader


class NoReaderKeyError(NotSealedError):
    """No reader key of ``reader`` is known that is valid until the message expires."""

    def __init__(self, reader: str, why: str = "") -> None:
        super().__init__(
            f"no reader key of {reader} is valid until the message expires"
            + (f" ({why})" if why else ": let it connect once, or shorten the lifetime")
        )
        self.reader = reader


class UnknownChannelError(NotSealedError):
    """The roster lists no channel of this name: ``channel``."""

    def __init__(self, channel: str) -> None:
        super().__init__(f"the roster lists no channel named {channel!r:.70}")
        self.channel = channel


class NotPermittedError(NotSealedError):
    """The owner does not let this device, ``sender``, write to ``channel``."""

    def __init__(self, sender: str, channel: str) -> None:
        super().__init__(f"the owner does not let {sender} write to the channel {channel}")
        self.sender, self.channel = sender, channel


class NoTokenError(NotSealedError):
    """There is no token for an anonymous message to ``channel``, as ``why`` says."""

    def __init__(self, channel: str, why: str) -> None:
        super().__init__(f"no token for an anonymous message to the channel {channel}: {why}")
        self.channel, self.why = channel, why


class AnonymityError(NotSealedError):
    """A message to ``channel`` would have named its sender, or not, against what was asked for.

    Also if the owner has changed the channel while a message was being sealed without a name.
    """

    def __init__(self, channel: str, *, is_anonymous: bool) -> None:
        super().__init__(
            f"the channel {channel} takes only messages that do not name their sender"
            if is_anonymous
            else f"{channel or 'a list of readers'} is no anonymous channel, and this message was "
            "to be sent without a name: nothing was sent"
        )
        self.channel, self.is_anonymous = channel, is_anonymous


class NoReadersLeftError(NotSealedError):
    """Of a channel's readers nobody can be sealed to.

    ``left_out`` says why, by reader: see `device_sdk.channels.LeftOut`.
    """

    def __init__(self, channel: str, left_out: Mapping[str, str]) -> None:
        why = [f"{reader} ({reason})" for reader, reason in left_out.items()]
        super().__init__(
            f"the channel {channel} has no reader that can be sealed to: "
            + (_names(why) if why else "the owner lists none")
        )
        self.channel, self.left_out = channel, dict(left_out)


class LifetimeError(NotSealedError):
    """A lifetime under a second or over the longest that the protocol allows."""


class PayloadError(NotSealedError):
    """A payload that is not bytes, text, or what JSON can say, or that is too large."""


class NoReadingRuleError(NotSealedError):
    """The owner's roster has no rule for readings on ``channel``."""

    def __init__(self, channel: str) -> None:
        super().__init__(
            f"the owner has made no rule for readings on the channel {channel}: use send(), or ask "
            "for one (sealgate fleet channel set --reading)"
        )
        self.channel = channel


class ReadingRequiredError(NotSealedError):
    """``channel`` takes readings only."""

    def __init__(self, channel: str) -> None:
        super().__init__(
            f"the channel {channel} takes sealed readings only: use send_reading(), or another "
            "channel for other messages"
        )
        self.channel = channel


class OutOfRangeError(NotSealedError):
    """A reading outside of ``low`` to ``high``, in ``unit``, which is what ``channel`` allows."""

    def __init__(self, channel: str, *, low: Decimal, high: Decimal, unit: str) -> None:
        super().__init__(
            f"the channel {channel} allows readings from {low:f} to {high:f} {unit}: "
            "send what is outside as another kind of message, on another channel"
        )
        self.channel, self.low, self.high, self.unit = channel, low, high, unit


class ReadersError(NotSealedError):
    """A reader list that is empty, too long, or holds something that is no device id; or neither
    readers nor a channel, or both."""


class ClockError(NotSealedError):
    """This device's clock is so wrong that the message would be expired or refused at once."""


class OutboxFullError(NotSealedError):
    """No room for another message: see `device_sdk.OutboxLimits` for what ``limit`` names.

    ``most`` is that limit, ``used`` what is stored by now and ``needed`` what the message takes, as
    far as it was known: messages, bytes, or readers.
    """

    def __init__(self, limit: str, *, most: int, used: int, needed: int) -> None:
        super().__init__(
            f"the outbox is full: {_FULL[limit].format(used=used, most=most, needed=needed)}. "
            "Let this device reach its gateway, or send less; in Python, "
            "Device.open(outbox_limits=...) allows more"
        )
        self.limit, self.most, self.used, self.needed = limit, most, used, needed


_FULL = {
    "messages": "{used} messages are not held yet, of {most} that may be",
    "bytes": "{used} bytes are not held yet, and {needed} more would pass {most}",
    "records": "messages to {used} readers are not over, and {needed} more would pass {most}",
}


# After a message was sealed and stored.


class MessageError(DeviceError):
    """Something about one message: ``message_id`` is its id in hex."""

    def __init__(self, message_id: str, text: str) -> None:
        super().__init__(f"message {message_id[:8]}: {text}")
        self.message_id = message_id


class UnknownMessageError(MessageError):
    """This device has no record of such a message, or forgot it after its time."""

    def __init__(self, message_id: str) -> None:
        super().__init__(message_id, "this device has no record of having sent it")


class RefusedError(MessageError):
    """The gateway refuses the message for good: ``reason`` is one of PROTOCOL 10.3."""

    def __init__(self, message_id: str, reason: str) -> None:
        super().__init__(message_id, f"refused by the gateway: {reason}")
        self.reason = reason


class NotHeldYetError(MessageError):
    """Nobody has confirmed in time that the message is held. It goes on being sent."""

    def __init__(self, message_id: str, why: str) -> None:
        super().__init__(message_id, f"not held yet, and sent again until it is: {why}")


class LostError(MessageError):
    """The gateway had confirmed the message as held, and does not know it any more."""

    def __init__(self, message_id: str, outcome: "Outcome") -> None:
        super().__init__(message_id, "lost by the gateway after it had confirmed it as held")
        self.outcome = outcome


class ExpiredError(MessageError):
    """The message expired before everybody had read it: see ``outcome``."""

    def __init__(self, message_id: str, outcome: "Outcome", detail: str) -> None:
        text = f"expired, unread by {_names(outcome.waiting_for)}"
        super().__init__(message_id, text + (f" ({detail})" if detail else ""))
        self.outcome = outcome


class NotReadYetError(MessageError):
    """Not everybody has read the message in time: ``outcome`` says who has."""

    def __init__(self, message_id: str, outcome: "Outcome", why: str) -> None:
        super().__init__(message_id, f"still unread by {_names(outcome.waiting_for)}: {why}")
        self.outcome = outcome


class OutcomeForgottenError(MessageError):
    """The message is over, but the gateway had forgotten how before this device heard of it."""

    def __init__(self, message_id: str, outcome: "Outcome") -> None:
        super().__init__(message_id, "over, but the gateway has already forgotten its outcome")
        self.outcome = outcome


class ContentError(MessageError):
    """A payload that is not what the application takes it for: no text, or no JSON."""


def _names(readers: Sequence[str]) -> str:
    shown = ", ".join(readers[:3])
    return shown if len(readers) <= 3 else f"{shown} and {len(readers) - 3} more"
