"""What a device makes of the heads that it is shown."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from device_sdk.gateways import Gateways
from device_sdk.identity import Identity
from device_sdk.state.state_file import StateFile
from device_sdk.transparency.proving import AGAIN, PATIENCE, TRIES, Proving
from device_sdk.transparency.report import ReportKind
from device_sdk.transparency.store import MOST_HEADS, LogStore
from device_sdk.transparency.watch import LogWatch
from device_sdk.trust import Roster, UnknownDeviceError
from device_sdk.wire import cose
from device_sdk.wire.errors import SignatureError, WireError
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.limits import CLOCK_SKEW
from device_sdk.wire.log_proof import LogProof, Prove
from device_sdk.wire.topics import Topics
from device_sdk.wire.tree_head import TreeHead, leaf_of
from tests.support.fleet import NOW, Fleet
from tests.support.gateway_log import GatewayLog

GW, ME = "gw-1", "hub"


class Watcher:
    """A device's `LogWatch` on a real state file, and a clock."""

    def __init__(self, fleet: Fleet, path: Path) -> None:
        self.fleet, self.path, self.tick = fleet, path, 100.0
        self.earlier = 0.0
        """Seconds that the device's machine ran before it was started anew."""
        self.heard_at: float | None = None
        """When the gateway was heard last; None is always."""
        self.roster = fleet.roster()
        self.open()

    def open(self) -> None:
        self.state = StateFile(self.path)
        self.gateways = Gateways(self.fleet.aad)
        self.gateways.use(self.roster)
        signer = self.fleet.identities[ME]
        store, topics = LogStore(self.state), Topics()
        proving = Proving(store, name=ME, signer=signer, aad=self.fleet.aad, topics=topics)
        self.watch = LogWatch(store, self.gateways, proving)

    @property
    def now(self) -> int:
        """The wall clock, which goes on with the other one."""
        return NOW + int(self.tick + self.earlier)

    def go_by(self, roster: Roster) -> None:
        self.roster = roster
        self.gateways.use(roster)

    def restart(self) -> None:
        self.state.close()
        self.open()

    def show(self, data: bytes, gateway: str = GW) -> None:
        """A head under the gateway's topic."""
        self.watch.take_head(gateway, data, NOW)

    def ask(self, online: str = GW) -> list[Prove]:
        heard_at = self.tick if self.heard_at is None else self.heard_at
        asked = self.watch.ask(self.now, self.tick, online, heard_at)
        return [cose.parse_signed(Prove, one.payload).claims for one in asked]

    def talk(self, log: GatewayLog | None) -> int:
        """Let the device ask this log, or one that does not answer, until it has no more to ask."""
        count = 0
        for _ in range(40):
            asked = self.ask()
            count += len(asked)
            for question in asked:
                if log is not None:
                    self.watch.take_proof(log.answer(question).encode(), NOW)
            if not asked:
                due = self.watch.next_due()
                if due is None:
                    break
                self.tick = max(due, self.tick)
        return count

    @property
    def kinds(self) -> list[str]:
        return [str(report.kind) for report in self.watch.reports()]

    @property
    def size(self) -> int:
        """Of the log as it is believed."""
        return cose.parse_signed(TreeHead, self.watch.newest(NOW)).claims.size


@pytest.fixture
def watcher(device_fleet: Fleet, tmp_path: Path) -> Iterator[Watcher]:
    device_fleet.admit(GW, "gateway")
    watcher = Watcher(device_fleet, tmp_path / "state.sqlite")
    yield watcher
    watcher.state.close()


@pytest.fixture
def log(watcher: Watcher) -> GatewayLog:
    return GatewayLog(watcher.fleet.identities[GW], watcher.fleet.aad, time=NOW)


# The gateway's own heads.


def test_the_first_head_is_believed_and_later_ones_when_they_are_shown_to_extend_it(
    watcher: Watcher, log: GatewayLog
) -> None:
    assert watcher.watch.newest(NOW) == b""
    watcher.show(log.head())
    assert watcher.size == 3
    log.grow(4)
    watcher.show(log.head())
    assert watcher.size == 3
    assert watcher.talk(log) == 1
    assert watcher.size == 7
    watcher.restart()
    assert watcher.size == 7
    assert watcher.kinds == []


