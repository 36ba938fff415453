"""Vectors of totals: requests, answers, splits and reports that belong together, and wrong ones.

The readings of thermo-1 are 215 and 7, each at the price 3; those that are summed up are 215 of
thermo-1 and 40 of hub. All blindings are fixed.
"""

from device_sdk.proofs import pedersen
from device_sdk.proofs.group import RISTRETTO255
from device_sdk.proofs.sharing import Part, add_up, complete
from device_sdk.proofs.totals_signed import request_hash
from device_sdk.wire import cose
from device_sdk.wire.totals_bill import BillAnswer, BillItem, BillRequest
from device_sdk.wire.totals_rule import TotalsRule
from device_sdk.wire.totals_scale import Scale
from device_sdk.wire.totals_share import Split
from device_sdk.wire.totals_sum import LACKS, SumAnswer, SumItem, SumReport, SumRequest
from tests.vectors.generate.fixed import fixed_bytes
from tests.vectors.generate.fleet import AAD, NOW, signer
from tests.vectors.generate.headers import POLICY
from tests.vectors.generate.records import accepted, refused
from tests.vectors.generate.tamper import at, put, set_key
from tests.vectors.generate.vector import Vector

EPOCH = 3600
START = NOW - NOW % EPOCH - EPOCH
IDS = sorted(fixed_bytes(f"reading {n}", 16) for n in range(2))
TRUSTEES = ("hub", "phone")
BILLS = TotalsRule(epoch=EPOCH, least=2)
SUMS = TotalsRule(epoch=EPOCH, least=2, trustees=TRUSTEES)
PRICE = 3


def _scalar(name: str) -> bytes:
    return RISTRETTO255.decode_scalar(fixed_bytes(name, 48))


STEPS = (215, 7)
BLINDINGS = (_scalar("blinding 0"), _scalar("blinding 1"))
SUMMED = {"hub": (40, _scalar("blinding hub")), "thermo-1": (215, _scalar("blinding thermo-1"))}


def bill_request() -> BillRequest:
    """Return a request for the bill of thermo-1."""
    openings = zip(IDS, STEPS, BLINDINGS, strict=True)
    return BillRequest(
        gateway="gw-1",
        device="thermo-1",
        channel="kitchen",
        rule=BILLS,
        start=START,
        until=START + EPOCH,
        scale=Scale.of(POLICY),
        price="cent",
        items=tuple(
            BillItem(
                message_id=message_id,
                issued=START + 7,
                commitment=pedersen.commit(steps, blinding),
                weight=PRICE,
            )
            for message_id, steps, blinding in openings
        ),
        time=NOW,
    )


def bill_answer() -> BillAnswer:
    """Return the right answer to it."""
    return BillAnswer(
        device="thermo-1",
        request_hash=request_hash(bill_request()),
        total=PRICE * sum(STEPS),
        blinding=pedersen.blinding_sum((blinding, PRICE) for blinding in BLINDINGS),
        time=NOW,
    )


def parts_of(sender: str) -> dict[str, Part]:
    """Return how a reading is shared out."""
    first = Part(value=_scalar(f"value {sender}"), blinding=_scalar(f"part {sender}"))
    return {"hub": first, "phone": complete(*SUMMED[sender], [first])}


def split(sender: str) -> Split:
    """Return what a device signs about it."""
    return Split(
        sender=sender,
        channel="kitchen",
        message_id=IDS[0],
        issued=START + 7,
        shares=tuple((name, part.commitment) for name, part in parts_of(sender).items()),
        scale=Scale.of(POLICY),
    )


def sum_request() -> SumRequest:
    """Return a request for the sum of two devices."""
    return SumRequest(
        gateway="gw-1",
        channel="kitchen",
        rule=SUMS,
        start=START,
        scale=Scale.of(POLICY),
        items=tuple(
            SumItem(sender=sender, message_id=IDS[0], commitment=pedersen.commit(*opening))
            for sender, opening in SUMMED.items()
        ),
        time=NOW,
    )


def sum_report(trustee: str) -> SumReport:
    """Return what a trustee reports if it has everything."""
    entries = tuple(cose.sign(split(sender), signer(sender), AAD) for sender in SUMMED)
    hashed = request_hash(sum_request())
    return SumReport(trustee=trustee, request_hash=hashed, entries=entries, time=NOW)


