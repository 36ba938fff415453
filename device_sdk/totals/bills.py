"""A device's answer to a bill of its own: one total, and nothing that opens a reading (18.3)."""

from device_sdk.proofs import pedersen
from device_sdk.proofs.totals_signed import open_request, request_hash
from device_sdk.totals.asked import check_epochs, check_prices, check_rule, earlier_answer
from device_sdk.totals.secrets import Mac, blinding_of, steps_of
from device_sdk.totals.store import OwnReading, Totalled, TotalsStore
from device_sdk.trust import Roster
from device_sdk.wire import cose
from device_sdk.wire.suites import Signer
from device_sdk.wire.totals_bill import BillAnswer, BillItem, BillRequest
from device_sdk.wire.totals_errors import (
    CommitmentDiffersError,
    ForeignReadingError,
    NotAllowedError,
)


class Billing:
    """What a device says about its own readings. It decides; whoever calls holds the lock."""

    def __init__(
        self, store: TotalsStore, *, name: str, signer: Signer, aad: bytes, mac: Mac
    ) -> None:
        self._store, self._name, self._signer = store, name, signer
        self._aad, self._mac = aad, mac

    def answer(self, data: bytes, roster: Roster, now: int) -> bytes:
        """Return the signed answer to a request; to the same one always the same.

        Raises:
            WireError, TrustError: malformed, or not signed by a gateway of the fleet.
            RequestError: see its kinds. Nothing was told, and another request may be answered.
        """
        request = open_request(BillRequest, data, roster, self._aad)
        hashed = request_hash(request)
        if request.device != self._name:
            raise NotAllowedError(
                "the bill",
                expected=f"one of {self._name}",
                got=f"one of {request.device}",
                todo="give it to that device",
            )
        given = self._store.totalled(request.channel, request.start, request.until)
        if answer := earlier_answer(request, hashed, given):
            return answer
        check_rule(request, roster, now)
        check_epochs(request, now)
        check_prices(request)
        answer = cose.sign(self._total(request, hashed, now), self._signer, self._aad)
        one = Totalled(start=request.start, until=request.until, request_hash=hashed, answer=answer)
        self._store.answered(request.channel, one)
        return answer

    def _total(self, request: BillRequest, hashed: bytes, now: int) -> BillAnswer:
        own = self._store.own(request.channel, request.start, request.until)
        total, blindings = 0, []
        for item in request.items:
            steps, blinding = self._open(request, item, own.get(item.message_id))
            total += item.weight * steps
            blindings.append((blinding, item.weight))
        return BillAnswer(
            device=self._name,
            request_hash=hashed,
            total=total,
            blinding=pedersen.blinding_sum(blindings),
            time=now,
        )

    def _open(
        self, request: BillRequest, item: BillItem, own: OwnReading | None
    ) -> tuple[int, bytes]:
        """Return what opens the commitment to a reading. It does not leave this device."""
        known = own is not None and own.issued == item.issued
        if own is None or not known or not request.scale.covers(own.policy):
            raise ForeignReadingError(
                f"the reading {item.message_id.hex()[:8]}",
                expected="one that this device has sent, of this time and scale",
                got="one that it does not know",
                todo="make the request anew, and --leave-out this one",
                who=request.gateway,
            )
        steps, blinding = steps_of(self._mac, own), blinding_of(self._mac, own)
        if not pedersen.opens(item.commitment, steps, blinding):
            raise CommitmentDiffersError(
                f"the reading {item.message_id.hex()[:8]}",
                expected="the commitment that this device has made",
                got="another one",
                todo="do not trust this gateway",
                who=request.gateway,
            )
        return steps, blinding