def test_a_head_that_is_not_by_the_topics_gateway_is_not_believed(
    watcher: Watcher, log: GatewayLog, device_fleet: Fleet
) -> None:
    device_fleet.admit("gw-2", "gateway")
    watcher.gateways.use(device_fleet.roster())
    with pytest.raises(UnknownDeviceError):
        watcher.show(log.head(signer=device_fleet.identities["thermo-1"]))
    with pytest.raises(SignatureError):
        watcher.show(log.head(signer=device_fleet.identities["gw-2"]))
    with pytest.raises(WireError):
        watcher.show(log.head()[:-1])
    turned = log.head()
    with pytest.raises(SignatureError):
        watcher.show(turned[:-1] + bytes([turned[-1] ^ 1]))
    assert watcher.watch.newest(NOW) == b""


def test_a_gateway_that_was_revoked_has_no_more_to_say(
    watcher: Watcher, log: GatewayLog, device_fleet: Fleet
) -> None:
    device_fleet.revoke(GW)
    watcher.gateways.use(device_fleet.roster())
    with pytest.raises(UnknownDeviceError):
        watcher.show(log.head())


def test_a_restarted_gateway_goes_on_and_nobody_is_asked_if_nothing_was_entered(
    watcher: Watcher, log: GatewayLog
) -> None:
    watcher.show(log.head())
    log.restart()
    watcher.show(log.head())
    assert watcher.talk(log) == 0
    log.restart()
    log.grow()
    watcher.show(log.head())
    assert watcher.talk(log) == 1
    assert (watcher.size, watcher.kinds) == (4, [])


def test_an_older_head_that_a_broker_had_kept_changes_nothing(
    watcher: Watcher, log: GatewayLog
) -> None:
    old = log.head()
    watcher.show(old)
    log.grow()
    middle = log.head()
    log.restart()
    log.grow()
    watcher.show(log.head())
    watcher.talk(log)
    for kept in (old, middle):
        watcher.show(kept)
        watcher.talk(log)
    assert (watcher.size, watcher.kinds) == (5, [])


@pytest.mark.parametrize("grown", [0, 1, 2, 3])
def test_a_ledger_from_a_backup_begins_a_new_log_and_is_never_a_split_view(
    watcher: Watcher, log: GatewayLog, grown: int
) -> None:
    log.grow(2)
    watcher.show(log.head())
    log.restart(size=3)
    log.grow(grown)
    watcher.show(log.head())
    watcher.talk(log)
    assert (watcher.size, watcher.kinds) == (3 + grown, [ReportKind.NEW_LOG])
    log.grow()
    watcher.show(log.head())
    watcher.talk(log)
    assert (watcher.size, watcher.kinds) == (4 + grown, [ReportKind.NEW_LOG])


def test_a_head_of_a_log_that_was_given_up_does_not_bring_it_back(
    watcher: Watcher, log: GatewayLog
) -> None:
    log.grow(2)
    known = log.head()
    watcher.show(known)
    log.grow(3)
    unknown = log.head()
    log.restart(size=3)
    log.grow()
    watcher.show(log.head())
    watcher.talk(log)
    for old in (known, unknown):
        watcher.show(old)
        watcher.talk(log)
    assert (watcher.size, watcher.kinds) == (4, [ReportKind.NEW_LOG])


def test_others_heads_wait_until_the_gateways_own_next_one_is_settled(
    watcher: Watcher, log: GatewayLog
) -> None:
    watcher.show(log.head())
    log.grow(2)
    lost = log.head()
    watcher.watch.hear(lost, "thermo-1")
    log.restart(size=2)
    log.grow(5)
    watcher.show(log.head())
    (question,) = watcher.ask()
    assert question.second == 7
    watcher.tick += PATIENCE
    assert watcher.ask() == []  # a *no* about the lost head would look like a lie
    watcher.talk(log)
    assert watcher.kinds == [ReportKind.NEW_LOG]


