"""The login token: how a device proves itself to the embedded broker without a shared secret.

User name = device id, password = this token, made afresh before every connection (PROTOCOL 12).
A CWT (RFC 8392) as a COSE_Sign1 in base64url.
"""

import base64
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from device_sdk.wire import cbor, cose
from device_sdk.wire.errors import MalformedError, SignatureError
from device_sdk.wire.limits import CLOCK_SKEW, MAX_STATEMENT
from device_sdk.wire.names import as_name
from device_sdk.wire.suites import Signer, VerifyKey

TOKEN_VALIDITY = 5 * 60
_FINGERPRINT_DIGITS = 64
_SUB, _AUD, _EXP, _IAT = 2, 3, 4, 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """ "I am this device, and mean the broker of this fleet.\""""

    name: str
    audience: str
    """SHA-256 of the fleet's first root's SubjectPublicKeyInfo, 64 lower-case hex digits."""
    expires: int
    issued: int

    TYP: ClassVar[str] = "application/sealgate-login+cose"
    LIMIT: ClassVar[int] = MAX_STATEMENT

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        return cbor.encode(
            {_SUB: self.name, _AUD: self.audience, _EXP: self.expires, _IAT: self.issued}
        )

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError."""
        what = "login"
        fields = cbor.as_map(fields, what, (_SUB, _AUD, _EXP, _IAT))
        return cls(
            name=as_name(fields[_SUB], f"{what}.sub"),
            audience=cbor.as_text(fields[_AUD], f"{what}.aud", most=_FINGERPRINT_DIGITS),
            expires=cbor.as_uint(fields[_EXP], f"{what}.exp"),
            issued=cbor.as_uint(fields[_IAT], f"{what}.iat"),
        )


def make_token(name: str, *, audience: str, now: int, signer: Signer, aad: bytes) -> str:
    """Return the password for one connection."""
    login = Login(name=name, audience=audience, expires=now + TOKEN_VALIDITY, issued=now)
    return _base64url(cose.sign(login, signer, aad))


def parse_token(token: str) -> cose.Unverified[Login]:
    """Parse a password. Raises MalformedError, TooLargeError."""
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError as error:
        raise MalformedError("login", expected="base64url", got="another text") from error
    if _base64url(data) != token:  # the library skips what it does not know
        raise MalformedError("login", expected="base64url without padding", got="another text")
    return cose.parse_signed(Login, data)


def verify_token(
    unverified: cose.Unverified[Login], *, key: VerifyKey, audience: str, now: int, aad: bytes
) -> Login:
    """Return the login.

    Raises:
        SignatureError: not signed by ``key`` for this fleet, or outside its time by more than
            five minutes of clock difference.
    """
    login = unverified.verify(key, aad)
    if login.audience != audience:
        raise SignatureError("the login token is meant for another fleet's broker")
    if not login.issued - CLOCK_SKEW <= now <= login.expires + CLOCK_SKEW:
        raise SignatureError("the login token is not valid now: compare the two machines' clocks")
    if login.expires - login.issued > TOKEN_VALIDITY:
        raise SignatureError("the login token is valid for longer than five minutes")
    return login


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