def sum_answer(trustee: str) -> SumAnswer:
    """Return the right answer of a trustee."""
    whole = add_up(parts_of(sender)[trustee] for sender in SUMMED)
    return SumAnswer(
        trustee=trustee,
        request_hash=request_hash(sum_request()),
        value=whole.value,
        blinding=whole.blinding,
        time=NOW,
    )


# ------------------------------------------------------------- one function a file


def bill_request_vectors() -> list[Vector]:
    """PROTOCOL 18.3."""
    cases = {
        "without-an-item": set_key(8, []),
        "items-in-the-other-order": at(8, do=lambda items: items[::-1]),
        "an-item-twice": at(8, do=lambda items: [items[0], items[0]]),
        "weight-0": at(8, 0, 3, do=put(0)),
        "weight-negative": at(8, 0, 3, do=put(-1)),
        "commitment-of-31-bytes": at(8, 0, 2, do=lambda one: one[:31]),
        "price-empty": set_key(7, ""),
        "rule-of-epochs-of-no-time": at(4, 1, do=put(0)),
        "rule-with-one-as-the-least": at(4, 2, do=put(1)),
        "rule-with-one-trustee": at(4, 3, do=put(["hub"])),
        "rule-with-trustees-in-the-other-order": at(4, 3, do=put(["phone", "hub"])),
        "scale-with-its-ends-exchanged": at(6, do=lambda s: [*s[:3], s[4], s[3]]),
        "total-beyond-63-bits": at(6, 4, do=put(2**62)),
        "scale-whose-steps-are-nothing": at(6, 2, do=put(0)),
        "scale-in-another-form": at(6, 2, do=put(10)),
    }
    return [
        accepted("two-readings", bill_request(), "gw-1"),
        *refused(bill_request(), "gw-1", cases=cases),
    ]


def bill_answer_vectors() -> list[Vector]:
    """PROTOCOL 18.3."""
    cases = {
        "blinding-of-31-bytes": set_key(4, bytes(31)),
        "hash-of-31-bytes": set_key(2, bytes(31)),
    }
    return [
        accepted("the-total-of-two-readings", bill_answer(), "thermo-1"),
        *refused(bill_answer(), "thermo-1", cases=cases),
    ]


def split_vectors() -> list[Vector]:
    """PROTOCOL 18.4."""
    cases = {
        "for-one-trustee": at(5, do=lambda shares: shares[:1]),
        "trustees-in-the-other-order": at(5, do=lambda shares: shares[::-1]),
        "commitment-of-31-bytes": at(5, 0, 1, do=lambda one: one[:31]),
        "without-a-scale": set_key(6, []),
        "scale-whose-steps-are-nothing": at(6, 2, do=put(0)),
    }
    return [
        accepted("two-trustees", split("thermo-1"), "thermo-1"),
        *refused(split("thermo-1"), "thermo-1", cases=cases),
    ]


def sum_request_vectors() -> list[Vector]:
    """PROTOCOL 18.5."""
    cases = {
        "without-an-item": set_key(6, []),
        "items-in-the-other-order": at(6, do=lambda items: items[::-1]),
        "an-item-twice": at(6, do=lambda items: [items[0], items[0]]),
    }
    return [
        accepted("two-devices", sum_request(), "gw-1"),
        *refused(sum_request(), "gw-1", cases=cases),
    ]


def sum_report_vectors() -> list[Vector]:
    """PROTOCOL 18.5."""
    lacking = SumReport(
        trustee="phone",
        request_hash=request_hash(sum_request()),
        entries=LACKS,
        time=NOW,
    )
    cases = {
        "about-nothing": set_key(3, []),
        "split-empty": at(3, 0, do=put(b"")),
        "lack-unknown": at(3, 0, do=put("lost")),
    }
    return [
        accepted("everything-is-here", sum_report("hub"), "hub"),
        accepted("everything-that-may-be-lacking", lacking, "phone"),
        *refused(sum_report("hub"), "hub", cases=cases),
    ]


def sum_answer_vectors() -> list[Vector]:
    """PROTOCOL 18.6."""
    cases = {"value-of-31-bytes": set_key(3, bytes(31)), "blinding-as-a-number": set_key(4, 1)}
    return [
        *(accepted(f"the-part-of-{name}", sum_answer(name), name) for name in TRUSTEES),
        *refused(sum_answer("hub"), "hub", cases=cases),
    ]
