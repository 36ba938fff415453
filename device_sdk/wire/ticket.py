"""The ticket: what a new device needs to ask for its admission over the network (PROTOCOL 12.3)."""

import base64
from dataclasses import dataclass
from typing import Any, Self

from device_sdk.wire import cbor
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.limits import MAX_CERTIFICATE
from device_sdk.wire.names import as_name
from device_sdk.wire.roster_head import as_chain
from device_sdk.wire.suites import SPKI_LIMIT, load_verify_key

CODE_SIZE = 32
MAX_TICKET = 16 * 1024
_MAX_URL, _MAX_PREFIX = 512, 512
_WHAT = "ticket"
_FIELDS = range(1, 11)
(_DEVICE, _BROKER, _PREFIX, _ROOT, _CA, _CODE, _EXPIRES, _CERTIFICATE, _KEY, _CHAIN) = _FIELDS


@dataclass(frozen=True, kw_only=True, slots=True)
class Ticket:
    """Made by the owner for one device; whoever has it may join in that device's name, once."""

    device: str
    broker: str
    """URL, without a user."""
    prefix: str
    root: bytes
    """SubjectPublicKeyInfo of the fleet's first root, which the device pins."""
    ca: bytes
    """The owner's authority in DER, which the device believes about the broker."""
    code: bytes
    """32 random bytes that owner and device share: they authenticate the join request."""
    expires: int
    """Unix seconds."""
    certificate: bytes
    """A throwaway certificate in DER, with which a stranger may do nothing but ask."""
    key: bytes
    """Its private key, PKCS#8 in DER."""
    successions: tuple[bytes, ...]
    """How the root was replaced since; a device that knows it believes no root before."""

    def encode(self) -> str:
        """Return the ticket as text to copy and paste."""
        fields: dict[int, Any] = {
            _DEVICE: self.device,
            _BROKER: self.broker,
            _PREFIX: self.prefix,
            _ROOT: self.root,
            _CA: self.ca,
            _CODE: self.code,
            _EXPIRES: self.expires,
            _CERTIFICATE: self.certificate,
            _KEY: self.key,
            _CHAIN: list(self.successions),
        }
        return base64.urlsafe_b64encode(cbor.encode(fields)).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Return the ticket of a text, whose lines may be broken. Raises MalformedError."""
        joined = "".join(text.split())
        try:
            data = base64.urlsafe_b64decode(joined + "=" * (-len(joined) % 4))
        except ValueError as error:
            raise MalformedError(_WHAT, expected="base64url", got="another text") from error
        if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != joined:
            raise MalformedError(_WHAT, expected="base64url without padding", got="another text")
        return cls._parse(cbor.as_map(cbor.decode(data, _WHAT, limit=MAX_TICKET), _WHAT, _FIELDS))

    @classmethod
    def _parse(cls, fields: dict[int, Any]) -> Self:
        root = cbor.as_bytes(fields[_ROOT], f"{_WHAT}.root", most=SPKI_LIMIT)
        load_verify_key(root)
        most = MAX_CERTIFICATE
        return cls(
            device=as_name(fields[_DEVICE], f"{_WHAT}.device"),
            broker=cbor.as_text(fields[_BROKER], f"{_WHAT}.broker", most=_MAX_URL),
            prefix=cbor.as_text(fields[_PREFIX], f"{_WHAT}.prefix", most=_MAX_PREFIX),
            root=root,
            ca=cbor.as_bytes(fields[_CA], f"{_WHAT}.ca", least=1, most=most),
            code=cbor.as_bytes(fields[_CODE], f"{_WHAT}.code", size=CODE_SIZE),
            expires=cbor.as_uint(fields[_EXPIRES], f"{_WHAT}.expires"),
            certificate=cbor.as_bytes(
                fields[_CERTIFICATE], f"{_WHAT}.certificate", least=1, most=most
            ),
            key=cbor.as_bytes(fields[_KEY], f"{_WHAT}.key", least=1, most=most),
            successions=as_chain(fields[_CHAIN], f"{_WHAT}.successions"),
        )
