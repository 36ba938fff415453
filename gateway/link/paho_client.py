"""paho-mqtt's client, deaf to what strangers may write beside a payload, and quick.

In MQTT 5 every PUBLISH carries properties that its publisher chose and the broker passes on. paho
decodes them all and takes one that it does not like, such as a user property with U+FEFF, for a
broken connection. The packet would never be PUBACKed and would come again at every reconnect: one
publication would stop the gateway for ever. We need none of them, so paho does not see them.

What happens for every single message is done here, as paho takes several times as long: it keeps
publications to send them again over the next connection (nothing of ours outlives its own), makes
objects of properties and reason codes, and calls the system for each byte of a packet's header.
"""

import ssl
from collections.abc import Iterable
from typing import Any, Literal, Protocol

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MessageType, MQTTErrorCode, MQTTProtocolVersion

from device_sdk.wire.certificates import why_refused

_NONE = b"\0"
"""No properties: their length in bytes."""
_PUBLISH_QOS_1 = 0x32
_MOST_AT_ONCE = 64 * 1024
"""Bytes read from, or joined for, the socket at once."""


class Listener(Protocol):
    """Who hears of single messages."""

    def on_arrival(self, topic: bytes, payload: bytes, *, retained: bool, packet_id: int) -> None:
        """A PUBLISH; the packet id is 0 with QoS 0."""

    def on_puback(self, packet_id: int, code: int) -> None:
        """A PUBACK with its reason code, which is 0 before MQTT 5."""


class DeafClient(mqtt.Client):
    """A `paho.mqtt.client.Client` that never looks at the properties of a PUBLISH."""

    listener: Listener
    """To be set before anything is read."""
    refused = ""
    """Why the broker does not accept our certificate. In TLS 1.3 it says so when the handshake is
    over for us (RFC 8446 4.4.2), and paho keeps it to itself."""
    _unread = b""
    _read_to = 0

    @property
    def has_unread(self) -> bool:
        """Whether bytes have been taken from the socket that it will not become readable for."""
        return self._read_to < len(self._unread)

    def put(self, topic: str, payload: bytes, *, retain: bool, properties: bytes) -> int:
        """Send a PUBLISH with QoS 1 as soon as the socket takes it; return its packet id.

        ``properties`` are encoded with their length; before MQTT 5 there are none.
        """
        packet_id = self._mid_generate()
        name = topic.encode()
        rest = len(name).to_bytes(2, "big") + name + packet_id.to_bytes(2, "big")
        if self._protocol == MQTTProtocolVersion.MQTTv5:
            rest += properties or _NONE
        packet = bytearray([_PUBLISH_QOS_1 | retain])
        self._pack_remaining_length(packet, len(rest) + len(payload))
        packet += rest
        packet += payload
        self._packet_queue(MessageType.PUBLISH, packet, packet_id, 1)
        return packet_id

    def puback(self, packet_ids: Iterable[int]) -> None:
        """PUBACK arrivals in this order."""
        packet = b"".join(b"\x40\x02" + one.to_bytes(2, "big") for one in packet_ids)
        if packet:
            self._packet_queue(MessageType.PUBACK, packet, 0, 1)

    # ------------------------------------------------------------------ in place of paho's own

    def _sock_recv(self, bufsize: int) -> bytes:
        if not self.has_unread:
            self._unread, self._read_to = self._receive(), 0
        begin, self._read_to = self._read_to, min(self._read_to + bufsize, len(self._unread))
        return self._unread[begin : self._read_to]

    def _receive(self) -> bytes:
        try:
            return super()._sock_recv(_MOST_AT_ONCE)
        except ssl.SSLError as error:
            self.refused = why_refused(error.reason or "")
            raise

    def _packet_write(self) -> MQTTErrorCode:
        self._join_packets()
        return super()._packet_write()

    def _join_packets(self) -> None:
        # Only what paho has nothing to do for once it is sent.
        joined, count = bytearray(), 0
        for packet in self._out_packet:
            kind = packet["command"] & 0xF0
            if kind == MessageType.DISCONNECT or len(joined) >= _MOST_AT_ONCE:
                break
            joined += packet["packet"][packet["pos"] :]
            count += 1
        if count > 1:
            for _ in range(count):
                self._out_packet.popleft()
            self._out_packet.appendleft(
                {
                    "command": MessageType.PUBLISH,
                    "mid": 0,
                    "qos": 1,
                    "pos": 0,
                    "to_process": len(joined),
                    "packet": joined,
                    "info": None,
                }
            )

    def _handle_publish(self) -> MQTTErrorCode:
        command, packet = self._in_packet["command"], self._in_packet["packet"]
        qos = command >> 1 & 3
        mqtt5 = self._protocol == MQTTProtocolVersion.MQTTv5
        if mqtt5:
            packet = self._in_packet["packet"] = without_properties(packet, qos)
        topic_end = 2 + int.from_bytes(packet[:2], "big")
        end = topic_end + (2 if qos else 0)
        begin = end + mqtt5
        # Nobody asked for QoS 2; and properties that are still there end beyond the packet.
        if qos > 1 or begin > len(packet) or (mqtt5 and packet[end]):
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        self.listener.on_arrival(
            bytes(packet[2:topic_end]),
            bytes(packet[begin:]),
            retained=bool(command & 1),
            packet_id=int.from_bytes(packet[topic_end:end], "big"),
        )
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        packet: Any = self._in_packet["packet"]
        if cmd == "PUBCOMP" or len(packet) < 2:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        code = packet[2] if len(packet) > 2 else 0
        self.listener.on_puback(int.from_bytes(packet[:2], "big"), code)
        return MQTTErrorCode.MQTT_ERR_SUCCESS


def without_properties(packet: bytes | bytearray, qos: int) -> bytearray:
    """Return what follows a PUBLISH's fixed header, with no properties (MQTT 5.0 3.3.2.3).

    If they end beyond the packet's end, it is returned as it is, to be refused.
    """
    begin = 2 + int.from_bytes(packet[:2], "big") + (2 if qos else 0)
    length = shift = 0
    for at in range(begin, min(begin + 4, len(packet))):  # a variable byte integer, 1.5.5
        length |= (packet[at] & 0x7F) << shift
        shift += 7
        if packet[at] < 0x80 and at + 1 + length <= len(packet):
            return bytearray(packet[:begin] + _NONE + packet[at + 1 + length :])
        if packet[at] < 0x80:
            break
    return bytearray(packet)
