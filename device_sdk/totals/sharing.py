"""How a device's readings get to trustees, share by share (PROTOCOL 18.4).

One trustee that cannot be sealed to, for want of its key or as it was revoked, holds up nothing
but its own shares. What was sent is noted with the message that brings it.
"""

import logging
import time
from datetime import timedelta
from functools import partial

from device_sdk.courier import Courier
from device_sdk.errors import NotSealedError
from device_sdk.posting import Posting
from device_sdk.recipients import find_targets
from device_sdk.sending import draft
from device_sdk.totals.asked import trustees_of
from device_sdk.totals.secrets import share_out
from device_sdk.totals.store import MOST_OWN, OwnReading
from device_sdk.trust import RosterExpiredError
from device_sdk.wire import cose
from device_sdk.wire.limits import MAX_LIFETIME
from device_sdk.wire.totals_scale import Scale
from device_sdk.wire.totals_share import SHARE_TYPE, Share, Split

_LIFETIME = timedelta(seconds=MAX_LIFETIME)
"""A share waits for its trustee as long as anything may."""

logger = logging.getLogger(__name__)


class Sharing:
    """One go at what has not been shared out."""

    def __init__(self, courier: Courier, posting: Posting, *, patience: float = 0.0) -> None:
        """``patience``: seconds to wait, in all, for keys of trustees."""
        self._courier, self._posting, self._parts = courier, posting, courier.parts
        self._until = time.monotonic() + patience
        self._stuck: set[str] = set()
        """Trustees that could not be sealed to in this go: each is tried once."""

    def run(self, most: int = MOST_OWN) -> int:
        """Share out up to ``most`` readings, new ones first; return how many wait after all.

        With `Posting.sharing` held.
        """
        store = self._parts.totals
        with self._courier.changed:
            self._courier.check_open()
            waiting = store.to_share(most)
        left = [own.message_id for own in waiting if not self._share_one(own)]
        with self._courier.changed:
            self._courier.check_open()
            store.tried(left)
            return store.count_to_share()

    def _share_one(self, own: OwnReading) -> bool:
        with self._courier.changed:
            roster = self._parts.rosters.roster
        if roster is None:
            return False
        trustees = trustees_of(roster, own.channel)
        if not trustees or own.trustees not in ((), trustees):
            self._give_up(own)
            return True
        payloads: dict[str, bytes] = {}
        for trustee in trustees:
            if trustee in own.sent_to or trustee in self._stuck:
                continue
            payloads = payloads or self._payloads(own, trustees)
            if not self._post(own, trustees, trustee, payloads[trustee]):
                self._stuck.add(trustee)
        return self._stuck.isdisjoint(set(trustees).difference(own.sent_to))

    def _give_up(self, own: OwnReading) -> None:
        """Why: some of its trustees have their shares, and the owner now names others. Who shares
        one reading out in two ways is taken for a cheat."""
        if own.trustees:
            logger.warning(
                "a reading on %s goes into no sum: the owner has changed its trustees", own.channel
            )
        with self._courier.changed:
            self._courier.check_open()
            self._parts.totals.drop_own(own.message_id)

    def _payloads(self, own: OwnReading, trustees: tuple[str, ...]) -> dict[str, bytes]:
        parts = share_out(self._parts.keystore.reading_mac, own, trustees)
        split = Split(
            sender=self._parts.keystore.name,
            channel=own.channel,
            message_id=own.message_id,
            issued=own.issued,
            shares=tuple((name, parts[name].commitment) for name in trustees),
            scale=Scale.of(own.policy),
        )
        signed = cose.sign(split, self._parts.keystore.identity, self._parts.pin.aad)
        return {
            name: Share(split=signed, value=part.value, blinding=part.blinding).encode()
            for name, part in parts.items()
        }

    def _post(
        self, own: OwnReading, trustees: tuple[str, ...], trustee: str, payload: bytes
    ) -> bool:
        note = partial(self._parts.totals.sent, own.message_id, trustees, trustee)
        try:
            sealed = None
            while sealed is None:
                patience = max(self._until - time.monotonic(), 0.0)
                with self._courier.changed:
                    now = self._courier.router.believed(self._courier.moment())
                    wish = draft([trustee], _LIFETIME, now)
                    addressed = find_targets(self._courier, wish, patience)
                if trustees_of(addressed.roster, own.channel) != trustees:
                    return False  # a newer roster came meanwhile: the next go decides by it
                sealed = self._posting.post(payload, SHARE_TYPE, addressed, note)
        except (NotSealedError, RosterExpiredError) as error:
            logger.warning("no shares could be sent to %s yet: %s", trustee, error)
            return False
        return True