def test_two_roots_for_one_size_of_one_log_are_a_split_view_with_both_heads_as_evidence(
    watcher: Watcher, log: GatewayLog
) -> None:
    other = log.fork()
    log.grow(2)
    other.grow(2)
    ours, theirs = log.head(), other.head()
    watcher.show(ours)
    watcher.show(theirs)
    watcher.show(theirs)
    (report,) = watcher.watch.reports()
    assert report.kind is ReportKind.SPLIT_VIEW
    assert (report.first, report.second, report.gateway) == (ours, theirs, GW)
    assert watcher.watch.newest(NOW) == ours


def test_a_process_that_cannot_show_its_own_growth_is_not_believed(
    watcher: Watcher, log: GatewayLog
) -> None:
    other = log.fork()
    log.grow()
    other.grow(2)
    watcher.show(log.head())
    watcher.show(other.head())
    watcher.talk(other)
    assert (watcher.size, watcher.kinds) == (4, [ReportKind.UNPROVEN])


def test_a_gateway_that_does_not_answer_is_asked_a_few_times_and_reported(
    watcher: Watcher, log: GatewayLog
) -> None:
    watcher.show(log.head())
    log.grow()
    watcher.show(log.head())
    assert watcher.talk(None) == TRIES
    assert (watcher.size, watcher.kinds) == (3, [ReportKind.UNPROVEN])


def test_a_gateway_that_hangs_has_denied_nothing_and_may_answer_later(
    watcher: Watcher, log: GatewayLog
) -> None:
    watcher.show(log.head())
    log.grow()
    watcher.show(log.head())
    watcher.heard_at = watcher.tick
    assert watcher.talk(None) > TRIES
    assert watcher.kinds == []
    watcher.heard_at = watcher.tick
    watcher.talk(log)
    assert (watcher.size, watcher.kinds) == (4, [])


def test_while_no_gateway_is_online_nothing_is_asked_and_nothing_held_against_it(
    watcher: Watcher, log: GatewayLog
) -> None:
    watcher.show(log.head())
    log.grow()
    watcher.show(log.head())
    for online in ("", "gw-2"):
        assert watcher.ask(online) == []
        assert watcher.watch.next_due() is None
    assert watcher.talk(log) == 1
    assert watcher.kinds == []


def test_one_question_at_a_time_and_an_answer_to_no_question_says_nothing(
    watcher: Watcher, log: GatewayLog
) -> None:
    watcher.show(log.head())
    log.grow(2)
    watcher.show(log.head())
    (question,) = watcher.ask()
    assert (question.device, question.gateway) == (ME, GW)
    assert (question.first, question.second) == (3, 5)
    assert watcher.ask() == []
    watcher.watch.take_proof(
        LogProof(first=2, second=5, consistency=None, included=()).encode(), NOW
    )
    with pytest.raises(WireError):
        watcher.watch.take_proof(b"?", NOW)
    assert watcher.kinds == []
    watcher.tick += PATIENCE
    assert watcher.ask() == []  # it is asked again, but not so soon
    watcher.watch.take_proof(log.answer(question).encode(), NOW)
    assert watcher.size == 3  # too late
    assert watcher.talk(log) == 1
    assert watcher.size == 5


def nothing(question: Prove) -> bytes:
    """An answer that anybody could send."""
    return LogProof(
        first=question.first, second=question.second, consistency=None, included=()
    ).encode()


def test_an_answer_that_proves_nothing_does_not_stand_in_for_the_one_that_does(
    watcher: Watcher, log: GatewayLog
) -> None:
    watcher.show(log.head())
    log.grow()
    watcher.show(log.head())
    (question,) = watcher.ask()
    liar = log.fork()
    liar.leaves[0] = bytes(32)
    for data in (nothing(question), liar.answer(question).encode(), nothing(question)):
        watcher.watch.take_proof(data, NOW)
    assert (watcher.size, watcher.kinds) == (3, [])
    watcher.watch.take_proof(log.answer(question).encode(), NOW)
    assert (watcher.size, watcher.kinds) == (4, [])


