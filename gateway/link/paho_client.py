"""paho-mqtt's client, deaf to what strangers may write beside a payload.

In MQTT 5 every PUBLISH carries properties that its publisher chose and the broker passes on. paho
decodes them all and takes one that it does not like, such as a user property with U+FEFF, for a
broken connection. The packet would never be PUBACKed and would come again at every reconnect: one
publication would stop the gateway for ever. We need none of them, so paho does not see them.
"""

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion

_NONE = b"\0"
"""No properties: their length in bytes."""


class DeafClient(mqtt.Client):
    """A `paho.mqtt.client.Client` that never looks at the properties of a PUBLISH."""

    def _handle_publish(self) -> MQTTErrorCode:
        if self._protocol == MQTTProtocolVersion.MQTTv5:
            qos = self._in_packet["command"] >> 1 & 3
            self._in_packet["packet"] = without_properties(self._in_packet["packet"], qos)
        return super()._handle_publish()


def without_properties(packet: bytes | bytearray, qos: int) -> bytearray:
    """Return what follows a PUBLISH's fixed header, with no properties (MQTT 5.0 3.3.2.3).

    If they end beyond the packet's end, it is returned as it is, for paho to refuse.
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
