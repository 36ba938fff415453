"""A device's certificate at rest, by which it connects to a broker that asks for one.

``certificate.pem`` holds it and those above it. ``ca.pem``, if the device was given one when it was
enrolled, holds the authorities that it believes about its broker: those of its owner's roots, the
former ones for a while only.
"""

import logging
from collections.abc import Collection, Sequence
from pathlib import Path

from device_sdk.errors import StateFileError
from device_sdk.key_file import write_private_file
from device_sdk.trust import Roster, VerifiedHead
from device_sdk.wire import bundle
from device_sdk.wire.certificates import (
    MemberCertificate,
    authorities,
    decode_certificates,
    from_pem,
    key_of,
    to_pem,
    verify_certificates,
    with_former,
)
from device_sdk.wire.errors import MalformedError, WireError

CERTIFICATE_FILE, CA_FILE = "certificate.pem", bundle.CA

logger = logging.getLogger(__name__)


class OwnCertificate:
    """The certificate of one device: replaced when the owner has issued a later one."""

    def __init__(self, directory: Path, *, name: str, identity: bytes) -> None:
        """``identity`` is the SubjectPublicKeyInfo of the device's own key."""
        self.path = directory / CERTIFICATE_FILE
        self._ca = directory / CA_FILE
        self.name = name
        self.identity = identity

    def take(self, data: bytes, roster: Roster, *, now: int) -> bool:
        """Take what stands under ``cert/{name}``; tell whether it is a later one than ours.

        ``now`` is Unix seconds.

        Raises:
            WireError: not a certificate for this device by its fleet's owner; nothing has changed.
            StateFileError: it cannot be stored.
        """
        return self.take_chain(decode_certificates(data), roster.head, now=now)

    def take_chain(self, chain: Sequence[bytes], head: VerifiedHead, *, now: int) -> bool:
        """The same with the certificates themselves, and the roster's head."""
        root = head.root.spki
        new = self._verify(chain, root)
        old = self.current(root)
        if old is not None and new.not_before <= old.not_before:
            return False
        try:
            if self._ca.exists():
                own = authorities(new.chain, [root])
                self._believe(with_former(own, self._believed(), head.former, now=now))
            write_private_file(self.path, to_pem(new.chain))
        except OSError as error:
            raise StateFileError(f"cannot store {self.path}: {error.strerror}") from error
        logger.info("a certificate has come; it is used from the next connection on")
        return True

    def current(self, root: bytes) -> MemberCertificate | None:
        """Return the certificate that is stored, by this root; None if there is none."""
        try:
            return self._verify(from_pem(self.path.read_bytes()), root)
        except (OSError, WireError):
            return None

    def root(self) -> bytes | None:
        """Return the root's key by the certificate that is stored; None if there is none."""
        try:
            return key_of(from_pem(self.path.read_bytes())[-1])
        except (OSError, WireError):
            return None

    def believe(
        self,
        certificates: Sequence[bytes],
        root: bytes,
        former: Collection[bytes] = (),
        *,
        now: int,
    ) -> None:
        """Believe these authorities about the broker from now on, and no others.

        They come by hand: what the owner does not list any more is forgotten. ``root`` is the
        SubjectPublicKeyInfo of the present root, ``former`` those of the roots before it.

        Raises:
            MalformedError: none of them is the owner's.
            OSError: it cannot be stored.
        """
        own = authorities(certificates, [root])
        if not own:
            raise MalformedError("ca.pem", expected="the owner's authority", got="others")
        self._believe(with_former(own, certificates, former, now=now))

    def forget_former(self, head: VerifiedHead, *, now: int) -> None:
        """Forget the authorities that the present root's, if it has come, does not need any more.

        Raises StateFileError if it cannot be stored.
        """
        known = self._believed()
        own = authorities(known, [head.root.spki])
        if own:
            try:
                self._believe(with_former(own, known, head.former, now=now))
            except OSError as error:
                raise StateFileError(f"cannot store {self._ca}: {error.strerror}") from error

    def _believed(self) -> list[bytes]:
        try:
            return from_pem(self._ca.read_bytes())
        except (OSError, WireError):
            return []

    def _believe(self, every: Sequence[bytes]) -> None:
        if every != self._believed():
            write_private_file(self._ca, to_pem(every))

    def _verify(self, chain: Sequence[bytes], root: bytes) -> MemberCertificate:
        return verify_certificates(chain, name=self.name, identities=[self.identity], owners=[root])
