"""A trustee: takes its shares of others' readings, and tells their sum once (PROTOCOL 18.4 - 18.6).

As long as one trustee of a channel keeps to this, nobody learns more than the sums of sets that
have no reading in common. All of them together cannot make a wrong sum pass.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

from device_sdk.proofs.errors import ProofError
from device_sdk.proofs.sharing import Part, add_up, shares_out
from device_sdk.proofs.totals import check_reports
from device_sdk.proofs.totals_signed import (
    open_from_trustees,
    open_request,
    open_split,
    request_hash,
)
from device_sdk.totals.asked import check_devices, check_epochs, check_rule, earlier_answer
from device_sdk.totals.secrets import Mac, held_part, mask_part
from device_sdk.totals.store import HeldShare, Totalled, TotalsStore
from device_sdk.trust import Roster
from device_sdk.wire import cose
from device_sdk.wire.errors import SealgateError
from device_sdk.wire.limits import CLOCK_SKEW, MAX_LIFETIME
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

    def __init__(
        self, store: TotalsStore, *, name: str, signer: Signer, aad: bytes, mac: Mac
    ) -> None:
        self._store, self._name = store, name
        self._signer, self._aad, self._mac = signer, aad, mac

    def take(self, sender: str, payload: bytes, roster: Roster, now: int) -> bool:
        """Keep a share that came sealed from its sender; tell whether it agrees with itself.

        What nobody signed is dropped, and what can never be added up. A share that is wrong is kept
        as that, so that the trustee can name its device in time. Whether the owner allows it is
        judged in reports: this roster may be older than the device's.
        """
        try:
            share = Share.decode(payload)
            split = open_split(share.split, roster, self._aad)
        except SealgateError as error:
            logger.warning("a share from %s was not kept: %s", sender, error)
            return False
        why = self._why_dropped(sender, split, roster, now)
        if why:
            logger.warning("a share from %s was not kept: %s", sender, why)
            return False
        known = self._store.share(sender, split.message_id)
        return self._keep(share, split) if known is None else self._keep_second(known, share, split)

    def _why_dropped(self, sender: str, split: Split, roster: Roster, now: int) -> str:
        """Return why nobody will ever ask about a share, or must not; empty if somebody may."""
        if split.sender != sender:
            return "it is another device's"
        if split.channel not in roster.channels:
            return "there is no such channel"
        if not now - MAX_LIFETIME - CLOCK_SKEW <= split.issued <= now + CLOCK_SKEW:
            return "its reading is too old, or of a time to come"
        if self._store.totalled(split.channel, split.issued, split.issued + 1):
            return "the sum of its epoch was told"
        return ""

    def _keep(self, share: Share, split: Split) -> bool:
        part = self._right_part(share, split)
        held = HeldShare(
            sender=split.sender,
            message_id=split.message_id,
            channel=split.channel,
            issued=split.issued,
            problem=WRONG_SHARE if part is None else "",
            split=share.split,
            masked=b"",
        )
        if part is not None:
            held = replace(held, masked=mask_part(self._mac, held, part))
        self._store.put_share(held)
        return part is not None

    def _keep_second(self, known: HeldShare, share: Share, split: Split) -> bool:
        """Never in the place of the first one: other trustees may go by that by now."""
        if _claims(known.split) == split:
            return not known.problem
        logger.warning("%s has shared out one reading in two ways", split.sender)
        if not known.second:
            self._store.put_second(split.sender, split.message_id, share.split)
        return False

    def _right_part(self, share: Share, split: Split) -> Part | None:
        try:
            part = Part.parse(share.value, share.blinding)
        except ProofError:
            return None
        return part if part.opens(split.share_of(self._name)) else None

    def report(self, data: bytes, roster: Roster, now: int) -> bytes:
        """Return a signed report of what is here of a set. It may be asked for as often as needed:
        it tells nothing about values.

        Raises:
            WireError, TrustError, RequestError: not a request that may be answered.
        """
        request = self._open(data, roster, now)
        entries = tuple(self._entry(request, item, roster) for item in request.items)
        self._store.note_reported(
            (item.sender, item.message_id)
            for item, entry in zip(request.items, entries, strict=True)
            if isinstance(entry, bytes)
        )
        report = SumReport(
            trustee=self._name, request_hash=request_hash(request), entries=entries, time=now
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
        if item.sender not in roster.channels[request.channel].senders:
            return WRONG_SHARE
        if held.second and not held.is_reported:
            return WRONG_SHARE
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
        splits = check_reports(request, found, roster, self._aad)
        # By time, as the masks of each month are made with a key of its own.
        whole = add_up(map(self._part, sorted(splits, key=lambda split: split.issued)))
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

    def _part(self, split: Split) -> Part:
        """Return this trustee's part of what all have reported, and of nothing else."""
        held = self._store.share(split.sender, split.message_id)
        if held is None or held.problem or _claims(held.split) != split:
            raise LacksReadingsError(
                f"the reading of {split.sender}",
                expected="the share that this trustee has reported",
                got="another one, or none any more",
                todo="ask this trustee for a new report",
                who=split.sender,
            )
        return held_part(self._mac, held)


def _claims(split: bytes) -> Split:
    """Return what a split says that was verified when it came."""
    return cose.parse_signed(Split, split).claims
