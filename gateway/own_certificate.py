"""The gateway's own certificate, by which it connects to a broker that asks for one.

It comes with the owner's bundle. A copy stays in the data directory, for starts without a bundle.
"""

import ssl
from pathlib import Path

from device_sdk.trust import Roster
from device_sdk.wire import bundle as bundle_names
from device_sdk.wire.certificates import (
    authorities,
    from_pem,
    to_pem,
    verify_certificates,
    with_former,
)
from device_sdk.wire.errors import WireError
from gateway.certificates import CERTIFICATES
from gateway.errors import GatewayError
from gateway.files import write_whole
from gateway.keeper import Keeper

CERTIFICATE_FILE, CA_FILE = "certificate.pem", bundle_names.CA


class OwnCertificateError(GatewayError):
    """A certificate that cannot be used."""


class OwnCertificate:
    """Certificate and authorities of a gateway: from its bundle, else from its own directory."""

    def __init__(self, data: Path, bundle: Path | None, keeper: Keeper) -> None:
        self._data = data
        self._bundle = bundle
        self._keeper = keeper

    @property
    def is_there(self) -> bool:
        """Whether there is a certificate."""
        return self._certificate() is not None

    def present(self, context: ssl.SSLContext) -> None:
        """Show the certificate, if there is one, to a broker that asks for it.

        Raises OwnCertificateError, OSError.
        """
        pem = self._certificate()
        if pem is None:
            return
        try:
            self._keeper.identity.present(context, pem)
        except ssl.SSLError as error:
            raise OwnCertificateError(f"this gateway's certificate is damaged: {error}") from error

    def authorities(self) -> Path | None:
        """Return a PEM file of the owner's authorities, which vouch for the broker; None if none.

        It holds those that the bundle lists, or without a bundle those that were kept, as far as
        the owner's present root is among them and still needs the ones before it.

        Raises OSError if it cannot be kept.
        """
        kept, situation = self._data / CA_FILE, self._keeper.situation
        if situation.roster is not None:
            head = situation.roster.head
            for path in (kept,) if self._bundle is None else (self._bundle / CA_FILE, kept):
                listed = _read(path)
                if own := authorities(listed, [head.root.spki]):
                    every = with_former(own, listed, head.former, now=situation.now)
                    self._keep(kept, to_pem(every))
                    break
        return kept if kept.exists() else None

    def _certificate(self) -> bytes | None:
        kept, roster = self._data / CERTIFICATE_FILE, self._keeper.situation.roster
        if self._bundle is not None and roster is not None:
            self._keep(kept, self._from_bundle(self._bundle / CERTIFICATES, roster))
        return kept.read_bytes() if kept.exists() else None

    def _from_bundle(self, directory: Path, roster: Roster) -> bytes:
        name, identity = self._keeper.name, self._keeper.identity.spki
        chain = _read(directory / name)
        owners = [roster.head.root.spki]
        try:
            verify_certificates(chain, name=name, identities=[identity], owners=owners)
        except WireError:
            return b""
        return to_pem(chain)

    def _keep(self, path: Path, pem: bytes) -> None:
        if pem and not (path.exists() and path.read_bytes() == pem):
            write_whole(path, pem, mode=0o600)


def _read(path: Path) -> list[bytes]:
    try:
        return from_pem(path.read_bytes())
    except (OSError, WireError):
        return []
