"""Who speaks for the gateway: identities that the roster lists with the role "gateway". Pure.

The broker may be anybody's; what counts is the signature. A notice does not name its gateway, so
the signer is found by its key id.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from device_sdk.trust import Roster, UnknownDeviceError
from device_sdk.wire import cose
from device_sdk.wire.epoch_key import TokenKeys
from device_sdk.wire.errors import SignatureError
from device_sdk.wire.limits import CLOCK_SKEW
from device_sdk.wire.notice import Notice
from device_sdk.wire.roster_page import ROLE_GATEWAY
from device_sdk.wire.state import OFFLINE, ONLINE, State
from device_sdk.wire.suites import VerifyKey, key_id, load_verify_key
from device_sdk.wire.tree_head import TreeHead

STATE_VALIDITY = 90.0
"""Seconds: a state is signed anew every 30 s, and two may get lost."""


@dataclass(slots=True)
class _Heard:
    state: State
    newest: int
    """The latest time of all its states: a last will was signed long before it is sent."""
    tick: float


class Gateways:
    """The gateways of one fleet, by one version of its roster."""

    def __init__(self, aad: bytes) -> None:
        self._aad = aad
        self._roster: Roster | None = None
        self._keys: Mapping[bytes, tuple[str, VerifyKey]] = {}
        self._heard: dict[str, _Heard] = {}

    def use(self, roster: Roster) -> None:
        """Go by another roster from now on."""
        self._roster = roster
        self._keys = {
            key_id(spki): (name, load_verify_key(spki))
            for name, entry in roster.devices.items()
            if ROLE_GATEWAY in entry.roles
            for spki in entry.identities
        }

    def verify_notice(self, data: bytes, device: str, now: int) -> tuple[Notice, str]:
        """Return a notice for ``device`` by an active gateway, and that gateway's name.

        Raises:
            WireError: malformed, for another device, or its signature does not verify.
            UnknownDeviceError: signed by nobody who is a gateway of this fleet.
        """
        unverified = cose.parse_signed(Notice, data)
        name, key = self._signer(unverified.kid, now)
        notice = unverified.verify(key, self._aad)
        if notice.device != device:
            raise SignatureError("the notice is for another device")
        return notice, name

    def take_state(self, gateway: str, data: bytes, now: int, tick: float) -> bool:
        """Take in a gateway's state; tell whether that gateway has come online just now.

        An older state than the known one changes nothing.

        Raises:
            WireError, UnknownDeviceError: as `verify_notice`.
        """
        unverified = cose.parse_signed(State, data)
        name, key = self._signer(unverified.kid, now)
        state = unverified.verify(key, self._aad)
        if not state.gateway == name == gateway:
            raise SignatureError("the state is another gateway's than its topic says")
        known = self._heard.get(gateway)
        if known is not None and state.time < known.newest and not _is_will(state, known.state):
            return False
        newest = max(state.time, known.newest if known else 0)
        self._heard[gateway] = _Heard(state, newest, tick)
        back = known is None or known.state.status != ONLINE
        restarted = known is not None and known.state.instance != state.instance
        return state.status == ONLINE and (back or restarted)

    def verify_log_head(self, data: bytes, now: int) -> tuple[str, TreeHead]:
        """Return an active gateway's name and a head of its log. Raises as `verify_notice`."""
        unverified = cose.parse_signed(TreeHead, data)
        name, key = self._signer(unverified.kid, now)
        return name, unverified.verify(key, self._aad)

    def verify_token_keys(self, data: bytes, now: int) -> tuple[str, TokenKeys]:
        """Return an active gateway's name and its keys for tokens. Raises as `verify_notice`."""
        unverified = cose.parse_signed(TokenKeys, data)
        name, key = self._signer(unverified.kid, now)
        return name, unverified.verify(key, self._aad)

    def is_active(self, gateway: str, now: int) -> bool:
        """Tell whether the roster lists a gateway that is neither revoked nor expired."""
        return self._roster is not None and self._roster.is_active(gateway, now, ROLE_GATEWAY)

    def online(self, now: int, tick: float) -> State | None:
        """Return the latest state of a gateway that is online, or None."""
        return max(self.all_online(now, tick), key=lambda state: state.time, default=None)

    def all_online(self, now: int, tick: float) -> list[State]:
        """Return the latest state of each gateway that is online."""
        return [
            heard.state
            for heard in self._heard.values()
            if heard.state.status == ONLINE
            and tick - heard.tick <= STATE_VALIDITY
            and abs(now - heard.state.time) <= CLOCK_SKEW + STATE_VALIDITY
        ]

    def states(self) -> list[State]:
        """Return the latest state of each gateway, online or not."""
        return [heard.state for heard in self._heard.values()]

    def heard_at(self, gateway: str) -> float:
        """Return the tick at which a gateway's latest state came; 0 before the first."""
        heard = self._heard.get(gateway)
        return 0.0 if heard is None else heard.tick

    def latest(self) -> State | None:
        """Return the latest state of any gateway, online or not."""
        return max(self.states(), key=lambda state: state.time, default=None)

    def _signer(self, kid: bytes, now: int) -> tuple[str, VerifyKey]:
        signer = self._keys.get(kid)
        if signer is None or self._roster is None:
            raise UnknownDeviceError("signed by nobody whom the roster lists as a gateway")
        if not self._roster.is_active(signer[0], now, ROLE_GATEWAY):
            raise UnknownDeviceError(f"signed by the gateway {signer[0]}, which is not active")
        return signer


def _is_will(state: State, known: State) -> bool:
    return state.status == OFFLINE and state.instance == known.instance
