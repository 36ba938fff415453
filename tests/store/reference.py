"""The reference: what a ledger should say, as plain sets and words, without a table or SQL."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.store.records import MessageKey
from tests.store.pool import Mail


@dataclass(kw_only=True)
class Letter:
    """A message that has a row."""

    mail: Mail
    state: str
    """partial, held, finished or seen."""
    slots: dict[str, str] = field(default_factory=dict)
    """Reader to owed, read, unreadable, excused or expired."""
    copies: dict[str, str] = field(default_factory=dict)
    """Reader to due, standing, clearing or cleared."""
    ended_by: str = ""

    def owed(self) -> list[str]:
        """Return the readers that owe a read ack."""
        return [reader for reader, slot in self.slots.items() if slot == "owed"]

    def add(self, reader: str, slot: str, copy: str) -> None:
        """A reader becomes known; with the last one a partial letter is held."""
        self.slots[reader], self.copies[reader] = slot, copy
        if self.state == "partial" and len(self.slots) == len(self.mail.readers):
            self.state = "held"

    def settle(self, readers: Iterable[str], outcome: str) -> None:
        """Whoever owes, owes no more; with the last one a held letter is finished."""
        for reader in set(self.owed()).intersection(readers):
            self.slots[reader], self.copies[reader] = outcome, "clearing"
        if self.state == "held" and not self.owed():
            self.state = "finished"

    def end(self, ended_by: str = "") -> None:
        """Its time is over, or its sender is revoked: it is finished for everybody."""
        self.settle(self.owed(), "expired")
        self.state, self.ended_by = "finished", ended_by


@dataclass(kw_only=True)
class Reference:
    """All letters, and what is left of the forgotten ones."""

    letters: dict[MessageKey, Letter] = field(default_factory=dict)
    stones: dict[MessageKey, Mail] = field(default_factory=dict)
    """Of what is forgotten and has not expired."""
    forgotten: dict[MessageKey, Mail] = field(default_factory=dict)
    """All that ever was, in order to know what must have a stone."""
    revoked: set[str] = field(default_factory=set)

    def of(self, mail: Mail) -> Letter | None:
        """Return the letter that has this mail's name, whichever it is."""
        return self.letters.get(mail.key)

    def send(self, mail: Mail, *, now: int, paused: bool, quota: int) -> str:
        """Hold it, once."""
        letter, stone = self.of(mail), self.stones.get(mail.key)
        if stone is not None:
            return "finished" if stone is mail else "refused"
        if letter is not None and (letter.mail is not mail or letter.state != "partial"):
            return "again" if letter.mail is mail else "refused"
        sender = mail.key.sender
        if paused or sender in self.revoked or mail.expires <= now:
            return "refused"
        if letter is None and [key.sender for key in self.letters].count(sender) >= quota:
            return "refused"
        holding = "new" if letter is None else "completed"
        letter = letter or self.letters.setdefault(mail.key, Letter(mail=mail, state="held"))
        for reader in set(mail.readers).difference(letter.slots):
            letter.add(reader, *self._new_slot(reader))
        letter.settle([], "")
        return holding

    def _new_slot(self, reader: str) -> tuple[str, str]:
        return ("excused", "cleared") if reader in self.revoked else ("owed", "due")

    def find(self, mail: Mail, reader: str, *, planted: bool, now: int) -> str:
        """Something stands under the copy's topic: the copy itself, or planted bytes."""
        letter = self.of(mail)
        if letter is not None and reader in letter.owed():
            right = letter.mail is mail and not planted
            letter.copies[reader] = "standing" if right else "due"
            return "standing" if right else "replaced"
        if letter is not None and reader in letter.slots:
            letter.copies[reader] = "clearing"
            return "cleared"
        if letter is not None and (letter.state != "partial" or letter.mail is not mail):
            return "cleared"
        if planted or mail.key in self.stones or mail.expires <= now:
            return "cleared"
        self._adopt(mail, reader)
        return "adopted"

    def _adopt(self, mail: Mail, reader: str) -> None:
        letter = self.letters.setdefault(mail.key, Letter(mail=mail, state="partial"))
        letter.add(reader, "owed", "standing")
        if mail.key.sender in self.revoked:
            letter.end("sender-revoked")
        elif reader in self.revoked:
            letter.settle([reader], "excused")

    def acknowledge(self, mail: Mail, reader: str, verdict: str) -> str:
        """A true read ack, maybe not the first one."""
        letter = self.of(mail)
        if letter is None or reader not in letter.slots:
            return "not-owed" if mail.key in self.stones else "unknown-message"
        if letter.slots[reader] != "owed":
            return "not-owed"
        if letter.mail is not mail:
            return "wrong-digest"
        letter.settle([reader], verdict)
        return verdict

    def excuse(self, mail: Mail, readers: Iterable[str]) -> str:
        """The owner's word about a message id."""
        letter = self.of(mail)
        if letter is None:
            return "unknown-message"
        owed = set(letter.owed()).intersection(readers)
        letter.settle(owed, "excused")
        return "excused" if owed else "nothing-owed"

    def revoke(self, name: str) -> None:
        """The owner revokes a device, which may be a sender, a reader or both."""
        self.revoked.add(name)
        for letter in self.letters.values():
            if letter.state in ("partial", "held") and letter.mail.key.sender == name:
                letter.end("sender-revoked")
            letter.settle([name], "excused")

    def clear(self, letter: Letter, reader: str, mark: int) -> None:
        """The broker confirms that a copy is gone."""
        if letter.copies.get(reader) == "clearing":
            letter.copies[reader] = "cleared"
            self._forget(letter, mark)

    def note_seen(self, letter: Letter, mark: int) -> None:
        """The sender knows the outcome."""
        if letter.state == "finished":
            letter.state = "seen"
            self._forget(letter, mark)

    def _forget(self, letter: Letter, mark: int) -> None:
        """Forget what is seen and cleared; up to ``mark`` everything is expired for good."""
        if letter.state != "seen" or set(letter.copies.values()) != {"cleared"}:
            return
        key = letter.mail.key
        self.forgotten[key] = self.letters.pop(key).mail
        if letter.mail.expires > mark:
            self.stones[key] = letter.mail

    def pass_time(self, now: int, grace: int, mark: int) -> None:
        """Let everything end whose time is over."""
        for letter in list(self.letters.values()):
            if letter.state in ("partial", "held") and letter.mail.expires <= now:
                letter.end()
            if letter.mail.expires <= now - grace:
                self.note_seen(letter, mark)
        self.stones = {key: mail for key, mail in self.stones.items() if mail.expires > now}
