"""Private keys inside a PKCS#11 token, such as an HSM, a TPM or a smart card; needs `[pkcs11]`.

The token makes the identity (P-256, ES256) and each reader key (RSA) itself, and marks them as
sensitive and not extractable: whoever copies the device's directory has no key. It must do ECDSA,
and OAEP with SHA-256 for the label's hash and for MGF1; tokens that know OAEP with SHA-1 alone
(such as SoftHSM 2.6) are told from the others when a device is made, and refused. There is no
falling back to raw RSA: padding would be checked here, in Python, in time that tells about it.

The binding initialises a token's library for one thread, so that all calls take turns. While a
token makes a reader key, which may take it seconds, nothing is signed or opened.
"""

import hashlib
import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from device_sdk.key_file import (
    KeyFileError,
    PassphraseError,
    check_private,
    write_private_file,
)
from device_sdk.keys.reader_key import BrokenReaderKeyError, UnwrapError
from device_sdk.keys.vault import PrivateIdentity
from device_sdk.wire.limits import CEK_SIZE
from device_sdk.wire.names import as_name
from device_sdk.wire.suites import (
    RSA_DEFAULT_SIZE,
    VerifyKey,
    WrapKey,
    load_verify_key,
    load_wrap_key,
)

try:
    import pkcs11
    from pkcs11 import MGF, Attribute, KeyType, Mechanism, ObjectClass
    from pkcs11.util.ec import encode_named_curve_parameters
except ModuleNotFoundError as error:  # pragma: no cover
    if not (error.name or "").startswith(("pkcs11", "asn1crypto")):
        raise
    raise KeyFileError("keys in a token need: pip install 'sealgate[pkcs11]'") from error

