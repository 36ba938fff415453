"""Signing keys: who a device, a gateway or an owner is."""

import secrets
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)

from device_sdk import key_file
from device_sdk.key_file import KeyFileError, ScryptProfile, load_key, save_key
from device_sdk.wire.suites import (
    VerifyKey,
    load_verify_key,
    sign_es256,
    sign_ps256,
)

DEVICE_KEY, OWNER_KEY = key_file.DEVICE_KEY, key_file.OWNER_KEY
"""How a passphrase is stretched, by whose key it protects."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A private signing key: ES256, or PS256 for secure elements that know only RSA.

    It is a `device_sdk.wire.suites.Signer`.
    """

    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    public: VerifyKey

    @classmethod
    def generate(cls) -> Self:
        """Make a new ES256 identity."""
        return cls.from_key(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_key(cls, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> Self:
        """Wrap a private key. Raises KeyFormatError if version 1 does not allow its kind."""
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(key, load_verify_key(spki))

    @classmethod
    def load(cls, path: Path, passphrase: bytes | None) -> Self:
        """Read an identity from its file. Raises KeyFileError and its kinds, KeyFormatError."""
        key = load_key(path, passphrase)
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise KeyFileError(f"{path} holds another kind of key than an identity")
        return cls.from_key(key)

    def save(
        self, path: Path, passphrase: bytes | None, profile: ScryptProfile = DEVICE_KEY
    ) -> None:
        """Write the identity to a file of mode 0600, encrypted if there is a passphrase."""
        save_key(path, self.key, passphrase, profile)

    @property
    def alg(self) -> int:
        """ES256 or PS256."""
        return self.public.alg

    @property
    def kid(self) -> bytes:
        """16 bytes, PROTOCOL 3."""
        return self.public.kid

    @property
    def spki(self) -> bytes:
        """SubjectPublicKeyInfo DER."""
        return self.public.spki

    def sign(self, message: bytes) -> bytes:
        """Return the raw COSE signature over ``message``."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            return sign_ps256(self.key, message)
        return sign_es256(self.key, message)

    def present(self, context: ssl.SSLContext, certificates: bytes) -> None:
        """Let a TLS context prove this identity by its certificate, in PEM, its own first.

        `ssl` reads keys from files only. So the key is in one for a moment, in a file that nobody
        else may read, encrypted under a password that is never written down.

        Raises SSLError if key and certificate do not belong together, OSError.
        """
        password = secrets.token_bytes(32).hex().encode()
        encrypted = self.key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password)
        )
        with tempfile.NamedTemporaryFile(prefix="sealgate-") as file:
            file.write(certificates + encrypted)
            file.flush()
            context.load_cert_chain(file.name, password=password)