def test_an_answer_without_the_entry_does_not_stand_in_for_the_one_that_has_it(
    watcher: Watcher, log: GatewayLog
) -> None:
    phone = statement(watcher)
    log.add(leaf_of(phone))
    watcher.show(log.head())
    watcher.watch.entries.use(phone)
    (question,) = watcher.ask()
    watcher.watch.take_proof(nothing(question), NOW)
    assert watcher.watch.entries.wanted
    watcher.watch.take_proof(log.answer(question).encode(), NOW)
    assert (watcher.watch.entries.wanted, watcher.kinds) == ({}, [])


def test_however_many_answers_prove_nothing_a_question_has_its_tries(
    watcher: Watcher, log: GatewayLog
) -> None:
    watcher.show(log.head())
    log.grow()
    watcher.show(log.head())
    for number in range(TRIES):
        assert watcher.kinds == []
        (question,) = watcher.ask()
        for _ in range(TRIES):
            watcher.watch.take_proof(nothing(question), NOW)
        watcher.tick += AGAIN.first * 2**number - 1
        assert watcher.ask() == []
        watcher.tick += 1
    assert watcher.ask() == []
    assert watcher.kinds == [ReportKind.UNPROVEN]


def test_one_forged_answer_after_a_restart_does_not_give_up_the_log_before_it(
    watcher: Watcher, log: GatewayLog
) -> None:
    other = log.fork()
    other.grow(2)
    log.grow(3)
    watcher.show(log.head())
    log.restart()
    log.grow()
    watcher.show(log.head())
    (question,) = watcher.ask()
    watcher.watch.take_proof(nothing(question), NOW)
    watcher.talk(log)
    assert (watcher.size, watcher.kinds) == (7, [])
    watcher.watch.hear(other.head(), "phone")
    watcher.talk(log)
    assert watcher.kinds == [ReportKind.UNPROVEN]


# A device that runs for moments.


def run(
    watcher: Watcher, seconds: int, *, denying: bool = False, using: KeyStatement | None = None
) -> int:
    """Let the device run for so long, in another process each time; return what it asked."""
    asked = 0
    watcher.earlier += watcher.tick
    watcher.tick = 1.0
    watcher.restart()
    if using is not None:
        watcher.watch.entries.use(using)
    for _ in range(seconds):
        for question in watcher.ask():
            asked += 1
            if denying:
                watcher.watch.take_proof(nothing(question), NOW)
        watcher.tick += 1
    return asked


@pytest.mark.parametrize(("seconds", "denying"), [(30, False), (2, True)])
def test_a_device_that_runs_for_moments_tells_in_the_end_what_was_never_shown(
    watcher: Watcher, log: GatewayLog, seconds: int, denying: bool
) -> None:
    phone = statement(watcher)
    watcher.show(log.head())
    other = log.fork()
    other.grow(2)
    watcher.watch.hear(other.head(), "phone")
    watcher.ask()
    for _ in range(40):
        run(watcher, seconds, denying=denying, using=phone)
        watcher.tick += 600
    assert set(watcher.kinds) == {ReportKind.UNPROVEN, ReportKind.NOT_LOGGED}


def test_runs_in_quick_succession_leave_a_gateway_its_time_all_the_same(
    watcher: Watcher, log: GatewayLog
) -> None:
    watcher.show(log.head())
    log.grow()
    watcher.show(log.head())
    least = sum(AGAIN.first * 2**number for number in range(TRIES))
    began, asked = watcher.now, 0
    while watcher.now - began < 2 * least and not watcher.kinds:
        asked += run(watcher, 2, denying=True)
    assert (asked, watcher.kinds) == (TRIES, [ReportKind.UNPROVEN])
    assert watcher.now - began >= least


def test_a_run_that_ends_before_an_answer_can_come_holds_nothing_against_the_gateway(
    watcher: Watcher, log: GatewayLog
) -> None:
    watcher.show(log.head())
    log.grow()
    watcher.show(log.head())
    for _ in range(20):
        assert run(watcher, 4) == 1
        watcher.tick += 600
    assert watcher.kinds == []
    watcher.talk(log)
    assert (watcher.size, watcher.kinds) == (4, [])


