"""Members' certificates: from the owner's bundle to ``cert/{name}``, and back from the broker.

The bundle is their only source, as it is the root's: a gateway that is given none publishes none,
and lets stand what stands. A gateway believes no more than a member would (PROTOCOL 12.2).
"""

from collections.abc import Mapping
from pathlib import Path

from device_sdk.trust import Roster
from device_sdk.wire import bundle
from device_sdk.wire.certificates import (
    MemberCertificate,
    decode_certificates,
    encode_certificates,
    from_pem,
    verify_certificates,
)
from device_sdk.wire.errors import WireError
from device_sdk.wire.limits import MAX_CERTIFICATE, MAX_CERTIFICATES, MAX_LIFETIME
from gateway.situation import Situation

CERTIFICATES = bundle.CERTIFICATES
_MOST_BYTES = 2 * MAX_CERTIFICATES * MAX_CERTIFICATE
"""Of a file: PEM is a third longer than DER."""


def read_certificates(
    bundle: Path, roster: Roster, known: Mapping[str, MemberCertificate], now: int
) -> dict[str, MemberCertificate]:
    """Return the certificates of active members that verify, by name; others are passed over.

    ``known`` is the result before: what has not changed since is not verified again.
    """
    found = {}
    for name in roster.devices:
        if roster.is_member(name, now):
            certificate = _read(bundle / CERTIFICATES / name, name, roster, known.get(name))
            if certificate is not None:
                found[name] = certificate
    return found


def _read(
    path: Path, name: str, roster: Roster, known: MemberCertificate | None
) -> MemberCertificate | None:
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        chain = tuple(from_pem(path.read_bytes()))
    except (OSError, WireError):
        return None
    if known is not None and known.chain == chain and _still_holds(known, roster):
        return known
    return _verified(chain, name, roster)


def _still_holds(known: MemberCertificate, roster: Roster) -> bool:
    identities = roster.devices[known.name].identities
    return known.root == roster.head.root.spki and known.spki in identities


def _verified(chain: tuple[bytes, ...], name: str, roster: Roster) -> MemberCertificate | None:
    entry = roster.devices.get(name)
    if entry is None:
        return None
    owners = (roster.head.root.spki,)
    try:
        return verify_certificates(chain, name=name, identities=entry.identities, owners=owners)
    except WireError:
        return None


def payload(situation: Situation, name: str) -> bytes:
    """Return what belongs under ``cert/{name}``; empty bytes if nothing is known to."""
    roster = situation.roster
    certificate = (situation.certificates or {}).get(name)
    if certificate is None or roster is None or not roster.is_member(name, situation.now):
        return b""
    return encode_certificates(certificate.chain)


def judge(situation: Situation, name: str, stands: bytes) -> tuple[bool, int]:
    """Judge what stands under ``cert/{name}`` at the broker.

    Returns whether to visit the topic, and else until when to leave it, in Unix seconds, with 0 for
    good.
    """
    roster = situation.roster
    if situation.certificates is None or roster is None:
        return False, 0
    if name not in roster.devices:
        # A newer roster may list it.
        return (False, situation.now + MAX_LIFETIME) if _is_list(stands) else (True, 0)
    if not roster.is_member(name, situation.now):
        return True, 0
    ours = situation.certificates.get(name)
    if ours is not None and encode_certificates(ours.chain) == stands:
        return False, 0
    try:
        theirs = _verified(tuple(decode_certificates(stands)), name, roster)
    except WireError:
        theirs = None
    # Our bundle may be half copied, or older than that of another gateway.
    is_later = theirs is not None and (ours is None or theirs.not_before > ours.not_before)
    return not is_later, 0


def _is_list(data: bytes) -> bool:
    try:
        decode_certificates(data)
    except WireError:
        return False
    return True
