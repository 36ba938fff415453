"""The files of ``sealgate totals``: signed requests out, signed answers in."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from device_sdk.proofs.totals import check_bill, check_reports, check_sum, lacking
from device_sdk.proofs.totals_signed import open_bill_answer, open_from_trustees, open_request
from device_sdk.trust import Roster
from device_sdk.wire import cose
from device_sdk.wire.totals_bill import BillRequest
from device_sdk.wire.totals_sum import SumAnswer, SumItem, SumReport, SumRequest
from gateway.admit import stored_roster
from gateway.bundle import ROOT_FILE, read_root
from gateway.enrolment import admitted_name, load_identity
from gateway.errors import GatewayError
from gateway.files import write_whole
from gateway.owner.overview import find_bundle
from gateway.store.port import Reading
from gateway.store.sqlite import LEDGER_FILE, look_into
from gateway.store.sqlite_reading import SqliteReading
from gateway.tariff import Tariff
from gateway.totals_export import SumAsked, bill_request, sum_request


class NoRosterError(GatewayError):
    """A gateway that has never had a roster has nothing to add up."""


class Desk:
    """Makes requests in a gateway's name, also while that gateway is running."""

    def __init__(self, data: Path, passphrase: bytes | None, *, now: int) -> None:
        """Raises EnrolmentError, KeyFileError, LedgerError, NotAdmittedError."""
        self._ledger, self._now = data / LEDGER_FILE, now
        self._identity = load_identity(data, passphrase)
        self._pin = read_root(data / ROOT_FILE)
        with self._reading() as tx:
            roster = stored_roster(tx, self._pin)
        if roster is None:
            raise NoRosterError("this gateway has no roster yet: let it serve once")
        self._roster = roster
        self._name = admitted_name(roster, self._identity, now)

    @contextmanager
    def _reading(self) -> Iterator[Reading]:
        with look_into(self._ledger) as connection:
            yield SqliteReading(connection)

    def bill(
        self,
        *,
        channel: str,
        device: str,
        start: int,
        until: int,
        tariff: Tariff,
        without: Collection[str] = (),
    ) -> BillRequest:
        """Return a request for a bill. Raises NoTotalError."""
        with self._reading() as tx:
            return bill_request(
                tx,
                self._roster,
                self._name,
                channel=channel,
                device=device,
                start=start,
                until=until,
                tariff=tariff,
                now=self._now,
                without=without,
            )

    def sum(
        self,
        *,
        channel: str,
        start: int,
        before: SumRequest | None = None,
        without: Collection[SumItem] = (),
    ) -> SumAsked:
        """Return a request for a sum. Raises NoTotalError."""
        with self._reading() as tx:
            return sum_request(
                tx,
                self._roster,
                self._name,
                channel=channel,
                start=start,
                now=self._now,
                before=before,
                without=without,
            )

    def lacking(self, request: Path, reports: Sequence[Path]) -> tuple[SumRequest, set[SumItem]]:
        """Return a request before, and what the reports about it say cannot be added up."""
        aad = self._pin.aad
        before = open_request(SumRequest, request.read_bytes(), self._roster, aad)
        found = _opened_reports(before, reports, self._roster, aad)
        return before, lacking(before, found, self._roster, aad)

    def write(self, request: BillRequest | SumRequest, out: Path) -> None:
        """Sign a request and write it."""
        write_whole(out, cose.sign(request, self._identity, self._pin.aad))


def _opened_reports(
    request: SumRequest, reports: Sequence[Path], roster: Roster, aad: bytes
) -> dict[str, SumReport]:
    data = [path.read_bytes() for path in reports]
    return open_from_trustees(SumReport, data, request, roster, aad)


def checked_bill(fleet: Path, request: Path, answer: Path) -> tuple[BillRequest, int]:
    """Return a bill and its total. Raises SealgateError unless it is right."""
    bundle = find_bundle(fleet)
    roster, aad = bundle.roster(), bundle.pin().aad
    bill = open_request(BillRequest, request.read_bytes(), roster, aad)
    return bill, check_bill(bill, open_bill_answer(answer.read_bytes(), bill, roster, aad))


def checked_sum(
    fleet: Path, request: Path, reports: Sequence[Path], answers: Sequence[Path]
) -> tuple[SumRequest, int]:
    """Return a request for a sum, and the sum. Raises SealgateError unless it is right."""
    bundle = find_bundle(fleet)
    roster, aad = bundle.roster(), bundle.pin().aad
    asked = open_request(SumRequest, request.read_bytes(), roster, aad)
    splits = check_reports(asked, _opened_reports(asked, reports, roster, aad), roster, aad)
    data = [path.read_bytes() for path in answers]
    told = open_from_trustees(SumAnswer, data, asked, roster, aad)
    return asked, check_sum(asked, splits, told)
