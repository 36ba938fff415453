"""The floor: a bare paho relay that republishes with RETAIN and does nothing else.

No signature is checked, nothing is stored, nobody acknowledges and nothing is cleared. It runs as a
process of its own (``python -m tests.bench.relay PORT``), as a gateway does.
"""

import os
import subprocess
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.bench import load

_SEND, _INBOX = "bench/send/", "bench/inbox/"


def run(port: int, *, count: int, window: int) -> float:
    """Return messages per second that went from the sender through the relay to the reader."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.relay", str(port)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()  # the relay says when it has subscribed
        payload = os.urandom(512)
        messages = [load.Publication(f"{_SEND}{number}", payload) for number in range(count)]
        return load.run(
            port,
            inbox=f"{_INBOX}#",
            messages=messages,
            window=window,
            react=lambda _client, _topic, payload: bool(payload),
        )
    finally:
        process.terminate()
        process.wait()


def _serve(port: int) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bench-relay")
    client.max_inflight_messages_set(1000)

    def republish(_client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        topic = _INBOX + message.topic.removeprefix(_SEND)
        client.publish(topic, message.payload, qos=1, retain=True)

    client.on_message = republish
    client.on_socket_open = load.at_once
    client.on_subscribe = lambda *_: print("subscribed", flush=True)
    client.connect("127.0.0.1", port)
    client.subscribe(f"{_SEND}#", qos=1)
    client.loop_forever()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
