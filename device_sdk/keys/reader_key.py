"""A reader's private RSA key: the only thing that can open what was sealed to it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from device_sdk.key_file import KeyFileError, load_key, save_key
from device_sdk.wire.errors import SealgateError
from device_sdk.wire.limits import CEK_SIZE
from device_sdk.wire.suites import (
    OAEP,
    RSA_DEFAULT_SIZE,
    RSA_EXPONENT,
    WrapKey,
    load_wrap_key,
)


class UnwrapError(SealgateError):
    """The wrapped content key does not open with this reader key. Says no more on purpose."""


class BrokenReaderKeyError(SealgateError):
    """Our own reader key does not open what it wrapped itself: not the sender's fault."""


@dataclass(frozen=True, slots=True)
class ReaderKey:
    """One private reader key and its public half."""

    key: rsa.RSAPrivateKey
    public: WrapKey

    @classmethod
    def generate(cls, bits: int = RSA_DEFAULT_SIZE) -> Self:
        """Make a new key: a fraction of a second on a PC, several seconds on a small Pi."""
        return cls.from_key(rsa.generate_private_key(RSA_EXPONENT, bits))

    @classmethod
    def from_key(cls, key: rsa.RSAPrivateKey) -> Self:
        """Wrap a private key. Raises KeyFormatError outside 2048 to 4096 bits or e = 65537."""
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(key, load_wrap_key(spki))

    @classmethod
    def load(cls, path: Path, passphrase: bytes | None) -> Self:
        """Read a key that this device wrote, without testing its primes. Raises KeyFileError."""
        key = load_key(path, passphrase, validate=False)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise KeyFileError(f"{path} holds another kind of key than a reader key")
        return cls.from_key(key)

    def save(self, path: Path, passphrase: bytes | None) -> None:
        """Write the key to a file of mode 0600, encrypted if there is a passphrase."""
        save_key(path, self.key, passphrase)

    @property
    def kid(self) -> bytes:
        """16 bytes, PROTOCOL 3."""
        return self.public.kid

    def unwrap(self, wrapped_cek: bytes) -> bytes:
        """Return what was wrapped, of whatever length. Raises UnwrapError."""
        try:
            return self.key.decrypt(wrapped_cek, OAEP)
        except ValueError:
            raise UnwrapError("the wrapped content key does not open") from None

    def check(self) -> None:
        """Raise BrokenReaderKeyError unless the key opens what it wraps."""
        probe = os.urandom(CEK_SIZE)
        try:
            intact = self.unwrap(self.public.wrap(probe)) == probe
        except UnwrapError:
            intact = False
        if not intact:
            raise BrokenReaderKeyError("the reader key file is damaged: restore or renew it")
