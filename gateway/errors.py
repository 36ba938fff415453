"""What can go wrong in a gateway apart from bad bytes, which are `device_sdk.wire.errors`."""

from device_sdk.wire.errors import SealgateError


class GatewayError(SealgateError):
    """The root of the gateway's own errors."""


class TransitionError(GatewayError):
    """A step that the transition table does not know: a defect of the gateway, never of its input.

    Attributes:
        state: where the slot, copy or message was.
        event: what was to happen to it.
    """

    def __init__(self, state: str, event: str) -> None:
        super().__init__(f"no transition for {event} in state {state}: please report this")
        self.state = state
        self.event = event


class LedgerError(GatewayError):
    """The ledger cannot be used as it is: the operator must see to it."""


class LedgerDamagedError(LedgerError):
    """The ledger's file is not a ledger, or its content contradicts itself."""


class LedgerTooNewError(LedgerError):
    """The ledger was written by a newer release, whose tables this one does not know.

    Attributes:
        found: the schema number in the file.
        known: the highest schema number of this release.
    """

    def __init__(self, *, found: int, known: int) -> None:
        super().__init__(
            f"the ledger has schema {found}, this release knows {known}: use a newer release"
        )
        self.found = found
        self.known = known


class LedgerLockedError(LedgerError):
    """Another process uses the data directory.

    Attributes:
        pid: that process; 0 if it could not be told.
    """

    def __init__(self, directory: str, pid: int) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(f"{directory} is in use by {who}: one gateway per data directory")
        self.pid = pid


class LedgerUnavailableError(LedgerError):
    """The disk is full, fails, or may not be written: nothing of the transaction was kept.

    The same work may succeed later; until then the gateway takes nothing in.
    """
