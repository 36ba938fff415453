"""Sealing a message and storing it: one at a time, so that numbers go out whole and in order."""

import os
import threading
from collections.abc import Sequence

from device_sdk.courier import Courier
from device_sdk.seal import Sealed, WrapTarget, seal
from device_sdk.sending import Draft
from device_sdk.wire.names import DIRECT


class Posting:
    """The way of a device's messages into its outbox."""

    def __init__(self, courier: Courier) -> None:
        self._courier, self._parts = courier, courier.parts
        self._turn = threading.Lock()

    def post(
        self, data: bytes, content_type: str, message: Draft, targets: Sequence[WrapTarget]
    ) -> Sealed:
        """Seal and store a message; without the device's lock held. Raises as `Outbox.add`.

        A message gets its number before it is sealed, and takes it by being stored. Two threads at
        it would leave a gap where one fails.
        """
        with self._turn:
            with self._courier.changed:
                self._courier.check_open()
                place = self._parts.outbox.next_place(DIRECT, message.readers)
                tree_head = self._parts.log.newest()
            sealed = seal(
                data,
                recipients=targets,
                sender=self._parts.keystore.name,
                signer=self._parts.keystore.identity,
                aad=self._parts.pin.aad,
                content_type=content_type,
                issued=message.issued,
                expires=message.expires,
                sequence=place.sequence,
                tree_head=tree_head,
                threads=os.cpu_count() or 1,
            )
            with self._courier.changed:
                self._courier.check_open()
                self._parts.outbox.add(sealed)
                self._courier.router.sent(self._courier.moment())
                self._courier.pump()
        return sealed
