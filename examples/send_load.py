"""Seal this machine's load to one or more readers, and wait until the gateway holds it.

python examples/send_load.py ./thermo-1 hub phone
"""

import os
import sys

from device_sdk import Device

directory, *readers = sys.argv[1:]

with Device.open(directory) as device:
    sent = device.send(f"{os.getloadavg()[0]:.2f}", to=readers)
    sent.wait_held(timeout=10)
    print("held:", sent.message_id)