@pytest.mark.parametrize("leap", [-1_000_000, 1_000_000])
def test_a_clock_that_is_set_between_two_runs_keeps_nothing_from_being_asked_again(
    watcher: Watcher, log: GatewayLog, leap: int
) -> None:
    watcher.show(log.head())
    log.grow()
    watcher.show(log.head())
    assert run(watcher, 2, denying=True) == 1
    watcher.earlier += leap
    assert run(watcher, 12, denying=True) >= 1


# The head for messages, where there are several gateways.


@pytest.fixture
def second(watcher: Watcher) -> GatewayLog:
    """The log of another gateway."""
    identity = watcher.fleet.admit("gw-2", "gateway")
    watcher.go_by(watcher.fleet.roster())
    return GatewayLog(identity, watcher.fleet.aad, time=NOW - 100)


def test_messages_carry_the_newest_head_and_rather_that_of_the_gateway_which_is_online(
    watcher: Watcher, log: GatewayLog, second: GatewayLog
) -> None:
    newer, older = log.head(), second.head()
    watcher.show(older, "gw-2")
    watcher.show(newer)
    assert watcher.watch.newest(NOW) == newer
    watcher.ask("gw-2")
    assert watcher.watch.newest(NOW) == older
    watcher.ask("")
    assert watcher.watch.newest(NOW) == newer


def test_a_time_to_come_puts_no_other_gateways_head_aside(
    watcher: Watcher, log: GatewayLog, second: GatewayLog
) -> None:
    second.time = 2**63
    far = second.head()
    watcher.show(far, "gw-2")
    assert watcher.watch.newest(NOW) == far  # better than nothing to compare
    log.time = NOW + CLOCK_SKEW - 1
    near = log.head()
    watcher.show(near)
    for _ in range(2):
        assert watcher.watch.newest(NOW) == near
        watcher.restart()


def test_the_head_of_a_gateway_that_is_not_active_any_more_is_not_carried(
    watcher: Watcher, log: GatewayLog, second: GatewayLog
) -> None:
    ours = log.head()
    second.time = log.time + 100
    watcher.show(second.head(), "gw-2")
    watcher.ask("gw-2")
    watcher.fleet.revoke("gw-2")
    watcher.go_by(watcher.fleet.roster())
    assert watcher.watch.newest(NOW) == b""
    watcher.show(ours)
    assert watcher.watch.newest(NOW) == ours
    watcher.restart()
    assert watcher.watch.newest(NOW) == ours


def test_two_devices_notice_a_split_view_although_another_gateway_signs_a_time_to_come(
    watcher: Watcher, log: GatewayLog, second: GatewayLog, tmp_path: Path
) -> None:
    second.time = 2**63
    far, other = second.head(), log.fork()
    log.grow(2)
    other.grow(2)
    phone = Watcher(watcher.fleet, tmp_path / "phone.sqlite")
    phone.go_by(watcher.roster)
    for device, its_log in ((watcher, log), (phone, other)):
        device.show(far, "gw-2")
        device.show(its_log.head())
    watcher.watch.hear(phone.watch.newest(NOW), "phone")
    watcher.talk(log)
    phone.state.close()
    assert watcher.kinds == [ReportKind.SPLIT_VIEW]


# Heads in other devices' messages.


def test_others_heads_of_the_same_history_are_no_news(watcher: Watcher, log: GatewayLog) -> None:
    old = log.head()
    log.grow(5)
    watcher.show(log.head())
    watcher.watch.hear(old, "thermo-1")
    watcher.watch.hear(log.head(4), "phone")
    log.grow()
    ahead = log.head()
    watcher.watch.hear(ahead, "phone")
    assert watcher.talk(log) == 3
    watcher.watch.hear(ahead, "thermo-1")
    watcher.restart()
    watcher.watch.hear(old, "thermo-1")
    assert watcher.talk(log) == 0
    assert (watcher.size, watcher.kinds) == (8, [])


