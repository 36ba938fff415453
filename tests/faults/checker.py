"""The checker: what must hold of every history, whatever was broken on the way.

Seven rules, one for each promise. A rule looks at the records alone, and at what remains when
everything that was broken works again and nobody sends any more.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tests.faults.history import BRIEF, ROLLBACK, Record, What


class Rule(StrEnum):
    """The promises."""

    LOST = "lost"
    """What a sender was told is held reaches every reader."""
    LEFT = "left"
    """Nothing of what everybody has read is left at the broker or in the gateway's files."""
    EARLY = "early"
    """No copy disappears before its reader has handled it."""
    GHOST = "ghost"
    """Nothing is shown that was not sent, and nothing told as read that was not handled."""
    DOUBLED = "doubled"
    """What was handled to the end is not shown again; what failed is."""
    UNTOLD = "untold"
    """Every sender learns the outcome, and then the gateway forgets it."""
    ACCUSED = "accused"
    """No device takes an honest gateway for one that shows two histories."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """A promise that was not kept."""

    rule: Rule
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A message that the ledger still has."""

    sender: str
    id_prefix: str
    state: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Remains:
    """What is there at the end."""

    retained: Sequence[str] = ()
    """Topics of the copies that stand at the broker."""
    residues: Sequence[str] = ()
    """Parts of messages found in the gateway's files: file and part."""
    rows: Sequence[Row] = ()
    accusations: Sequence[str] = ()
    """What devices hold against the gateway's log: who and what."""


@dataclass(slots=True)
class _Message:
    """One message as its sender knows it, and what became of it."""

    sender: str
    token: str
    message: str
    """Its id; empty if it was never stored."""
    readers: tuple[str, ...]
    is_brief: bool
    """Whether it is to expire unread."""
    sent_at: int = 0
    over: str = ""
    over_at: int = 0
    read: set[str] = field(default_factory=set)
    handled: set[str] = field(default_factory=set)

    def was_open(self, since: int, until: int) -> bool:
        """Tell whether it was sent and not over at some time within this span."""
        return self.sent_at < until and (not self.over_at or self.over_at > since)

    def __str__(self) -> str:
        return f"{self.sender}'s {self.token}"


def check(history: Iterable[Record], remains: Remains) -> list[Violation]:
    """Return every violation of every rule."""
    records = list(history)
    ids = {(r.sender, r.token): r.message for r in records if r.what is What.SENT}
    messages = {
        (record.sender, record.token): _Message(
            sender=record.sender,
            token=record.token,
            message=ids.get((record.sender, record.token), ""),
            readers=record.readers,
            is_brief=record.detail == BRIEF,
        )
        for record in records
        if record.what is What.SENDING
    }
    ended = {key for key, message in messages.items() if message.is_brief}
    found = [*_walk(records, messages), *_doubled(records, ended), *_early(records, ended)]
    rollbacks = [
        (int(record.detail.removeprefix(ROLLBACK)), record.at)
        for record in records
        if record.what is What.FAULT and record.detail.startswith(ROLLBACK)
    ]
    # Read acks of what an older ledger never knew are gone with the newer one, and nobody sends
    # them again. The message itself comes to its readers all the same (PROTOCOL 13.6).
    excused = {
        (message.sender, message.message[:8])
        for message in messages.values()
        if any(message.was_open(since, at) for since, at in rollbacks)
    }
    for message in messages.values():
        found += _at_the_end(message)
        if (message.sender, message.message[:8]) not in excused:
            found += _told(message)
    rows = [row for row in remains.rows if (row.sender, row.id_prefix) not in excused]
    found += [Violation(rule=Rule.UNTOLD, what=f"the ledger keeps {row}") for row in rows]
    found += [
        Violation(rule=Rule.LEFT, what=f"{it} stands at the broker") for it in remains.retained
    ]
    found += [Violation(rule=Rule.LEFT, what=it) for it in remains.residues]
    found += [Violation(rule=Rule.ACCUSED, what=it) for it in remains.accusations]
    return found


def _walk(
    records: Iterable[Record], messages: dict[tuple[str, str], _Message]
) -> Iterator[Violation]:
    """Take every record in, and report what was never sent or not yet handled."""
    for record in records:
        if record.what in (What.SENDING, What.COPY, What.CLEARED, What.FAULT):
            continue
        message = messages.get((record.sender, record.token))
        if message is None:
            yield _ghost(record, "was never sent")
        elif record.what is What.SHOWN and record.reader not in message.readers:
            yield _ghost(record, f"was not for {record.reader}")
        elif record.what is What.READ and record.reader not in message.handled:
            yield _ghost(record, f"was not handled by {record.reader}")
        else:
            _note(record, message)


def _note(record: Record, message: _Message) -> None:
    match record.what:
        case What.SENT:
            message.sent_at = record.at
        case What.OVER:
            message.over, message.over_at = record.detail, record.at
        case What.READ:
            message.read.add(record.reader)
        case What.HANDLED:
            message.handled.add(record.reader)
        case _:
            pass


def _ghost(record: Record, why: str) -> Violation:
    return Violation(rule=Rule.GHOST, what=f"{record.what}: {record.sender}'s {record.token} {why}")


def _at_the_end(message: _Message) -> Iterator[Violation]:
    if message.message and not message.is_brief:
        for reader in sorted(set(message.readers) - message.handled):
            yield Violation(rule=Rule.LOST, what=f"{message} never reached {reader}")


def _told(message: _Message) -> Iterator[Violation]:
    if not message.message:
        return
    # A brief message may be read in its last moment, or come to the gateway when that has passed.
    brief = ("expired", "settled", "refused")
    if message.over not in (brief if message.is_brief else ("settled",)):
        yield Violation(rule=Rule.UNTOLD, what=f"{message} ended as {message.over or 'nothing'}")
    elif not message.is_brief and message.read != set(message.readers):
        yield Violation(rule=Rule.UNTOLD, what=f"{message}: of some readers nothing was told")


def _doubled(records: Iterable[Record], brief: set[tuple[str, str]]) -> Iterator[Violation]:
    done: set[tuple[str, str, str]] = set()
    failed: set[tuple[str, str, str]] = set()
    for record in records:
        key = (record.reader, record.sender, record.token)
        if record.what is What.SHOWN:
            failed.discard(key)
            if key in done:
                yield Violation(rule=Rule.DOUBLED, what=f"{key} was shown again")
        elif record.what is What.DONE:
            done.add(key)
        elif record.what is What.FAILED:
            failed.add(key)
    for key in failed:
        if key[1:] in brief:
            continue  # its time was over before it could be shown again
        yield Violation(rule=Rule.DOUBLED, what=f"{key} failed, and was not shown again")


def _early(records: Iterable[Record], brief: set[tuple[str, str]]) -> Iterator[Violation]:
    tokens = {(r.sender, r.message): r.token for r in records if r.what is What.SENT}
    handled: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for record in records:
        key = (record.sender, tokens.get((record.sender, record.message), ""))
        if record.what is What.HANDLED:
            handled[record.reader].add(key)
        # What nobody here has sent, such as planted bytes, may be cleared at any time.
        elif record.what is What.CLEARED and key[1] and key not in brief | handled[record.reader]:
            yield Violation(
                rule=Rule.EARLY, what=f"{record.reader}'s copy of {key[0]}'s {key[1]} was cleared"
            )
