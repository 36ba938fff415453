"""Publishing on a connection of its own that does not say which device it is (PROTOCOL 19.5).

One connection for each message, one after the other, and nothing is subscribed to. Whoever
publishes is not told how it went: what is not answered is published again.
"""

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

MOST_WAITING = 256
"""What does not fit is published again later."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Letter:
    topic: str
    payload: bytes


class Apart:
    """A thread that publishes letters, made with the first of them."""

    def __init__(self, send: Callable[[str, bytes], None]) -> None:
        """``send`` connects, publishes, waits for the PUBACK, and disconnects; it may raise."""
        self._send = send
        self._letters: queue.Queue[_Letter | None] = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish soon."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sealgate-apart", daemon=True)
            self._thread.start()
        try:
            self._letters.put_nowait(_Letter(topic, payload))
        except queue.Full:
            logger.info("too much waits to be published anonymously")

    def close(self, seconds: float) -> None:
        """End, after what was to be published, or so many seconds."""
        if self._thread is not None:
            try:
                self._letters.put(None, timeout=seconds)
            except queue.Full:
                return
            self._thread.join(seconds)

    def _run(self) -> None:
        while (letter := self._letters.get()) is not None:
            try:
                self._send(letter.topic, letter.payload)
            except Exception as error:  # whatever a broker or the network do: it is sent again
                logger.debug("publishing anonymously failed", exc_info=True)
                logger.info("nothing could be published anonymously: %s", error)
