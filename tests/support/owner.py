"""The owner of a `Home`, who signs rosters that no command makes yet."""

import time
from collections.abc import Sequence
from dataclasses import replace

from device_sdk import Device
from device_sdk.trust import Roster
from device_sdk.wire.limits import DAY
from device_sdk.wire.roster_page import ChannelEntry
from gateway.owner.fleet import Fleet
from gateway.owner.signing import Members, sign_roster
from tests.support.home import Home
from tests.support.hub_fleet import await_roster


class Owner:
    """Signs with the fleet's root key, as the owner's commands do, and publishes the bundle."""

    CHANNEL_LIFETIME = 3 * DAY

    def __init__(self, home: Home) -> None:
        self._home = home
        self._fleet = Fleet.open(home.directory / "fleet", None)

    def roster(self) -> Roster:
        """Return the newest roster."""
        return self._fleet.roster()

    def set_channel(
        self, name: str, *, readers: Sequence[str], senders: Sequence[str], seen_by: str = "hub"
    ) -> int:
        """Make or change a channel; as `sign`."""
        entry = ChannelEntry(
            readers=tuple(sorted(readers)),
            senders=tuple(sorted(senders)),
            lifetime=self.CHANNEL_LIFETIME,
        )
        before = self.roster()
        channels = {**before.channels, name: entry}
        return self.sign(Members(devices=before.devices, channels=channels), seen_by=seen_by)

    def revoke(self, name: str, *, seen_by: str = "hub") -> int:
        """Revoke a device; as `sign`."""
        before = self.roster()
        version = max(before.version + 1, int(time.time()))
        entry = replace(before.devices[name], revoked_at=version)
        devices = {**before.devices, name: entry}
        return self.sign(Members(devices=devices, channels=before.channels), seen_by=seen_by)

    def sign(self, members: Members, *, seen_by: str = "", validity: int = 365 * DAY) -> int:
        """Sign and publish a roster; return its version.

        ``seen_by``: a device that is not open; when it has got the roster, the gateway serves it.
        """
        data = sign_roster(
            members,
            root=self._fleet.root,
            pin=self._fleet.pin,
            previous=self.roster().version,
            now=int(time.time()),
            validity=validity,
        )
        (self._fleet.directory / "private" / "roster").write_bytes(data)
        self._fleet.public.write_roster(data)
        version = self.roster().version
        if seen_by:
            with Device.open(self._home.directory / seen_by) as device:
                await_roster(device, version)
        return version
