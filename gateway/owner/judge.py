"""Did one gateway sign two histories? Judged from two signed heads of its log (PROTOCOL 8.6)."""

from dataclasses import dataclass
from pathlib import Path

from device_sdk.trust import Roster, UnknownDeviceError
from device_sdk.wire import cose
from device_sdk.wire.roster_page import ROLE_GATEWAY
from device_sdk.wire.suites import key_id, load_verify_key
from device_sdk.wire.tree_head import TreeHead
from gateway.owner.overview import find_bundle


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """Two heads that gateways of the fleet signed, and what they prove."""

    gateways: tuple[str, str]
    heads: tuple[TreeHead, TreeHead]
    why_not: str
    """Why they prove nothing; empty if they prove a split view."""

    @property
    def is_proof(self) -> bool:
        """Whether no honest gateway could have signed both."""
        return not self.why_not


def judge(directory: Path, first: bytes, second: bytes) -> Judged:
    """Judge two signed heads by a fleet's directory or a copy of its bundle; offline.

    Raises:
        FleetError: no fleet and no bundle.
        TrustError: a head that no gateway of the fleet signed, be it revoked by now.
        WireError: no head, or a signature that does not verify.
    """
    bundle = find_bundle(directory)
    roster, aad = bundle.roster(), bundle.pin().aad
    (one, a), (other, b) = (_verify(data, roster, aad) for data in (first, second))
    return Judged(gateways=(one, other), heads=(a, b), why_not=_why_not(one, a, other, b))


def _verify(data: bytes, roster: Roster, aad: bytes) -> tuple[str, TreeHead]:
    unverified = cose.parse_signed(TreeHead, data)
    for name, entry in roster.devices.items():
        if ROLE_GATEWAY not in entry.roles:
            continue
        for spki in entry.identities:
            if key_id(spki) == unverified.kid:
                return name, unverified.verify(load_verify_key(spki), aad)
    raise UnknownDeviceError("a head that was signed by no gateway of this fleet")


def _why_not(one: str, a: TreeHead, other: str, b: TreeHead) -> str:
    if one != other:
        return "they are heads of two gateways' logs"
    if a.contradicts(b):
        return ""
    if a.log_id != b.log_id:
        return (
            "they are of two runs of the gateway: a ledger that was restored from a backup between "
            "them explains it, unless the gateway was not restarted then; compare the times"
        )
    if a.size != b.size:
        return "they are of two sizes of one log: one may have grown out of the other"
    return "they say the same"
