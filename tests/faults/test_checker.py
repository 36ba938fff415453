"""Every rule of the checker, on histories written by hand: what breaks it is named, no more."""

from dataclasses import replace
from typing import Any

from tests.faults.checker import Remains, Row, Rule, check
from tests.faults.history import BRIEF, ROLLBACK, Record, What

ID = "ab" * 16
NAME: dict[str, Any] = {"sender": "s", "message": ID, "token": "t"}
CLEAN = Remains()


def history(*records: tuple[What, Any]) -> list[Record]:
    """Return records one after the other."""
    return [Record(at=at, what=what, **fields) for at, (what, fields) in enumerate(records)]


def good() -> list[Record]:
    """Return the history of one message to one reader, which went as it should."""
    reader = {**NAME, "reader": "r"}
    return history(
        (What.SENDING, {"sender": "s", "token": "t", "readers": ("r",)}),
        (What.SENT, NAME),
        (What.COPY, {"sender": "s", "message": ID, "reader": "r"}),
        (What.HELD, NAME),
        (What.SHOWN, reader),
        (What.HANDLED, reader),
        (What.DONE, reader),
        (What.CLEARED, {"sender": "s", "message": ID, "reader": "r"}),
        (What.READ, reader),
        (What.OVER, {**NAME, "detail": "settled"}),
    )


def without(*what: What) -> list[Record]:
    return [record for record in good() if record.what not in what]


def rules(records: list[Record], remains: Remains = CLEAN) -> set[Rule]:
    return {violation.rule for violation in check(records, remains)}


def test_a_history_that_went_as_it_should_breaks_nothing() -> None:
    assert rules(good()) == set()
    assert rules([]) == set()


def test_what_a_reader_never_handled_is_lost() -> None:
    assert rules(without(What.SHOWN, What.HANDLED, What.DONE, What.CLEARED, What.READ)) == {
        Rule.LOST,
        Rule.UNTOLD,
    }


def test_what_was_never_stored_cannot_be_lost() -> None:
    assert rules(good()[:1]) == set()


def test_what_remains_is_left() -> None:
    assert rules(good(), Remains(retained=["inbox/r/s/ab"])) == {Rule.LEFT}
    assert rules(good(), Remains(residues=["ledger.sqlite holds the ciphertext"])) == {Rule.LEFT}


def test_an_honest_gateway_that_a_device_accuses() -> None:
    assert rules(good(), Remains(accusations=["r: split-view"])) == {Rule.ACCUSED}


def test_a_copy_that_was_cleared_before_it_was_handled_is_early() -> None:
    records = good()
    early = replace(records[7], at=3)
    assert rules(sorted([*records, early], key=lambda record: record.at)) == {Rule.EARLY}


def test_planted_bytes_may_be_cleared_at_any_time() -> None:
    planted = Record(at=0, what=What.CLEARED, sender="s", message="cd" * 16, reader="r")
    assert rules([planted, *good()]) == set()


def test_what_nobody_sent_or_not_to_this_reader_is_a_ghost() -> None:
    shown = good()[4]
    assert rules([*good(), replace(shown, token="another")]) == {Rule.GHOST}
    assert rules([*good(), replace(shown, reader="another")]) == {Rule.GHOST}


def test_what_is_told_as_read_and_was_not_handled_is_a_ghost() -> None:
    assert Rule.GHOST in rules(without(What.HANDLED))


def test_what_is_shown_after_it_was_done_is_doubled() -> None:
    assert rules([*good(), replace(good()[4], at=99)]) == {Rule.DOUBLED}


def test_what_was_cut_off_before_it_was_done_may_be_shown_again() -> None:
    records = good()
    again = [replace(record, at=6) for record in records[4:6]]
    assert rules([*records[:6], *again, *records[6:]]) == set()


def test_what_failed_must_be_shown_again() -> None:
    records = good()
    failed = replace(records[4], what=What.FAILED)
    assert rules([*records[:5], failed, *records[4:]]) == set()
    assert rules([*records, failed]) == {Rule.DOUBLED}


def test_a_sender_that_is_told_nothing_or_the_wrong_thing_is_untold() -> None:
    assert rules(without(What.OVER)) == {Rule.UNTOLD}
    assert rules(without(What.READ)) == {Rule.UNTOLD}
    ended = replace(good()[-1], detail="lost")
    assert rules([*without(What.OVER), ended]) == {Rule.UNTOLD}


def test_an_outcome_that_the_gateway_keeps_is_untold() -> None:
    row = Row(sender="s", id_prefix=ID[:8], state="finished")
    assert rules(good(), Remains(rows=[row])) == {Rule.UNTOLD}


def test_a_brief_message_must_end_and_need_not_be_read() -> None:
    sending = replace(good()[0], detail=BRIEF)
    ended = replace(good()[-1], detail="expired")
    cleared = good()[7]
    assert rules([sending, good()[1], cleared, ended]) == set()
    assert rules([sending, good()[1]]) == {Rule.UNTOLD}


def test_evidence_that_was_only_in_a_lost_ledger_is_nobodys_fault_but_the_message_must_arrive() -> (
    None
):
    rollback = Record(at=100, what=What.FAULT, detail=f"{ROLLBACK}0")
    assert rules([*without(What.OVER), rollback]) == set()
    assert rules(
        [
            *without(What.SHOWN, What.HANDLED, What.DONE, What.CLEARED, What.READ, What.OVER),
            rollback,
        ]
    ) == {Rule.LOST}
