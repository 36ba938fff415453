"""The log of rosters and keys: what is entered, and what can be proved (PROTOCOL 8.6).

Pure but for the transaction. An entry is made in the very transaction that stores what it is about,
so that nothing is acted on that is not in the log.
"""

from device_sdk.wire import cose, log_tree
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.log_proof import Included, LogProof, Prove
from device_sdk.wire.roster_head import RosterHead
from device_sdk.wire.tree_head import Logged, leaf_of
from gateway.store.port import Reading, Transaction


def enter(tx: Transaction, record: Logged) -> None:
    """Append an entry about something that ``tx`` has just stored."""
    if tx.log_size():
        _append(tx, record)
    else:
        begin(tx)


def begin(tx: Transaction) -> None:
    """Begin the log with all that is stored, if there is none: the ledger is older than logs."""
    if tx.log_size():
        return
    roster = tx.roster()
    if roster is not None:
        _append(tx, cose.parse_signed(RosterHead, roster.head).claims)
    for device in tx.devices_with_keys():
        for key in tx.key_statements(device):
            _append(tx, cose.parse_signed(KeyStatement, key.statement).claims)
    for stored in tx.token_keys():
        _append(tx, stored.key)


def _append(tx: Transaction, record: Logged) -> None:
    for level, position, hashed in log_tree.grown(tx.log_size(), leaf_of(record), tx.log_node):
        tx.add_log_node(level, position, hashed)


def size_and_root(tx: Reading) -> tuple[int, bytes]:
    """Return how many entries there are, and the root over them; (0, b"") without any."""
    size = tx.log_size()
    return size, log_tree.tree_root(size, tx.log_node) if size else b""


def answer(tx: Reading, question: Prove) -> LogProof:
    """Prove what is asked for, as far as the log can (PROTOCOL 10.5)."""
    first, second = question.first, question.second
    if second > tx.log_size():
        return LogProof(first=first, second=second, consistency=None, included=())
    path = log_tree.consistency_path(first, second, tx.log_node) if first else None
    found = [_find(tx, leaf, second) for leaf in dict.fromkeys(question.leaves)]
    return LogProof(
        first=first,
        second=second,
        consistency=None if path is None else tuple(path),
        included=tuple(one for one in found if one is not None),
    )


def _find(tx: Reading, leaf: bytes, size: int) -> Included | None:
    index = tx.log_index(leaf)
    if index is None or index >= size:
        return None
    path = log_tree.inclusion_path(index, size, tx.log_node)
    return Included(leaf=leaf, index=index, path=tuple(path))