def test_two_devices_that_are_shown_two_logs_notice_when_one_writes_to_the_other(
    watcher: Watcher, log: GatewayLog
) -> None:
    other = log.fork()
    log.grow(2)
    other.grow(2)
    ours, theirs = log.head(), other.head()
    watcher.show(ours)
    watcher.watch.hear(theirs, "thermo-1")
    assert watcher.talk(log) == 0
    (report,) = watcher.watch.reports()
    assert (report.kind, report.about) == (ReportKind.SPLIT_VIEW, "thermo-1")
    assert (report.first, report.second) == (ours, theirs)
    watcher.restart()
    assert watcher.kinds == [ReportKind.SPLIT_VIEW]


@pytest.mark.parametrize(("ours", "theirs"), [(1, 3), (3, 1)])
@pytest.mark.parametrize("answering", [True, False])
def test_other_sizes_of_two_logs_cannot_be_shown_to_belong_together(
    watcher: Watcher, log: GatewayLog, ours: int, theirs: int, answering: bool
) -> None:
    other = log.fork()
    log.grow(ours)
    other.grow(theirs)
    watcher.show(log.head())
    watcher.watch.hear(other.head(), "thermo-1")
    watcher.talk(log if answering else None)
    (report,) = watcher.watch.reports()
    assert (report.kind, report.about) == (ReportKind.UNPROVEN, "thermo-1")
    # And once they have the same size, there is the proof.
    watcher.watch.hear(other.head(4), "phone")
    if ours == 1:
        assert watcher.kinds == [ReportKind.UNPROVEN]
        watcher.talk(log)
        assert watcher.kinds == [ReportKind.UNPROVEN, ReportKind.SPLIT_VIEW]


def test_two_logs_under_two_log_ids_are_reported_as_unproven(
    watcher: Watcher, log: GatewayLog
) -> None:
    other = log.fork()
    other.restart()
    log.grow()
    other.grow()
    watcher.show(log.head())
    watcher.watch.hear(other.head(), "thermo-1")
    assert watcher.talk(log) == 0  # of one size, and not the same: nothing could show it
    assert watcher.kinds == [ReportKind.UNPROVEN]


def test_what_a_message_says_of_a_log_that_was_given_up_is_not_held_against_the_new_one(
    watcher: Watcher, log: GatewayLog
) -> None:
    watcher.show(log.head())
    log.grow(2)
    lost = log.head()
    log.restart(size=2)
    log.grow(5)
    watcher.show(log.head())
    watcher.watch.hear(lost, "thermo-1")
    watcher.talk(log)
    assert watcher.kinds == [ReportKind.NEW_LOG]


def test_a_head_that_no_gateway_of_the_fleet_signed_is_passed_over(
    watcher: Watcher, log: GatewayLog
) -> None:
    watcher.show(log.head())
    other = log.fork()
    other.leaves[0] = bytes(32)
    forged = other.head(signer=watcher.fleet.identities["thermo-1"])
    genuine = other.head()
    turned = genuine[:-1] + bytes([genuine[-1] ^ 1])
    for data in (forged, turned, genuine[:-1], b"anything", b""):
        watcher.watch.hear(data, "thermo-1")
    assert watcher.talk(log) == 0
    assert watcher.kinds == []


def test_heads_from_before_a_restart_of_the_device_are_still_compared(
    watcher: Watcher, log: GatewayLog
) -> None:
    other = log.fork()
    log.grow(4)
    other.grow(1)
    watcher.show(log.head())
    watcher.watch.hear(other.head(), "thermo-1")
    watcher.ask()  # which is never answered
    watcher.restart()
    watcher.talk(log)
    assert watcher.kinds == [ReportKind.UNPROVEN]


# What is gone by.


def statement(watcher: Watcher, name: str = "phone") -> KeyStatement:
    data = watcher.fleet.key_statement(name)
    return cose.parse_signed(KeyStatement, data).claims


def test_the_roster_and_the_keys_in_use_are_looked_up_once(
    watcher: Watcher, log: GatewayLog
) -> None:
    head, phone = watcher.roster.head.head, statement(watcher)
    log.add(leaf_of(head), leaf_of(phone))
    watcher.show(log.head())
    for _ in range(2):
        watcher.watch.entries.use(head)
        watcher.watch.entries.use(phone)
    assert watcher.talk(log) == 1
    watcher.restart()
    watcher.watch.entries.use(head)
    watcher.watch.entries.use(phone)
    assert watcher.talk(log) == 0
    assert watcher.kinds == []


