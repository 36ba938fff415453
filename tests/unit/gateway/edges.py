"""The gateway's edges on a real ledger and a broker in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from device_sdk.identity import Identity
from device_sdk.wire.roster_page import ROLE_GATEWAY
from gateway.keeper import Keeper
from gateway.parts import Parts
from gateway.situation import Limits
from gateway.store.sqlite import SqliteLedger
from tests.support.envelopes import NOW, TOPICS, Fleet
from tests.support.mailroom import open_mailroom


def gateway_identity(fleet: Fleet, name: str = "gw-1") -> Identity:
    """Admit a gateway, unless it is, and return its identity."""
    if name not in fleet.members:
        fleet.admit(name, roles=(ROLE_GATEWAY,))
    return fleet.members[name].identity


class Clocks:
    """Both of a machine's clocks, as a test sets them."""

    def __init__(self) -> None:
        self.now = float(NOW)
        self.uptime = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def open_parts(
    fleet: Fleet, directory: Path, clocks: Clocks | None = None
) -> AsyncIterator[Parts]:
    """Everything of a gateway that is behind the broker, on a ledger with roster and keys."""
    identity = gateway_identity(fleet)
    async with open_mailroom(fleet, directory):
        pass
    clocks = clocks or Clocks()
    ledger = SqliteLedger.open(directory / "ledger.sqlite")
    keeper = Keeper(
        ledger, fleet.pin, identity, Limits(), wall=clocks, monotonic=lambda: clocks.uptime
    )
    try:
        await keeper.start()
        yield Parts(keeper, TOPICS, await keeper.read(lambda tx: tx.ledger_id()))
    finally:
        await keeper.stop()
        await ledger.close()
