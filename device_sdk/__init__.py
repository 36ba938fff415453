"""Sealed mail for MQTT devices: seal to named readers, hold until read, then gone.

    from device_sdk import Device

    with Device.open("./thermo-1") as device:
        sent = device.send("21.5", to=["hub"])
        sent.wait_held(timeout=10)            # a gateway has it on disk
        outcome = sent.wait_read(timeout=60)  # and the hub says that it has read it

    with Device.open("./hub") as device:
        for message in device.inbox(timeout=30):
            with message:                     # leaving the block sends the read ack
                print(message.sender, message.text())

A payload is sealed on the sending device with each reader's public key and opened on the reading
one. Broker and gateway see who writes to whom, when, and about how much, but never what; they can
delay, drop and delete messages, but not read, change, forge or re-address them. Who belongs to the
fleet is said by its owner's signed roster, whose root each device pins when it is enrolled. Whoever
takes a device's directory can read what is sealed to it: its reader keys live for 90 days at most.

The names below load what they need when they are first used, so that a program that only wants the
wire format (`device_sdk.wire`) loads nothing else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from device_sdk.device import Device
    from device_sdk.enrolment.enrol import create_device, trust_root
    from device_sdk.errors import (
        AnonymityError,
        BrokerCertificateError,
        BrokerUnavailableError,
        ClockError,
        ClosedError,
        ContentError,
        DeviceError,
        ExpiredError,
        GatewaySilentError,
        LifetimeError,
        LostError,
        MessageError,
        NoReaderKeyError,
        NoReadersLeftError,
        NoReadingRuleError,
        NotAdmittedError,
        NotFlushedError,
        NotHeldYetError,
        NoTokenError,
        NotPermittedError,
        NotReadYetError,
        NotSealedError,
        OutboxFullError,
        OutcomeForgottenError,
        OutOfRangeError,
        OwnCertificateError,
        PayloadError,
        ReadersError,
        ReadingRequiredError,
        RefusedError,
        RootMismatchError,
        RosterUnknownError,
        SettingsError,
        StateFileError,
        UnknownChannelError,
        UnknownMessageError,
        UnknownReaderError,
    )
    from device_sdk.freshness import Concern, RosterWarning
    from device_sdk.key_file import KeyFileError, LoosePermissionsError, PassphraseError
    from device_sdk.keys.keystore import DirectoryInUseError, NoDeviceError
    from device_sdk.keys.reader_key import BrokenReaderKeyError
    from device_sdk.message import Message
    from device_sdk.outbox.limits import OutboxLimits
    from device_sdk.outbox.outgoing import State
    from device_sdk.proofs.errors import ProofsNotInstalledError
    from device_sdk.readings import Reading
    from device_sdk.sent import Outcome, Sent, SentRecord
    from device_sdk.status import GatewayStatus, LogStatus, ReaderKeyStatus, Status
    from device_sdk.transparency.report import LogReport, ReportKind
    from device_sdk.trust import RosterExpiredError, TrustError
    from device_sdk.wire.errors import SealgateError, WireError
    from device_sdk.wire.totals_errors import TotalsError

__all__ = [
    "AnonymityError",
    "BrokenReaderKeyError",
    "BrokerCertificateError",
    "BrokerUnavailableError",
    "ClockError",
    "ClosedError",
    "Concern",
    "ContentError",
    "Device",
    "DeviceError",
    "DirectoryInUseError",
    "ExpiredError",
    "GatewaySilentError",
    "GatewayStatus",
    "KeyFileError",
    "LifetimeError",
    "LogReport",
    "LogStatus",
    "LoosePermissionsError",
    "LostError",
    "Message",
    "MessageError",
    "NoDeviceError",
    "NoReaderKeyError",
    "NoReadersLeftError",
    "NoReadingRuleError",
    "NoTokenError",
    "NotAdmittedError",
    "NotFlushedError",
    "NotHeldYetError",
    "NotPermittedError",
    "NotReadYetError",
    "NotSealedError",
    "OutOfRangeError",
    "OutboxFullError",
    "OutboxLimits",
    "Outcome",
    "OutcomeForgottenError",
    "OwnCertificateError",
    "PassphraseError",
    "PayloadError",
    "ProofsNotInstalledError",
    "ReaderKeyStatus",
    "ReadersError",
    "Reading",
    "ReadingRequiredError",
    "RefusedError",
    "ReportKind",
    "RootMismatchError",
    "RosterExpiredError",
    "RosterUnknownError",
    "RosterWarning",
    "SealgateError",
    "Sent",
    "SentRecord",
    "SettingsError",
    "State",
    "StateFileError",
    "Status",
    "TotalsError",
    "TrustError",
    "UnknownChannelError",
    "UnknownMessageError",
    "UnknownReaderError",
    "WireError",
    "create_device",
    "trust_root",
]

_HOMES = (
    "errors",
    "wire.errors",
    "wire.totals_errors",
    "trust",
    "key_file",
    "keys.reader_key",
    "keys.keystore",
    "outbox.outgoing",
    "outbox.limits",
    "readings",
    "proofs.errors",
    "message",
    "sent",
    "transparency.report",
    "status",
    "freshness",
    "enrolment.enrol",
    "device",
)
"""Where the names are at home; those that load little are looked through first."""


def __getattr__(name: str) -> Any:
    if name in __all__:
        for home in _HOMES:
            value = getattr(import_module(f"{__name__}.{home}"), name, None)
            if value is not None:
                globals()[name] = value
                return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