def test_an_entry_may_come_a_little_later_than_what_it_is_about(
    watcher: Watcher, log: GatewayLog
) -> None:
    watcher.show(log.head())
    watcher.watch.entries.use(statement(watcher))
    (question,) = watcher.ask()
    watcher.watch.take_proof(log.answer(question).encode(), NOW)
    log.add(leaf_of(statement(watcher)))
    watcher.show(log.head())
    assert watcher.talk(log) == 2
    assert (watcher.watch.entries.wanted, watcher.kinds) == ({}, [])


def test_a_key_that_stays_out_of_the_log_is_reported_once(
    watcher: Watcher, log: GatewayLog
) -> None:
    watcher.show(log.head())
    watcher.watch.entries.use(statement(watcher))
    assert watcher.talk(log) == TRIES
    watcher.watch.entries.use(statement(watcher))
    assert watcher.talk(log) == 0
    log.grow()
    watcher.restart()
    watcher.show(log.head())
    watcher.watch.entries.use(statement(watcher))
    watcher.talk(log)
    (report,) = watcher.watch.reports()
    assert report.kind is ReportKind.NOT_LOGGED
    assert "phone" in str(report)


def test_an_inclusion_proof_that_leads_elsewhere_shows_nothing(
    watcher: Watcher, log: GatewayLog
) -> None:
    liar = log.fork()
    liar.leaves[1] = leaf_of(statement(watcher))
    watcher.show(log.head())
    watcher.watch.entries.use(statement(watcher))
    watcher.talk(liar)
    assert watcher.kinds == [ReportKind.NOT_LOGGED]


def test_in_a_new_log_everything_is_looked_up_again(watcher: Watcher, log: GatewayLog) -> None:
    log.add(leaf_of(statement(watcher)))
    watcher.show(log.head())
    watcher.watch.entries.use(statement(watcher))
    watcher.talk(log)
    log.restart(size=2)
    log.grow(2)
    watcher.show(log.head())
    watcher.talk(log)
    assert watcher.kinds == [ReportKind.NEW_LOG, ReportKind.NOT_LOGGED]


def test_a_roster_that_was_replaced_is_not_held_against_a_gateway_that_never_had_it(
    watcher: Watcher, log: GatewayLog
) -> None:
    old, new = watcher.roster.head.head, watcher.fleet.roster().head.head
    watcher.show(log.head())
    watcher.watch.entries.use(old)  # as the device kept it
    watcher.ask()
    watcher.watch.entries.use(new)  # and the broker's
    log.add(leaf_of(new))
    watcher.show(log.head())
    watcher.talk(log)
    assert (watcher.watch.entries.wanted, watcher.kinds) == ({}, [])


def test_a_key_that_was_replaced_is_not_looked_for_and_the_keys_of_others_still_are(
    watcher: Watcher, log: GatewayLog
) -> None:
    phone = statement(watcher)
    newer = replace(phone, serial=phone.serial + 1)
    thermo = statement(watcher, "thermo-1")
    for record in (phone, thermo, newer):
        watcher.watch.entries.use(record)
    assert set(watcher.watch.entries.wanted) == {leaf_of(thermo), leaf_of(newer)}


def test_a_new_log_need_not_have_what_was_replaced(watcher: Watcher, log: GatewayLog) -> None:
    old, new = watcher.roster.head.head, watcher.fleet.roster().head.head
    log.add(leaf_of(old), leaf_of(new))
    watcher.show(log.head())
    for head in (old, new):
        watcher.watch.entries.use(head)
        watcher.talk(log)
    assert watcher.state.rows("SELECT leaf FROM log_entry") == [(leaf_of(new),)]
    lost = GatewayLog(watcher.fleet.identities[GW], watcher.fleet.aad, time=NOW)
    lost.add(leaf_of(new))
    watcher.show(lost.head())
    watcher.talk(lost)
    assert watcher.kinds == [ReportKind.NEW_LOG]


