"""Sealing a message and storing it: one at a time, so that numbers go out whole and in order."""

import os
import threading

from device_sdk.courier import Courier
from device_sdk.recipients import Addressed
from device_sdk.seal import Sealed, seal


class Posting:
    """The way of a device's messages into its outbox."""

    def __init__(self, courier: Courier) -> None:
        self._courier, self._parts = courier, courier.parts
        self._turn = threading.Lock()

    def post(self, data: bytes, content_type: str, addressed: Addressed) -> Sealed | None:
        """Seal and store a message; without the device's lock held. Raises as `Outbox.add`.

        None if a newer roster came meanwhile, which may revoke a reader: then nothing was stored,
        and the readers are to be chosen again.

        A message gets its number before it is sealed, and takes it by being stored. Two threads at
        it would leave a gap where one fails.
        """
        message, readers = addressed.message, [target.reader for target in addressed.targets]
        with self._turn:
            with self._courier.changed:
                self._courier.check_open()
                place = self._parts.outbox.next_place(message.channel, readers)
                tree_head = self._parts.log.newest(self._courier.moment().now)
            sealed = seal(
                data,
                recipients=addressed.targets,
                sender=self._parts.keystore.name,
                signer=self._parts.keystore.identity,
                aad=self._parts.pin.aad,
                content_type=content_type,
                issued=message.issued,
                expires=message.expires,
                sequence=place.sequence,
                tree_head=tree_head,
                channel=message.channel,
                threads=os.cpu_count() or 1,
            )
            with self._courier.changed:
                self._courier.check_open()
                if self._parts.rosters.roster is not addressed.roster:
                    return None
                self._parts.outbox.add(sealed, addressed.left_out)
                self._courier.router.sent(self._courier.moment())
                self._courier.pump()
        return sealed
