"""A device's certificate at rest, by which it connects to a broker that asks for one.

``certificate.pem`` holds it and those above it. ``ca.pem``, if the device was given one when it was
enrolled, holds the authorities that it believes about its broker: those of its owner.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from device_sdk.errors import StateFileError
from device_sdk.key_file import write_private_file
from device_sdk.trust import Roster
from device_sdk.wire import bundle
from device_sdk.wire.certificates import (
    MemberCertificate,
    authorities,
    decode_certificates,
    from_pem,
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

    def take(self, data: bytes, roster: Roster) -> bool:
        """Take what stands under ``cert/{name}``; tell whether it is a later one than ours.

        Raises:
            WireError: not a certificate for this device by its fleet's owner; nothing has changed.
            StateFileError: it cannot be stored.
        """
        return self.take_chain(decode_certificates(data), roster.head.root.spki)

    def take_chain(self, chain: Sequence[bytes], root: bytes) -> bool:
        """The same with the certificates themselves, and the owner's SubjectPublicKeyInfo."""
        new = self._verify(chain, root)
        old = self.current(root)
        if old is not None and new.not_before <= old.not_before:
            return False
        try:
            if self._ca.exists():
                self._believe(authorities(new.chain, [root]))
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

    def believe(self, certificates: Sequence[bytes], root: bytes) -> None:
        """Believe the owner's authorities about the broker, and remember them.

        Raises:
            MalformedError: none of them is the owner's.
            OSError: it cannot be stored.
        """
        own = authorities(certificates, [root])
        if not own:
            raise MalformedError("ca.pem", expected="the owner's authority", got="others")
        self._believe(own)

    def _believe(self, own: Sequence[bytes]) -> None:
        try:
            known = from_pem(self._ca.read_bytes())
        except (FileNotFoundError, WireError):
            known = []
        every = with_former(own, known)
        if every != known:
            write_private_file(self._ca, to_pem(every))

    def _verify(self, chain: Sequence[bytes], root: bytes) -> MemberCertificate:
        return verify_certificates(chain, name=self.name, identities=[self.identity], owners=[root])
