"""Who has signed a statement about totals, by the owner's roster (PROTOCOL 18). Pure.

Devices, trustees, and whoever checks a total with the owner's bundle go by the same rules. What
they know of the roster comes in as `Identities`.
"""

import hashlib
from collections.abc import Sequence
from typing import Protocol, TypeVar

from device_sdk.wire import cose
from device_sdk.wire.roster_page import ROLE_DEVICE, ROLE_GATEWAY
from device_sdk.wire.suites import VerifyKey
from device_sdk.wire.totals_bill import BillAnswer, BillRequest
from device_sdk.wire.totals_errors import OtherRequestError
from device_sdk.wire.totals_share import Split
from device_sdk.wire.totals_sum import SumAnswer, SumReport, SumRequest

R = TypeVar("R", BillRequest, SumRequest)
T = TypeVar("T", SumReport, SumAnswer)


class Identities(Protocol):
    """Who is who in the fleet: `device_sdk.trust.Roster`."""

    def identity(self, name: str, kid: bytes, role: str = ROLE_DEVICE) -> VerifyKey:
        """Return an identity key, also of somebody revoked. Raises a SealgateError."""


def request_hash(request: BillRequest | SumRequest) -> bytes:
    """Return what answers name a request by: without the signature, which has a second form."""
    return hashlib.sha256(request.encode()).digest()


def open_request(kind: type[R], data: bytes, roster: Identities, aad: bytes) -> R:
    """Return a request that a gateway of the fleet signed, be it revoked by now.

    Raises WireError, UnknownDeviceError.
    """
    unverified = cose.parse_signed(kind, data)
    key = roster.identity(unverified.claims.gateway, unverified.kid, ROLE_GATEWAY)
    return unverified.verify(key, aad)


def open_bill_answer(
    data: bytes, request: BillRequest, roster: Identities, aad: bytes
) -> BillAnswer:
    """Return a device's answer to a bill request. Raises WireError, TrustError, TotalsError."""
    unverified = cose.parse_signed(BillAnswer, data)
    claims = unverified.claims
    if claims.device != request.device or claims.request_hash != request_hash(request):
        raise OtherRequestError(
            "the answer",
            expected=f"one by {request.device} to this request",
            got=f"another one, by {claims.device}",
            todo="look for the file that belongs to the request",
        )
    key = roster.identity(claims.device, unverified.kid, ROLE_DEVICE)
    return unverified.verify(key, aad)


def open_from_trustees(
    kind: type[T], data: Sequence[bytes], request: SumRequest, roster: Identities, aad: bytes
) -> dict[str, T]:
    """Return one report or answer of each trustee, by trustee.

    Raises:
        OtherRequestError: about another request, by nobody who was asked, or somebody's is absent.
        WireError, TrustError: malformed, or not signed by the trustee.
    """
    found: dict[str, T] = {}
    hashed = request_hash(request)
    for one in data:
        unverified = cose.parse_signed(kind, one)
        claims = unverified.claims
        is_asked = claims.trustee in request.rule.trustees and claims.trustee not in found
        if not is_asked or claims.request_hash != hashed:
            raise OtherRequestError(
                f"a statement of the trustee {claims.trustee}",
                expected="one of each trustee, about this request",
                got="a second one, a stranger's, or one about another request",
                todo="look for the files that belong to the request",
                who=claims.trustee,
            )
        key = roster.identity(claims.trustee, unverified.kid, ROLE_DEVICE)
        found[claims.trustee] = unverified.verify(key, aad)
    absent = [name for name in request.rule.trustees if name not in found]
    if absent:
        raise OtherRequestError(
            "the statements of the trustees",
            expected="one of each",
            got=f"none of {', '.join(absent)}",
            todo="ask them as well",
        )
    return found


def open_split(data: bytes, roster: Identities, aad: bytes) -> Split:
    """Return what a device has signed about the shares of a reading. Raises WireError,
    UnknownDeviceError."""
    unverified = cose.parse_signed(Split, data)
    key = roster.identity(unverified.claims.sender, unverified.kid, ROLE_DEVICE)
    return unverified.verify(key, aad)
