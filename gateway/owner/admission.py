"""Admitting as a change of the register: the candidate's keys may be nobody else's."""

from functools import partial

from device_sdk.trust import Roster
from device_sdk.wire.limits import DAY
from gateway.owner.bundle import PublicBundle
from gateway.owner.errors import NotAdmittedError
from gateway.owner.join import Candidate, enlist
from gateway.owner.owners import owner_keys
from gateway.owner.register import Edit, Register
from gateway.owner.signing import Members

MEMBER_VALIDITY = 3650 * DAY
"""A member stays one until it is revoked or, failing that, for ten years: what expires yearly and
stops everything at once is the roster, which the owner renews as a whole."""


def admission(register: Register, member: Candidate, *, now: int) -> Edit:
    """Return the change that admits a candidate."""
    return partial(_admit, register, member, now)


def _admit(
    register: Register, member: Candidate, now: int, members: Members, _version: int
) -> Members:
    roster = register.roster()
    if member.identity_spki in owner_keys(roster, register.pin):
        raise NotAdmittedError(f"{member.name} brings an owner's key: make it anew")
    devices = enlist(members.devices, member, not_after=now + MEMBER_VALIDITY)
    _check_reader_key(register.public, member, roster, now)
    return Members(devices=devices, channels=members.channels)


def _check_reader_key(public: PublicBundle, member: Candidate, roster: Roster, now: int) -> None:
    # One of two devices with the same key cannot use it, or was copied from the other.
    for name in roster.devices if member.reader_spki else ():
        if name == member.name or not public.may_state(name, member.reader_spki):
            continue
        stated = public.statements(name, roster, now).values()
        if any(one.spki == member.reader_spki for one in stated):
            raise NotAdmittedError(
                f"{member.name} brings the reader key of {name}: find out which of them made it"
            )
