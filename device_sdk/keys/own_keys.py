"""This device's own reader keys: announced at every connect, renewed in time, erased in time."""

import logging
import threading
from collections.abc import Callable

from device_sdk.keys.keystore import KeyStore
from device_sdk.link.port import Publish
from device_sdk.wire.errors import SealgateError
from device_sdk.wire.topics import Topics

logger = logging.getLogger(__name__)


class OwnKeys:
    """Watches over the reader keys in a key store (PROTOCOL 8.1, 14)."""

    def __init__(self, keystore: KeyStore, topics: Topics) -> None:
        self._keystore = keystore
        self._topic = topics.announce(keystore.name)
        self._maker: threading.Thread | None = None

    def announcements(self, now: int) -> list[Publish]:
        """Return the unexpired statements to publish, oldest first, so that none looks old."""
        return [
            Publish(topic=self._topic, payload=own.signed)
            for own in self._keystore.reader_keys
            if own.statement.not_after > now
        ]

    def tend(self, now: int, known_serial: int, made: Callable[[], None], *, sure: int) -> None:
        """Erase keys that no valid message needs; begin to make a new one if it is time.

        ``now`` and ``sure`` are `device_sdk.state.trusted_time.TrustedTime`'s, in Unix seconds: a
        key is made by the one, and erased by the other. ``known_serial`` is the highest serial that
        stands under this device's ``keys`` topic: one above our own shows that the key store was
        restored from a backup, and that nobody would believe its statements. ``made`` is called
        from another thread once a new key is there: making one takes seconds on a small machine.
        """
        if self._maker is not None and self._maker.is_alive():
            return
        erased = self._keystore.erase_expired(now=sure)
        if erased:
            logger.info("erased %d reader keys whose time was over", erased)
        behind = known_serial > self._keystore.reader_keys[-1].statement.serial
        if behind or self._keystore.renewal_due(now=now):
            self._maker = threading.Thread(
                target=self._make,
                args=(now, known_serial, made),
                name="sealgate-reader-key",
                daemon=True,
            )
            self._maker.start()

    def close(self) -> None:
        """Wait for a key that is being made: half a key must not be left behind."""
        if self._maker is not None:
            self._maker.join()

    def _make(self, now: int, above: int, made: Callable[[], None]) -> None:
        try:
            own = self._keystore.add_reader_key(now=now, above=above)
        except (SealgateError, OSError) as error:
            logger.error("no new reader key could be made: %s", error)
        else:
            logger.info("made a new reader key, serial %d", own.statement.serial)
            made()
