"""Print every message to this device, for ever; Ctrl-C ends it.

A message whose block ends without an exception is acknowledged as read. One whose block raises
stays owed, and comes first the next time.

    python examples/read_forever.py ./hub
"""

import sys

from device_sdk import Device

with Device.open(sys.argv[1]) as device:
    for message in device.inbox(timeout=None):
        with message:
            print(message.sender, message.sent_at, message.text(), flush=True)
