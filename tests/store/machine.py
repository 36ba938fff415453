"""The gateway's verbs in an order that hypothesis chooses; each is also told to the reference."""

import copy
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from device_sdk.identity import Identity
from device_sdk.wire.limits import DAY
from device_sdk.wire.read_ack import READ, UNREADABLE
from gateway import clear, clock, copies
from gateway.acknowledge import acknowledge
from gateway.adopt import judge_retained
from gateway.answer import Distrust, note_seen, open_seen
from gateway.expire import excuse, sweep
from gateway.hold import take_in
from gateway.store.port import Transaction
from gateway.store.records import CopyRef
from tests.store.agreement import as_expected, as_stored, leftovers
from tests.store.office import LATEST, QUOTA, Office
from tests.store.places import Place
from tests.store.pool import DEVICES, Mail, pool
from tests.store.reference import Letter, Reference
from tests.support.envelopes import TOPICS, YEAR

PICK = st.integers(0, 13)
"""Which mail: low numbers are the pool's, the others what the ledger holds just now."""
WHO = st.integers(0, 5)
"""Which reader: low numbers are any of the message's, the others those that owe a read ack."""
PIECE = st.sampled_from([1, 2, 256])
"""How much is done in one transaction."""
WAIT = st.sampled_from([1, 31, 70, 3600, DAY, 8 * DAY])
SKEW = st.sampled_from([-YEAR, 0, 0, YEAR])
MOSTLY = st.sampled_from([True, True, True, False])
FORGERIES = ("token", "digest", "by-another", "thief", "reader", "message", "cut-off")


class CutOffError(Exception):
    """What stands for a process that ends in the middle of a transaction."""


