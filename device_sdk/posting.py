"""Sealing a message and storing it: one at a time, so that numbers go out whole and in order."""

import os
import threading
from functools import partial

from device_sdk import readings
from device_sdk.anonymous.seal import seal_anonymous
from device_sdk.anonymous.store import Token
from device_sdk.courier import Courier
from device_sdk.outbox.store import Also, nothing
from device_sdk.recipients import Addressed
from device_sdk.seal import CommittedReading, Sealed, new_message_id, seal
from device_sdk.series import Place
from device_sdk.trust import Roster
from device_sdk.wire import cbor
from device_sdk.wire.header import Header
from device_sdk.wire.reading_policy import Committed, ReadingPolicy


class Posting:
    """The way of a device's messages into its outbox."""

    def __init__(self, courier: Courier) -> None:
        self._courier, self._parts = courier, courier.parts
        self._turn = threading.Lock()
        self.sharing = threading.Lock()
        """Held by whoever sends shares of readings: two at once would send each of them twice."""

    def post(
        self, data: bytes, content_type: str, addressed: Addressed, also: Also = nothing
    ) -> Sealed | None:
        """Seal and store a message; without the device's lock held. Raises as `Outbox.add`.

        ``also`` stores what must be there if and only if the message is.

        None if a newer roster came meanwhile, which may revoke a reader: then nothing was stored,
        and the readers are to be chosen again.
        """
        with self._turn:
            place, tree_head = self._begin(addressed)
            sealed = self._seal(data, content_type, addressed, place, tree_head)
            return self._store(sealed, addressed, also)

    def post_anonymous(
        self, data: bytes, content_type: str, addressed: Addressed, token: Token
    ) -> Sealed | None:
        """Seal a message that does not say whose it is, and store it. As `post`.

        ``token`` has left the disk by now.
        """
        sealed = seal_anonymous(
            data,
            recipients=addressed.targets,
            token=token,
            aad=self._parts.pin.aad,
            content_type=content_type,
            issued=addressed.message.issued,
            expires=addressed.message.expires,
            threads=os.cpu_count() or 1,
        )
        return self._store(sealed, addressed)

    def post_reading(
        self, steps: int, policy: ReadingPolicy, addressed: Addressed
    ) -> Sealed | None:
        """Commit to a reading, prove its range, seal and store it. As `post`.

        ``steps`` is in the range of ``policy``. Raises ProofsNotInstalledError, KeyFileError.
        """
        # Most devices send no readings, and need not have what proves them.
        from device_sdk.proofs import pedersen

        with self._turn:
            place, tree_head = self._begin(addressed)
            message_id, channel = new_message_id(), addressed.message.channel
            made_of = cbor.encode([channel, place.sequence, message_id])
            blinding = pedersen.blinding_of(
                self._parts.keystore.reading_mac(made_of, issued=addressed.message.issued)
            )
            reading = CommittedReading(
                message_id=message_id,
                committed=Committed(policy=policy, commitment=pedersen.commit(steps, blinding)),
                prove=partial(self._prove, steps, blinding),
            )
            data = readings.encode(steps, blinding)
            sealed = self._seal(
                data, readings.CONTENT_TYPE, addressed, place, tree_head, reading=reading
            )
            return self._store(sealed, addressed, self._for_totals(sealed, steps, addressed.roster))

    def _for_totals(self, sealed: Sealed, steps: int, roster: Roster) -> Also:
        """Return what keeps a reading for totals, if the owner allows any on its channel."""
        from device_sdk.totals.secrets import keep

        header, totals = sealed.header, roster.channels[sealed.header.channel].totals
        if totals is None or header.reading is None:
            return nothing
        own = keep(
            self._parts.keystore.reading_mac,
            message_id=header.message_id,
            channel=header.channel,
            sequence=header.sequence,
            issued=header.issued,
            steps=steps,
            policy=header.reading.policy,
        )
        return partial(self._parts.totals.add_own, own, to_share=bool(totals.trustees))

    def _begin(self, addressed: Addressed) -> tuple[Place, bytes]:
        """Return the message's number, and the head of the gateway's log to put into it.

        A message gets its number before it is sealed, and takes it by being stored. Two threads at
        it would leave a gap where one fails.
        """
        readers = [target.reader for target in addressed.targets]
        with self._courier.changed:
            self._courier.check_open()
            place = self._parts.outbox.next_place(addressed.message.channel, readers)
            return place, self._parts.log.newest(self._courier.moment().now)

    def _seal(
        self,
        data: bytes,
        content_type: str,
        addressed: Addressed,
        place: Place,
        tree_head: bytes,
        *,
        reading: CommittedReading | None = None,
    ) -> Sealed:
        message = addressed.message
        return seal(
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
            reading=reading,
        )

    def _prove(self, steps: int, blinding: bytes, header: Header, digest: bytes) -> bytes:
        from device_sdk.proofs import sealed_reading

        return sealed_reading.prove(
            header, digest, self._parts.pin.fleet_id, steps=steps, blinding=blinding
        )

    def _store(self, sealed: Sealed, addressed: Addressed, also: Also = nothing) -> Sealed | None:
        with self._courier.changed:
            self._courier.check_open()
            if self._parts.rosters.roster is not addressed.roster:
                return None
            self._parts.outbox.add(sealed, addressed.left_out, also)
            self._courier.router.sent(self._courier.moment())
            self._courier.pump()
        return sealed
