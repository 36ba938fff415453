"""MQTT 3.1.1 packets: bytes in, amqtt's packet objects or a refusal out. Pure, and strict.

amqtt's codec lets much pass: bytes that are not UTF-8, trailing bytes, missing fields, reserved
flags. So every packet read is written again by the same codec and must come out as it came in.
"""

from __future__ import annotations

import struct
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from amqtt.adapters import BufferReader
from amqtt.errors import AMQTTError, CodecError, MQTTError, NoDataError
from amqtt.mqtt import packet_class
from amqtt.mqtt.connack import ConnackPacket
from amqtt.mqtt.connect import ConnectPacket, ConnectVariableHeader
from amqtt.mqtt.packet import (
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBSCRIBE,
    UNSUBSCRIBE,
    MQTTFixedHeader,
)
from amqtt.mqtt.puback import PubackPacket
from amqtt.mqtt.pubcomp import PubcompPacket
from amqtt.mqtt.publish import PublishPacket
from amqtt.mqtt.pubrec import PubrecPacket
from amqtt.mqtt.suback import SubackPacket
from amqtt.mqtt.unsuback import UnsubackPacket

from .limits import MAX_CONNECT_BYTES, MAX_CONTROL_BYTES

ACCEPTED = 0
UNACCEPTABLE_PROTOCOL = 1
IDENTIFIER_REJECTED = 2
SERVER_UNAVAILABLE = 3
NOT_AUTHORIZED = 5
REFUSED_FILTER = 0x80
PINGRESP = bytes([0xD0, 0])

# What a client may send, and the flags its first byte must have (MQTT 3.1.1, 2.2.2).
_FLAGS = {
    CONNECT: 0,
    PUBACK: 0,
    PUBREC: 0,
    PUBREL: 2,
    PUBCOMP: 0,
    SUBSCRIBE: 2,
    UNSUBSCRIBE: 2,
    PINGREQ: 0,
    DISCONNECT: 0,
}

_FOREIGN_ERRORS = (AMQTTError, MQTTError, NoDataError, CodecError, ValueError, struct.error)


class MalformedPacketError(Exception):
    """Bytes that are no MQTT 3.1.1 packet a client may send. The message names no content."""


class UnacceptableProtocolError(Exception):
    """A CONNECT of another MQTT version than 3.1.1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """An application message, as it was published."""

    topic: str
    payload: bytes
    qos: int  # 0 to 2
    retain: bool  # the publisher's RETAIN flag


@dataclass(frozen=True, kw_only=True, slots=True)
class Connect:
    """A client's first packet."""

    client_id: str  # may be empty
    clean: bool
    keep_alive: int  # seconds, 0 is never
    username: str | None
    password: str | None
    will: Message | None

    def __repr__(self) -> str:  # a password must not get into a log by accident
        return f"Connect(client_id={self.client_id!r})"


def cut(buffer: bytearray, *, publish_limit: int, stranger: bool) -> bytes | None:
    """Take the first whole packet off the buffer; None if it is not all there yet.

    Raises MalformedPacketError as soon as the packet's header announces more bytes than its type
    may have, before they have come.
    """
    if stranger and buffer and buffer[0] != CONNECT << 4:
        raise MalformedPacketError("the first packet is no CONNECT")
    length, position = 0, 1
    while True:
        if position == 5:
            raise MalformedPacketError("the packet's length has more than four bytes")
        if position >= len(buffer):
            return None
        length |= (buffer[position] & 0x7F) << 7 * (position - 1)
        position += 1
        if buffer[position - 1] < 0x80:
            break
    limit = publish_limit if buffer[0] >> 4 == PUBLISH else MAX_CONTROL_BYTES
    if stranger:
        limit = MAX_CONNECT_BYTES
    if position + length > limit:
        raise MalformedPacketError(f"expected at most {limit} bytes, {position + length} announced")
    if len(buffer) < position + length:
        return None
    frame = bytes(buffer[: position + length])
    del buffer[: position + length]
    return frame


def decode(frame: bytes) -> Any:
    """Decode a whole packet that a client may send, other than CONNECT, into amqtt's object."""
    header, reader = _begin(frame)
    if header.packet_type == CONNECT:
        raise MalformedPacketError("a second CONNECT")
    packet = _decode(packet_class(header), reader, header)
    _check_same(packet, frame)
    if header.packet_type in (PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, UNSUBSCRIBE):
        _check(packet.variable_header.packet_id > 0, "the packet id is 0")
    if header.packet_type == PUBLISH:
        _check_publish(packet)
    elif header.packet_type in (SUBSCRIBE, UNSUBSCRIBE):
        _check(packet.payload.topics, "no topic filter")
    if header.packet_type == SUBSCRIBE:
        _check(all(qos <= 2 for _, qos in packet.payload.topics), "a requested QoS above 2")
    return packet