class LedgerMachine(RuleBasedStateMachine):
    """One gateway's ledger, and everything that may happen to it."""

    def __init__(self, new_place: Callable[[Path], Place]) -> None:
        super().__init__()
        self.office = Office(new_place)
        self.reference = Reference()
        self.backup: Reference | None = None

    def mail(self, pick: int) -> Mail:
        """Return the mail that is meant."""
        mails = pool()[1]
        letters = [one.mail for _, one in sorted(self.reference.letters.items())]
        return (
            mails[pick] if pick < len(mails) else (letters or mails)[pick % len(letters or mails)]
        )

    def reader(self, mail: Mail, who: int) -> str:
        """Return the reader that is meant."""
        letter = self.reference.of(mail)
        owed = [name for name in letter.owed() if name in mail.readers] if letter else []
        readers = sorted(owed) if owed and who > 2 else mail.readers
        return readers[who % len(readers)]

    # ------------------------------------------------------------ send

    @rule(pick=PICK)
    def send(self, pick: int) -> None:
        """Also again, and also another message under the same id."""
        mail, situation = self.mail(pick), self.office.situation
        topic = TOPICS.parse(mail.sealed.topic)
        held = self.office.do(lambda tx: take_in(tx, topic, mail.data, situation))
        assert held.holding == self.reference.send(
            mail, now=situation.now, paused=situation.paused, quota=QUOTA
        )

    # ------------------------------------------------------------ copies at the broker

    @rule(piece=PIECE, confirmed=MOSTLY)
    def publish(self, piece: int, confirmed: bool) -> None:
        """The PUBACK may never come."""
        now = self.office.situation.now
        refs = self.office.do(lambda tx: copies.due(tx, now, piece))
        for ref in refs:
            assert ref.reader in self._letter(ref).owed()
            self._letter(ref).copies[ref.reader] = "standing" if confirmed else "due"
        if confirmed:
            self.office.do(lambda tx: copies.standing(tx, refs, now))

    @rule(pick=PICK, who=WHO, lost=st.booleans())
    def hear_of_a_copy(self, pick: int, who: int, lost: bool) -> None:
        """A late PUBACK, or the broker has lost it; it may not even be owed any more."""
        mail, now = self.mail(pick), self.office.situation.now
        reader = self.reader(mail, who)
        happened = copies.missed if lost else copies.standing
        self.office.do(lambda tx: happened(tx, [CopyRef(mail.key, reader)], now))
        letter = self.reference.of(mail)
        if letter is not None and reader in letter.owed():
            letter.copies[reader] = "due" if lost else "standing"

    @rule(pick=PICK, who=WHO, planted=MOSTLY.map(lambda honest: not honest))
    def find_retained(self, pick: int, who: int, planted: bool) -> None:
        """A copy at the broker: its own, a ghost, one from before a restore, or rubbish."""
        mail, situation = self.mail(pick), self.office.situation
        reader = self.reader(mail, who)
        data = b"planted" if planted else mail.copies[reader]
        topic = TOPICS.parse(TOPICS.inbox(reader, mail.key.sender, mail.key.message_id))
        judged = self.office.do(lambda tx: judge_retained(tx, topic, data, situation))
        assert judged.found == self.reference.find(mail, reader, planted=planted, now=situation.now)

    # ------------------------------------------------------------ read acks

    @rule(pick=PICK, who=WHO, verdict=st.sampled_from([READ, READ, UNREADABLE]))
    def acknowledge(self, pick: int, who: int, verdict: str) -> None:
        """Also again, and also for another message under the same id."""
        mail = self.mail(pick)
        reader = self.reader(mail, who)
        data = self.office.fleet.read_ack(mail.sealed, reader, verdict=verdict)
        result = self._acknowledge(mail, reader, data)
        assert result == self.reference.acknowledge(mail, reader, verdict)

    def _acknowledge(self, mail: Mail, reader: str, data: bytes) -> str:
        topic = TOPICS.parse(TOPICS.read(reader, mail.key.sender, mail.key.message_id))
        situation = self.office.situation
        return self.office.do(lambda tx: acknowledge(tx, topic, data, situation)).result

    @rule(pick=PICK, who=WHO, how=st.sampled_from(FORGERIES))
    def forge_an_ack(self, pick: int, who: int, how: str) -> None:
        """By somebody who has everything but the reader's identity key or the message's key."""
        mail, fleet = self.mail(pick), self.office.fleet
        reader = self.reader(mail, who)
        other = fleet.members["lock" if reader == "hub" else "hub"]
        thief, own = Identity.generate(), fleet.members[reader].identity
        thief = replace(thief, public=replace(thief.public, kid=own.kid))
        changes: dict[str, dict[str, object]] = {
            "token": {"open_token": os.urandom(32)},
            "digest": {"digest": os.urandom(32)},
            "by-another": {"signer": other.identity},
            "thief": {"signer": thief},
            "reader": {"reader": other.name, "signer": other.identity},
            "message": {"message_id": os.urandom(16)},
            "cut-off": {},
        }
        forged = fleet.read_ack(mail.sealed, reader, **changes[how])  # type: ignore[arg-type]
        forged = forged[:-1] if how == "cut-off" else forged
        assert self._acknowledge(mail, reader, forged) not in (READ, UNREADABLE)

    # ------------------------------------------------------------ clearing and forgetting

    @rule(piece=PIECE, confirmed=MOSTLY)
    def clear(self, piece: int, confirmed: bool) -> None:
        """The PUBACK may never come."""
        refs = self.office.do(lambda tx: clear.due(tx, self.office.situation.now, piece))
        assert all(self._letter(ref).copies[ref.reader] == "clearing" for ref in refs)
        if confirmed:
            self._cleared(refs)

    @rule(pick=PICK, who=WHO)
    def hear_of_a_clear(self, pick: int, who: int) -> None:
        """A late PUBACK, or the echo of an empty message that somebody planted."""
        mail = self.mail(pick)
        self._cleared([CopyRef(mail.key, self.reader(mail, who))])

    def _cleared(self, refs: list[CopyRef]) -> None:
        self.office.do(lambda tx: clear.cleared(tx, refs))
        for ref in refs:
            if letter := self.reference.letters.get(ref.key):
                self.reference.clear(letter, ref.reader, self.office.mark)

    @rule(pick=PICK, honest=MOSTLY)
    def see(self, pick: int, honest: bool) -> None:
        """The sender's word, or somebody else's."""
        mail = self.mail(pick)
        sender, fleet = mail.key.sender, self.office.fleet
        data = fleet.seen(
            sender, mail.sealed, signer=None if honest else fleet.members["hub"].identity
        )
        seen = open_seen(TOPICS.parse(TOPICS.seen(sender)), data, self.office.situation)
        assert isinstance(seen, Distrust) is not honest
        if isinstance(seen, Distrust):
            return
        self.office.do(lambda tx: note_seen(tx, seen))
        letter = self.reference.of(mail)
        if letter is not None and letter.mail is mail:
            self.reference.note_seen(letter, self.office.mark)

    @rule(pick=PICK)
    def go_all_the_way(self, pick: int) -> None:
        """What usually happens, so that chance has more to do with what comes after."""
        mail = self.mail(pick)
        pick, readers = pool()[1].index(mail), range(len(mail.readers))
        self.send(pick)
        for who in readers:
            self.acknowledge(pick, who, READ)
        for who in readers:
            self.hear_of_a_clear(pick, who)
        self.see(pick, True)

    # ------------------------------------------------------------ the owner

    @rule(pick=PICK, readers=st.sets(st.sampled_from(DEVICES), min_size=1), honest=MOSTLY)
    def excuse(self, pick: int, readers: set[str], honest: bool) -> None:
        """The owner's word, or a device's."""
        mail, fleet = self.mail(pick), self.office.fleet
        signer = None if honest else fleet.members["thermo"].identity
        data = fleet.excuse(mail.sealed, *sorted(readers), signer=signer)
        result, _ = self.office.do(lambda tx: excuse(tx, data, self.office.situation))
        assert result == (self.reference.excuse(mail, readers) if honest else "refused")

    @precondition(lambda self: len(self.reference.revoked) < 2)
    @rule(name=st.sampled_from(["wall", "thermo", "phone"]), piece=PIECE)
    def revoke(self, name: str, piece: int) -> None:
        """A new roster, and the sweep that it asks for."""
        if name in self.reference.revoked:
            return
        self.office.fleet.revoke(name)
        self.office.new_roster()
        self.reference.revoke(name)
        self.sweep(piece)

    # ------------------------------------------------------------ time

    @rule(piece=PIECE)
    def sweep(self, piece: int) -> None:
        """Everything that is due, in transactions of some size."""
        situation = self.office.situation
        while self.office.do(lambda tx: sweep(tx, situation, piece)).more:
            pass
        if not situation.paused:
            grace = situation.limits.outcome_grace
            self.reference.pass_time(situation.now, grace, self.office.mark)

    @rule(seconds=WAIT, skew=SKEW)
    def wait(self, seconds: int, skew: int) -> None:
        """Time passes; then the machine's clock may jump by a year, or come back."""
        if self.office.true + seconds > LATEST:
            return
        before = self.office.situation
        self.office.wait(seconds, self.office.skew)
        passed = self.office.situation
        self.office.wait(0, skew)
        after = self.office.situation
        for now in (passed.now, after.now):
            assert now in (before.now, max(before.now, self.office.true))
        if skew:
            assert (after.now, after.paused) == (passed.now, skew > 0)

    # ------------------------------------------------------------ ends and beginnings

    @rule(pick=PICK)
    def fail_half_way(self, pick: int) -> None:
        """A transaction that ends before its commit must not have happened."""
        mail, situation = self.mail(pick), self.office.situation
        topic = TOPICS.parse(mail.sealed.topic)
        word = self.office.fleet.excuse(mail.sealed, *mail.readers)

        def work(tx: Transaction) -> None:
            take_in(tx, topic, mail.data, situation)
            excuse(tx, word, situation)
            clear.cleared(tx, [CopyRef(mail.key, reader) for reader in mail.readers])
            sweep(tx, replace(situation, now=LATEST, paused=False))
            tx.set_high_water(LATEST)
            raise CutOffError

        try:
            self.office.do(work)
        except CutOffError:
            return
        raise AssertionError("the ledger kept the error to itself")

    @rule(killed=st.booleans(), confirm=st.booleans())
    def restart(self, killed: bool, confirm: bool) -> None:
        """What has ended by time is stored with its time; the mark may be a minute old."""
        before = self.office.situation.now
        self.office.restart(killed=killed, confirm=confirm)
        assert self.office.situation.now > before - clock.STORE_EVERY

    @rule()
    def back_up(self) -> None:
        """Keep the ledger as it is."""
        self.office.back_up()
        self.backup = copy.deepcopy(self.reference)

    @precondition(lambda self: self.backup is not None)
    @rule()
    def restore(self) -> None:
        """Go back to the backup; what stands at the broker meanwhile is found later."""
        self.office.restore()
        self.reference = copy.deepcopy(self.backup) or Reference()

    def _letter(self, ref: CopyRef) -> Letter:
        return self.reference.letters[ref.key]

    # ------------------------------------------------------------ always

    @invariant()
    def agree(self) -> None:
        """The ledger says what the reference says, and nothing forgotten can be replayed."""
        situation = self.office.situation
        assert self.office.read(lambda tx: as_stored(tx, situation)) == as_expected(self.reference)
        for key, mail in self.reference.forgotten.items():
            assert key in self.reference.stones or mail.expires <= situation.now

    def teardown(self) -> None:
        """Nothing of what was dropped is left in the files."""
        try:
            assert not leftovers(self.reference, self.office.contents())
        finally:
            self.office.close()