T = TypeVar("T")
_OAEP = (Mechanism.SHA256, MGF.SHA256, None)
"""RSAES-OAEP, SHA-256 twice, empty label: some tokens insist on no pointer for it."""
_PRIVATE = {Attribute.TOKEN: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
_READING_KEY_BITS = 256
_POINT_SIZE = 65
"""An uncompressed P-256 point."""
_lock = threading.RLock()
"""Of all tokens of this process: their library was told that there is one thread."""


class VaultError(KeyFileError):
    """A token that is not there, or does not do what version 1 of the protocol needs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenPlace:
    """Where the keys are: the content of the device's file ``token``, in JSON."""

    module: str
    """Path of the token's PKCS#11 library."""
    token: str
    """The token's label."""
    tag: str
    """Begins the label of each of the device's objects there."""

    @classmethod
    def choose(cls, module: Path, token: str, name: str) -> Self:
        """Return a place for a new device; two devices of one name never share an object."""
        tag = f"sealgate {as_name(name, 'device name')} {secrets.token_hex(4)}"
        return cls(module=str(module.absolute()), token=token, tag=tag)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a device's file. Raises KeyFileError and its kinds."""
        check_private(path)
        try:
            return cls(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise KeyFileError(f"{path} is damaged: it names no token") from error


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        with _lock:
            yield
    except (pkcs11.exceptions.PinIncorrect, pkcs11.exceptions.PinLocked) as error:
        raise PassphraseError(f"{what}: the PIN is wrong, or the token is locked") from error
    except pkcs11.exceptions.UserAlreadyLoggedIn as error:
        # A second session would share the login, and lose it when the first one is closed.
        raise VaultError(f"{what}: this process uses it for another device") from error
    except pkcs11.exceptions.PKCS11Error as error:
        raise VaultError(f"{what}: {type(error).__name__} {error}".rstrip()) from error


@dataclass(frozen=True, slots=True)
class TokenIdentity:
    """A P-256 key in a token that signs; a `PrivateIdentity`."""

    public: VerifyKey
    _private: Any

    @property
    def alg(self) -> int:
        return self.public.alg

    @property
    def kid(self) -> bytes:
        return self.public.kid

    @property
    def spki(self) -> bytes:
        return self.public.spki

    def sign(self, message: bytes) -> bytes:
        # The token signs a digest that is made here; its answer is r || s already.
        digest = hashlib.sha256(message).digest()
        with _translated("the token does not sign"):
            signature: bytes = self._private.sign(digest, mechanism=Mechanism.ECDSA)
        return signature


@dataclass(frozen=True, slots=True)
class TokenReaderKey:
    """An RSA key in a token that opens what was wrapped to it; a `PrivateReaderKey`."""

    public: WrapKey
    _private: Any

    @property
    def kid(self) -> bytes:
        return self.public.kid

    def unwrap(self, wrapped_cek: bytes) -> bytes:
        try:
            with _lock:
                opened: bytes = self._private.decrypt(
                    wrapped_cek, mechanism=Mechanism.RSA_PKCS_OAEP, mechanism_param=_OAEP
                )
        except pkcs11.exceptions.PKCS11Error:
            raise UnwrapError("the wrapped content key does not open") from None
        return opened

    def check(self) -> None:
        probe = os.urandom(CEK_SIZE)
        try:
            intact = self.unwrap(self.public.wrap(probe)) == probe
        except UnwrapError:
            intact = False
        if not intact:
            raise BrokenReaderKeyError("the token does not open what is wrapped to its reader key")


class TokenVault:
    """One device's keys in one token; a `device_sdk.keys.vault.Vault`."""

    def __init__(self, file: Path, place: TokenPlace, pin: bytes | None) -> None:
        """Log in. Raises VaultError, PassphraseError."""
        if pin is None:
            raise PassphraseError(f"the token {place.token} wants its PIN (--passphrase-file)")
        self._file, self._place = file, place
        with _translated(f"the token {place.token} in {place.module}"):
            token = pkcs11.lib(place.module).get_token(token_label=place.token)
            self._session = token.open(rw=True, user_pin=pin.decode(errors="replace"))

    @classmethod
    def open(cls, file: Path, pin: bytes | None) -> Self:
        """Open the vault that a device's file ``token`` names. Raises KeyFileError and kinds."""
        return cls(file, TokenPlace.read(file), pin)

    def make_identity(self) -> TokenIdentity:
        with _translated("the token makes no P-256 key"):
            curve = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
            _, private = self._session.create_domain_parameters(
                KeyType.EC, curve, local=True
            ).generate_keypair(
                label=self._label("identity"),
                id=self._label("identity").encode(),
                store=True,
                private_template={**_PRIVATE, Attribute.SIGN: True},
            )
        _check_sealed_in(private)
        return self.identity()

    def keep_identity(self, identity: PrivateIdentity) -> None:
        del identity  # it is in the token already; what was missing is where to find it
        write_private_file(self._file, json.dumps(asdict(self._place), indent=2).encode())

    def identity(self) -> TokenIdentity:
        private, public = self._pair("identity", KeyType.EC)
        if private is None or public is None:
            raise VaultError(f"the token {self._place.token} has no identity for this device")
        with _translated("the token does not show the identity's public key"):
            point = public[Attribute.EC_POINT][-_POINT_SIZE:]  # in a DER octet string, or bare
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        return TokenIdentity(load_verify_key(_spki(key)), private)

    def make_reader_key(self, serial: int) -> TokenReaderKey:
        with _translated("the token makes no RSA key"):
            _, private = self._session.generate_keypair(
                KeyType.RSA,
                RSA_DEFAULT_SIZE,
                label=self._label(f"reader {serial}"),
                id=self._label(f"reader {serial}").encode(),
                store=True,
                private_template={**_PRIVATE, Attribute.DECRYPT: True, Attribute.SIGN: False},
            )
        _check_sealed_in(private)
        key = self.reader_key(serial)
        if key is None:
            raise VaultError(f"the token {self._place.token} does not keep the key that it made")
        try:
            key.check()
        except BrokenReaderKeyError:
            self.erase_reader_key(serial)
            raise VaultError(
                f"the token {self._place.token} does not do RSA-OAEP with SHA-256: use another"
            ) from None
        return key

    def reader_key(self, serial: int) -> TokenReaderKey | None:
        private, public = self._pair(f"reader {serial}", KeyType.RSA)
        if private is None or public is None:
            return None
        with _translated("the token does not show the reader key's public half"):
            modulus = int.from_bytes(public[Attribute.MODULUS])
            exponent = int.from_bytes(public[Attribute.PUBLIC_EXPONENT])
        key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
        return TokenReaderKey(load_wrap_key(_spki(key)), private)

    def erase_reader_key(self, serial: int) -> None:
        with _translated("the token does not erase a reader key"):
            for found in self._pair(f"reader {serial}", KeyType.RSA):
                if found is not None:
                    found.destroy()

    def serials(self) -> set[int]:
        rsa_keys = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.KEY_TYPE: KeyType.RSA}
        return self._numbers("reader ", rsa_keys)

    def reading_mac(self, period: int, data: bytes) -> bytes:
        label = self._label(f"reading {period}")
        with _translated("the token does not do HMAC with SHA-512"):
            key: Any = _or_none(lambda: self._session.get_key(label=label))
            if key is None:
                key = self._session.generate_key(
                    KeyType.GENERIC_SECRET,
                    _READING_KEY_BITS,
                    label=label,
                    id=label.encode(),
                    store=True,
                    template={**_PRIVATE, Attribute.SIGN: True},
                )
                _check_sealed_in(key)
            mac: bytes = key.sign(data, mechanism=Mechanism.SHA512_HMAC)
        return mac

    def reading_periods(self) -> set[int]:
        return self._numbers("reading ", {Attribute.CLASS: ObjectClass.SECRET_KEY})

    def erase_reading_key(self, period: int) -> None:
        with _translated("the token does not erase a reading key"):
            label = self._label(f"reading {period}")
            found: Any = _or_none(lambda: self._session.get_key(label=label))
            if found is not None:
                found.destroy()

    def close(self) -> None:
        with _translated("the token does not let go"):
            self._session.close()

    def _numbers(self, what: str, kinds: dict[Any, Any]) -> set[int]:
        """Return what follows in the labels of this device's objects of a kind."""
        start = self._label(what)
        with _translated("the token does not list its keys"):
            labels = [found[Attribute.LABEL] for found in self._session.get_objects(kinds)]
        mine = (label.removeprefix(start) for label in labels if label.startswith(start))
        return {int(number) for number in mine if number.isdecimal()}

    def _label(self, what: str) -> str:
        return f"{self._place.tag} {what}"

    def _pair(self, what: str, kind: KeyType) -> tuple[Any, Any]:
        """Return private and public object, None for what is not there."""

        def find(role: ObjectClass) -> Any:
            return self._session.get_key(object_class=role, key_type=kind, label=self._label(what))

        with _translated("the token does not find its keys"):
            return (
                _or_none(lambda: find(ObjectClass.PRIVATE_KEY)),
                _or_none(lambda: find(ObjectClass.PUBLIC_KEY)),
            )


def _or_none(find: Callable[[], T]) -> T | None:
    try:
        return find()
    except pkcs11.exceptions.NoSuchKey:
        return None


def _check_sealed_in(private: Any) -> None:
    """See that the token does as it was told. Raises VaultError."""
    with _translated("the token does not say whether its keys can be taken out"):
        if private[Attribute.EXTRACTABLE] or not private[Attribute.SENSITIVE]:
            raise VaultError("the token made a key that can be taken out: use another token")


def _spki(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
