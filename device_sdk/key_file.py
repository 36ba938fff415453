"""Private keys in files: 0600, written whole or not at all, optionally under a passphrase.

Without a passphrase a file is plain PKCS#8 PEM. With one it is our own container, because the
PKCS#8 encryption that the library offers stretches a passphrase by only 2,048 rounds of PBKDF2:
CBOR [name, log2 n, r, p, salt, nonce, AES-256-GCM of the PKCS#8 DER] in PEM armour, keyed by scrypt
(RFC 7914) and bound to its own parameters.
"""

import base64
import contextlib
import os
import stat
import textwrap
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from device_sdk.wire import cbor
from device_sdk.wire.errors import MalformedError, SealgateError

_NAME = "sealgate-key-1"
_BEGIN, _END = (
    b"-----BEGIN SEALGATE ENCRYPTED KEY-----\n",
    b"-----END SEALGATE ENCRYPTED KEY-----\n",
)
_MAX_LOG_N, _MAX_R, _MAX_P = 20, 16, 8
_LIMIT = 16 * 1024
_LOOSE = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, kw_only=True, slots=True)
class ScryptProfile:
    """How much work a guess at a passphrase is (RFC 7914 2): 128 * r * 2^log_n bytes, p passes."""

    log_n: int
    r: int
    p: int


DEVICE_KEY = ScryptProfile(log_n=16, r=8, p=2)
"""64 MiB and two passes: OWASP's scrypt settings for machines that cannot spare 128 MiB."""
OWNER_KEY = ScryptProfile(log_n=18, r=8, p=1)
"""256 MiB, half a second on a laptop: for a key that is used seldom, on a machine that has room,
and that a thief of the laptop would guess at for longest."""


class KeyFileError(SealgateError):
    """A private-key file that is missing, damaged, or protected in another way than expected."""


class PassphraseError(KeyFileError):
    """The passphrase is missing, wrong, or given for a file that needs none."""


class LoosePermissionsError(KeyFileError):
    """A private file or directory that others may look into."""


def check_private(path: Path) -> None:
    """Raise LoosePermissionsError if group or others have any right on a file or directory."""
    mode = path.stat().st_mode
    if mode & _LOOSE:
        wanted = "700" if stat.S_ISDIR(mode) else "600"
        raise LoosePermissionsError(
            f"{path} is open to other users (mode {stat.S_IMODE(mode):o}); "
            f"private keys need {wanted}: chmod {wanted} {path}"
        )


def write_private_file(path: Path, data: bytes) -> None:
    """Write a file of mode 0600 so that a crash leaves the old one or the new one, never a half."""
    temporary = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def save_key(
    path: Path,
    key: PrivateKeyTypes,
    passphrase: bytes | None,
    profile: ScryptProfile = DEVICE_KEY,
) -> None:
    """Write a private key, encrypted by a profile if there is a passphrase."""
    if passphrase is None:
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_private_file(path, pem)
    else:
        der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        write_private_file(path, _encrypt(der, passphrase, profile))


def save_secret(path: Path, secret: bytes, passphrase: bytes | None) -> None:
    """Write a secret that is no private key: in hex, or encrypted if there is a passphrase.

    Raises KeyFileError if the disk is full or fails.
    """
    hidden = secret.hex().encode() + b"\n"
    if passphrase is not None:
        hidden = _encrypt(secret, passphrase, DEVICE_KEY)
    try:
        write_private_file(path, hidden)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from error


def load_secret(path: Path, passphrase: bytes | None, *, size: int) -> bytes:
    """Read a secret of ``size`` bytes. Raises as `load_key`."""
    data = _read(path, passphrase)
    try:
        secret = (
            bytes.fromhex(data.decode()) if passphrase is None else _decrypt(data, passphrase, path)
        )
    except (ValueError, MalformedError) as error:
        raise KeyFileError(f"{path} is damaged: it holds no secret") from error
    if len(secret) != size:
        raise KeyFileError(f"{path} is damaged: expected {size} bytes, got {len(secret)}")
    return secret


def load_key(path: Path, passphrase: bytes | None, *, validate: bool = True) -> PrivateKeyTypes:
    """Read a private key.

    ``validate=False`` skips the primality checks of an RSA key (41 to 305 ms with the interpreter
    held): only for a key that this device wrote itself.

    Raises:
        KeyFileError: missing or damaged.
        PassphraseError: missing, wrong, or superfluous passphrase.
        LoosePermissionsError: others may read the file.
    """
    data = _read(path, passphrase)
    try:
        if passphrase is not None:
            der = _decrypt(data, passphrase, path)
            return load_der_private_key(der, None, unsafe_skip_rsa_key_validation=not validate)
        return load_pem_private_key(data, None, unsafe_skip_rsa_key_validation=not validate)
    except (ValueError, TypeError, MalformedError) as error:
        raise KeyFileError(f"{path} is damaged: it holds no private key") from error


def _read(path: Path, passphrase: bytes | None) -> bytes:
    try:
        check_private(path)
        data = path.read_bytes()
    except FileNotFoundError:
        raise KeyFileError(f"there is no key file {path}") from None
    encrypted = data.startswith(_BEGIN)
    if encrypted and passphrase is None:
        raise PassphraseError(f"{path} is encrypted: give its passphrase (--passphrase-file)")
    if not encrypted and passphrase is not None:
        raise PassphraseError(f"{path} is not encrypted, but a passphrase was given")
    return data


def _derive(passphrase: bytes, salt: bytes, profile: ScryptProfile) -> bytes:
    scrypt = Scrypt(salt=salt, length=32, n=2**profile.log_n, r=profile.r, p=profile.p)
    return scrypt.derive(passphrase)


def _encrypt(der: bytes, passphrase: bytes, profile: ScryptProfile) -> bytes:
    salt, nonce = os.urandom(16), os.urandom(12)
    parameters = [_NAME, profile.log_n, profile.r, profile.p, salt, nonce]
    key = _derive(passphrase, salt, profile)
    box = AESGCM(key).encrypt(nonce, der, cbor.encode(parameters))
    text = base64.b64encode(cbor.encode([*parameters, box])).decode()
    return _BEGIN + "\n".join(textwrap.wrap(text, 64)).encode() + b"\n" + _END


def _decrypt(data: bytes, passphrase: bytes, path: Path) -> bytes:
    if not data.endswith(_END):
        raise KeyFileError(f"{path} is damaged: its last line is missing")
    decoded = base64.b64decode(data[len(_BEGIN) : -len(_END)])
    fields = cbor.as_array(cbor.decode(decoded, "key file", limit=_LIMIT), "key file", length=7)
    cbor.as_one_of(fields[0], "key file", (_NAME,))
    profile = ScryptProfile(
        log_n=cbor.as_uint(fields[1], "key file", most=_MAX_LOG_N),
        r=cbor.as_uint(fields[2], "key file", most=_MAX_R),
        p=cbor.as_uint(fields[3], "key file", most=_MAX_P),
    )
    salt, nonce, box = (cbor.as_bytes(field, "key file") for field in fields[4:])
    try:
        key = _derive(passphrase, salt, profile)
        return AESGCM(key).decrypt(nonce, box, cbor.encode(fields[:6]))
    except InvalidTag:
        raise PassphraseError(f"the passphrase does not open {path}") from None
