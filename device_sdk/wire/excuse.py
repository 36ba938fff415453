"""The excuse: the owner releases readers of one message from owing a read ack (PROTOCOL 8.5)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from device_sdk.wire import cbor
from device_sdk.wire.limits import MAX_BATCH, MAX_READERS, MESSAGE_ID_SIZE
from device_sdk.wire.names import as_name, is_hex_id, is_name


@dataclass(frozen=True, kw_only=True, slots=True)
class Excuse:
    """Signed by the owner's root; the operator alone can excuse nobody."""

    sender: str
    message_id: bytes
    readers: tuple[str, ...]
    time: int

    TYP: ClassVar[str] = "application/sealgate-excuse+cose"
    LIMIT: ClassVar[int] = MAX_BATCH

    def encode(self) -> bytes:
        """Return the record's deterministic CBOR."""
        return cbor.encode(
            {1: self.sender, 2: self.message_id, 3: list(self.readers), 4: self.time}
        )

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Return the record from decoded CBOR. Raises MalformedError."""
        what = "excuse"
        fields = cbor.as_map(fields, what, range(1, 5))
        readers = cbor.as_array(fields[3], f"{what}.readers", least=1, most=MAX_READERS)
        return cls(
            sender=as_name(fields[1], f"{what}.sender"),
            message_id=cbor.as_bytes(fields[2], f"{what}.message-id", size=MESSAGE_ID_SIZE),
            readers=tuple(as_name(reader, f"{what}.readers") for reader in readers),
            time=cbor.as_uint(fields[4], f"{what}.time"),
        )


def excuse_file(sender: str, message_id: bytes) -> str:
    """Return the name of an excuse's file in a bundle (PROTOCOL 8.3)."""
    return f"{sender}-{message_id.hex()}"


def is_excuse_file(name: str) -> bool:
    """Tell whether a file of a bundle can be an excuse: ``{sender}-{message-id}``."""
    sender, _, message_id = name.rpartition("-")
    return is_name(sender) and is_hex_id(message_id)
