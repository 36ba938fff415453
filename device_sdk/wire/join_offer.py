"""A join request on its way through the broker, vouched for by a ticket's code (PROTOCOL 12.3)."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from device_sdk.wire import cbor, cose
from device_sdk.wire.errors import SignatureError
from device_sdk.wire.join_request import JoinRequest
from device_sdk.wire.limits import HASH_SIZE

_WHAT = "join-offer"
LIMIT = JoinRequest.LIMIT + 64


@dataclass(frozen=True, kw_only=True, slots=True)
class JoinOffer:
    """What a device publishes under ``join/{device}``."""

    request: bytes
    """A signed JoinRequest."""
    mac: bytes
    """32 bytes by which the owner knows that whoever has the ticket made it."""

    @classmethod
    def make(cls, request: bytes, *, code: bytes, device: str, fleet_id: bytes) -> Self:
        """Return the offer of a join request by the holder of a code."""
        return cls(request=request, mac=_mac(request, code, device, fleet_id))

    def encode(self) -> bytes:
        """Return the offer's deterministic CBOR."""
        return cbor.encode([self.request, self.mac])

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return an offer, nothing of which is verified. Raises MalformedError, TooLargeError."""
        request, mac = cbor.as_array(cbor.decode(data, _WHAT, limit=LIMIT), _WHAT, length=2)
        return cls(
            request=cbor.as_bytes(request, f"{_WHAT}.request", least=1, most=JoinRequest.LIMIT),
            mac=cbor.as_bytes(mac, f"{_WHAT}.mac", size=HASH_SIZE),
        )

    @property
    def name(self) -> str:
        """Whom the request names; that is not verified. Raises WireError."""
        return cose.parse_signed(JoinRequest, self.request).claims.name

    def check(self, *, code: bytes, device: str, fleet_id: bytes) -> None:
        """Raise SignatureError unless the holder of this code made it for this device and fleet."""
        if not hmac.compare_digest(self.mac, _mac(self.request, code, device, fleet_id)):
            raise SignatureError("the join request was not made with the code of this ticket")


def _mac(request: bytes, code: bytes, device: str, fleet_id: bytes) -> bytes:
    info = b"sealgate 1 join" + device.encode()
    key = HKDFExpand(hashes.SHA256(), HASH_SIZE, info).derive(code)
    return hmac.digest(key, fleet_id + request, hashlib.sha256)