def decode_connect(frame: bytes) -> Connect:
    """Decode a client's first packet, which must be a CONNECT.

    Raises UnacceptableProtocolError for another version than 3.1.1, before anything that depends
    on the version is looked at, and MalformedPacketError.
    """
    header, reader = _begin(frame)
    head = _decode(ConnectVariableHeader, reader, header)
    if head.proto_name not in ("MQTT", "MQIsdp"):
        raise MalformedPacketError("the first packet is no CONNECT of MQTT")
    if (head.proto_name, head.proto_level) != ("MQTT", 4):
        raise UnacceptableProtocolError(
            f"expected MQTT 3.1.1 (level 4), got level {head.proto_level}"
        )
    header, reader = _begin(frame)
    packet = _decode(ConnectPacket, reader, header)
    if packet.client_id_is_random:  # amqtt makes one up for an empty one
        packet.payload.client_id = ""
    _check_same(packet, frame)
    _check_connect_flags(packet)
    return Connect(
        client_id=packet.client_id,
        clean=packet.clean_session_flag,
        keep_alive=packet.keep_alive,
        username=packet.username,
        password=packet.password,
        will=_will(packet),
    )


def _begin(frame: bytes) -> tuple[Any, BufferReader]:
    reader = BufferReader(frame)
    header = _run(MQTTFixedHeader.from_stream(reader))
    if header is None or header.packet_type not in {PUBLISH, *_FLAGS}:
        raise MalformedPacketError("not a packet that a client may send")
    if header.packet_type != PUBLISH:
        _check(header.flags == _FLAGS[header.packet_type], "reserved flags are set")
    return header, reader


def _decode(kind: Any, reader: BufferReader, header: Any) -> Any:
    try:
        if issubclass(kind, ConnectVariableHeader):
            return _run(kind.from_stream(reader, header))
        return _run(kind.from_stream(reader, fixed_header=header))
    except _FOREIGN_ERRORS as error:
        # Not the foreign text: it may quote what was sent.
        raise MalformedPacketError(f"{type(error).__name__} while reading a packet") from None


def _run(decoding: Coroutine[Any, Any, Any]) -> Any:
    # amqtt's decoders are coroutines, but on a buffer there is nothing to wait for.
    try:
        decoding.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("decoding from a buffer waited for something")


def _check_same(packet: Any, frame: bytes) -> None:
    try:
        same = packet.to_bytes() == frame
    except _FOREIGN_ERRORS:
        same = False
    _check(same, "the packet is not encoded as it must be")


def _check_publish(packet: Any) -> None:
    _check(packet.qos <= 2, "QoS 3")
    _check(packet.qos > 0 or not packet.dup_flag, "DUP with QoS 0")
    _check(packet.qos == 0 or packet.packet_id > 0, "the packet id is 0")
    _check(packet.topic_name, "an empty topic")


def _check_connect_flags(packet: Any) -> None:
    # MQTT 3.1.1, 3.1.2.3 to 3.1.2.9; a field that is announced and missing decodes to None.
    _check(not packet.reserved_flag, "the reserved flag of CONNECT is set")
    _check(packet.will_qos <= 2, "a will with QoS 3")
    _check(packet.will_flag or not (packet.will_qos or packet.will_retain_flag), "will flags alone")
    _check(packet.username_flag or not packet.password_flag, "a password without a user name")
    _check(packet.payload.client_id is not None, "no client id")
    _check(packet.username_flag == (packet.username is not None), "no user name")
    _check(packet.password_flag == (packet.password is not None), "no password")
    _check(packet.will_flag == (packet.will_message is not None), "no will")


def _check(condition: object, otherwise: str) -> None:
    if not condition:
        raise MalformedPacketError(otherwise)


def _will(packet: Any) -> Message | None:
    if not packet.will_flag:
        return None
    return Message(
        topic=packet.will_topic,
        payload=bytes(packet.will_message),
        qos=packet.will_qos,
        retain=packet.will_retain_flag,
    )


def message_of(packet: Any) -> Message:
    """The message that a decoded PUBLISH carries."""
    return Message(
        topic=packet.topic_name,
        payload=packet.data,
        qos=packet.qos,
        retain=packet.retain_flag,
    )


def publish(message: Message, *, qos: int, packet_id: int | None, retain: bool, dup: bool) -> bytes:
    """A PUBLISH; ``packet_id`` is None with QoS 0."""
    packet = PublishPacket.build(message.topic, message.payload, packet_id, dup, qos, retain)
    return bytes(packet.to_bytes())


def connack(code: int, *, session_present: bool = False) -> bytes:
    return bytes(ConnackPacket.build(int(session_present), code).to_bytes())


def puback(packet_id: int) -> bytes:
    return bytes(PubackPacket.build(packet_id).to_bytes())


def pubrec(packet_id: int) -> bytes:
    return bytes(PubrecPacket.build(packet_id).to_bytes())


def pubcomp(packet_id: int) -> bytes:
    return bytes(PubcompPacket.build(packet_id).to_bytes())


def suback(packet_id: int, codes: list[int]) -> bytes:
    return bytes(SubackPacket.build(packet_id, codes).to_bytes())


def unsuback(packet_id: int) -> bytes:
    return bytes(UnsubackPacket.build(packet_id).to_bytes())
