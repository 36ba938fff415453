"""Other devices' reader keys, as verified from ``keys/{device}`` and kept (PROTOCOL 8.1, 14).

The highest serial of each device is remembered: a list whose highest is lower is a rollback, by
which a stolen old key could be brought back into use.
"""

import logging
from dataclasses import dataclass

from device_sdk.state.state_file import StateFile
from device_sdk.trust import RollbackError, Roster, TrustError, newest_key, verify_key_statement
from device_sdk.wire.errors import WireError
from device_sdk.wire.key_statement import KeyStatement, decode_key_list, encode_key_list

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Verified:
    roster: Roster
    statements: dict[bytes, KeyStatement]


class ReaderKeys:
    """The reader keys of everybody this device has written to, and its own announced ones."""

    def __init__(self, state: StateFile) -> None:
        self._state = state
        self._verified: dict[str, _Verified] = {}

    def take_list(self, device: str, data: bytes, roster: Roster) -> None:
        """Take in what stands under a device's ``keys`` topic. Foreign statements are left out.

        Raises:
            WireError: not a key list.
            RollbackError: its highest serial is lower than one seen before.
        """
        found = _verify(decode_key_list(data), device, roster)
        if not found:
            return
        known = self.highest_serial(device, roster)
        highest = max(statement.serial for statement in found.values())
        if highest < known:
            raise RollbackError(
                f"the reader keys of {device} end at serial {highest}, but {known} was seen before"
            )
        self._state.execute(
            "INSERT INTO reader_key_list VALUES (?, ?) "
            "ON CONFLICT DO UPDATE SET statements = excluded.statements",
            (device, encode_key_list(list(found))),
        )
        self._verified[device] = _Verified(roster, found)

    def newest(self, device: str, roster: Roster, *, now: int, until: int) -> KeyStatement | None:
        """Return the newest key of a device that is valid from ``now`` to ``until``, if known."""
        return newest_key(self._known(device, roster).values(), now=now, until=until)

    def latest(self, device: str, roster: Roster) -> KeyStatement | None:
        """Return the statement of a device with the highest serial, if any is known."""
        known = self._known(device, roster).values()
        return max(known, key=lambda statement: statement.serial, default=None)

    def highest_serial(self, device: str, roster: Roster) -> int:
        """Return the highest serial that a listed identity of the device ever signed, or 0."""
        return max((s.serial for s in self._known(device, roster).values()), default=0)

    def _known(self, device: str, roster: Roster) -> dict[bytes, KeyStatement]:
        cached = self._verified.get(device)
        # A new roster may have retired the identity that signed a statement: verify again.
        if cached is None or cached.roster is not roster:
            row = self._state.row(
                "SELECT statements FROM reader_key_list WHERE device = ?", (device,)
            )
            found = _stored(row[0], device, roster) if row else {}
            cached = self._verified[device] = _Verified(roster, found)
        return cached.statements


def _stored(data: bytes, device: str, roster: Roster) -> dict[bytes, KeyStatement]:
    try:
        return _verify(decode_key_list(data), device, roster)
    except WireError as error:
        # The broker has it, retained: a damaged cache costs a download, nothing else.
        logger.warning("the cached keys of %s are damaged, to be fetched again: %s", device, error)
        return {}


def _verify(signed: list[bytes], device: str, roster: Roster) -> dict[bytes, KeyStatement]:
    found = {}
    for data in signed:
        try:
            found[data] = verify_key_statement(data, device, roster)
        except (WireError, TrustError):
            continue  # somebody else's, or by an identity that the owner has withdrawn
    return found
