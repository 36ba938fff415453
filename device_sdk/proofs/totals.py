"""Is a total right? The equations that anyone can check (PROTOCOL 18.3, 18.6).

    bill:  total * G + blinding * H = sum(weight_j * C_j)
    sum:   v_i * G + r_i * H = sum_j C_ij  for each trustee i
           sum_i C_ij = C_j                for each reading j

with C_j the commitments of the request, C_ij those of the splits that devices have signed. A total
that passes is that of what the request lists, even if device, biller and trustees work together.
"""

from collections.abc import Mapping, Sequence

from device_sdk.proofs.errors import MalformedProofError
from device_sdk.proofs.pedersen import combine, opens
from device_sdk.proofs.sharing import Part, add_up, shares_out, total_of
from device_sdk.proofs.totals_signed import Identities, open_split
from device_sdk.wire.errors import SealgateError
from device_sdk.wire.totals_bill import BillAnswer, BillRequest
from device_sdk.wire.totals_errors import (
    InconsistentSharesError,
    LacksReadingsError,
    OtherRequestError,
    WrongTotalError,
)
from device_sdk.wire.totals_share import Split
from device_sdk.wire.totals_sum import SumAnswer, SumItem, SumReport, SumRequest


def check_bill(request: BillRequest, answer: BillAnswer) -> int:
    """Return the total of a bill, in steps times weight. Raises WrongTotalError."""
    try:
        committed = combine((item.commitment, item.weight) for item in request.items)
    except MalformedProofError:
        raise _no_commitments(request.gateway) from None
    if not opens(committed, answer.total, answer.blinding):
        raise WrongTotalError(
            f"the total of {answer.device}",
            expected="the sum of what it has committed to",
            got="another number",
            todo="do not accept it; the device lies or is damaged",
            who=answer.device,
        )
    return answer.total


def check_reports(
    request: SumRequest, reports: Mapping[str, SumReport], roster: Identities, aad: bytes
) -> tuple[Split, ...]:
    """Return the splits of all readings, once every trustee has the same ones.

    Raises:
        LacksReadingsError: somebody cannot add up some of them.
        InconsistentSharesError: two trustees were given different splits, or one that does not
            add up to the reading's commitment; ``who`` is the device that signed it.
    """
    for trustee, report in reports.items():
        _check_length(request, trustee, report)
        _check_complete(request, trustee, report)
    opened: dict[bytes, Split] = {}
    splits = []
    for index, item in enumerate(request.items):
        found = []
        for trustee, report in reports.items():
            data = report.entries[index]
            assert isinstance(data, bytes)  # noqa: S101  it is complete
            if data not in opened:
                opened[data] = _open(data, trustee, roster, aad)
            found.append(opened[data])
        splits.append(_one_split(request, item, found))
    return tuple(splits)


def lacking(
    request: SumRequest, reports: Mapping[str, SumReport], roster: Identities, aad: bytes
) -> set[SumItem]:
    """Return the readings that a next request must leave out. Nothing has been told by then.

    Raises InconsistentSharesError: a trustee reports what no device has signed.
    """
    found = set()
    for trustee, report in reports.items():
        _check_length(request, trustee, report)
    for index, item in enumerate(request.items):
        entries = [(name, report.entries[index]) for name, report in reports.items()]
        splits = [
            _open(entry, name, roster, aad) for name, entry in entries if isinstance(entry, bytes)
        ]
        try:
            if len(splits) < len(entries):
                found.add(item)
            else:
                _one_split(request, item, splits)
        except InconsistentSharesError:
            found.add(item)
    return found


def _check_length(request: SumRequest, trustee: str, report: SumReport) -> None:
    if len(report.entries) != len(request.items):
        raise OtherRequestError(
            f"the report of {trustee}",
            expected=f"{len(request.items)} entries",
            got=str(len(report.entries)),
            todo="ask the trustee again",
            who=trustee,
        )


def _check_complete(request: SumRequest, trustee: str, report: SumReport) -> None:
    if report.is_complete:
        return
    lacks = [
        f"{item.sender} ({entry})"
        for item, entry in zip(request.items, report.entries, strict=True)
        if isinstance(entry, str)
    ]
    raise LacksReadingsError(
        f"the report of {trustee}",
        expected="every reading of the set",
        got=f"{len(lacks)} that it cannot add up: {', '.join(lacks[:3])}",
        todo="make a request that leaves them out",
        who=trustee,
    )


def _open(data: bytes, trustee: str, roster: Identities, aad: bytes) -> Split:
    try:
        return open_split(data, roster, aad)
    except SealgateError as error:
        raise InconsistentSharesError(
            f"the report of {trustee}",
            expected="splits that devices have signed",
            got=f"another ({error})",
            todo="do not believe this trustee",
            who=trustee,
        ) from error


def _one_split(request: SumRequest, item: SumItem, found: Sequence[Split]) -> Split:
    split = found[0]
    agrees = (split.sender, split.channel, split.message_id, split.trustees) == (
        item.sender,
        request.channel,
        item.message_id,
        request.rule.trustees,
    )
    commitments = (commitment for _, commitment in split.shares)
    in_epoch = request.start <= split.issued < request.until
    same = all(other == split for other in found)
    if not (agrees and same and in_epoch and shares_out(commitments, item.commitment)):
        raise InconsistentSharesError(
            f"the shares of {item.sender}",
            expected="one split for all trustees that adds up to the commitment",
            got="different ones, or one that does not",
            todo="make a request that leaves its readings out",
            who=item.sender,
        )
    _check_scale(request, split)
    return split


def _check_scale(request: SumRequest, split: Split) -> None:
    """Why: the gateway says in which unit the sum is, and only devices know what they measured."""
    if not request.scale.covers(split.scale):
        raise InconsistentSharesError(
            f"the shares of {split.sender}",
            expected="the unit, step and range of the request",
            got="others",
            todo="make a request of its scale, or one that leaves its readings out",
        )


def check_sum(
    request: SumRequest, splits: Sequence[Split], answers: Mapping[str, SumAnswer]
) -> int:
    """Return the sum of the readings, in steps.

    Raises:
        WrongTotalError: ``who`` names the trustee that has told a wrong sum.
    """
    parts = [_check_answer(splits, trustee, answer) for trustee, answer in answers.items()]
    whole, total = add_up(parts), total_of(parts)
    try:
        committed = combine((item.commitment, 1) for item in request.items)
    except MalformedProofError:
        raise _no_commitments(request.gateway) from None
    most = len(request.items) * request.scale.furthest
    if abs(total) > most or not opens(committed, total, whole.blinding):
        raise WrongTotalError(
            "the sum of all trustees",
            expected="what opens the sum of the commitments",
            got="another number",
            todo="do not accept it",
        )
    return total


def _check_answer(splits: Sequence[Split], trustee: str, answer: SumAnswer) -> Part:
    try:
        part = Part.parse(answer.value, answer.blinding)
        expected = combine((split.share_of(trustee), 1) for split in splits)
    except MalformedProofError:
        part, expected = None, b""
    if part is None or not part.opens(expected):
        raise WrongTotalError(
            f"the sum of the trustee {trustee}",
            expected="the sum of the shares that it has reported",
            got="another number",
            todo="do not accept it; the trustee lies or is damaged",
            who=trustee,
        )
    return part


def _no_commitments(gateway: str) -> WrongTotalError:
    return WrongTotalError(
        "the request",
        expected="commitments",
        got="bytes that are none",
        todo="do not believe this gateway",
        who=gateway,
    )
