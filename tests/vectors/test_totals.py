"""The accepted vectors of totals belong together, and the equations of PROTOCOL 18 hold."""

import json
from pathlib import Path
from typing import Any, TypeVar

from device_sdk.proofs.totals import check_bill, check_reports, check_sum
from device_sdk.wire import cose
from device_sdk.wire.suites import VerifyKey
from device_sdk.wire.totals_bill import BillAnswer, BillRequest
from device_sdk.wire.totals_sum import SumAnswer, SumReport, SumRequest
from tests.vectors.generate.fleet import AAD, signer
from tests.vectors.generate.totals import PRICE, STEPS, SUMMED

R = TypeVar("R", bound=cose.Record)


def read(file: str, name: str, kind: type[R]) -> R:
    """Return a vector's record; whether it verifies is tested with all others."""
    vectors: list[dict[str, Any]] = json.loads(
        (Path(__file__).parent / f"{file}.json").read_text()
    )["vectors"]
    data = next(vector["input"]["data"] for vector in vectors if vector["name"] == name)
    return cose.parse_signed(kind, bytes.fromhex(data)).claims


class Members:
    """The fleet of the vectors."""

    def identity(self, name: str, kid: bytes, role: str = "") -> VerifyKey:
        """Return a member's key."""
        key = signer(name).public
        assert key.kid == kid
        return key


def test_the_bill_is_right() -> None:
    request = read("bill-request", "two-readings", BillRequest)
    answer = read("bill-answer", "the-total-of-two-readings", BillAnswer)
    assert check_bill(request, answer) == PRICE * sum(STEPS)


def test_the_sum_is_right() -> None:
    request = read("sum-request", "two-devices", SumRequest)
    report = read("sum-report", "everything-is-here", SumReport)
    splits = check_reports(request, {"hub": report}, Members(), AAD)
    told = {name: read("sum-answer", f"the-part-of-{name}", SumAnswer) for name in ("hub", "phone")}
    assert check_sum(request, splits, told) == sum(steps for steps, _ in SUMMED.values())
