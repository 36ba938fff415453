"""How ``sealgate device read`` goes through the inbox: each message is shown, then acked.

A message is shown inside its block, so that one that could not be written is not acknowledged.
"""

import time
from collections.abc import Callable

from device_sdk.device import Device
from device_sdk.errors import BrokerUnavailableError, DeviceError, GatewaySilentError
from device_sdk.message import Message

_FIRST_PATIENCE = 5.0
"""Seconds until somebody who waits for messages is told that nobody is there to bring them."""
_ANSWER_PATIENCE = 30.0
"""Seconds to wait for the gateway's word that nothing waits."""

Show = Callable[[Message], None]


class TooFewMessagesError(DeviceError):
    """Fewer messages than were asked for have come in time."""


def silence(device: Device) -> str:
    """Return why the gateway does not answer now; empty if it does."""
    try:
        device.waiting(_FIRST_PATIENCE)
    except (BrokerUnavailableError, GatewaySilentError) as error:
        return str(error)
    return ""


def drain(device: Device, show: Show, *, timeout: float | None) -> None:
    """Show what waits, until the gateway says that nothing does.

    Raises:
        BrokerUnavailableError, GatewaySilentError: it did not say so in time.
        NotFlushedError: the broker has not confirmed the read acks.
    """
    patience = _ANSWER_PATIENCE if timeout is None else timeout
    since = time.monotonic()
    for message in device.inbox(patience, until_empty=True):
        with message:
            show(message)
        since = time.monotonic()
    device.flush()
    if time.monotonic() - since >= patience:
        device.waiting(timeout=0)


def take(device: Device, show: Show, *, count: int, timeout: float | None) -> None:
    """Show so many messages, and wait for them.

    Raises:
        TooFewMessagesError: there was no message for ``timeout`` seconds.
        NotFlushedError: the broker has not confirmed the read acks.
    """
    taken = 0
    for message in device.inbox(timeout):
        with message:
            show(message)
        taken += 1
        if taken == count:
            break
    device.flush()
    if taken < count:
        raise TooFewMessagesError(f"{taken} of {count} messages came: none for {timeout} seconds")


def follow_inbox(device: Device, show: Show, *, timeout: float | None) -> None:
    """Show messages as they come, until interrupted or ``timeout`` seconds passed without one."""
    for message in device.inbox(timeout):
        with message:
            show(message)
    device.flush()
