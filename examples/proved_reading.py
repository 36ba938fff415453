"""Send a temperature that the gateway checks and does not see, or an alarm if it is out of range.

The owner has made the channel, and a rule for what is sent to it:

    sealgate fleet channel set ./fleet cellar --reader hub --sender thermo-1
    sealgate fleet channel set ./fleet cellar --reading celsius --scale 0.1 --range -40..125
    sealgate fleet channel set ./fleet cellar --mode require

    python examples/proved_reading.py ./thermo-1 cellar hub 21.5
"""

import sys
from decimal import Decimal

from device_sdk import Device, OutOfRangeError

directory, channel, guard, measured = sys.argv[1:]

with Device.open(directory) as device:
    try:
        sent = device.send_reading(Decimal(measured), channel=channel)
    except OutOfRangeError as error:
        # Never a reading that was not taken: whoever guards the cellar learns what is wrong.
        sent = device.send(
            {"alarm": channel, "allowed": [str(error.low), str(error.high)]}, to=[guard]
        )
    sent.wait_held(timeout=10)
    print("held:", sent.message_id)
