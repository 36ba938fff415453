"""A gateway's log in memory: honest, restarted, put back, or forked, as a test wants it."""

import os

from device_sdk.identity import Identity
from device_sdk.wire import cose, log_tree, merkle
from device_sdk.wire.log_proof import Included, LogProof, Prove
from device_sdk.wire.tree_head import TreeHead


class GatewayLog:
    """Grows by `add`; `fork` gives another one that begins the same."""

    def __init__(self, signer: Identity, aad: bytes, *, time: int, size: int = 3) -> None:
        self._signer, self._aad = signer, aad
        self.time = time
        self.roster_version = 1
        self.log_id = os.urandom(16)
        self.leaves: list[bytes] = []
        self.add(*(os.urandom(32) for _ in range(size)))

    def add(self, *leaves: bytes) -> None:
        """Enter something."""
        self.leaves += leaves

    def grow(self, count: int = 1) -> None:
        """Enter something that nobody cares about."""
        self.add(*(os.urandom(32) for _ in range(count)))

    def restart(self, *, size: int = 0) -> None:
        """Begin another process, perhaps with a ledger from when the log had ``size`` entries."""
        self.log_id = os.urandom(16)
        self.leaves = self.leaves[: size or None]

    def fork(self) -> "GatewayLog":
        """Return what a dishonest gateway shows to somebody else: the same so far."""
        other = GatewayLog(self._signer, self._aad, time=self.time, size=0)
        other.log_id, other.leaves = self.log_id, list(self.leaves)
        other.roster_version = self.roster_version
        return other

    def head(self, size: int = 0, *, signer: Identity | None = None) -> bytes:
        """Return a signed head; the clock goes on by a second."""
        self.time += 1
        size = size or len(self.leaves)
        head = TreeHead(
            log_id=self.log_id,
            size=size,
            root=merkle.root(self.leaves[:size]),
            time=self.time,
            roster_version=self.roster_version,
        )
        return cose.sign(head, signer or self._signer, self._aad)

    def answer(self, question: Prove) -> LogProof:
        """Prove what is asked for, as far as this log can."""
        first, second = question.first, question.second
        if second > len(self.leaves):
            return LogProof(first=first, second=second, consistency=None, included=())
        path = log_tree.consistency_path(first, second, self._node) if first else None
        return LogProof(
            first=first,
            second=second,
            consistency=None if path is None else tuple(path),
            included=tuple(
                Included(
                    leaf=leaf,
                    index=index,
                    path=tuple(log_tree.inclusion_path(index, second, self._node)),
                )
                for index, leaf in enumerate(self.leaves[:second])
                if leaf in question.leaves
            ),
        )

    def _node(self, level: int, position: int) -> bytes:
        return merkle.root(self.leaves[position << level : (position + 1) << level])
