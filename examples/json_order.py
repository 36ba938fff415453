"""Give a device an order as JSON, and wait until it has read it.

python examples/json_order.py ./hub lock-1
"""

import sys
from datetime import timedelta

from device_sdk import Device, NotReadYetError

directory, reader = sys.argv[1:]

with Device.open(directory) as device:
    order = {"do": "lock", "doors": ["front", "garage"]}
    sent = device.send(order, to=[reader], lifetime=timedelta(hours=1))
    try:
        outcome = sent.wait_read(timeout=60)
        print("read by", reader, "at", outcome.read_by[reader])
    except NotReadYetError:
        print("not read yet; it waits at the gateway, and", reader, "gets it when it connects")
