"""Where a device's private keys are: the port behind its key store.

`device_sdk.keys.file_vault` keeps them in files, `device_sdk.keys.token_vault` inside a PKCS#11
token, from which they do not come out. Whatever is public (statements, the join request) lies in
the device's directory in either case, and so does the order in which things are made and erased.
"""

from typing import Protocol

from device_sdk.wire.suites import VerifyKey, WrapKey


class PrivateIdentity(Protocol):
    """An identity that signs, a `device_sdk.wire.suites.Signer`; wherever its private key is."""

    @property
    def public(self) -> VerifyKey:
        """Its public half."""

    @property
    def alg(self) -> int:
        """ES256 or PS256."""

    @property
    def kid(self) -> bytes:
        """16 bytes, PROTOCOL 3."""

    @property
    def spki(self) -> bytes:
        """SubjectPublicKeyInfo DER."""

    def sign(self, message: bytes) -> bytes:
        """Return the raw COSE signature over ``message``. Raises VaultError."""


class PrivateReaderKey(Protocol):
    """A reader key that opens what was wrapped to it."""

    @property
    def public(self) -> WrapKey:
        """Its public half."""

    @property
    def kid(self) -> bytes:
        """16 bytes, PROTOCOL 3."""

    def unwrap(self, wrapped_cek: bytes) -> bytes:
        """Return what was wrapped, of whatever length. Raises UnwrapError."""

    def check(self) -> None:
        """Raise BrokenReaderKeyError unless the key opens what it wraps."""


class Vault(Protocol):
    """The private keys of one device. Reader keys are told apart by their serial."""

    def make_identity(self) -> PrivateIdentity:
        """Make a new identity, not in use until `keep_identity`."""

    def keep_identity(self, identity: PrivateIdentity) -> None:
        """Store an identity that was made just now; it is the last step of making a device."""

    def identity(self) -> PrivateIdentity:
        """Return the identity. Raises KeyFileError, VaultError."""

    def make_reader_key(self, serial: int) -> PrivateReaderKey:
        """Make and store a reader key. It takes seconds on a small machine."""

    def reader_key(self, serial: int) -> PrivateReaderKey | None:
        """Return a reader key, None if it is gone. Raises KeyFileError, VaultError."""

    def erase_reader_key(self, serial: int) -> None:
        """Erase a reader key for good, if it is there."""

    def serials(self) -> set[int]:
        """Return the serials of all reader keys that are there, also of half-made ones."""

    def reading_mac(self, period: int, data: bytes) -> bytes:
        """Return HMAC-SHA512 of ``data``, 64 bytes, under a period's reading key (PROTOCOL 17.2).

        The key is 32 random bytes, made when it is needed first, and never shown. Whoever has it
        can find out every reading that this device has committed to in that period.
        Raises KeyFileError, VaultError.
        """

    def reading_periods(self) -> set[int]:
        """Return the periods whose reading keys are there."""

    def erase_reading_key(self, period: int) -> None:
        """Erase a period's reading key for good, if it is there."""

    def close(self) -> None:
        """Let go of what is open."""