def test_ever_newer_keys_do_not_keep_a_roster_from_being_looked_up(
    watcher: Watcher, log: GatewayLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device_sdk.transparency.entries.MOST", 3)
    watcher.show(log.head())
    watcher.watch.entries.use(watcher.roster.head.head)
    phone = statement(watcher)
    for name in ("a", "b", "c", "d"):
        watcher.watch.entries.use(replace(phone, device=name))
    assert len(watcher.watch.entries.wanted) == 3
    watcher.watch.entries.use(watcher.fleet.roster().head.head)
    assert watcher.talk(log) == TRIES
    abouts = [report.about for report in watcher.watch.reports()]
    assert f"roster version {watcher.fleet.version}" in abouts
    assert sum("reader key" in about for about in abouts) == 2


def hear_many(watcher: Watcher, log: GatewayLog, count: int) -> None:
    """Hear as many heads, and ask nobody about them."""
    for number in range(count):
        log.grow()
        watcher.watch.hear(log.head(), "phone")
        if number % 50 == 49 or number == count - 1:
            watcher.ask("")


def test_heads_in_messages_do_not_pile_up_and_later_ones_do_not_push_the_first_aside(
    watcher: Watcher, log: GatewayLog
) -> None:
    other = log.fork()
    other.restart()
    log.grow()
    watcher.show(log.head())
    other.grow(2)
    convicting = other.head()
    watcher.watch.hear(convicting, "thermo-1")
    hear_many(watcher, other, MOST_HEADS + 10)
    assert len(watcher.watch._heard) == MOST_HEADS
    assert watcher.watch._heard.of(GW)[0].signed == convicting
    refused = other.head()
    for _ in range(60):
        watcher.talk(log)
    assert (len(watcher.watch._heard), watcher.watch._proving._tried) == (0, {})
    watcher.watch.hear(refused, "phone")  # there is room again
    watcher.ask()
    assert [shown.signed for shown in watcher.watch._heard.of(GW)] == [refused]


def test_heads_of_one_gateway_leave_room_for_those_of_another(
    watcher: Watcher, log: GatewayLog, second: GatewayLog
) -> None:
    watcher.show(log.head())
    watcher.show(second.head(), "gw-2")
    hear_many(watcher, second, MOST_HEADS)
    fork = log.fork()
    fork.restart()
    fork.grow(2)
    watcher.watch.hear(fork.head(), "phone")
    assert watcher.talk(log) == TRIES
    assert watcher.kinds == [ReportKind.UNPROVEN]
    watcher.restart()
    assert len(watcher.watch._heard) == MOST_HEADS - 1


def test_however_much_is_not_shown_the_tries_have_a_bound_and_come_to_an_end(
    watcher: Watcher, log: GatewayLog
) -> None:
    watcher.show(log.head())
    phone = statement(watcher)
    names = [f"d-{number}" for number in range(MOST_HEADS + 50)]
    for name in names:
        watcher.watch.entries.use(replace(phone, device=name))
    rounds = 0
    while watcher.watch.entries.wanted and rounds < 50:
        watcher.talk(None)
        rounds += 1
        assert len(watcher.watch._proving._tried) <= MOST_HEADS
    assert (watcher.watch.entries.wanted, watcher.watch._proving._tried) == ({}, {})
    assert watcher.state.rows("SELECT * FROM log_try") == []


def test_a_gateway_cannot_fill_the_state_file_with_reports(
    watcher: Watcher, log: GatewayLog
) -> None:
    watcher.show(log.head())
    for _ in range(40):
        other = log.fork()
        other.leaves[0] = bytes(32)
        other.leaves.append(Identity.generate().kid.ljust(32, b"0"))
        log.grow()
        watcher.show(other.head(3))
        watcher.watch.hear(other.head(), "thermo-1")
        watcher.talk(log)
    assert 16 <= len(watcher.kinds) <= 48
    (count,) = watcher.state.row("SELECT count(*) FROM tree_head") or (0,)
    assert count <= 256
