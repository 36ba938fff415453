"""A token for the next anonymous message, waiting for the gateway to issue some."""

import time

from device_sdk.anonymous.store import Token
from device_sdk.courier import Courier
from device_sdk.errors import NoTokenError
from device_sdk.wire.anonymous_rule import AnonymousRule


def take_token(courier: Courier, channel: str, rule: AnonymousRule, timeout: float) -> Token:
    """Take a token out, for good, after up to ``timeout`` seconds. With the device's lock held.

    Raises:
        NoTokenError: there is none, and none came.
        StateFileError: it cannot be taken.
    """
    purse, until = courier.parts.purse, time.monotonic() + timeout
    while True:
        courier.check_open()
        now = courier.router.believed(courier.moment())
        token = purse.spend(channel, rule, now)
        if token is not None:
            return token
        why, may_come = purse.why(channel, rule, now)
        left = until - time.monotonic()
        if not may_come or courier.has_failed or left <= 0:
            raise NoTokenError(channel, why or courier.why())
        courier.changed.wait(left)
