"""A trustee: takes its shares of others' readings, and tells their sum once (PROTOCOL 18.4 - 18.6).

As long as one trustee of a channel keeps to this, nobody learns more than the sums of sets that
have no reading in common. All of them together cannot make a wrong sum pass.
"""

import logging
from collections.abc import Sequence

from device_sdk.proofs.errors import ProofError
from device_sdk.proofs.sharing import Part, add_up, shares_out
from device_sdk.proofs.totals import check_reports
from device_sdk.proofs.totals_signed import (
    open_from_trustees,
    open_request,
    open_split,
    request_hash,
)
from device_sdk.totals_asked import check_devices, check_epochs, check_rule, earlier_answer
from device_sdk.totals_store import HeldShare, Totalled, TotalsStore
from device_sdk.trust import Roster
from device_sdk.wire import cose
from device_sdk.wire.errors import SealgateError
from device_sdk.wire.suites import Signer
from device_sdk.wire.totals_errors import LacksReadingsError, NotAllowedError
from device_sdk.wire.totals_share import Share, Split
from device_sdk.wire.totals_sum import (
    MISSING,
    OTHER_COMMITMENT,
    OTHER_EPOCH,
    OTHER_SCALE,
    OTHER_TRUSTEES,
    WRONG_SHARE,
    SumAnswer,
    SumItem,
    SumReport,
    SumRequest,
)

logger = logging.getLogger(__name__)


class Trustee:
    """What this device does for others' sums. It decides; whoever calls holds the lock."""

    def __init__(self, store: TotalsStore, *, name: str, signer: Signer, aad: bytes) -> None:
        self._store, self._name = store, name
        self._signer, self._aad = signer, aad

    def take(self, sender: str, payload: bytes, roster: Roster) -> bool:
        """Keep a share that came sealed from its sender; tell whether it can be added up.

        What nobody signed is dropped. A share that is wrong is kept as that, so that the trustee
        can name its device in time.
        """
        try:
            share = Share.decode(payload)
            split = open_split(share.split, roster, self._aad)
        except SealgateError as error:
            logger.warning("a share from %s was not kept: %s", sender, error)
            return False
        if split.sender != sender:
            logger.warning("a share from %s was not kept: it is another device's", sender)
            return False
        known = self._store.share(sender, split.message_id)
        if known is not None and cose.parse_signed(Split, known.split).claims == split:
            return not known.problem
        is_right = known is None and self._is_right(share, split, roster)
        held = HeldShare(
            sender=sender,
            message_id=split.message_id,
            channel=split.channel,
            issued=split.issued,
            problem="" if is_right else WRONG_SHARE,
            split=share.split,
            value=share.value if is_right else b"",
            blinding=share.blinding if is_right else b"",
        )
        self._store.put_share(held)
        return is_right

    def _is_right(self, share: Share, split: Split, roster: Roster) -> bool:
        channel = roster.channels.get(split.channel)
        if channel is None or channel.totals is None or split.sender not in channel.senders:
            return False
        if split.trustees != channel.totals.trustees:
            return False
        try:
            part = Part.parse(share.value, share.blinding)
        except ProofError:
            return False
        return part.opens(split.share_of(self._name))

    def report(self, data: bytes, roster: Roster, now: int) -> bytes:
        """Return a signed report of what is here of a set. It may be asked for as often as needed:
        it tells nothing about values.

        Raises:
            WireError, TrustError, RequestError: not a request that may be answered.
        """
        request = self._open(data, roster, now)
        report = SumReport(
            trustee=self._name,
            request_hash=request_hash(request),
            entries=tuple(self._entry(request, item, roster) for item in request.items),
            time=now,
        )
        return cose.sign(report, self._signer, self._aad)

    def _open(self, data: bytes, roster: Roster, now: int) -> SumRequest:
        request = open_request(SumRequest, data, roster, self._aad)
        rule = check_rule(request, roster, now)
        if self._name not in rule.trustees:
            raise NotAllowedError(
                "the sum",
                expected=f"trustees of which {self._name} is one",
                got=f"others: {', '.join(rule.trustees)}",
                todo="ask those",
            )
        check_epochs(request, now)
        check_devices(request)
        return request

    def _entry(self, request: SumRequest, item: SumItem, roster: Roster) -> bytes | str:
        held = self._store.share(item.sender, item.message_id)
        if held is None or held.channel != request.channel:
            return MISSING
        if held.problem:
            return held.problem
        if not request.start <= held.issued < request.until:
            return OTHER_EPOCH
        try:
            split = open_split(held.split, roster, self._aad)
        except SealgateError:
            return WRONG_SHARE  # the owner has given the device's name to another key since
        if split.trustees != request.rule.trustees:
            return OTHER_TRUSTEES
        if not request.scale.covers(split.scale):
            return OTHER_SCALE
        adds_up = shares_out((one for _, one in split.shares), item.commitment)
        return held.split if adds_up else OTHER_COMMITMENT

    def answer(self, data: bytes, reports: Sequence[bytes], roster: Roster, now: int) -> bytes:
        """Return this trustee's signed sums, once every trustee has reported that it has all.

        To the same request always the same; to another one about this epoch never. The shares go.

        Raises:
            WireError, TrustError, TotalsError: see their kinds. Nothing was told, and another
                request about this epoch may be answered.
        """
        request = open_request(SumRequest, data, roster, self._aad)
        hashed = request_hash(request)
        given = self._store.totalled(request.channel, request.start, request.until)
        if answer := earlier_answer(request, hashed, given):
            return answer
        self._open(data, roster, now)
        found = open_from_trustees(SumReport, reports, request, roster, self._aad)
        check_reports(request, found, roster, self._aad)
        whole = add_up(self._part(request, item, roster) for item in request.items)
        signed = SumAnswer(
            trustee=self._name,
            request_hash=hashed,
            value=whole.value,
            blinding=whole.blinding,
            time=now,
        )
        answer = cose.sign(signed, self._signer, self._aad)
        one = Totalled(start=request.start, until=request.until, request_hash=hashed, answer=answer)
        self._store.answered(request.channel, one)
        return answer

    def _part(self, request: SumRequest, item: SumItem, roster: Roster) -> Part:
        held, entry = (
            self._store.share(item.sender, item.message_id),
            self._entry(request, item, roster),
        )
        if held is None or isinstance(entry, str):
            raise LacksReadingsError(
                f"the reading of {item.sender}",
                expected="a share that can be added up",
                got=str(entry),
                todo="ask this trustee for a new report",
                who=item.sender,
            )
        return Part.parse(held.value, held.blinding)
