"""The state: who runs the gateway's side of this prefix, signed anew every 30 s (PROTOCOL 10.4)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from device_sdk.wire import cbor
from device_sdk.wire.limits import MAX_STATEMENT
from device_sdk.wire.names import as_name
from device_sdk.wire.notice import NONCE_SIZE

ONLINE, OFFLINE, PAUSED = "online", "offline", "paused"
"""*paused* takes no new messages, until the operator has seen to the clock or the disk."""


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """One gateway instance. *offline* is also its last will, signed when it connected."""

    gateway: str
    ledger_id: bytes
    instance: bytes
    """16 random bytes of this process: two processes on one prefix are told apart by it."""
    status: str
    time: int
    roster_version: int
    software: str
    """Name and version, such as "sealgate 0.1.0"."""
    max_payload: int
    max_readers: int
    max_lifetime: int

    TYP: ClassVar[str] = "application/sealgate-state+cose"
    LIMIT: ClassVar[int] = MAX_STATEMENT

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        return cbor.encode(
            {
                1: self.gateway,
                2: self.ledger_id,
                3: self.instance,
                4: self.status,
                5: self.time,
                6: self.roster_version,
                7: self.software,
                8: [self.max_payload, self.max_readers, self.max_lifetime],
            }
        )

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError."""
        what = "state"
        fields = cbor.as_map(fields, what, range(1, 9))
        limits = cbor.as_array(fields[8], f"{what}.limits", length=3)
        max_payload, max_readers, max_lifetime = (
            cbor.as_uint(limit, f"{what}.limits") for limit in limits
        )
        return cls(
            gateway=as_name(fields[1], f"{what}.gateway"),
            ledger_id=cbor.as_bytes(fields[2], f"{what}.ledger-id", size=NONCE_SIZE),
            instance=cbor.as_bytes(fields[3], f"{what}.instance", size=NONCE_SIZE),
            status=cbor.as_one_of(fields[4], f"{what}.status", (ONLINE, OFFLINE, PAUSED)),
            time=cbor.as_uint(fields[5], f"{what}.time"),
            roster_version=cbor.as_uint(fields[6], f"{what}.roster-version"),
            software=cbor.as_text(fields[7], f"{what}.software", most=64),
            max_payload=max_payload,
            max_readers=max_readers,
            max_lifetime=max_lifetime,
        )
