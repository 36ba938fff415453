"""Programs with a defect on purpose: the checker must see each one (tests/faults/test_planted.py).

``python -m tests.faults.planted BUG ...`` is a gateway or a reader that is right in
everything else. The bugs are planted here and nowhere in the product.
"""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

_PAUSE = 1.0
"""Seconds by which a commit is late."""


class _UndoneError(Exception):
    """Ends a transaction without a commit."""


def _plant(where: Any, name: str, bug: Any) -> None:
    setattr(where, name, bug)


async def _without_commit(intake: Any, arrivals: Sequence[Any]) -> list[Any]:
    from gateway.decide import decide

    decisions: list[Any] = []

    def work(tx: Any) -> None:
        situation = intake._keeper.situation
        decisions[:] = [decide(tx, one, intake._topics, situation) for one in arrivals]
        raise _UndoneError

    with contextlib.suppress(_UndoneError):
        await intake._keeper.write(work)
    return decisions


def _skip_commit() -> None:
    """Says *held* about what is on no disk."""
    from gateway.intake import Intake

    _plant(Intake, "_decide", _without_commit)


def _ack_early() -> None:
    """PUBACKs and says *held* first, and commits a moment later."""
    from gateway.intake import Intake

    decide = Intake._decide
    commits = set()

    async def late(intake: Any, arrivals: Sequence[Any]) -> None:
        await asyncio.sleep(_PAUSE)
        await decide(intake, arrivals)

    async def early(intake: Any, arrivals: Sequence[Any]) -> list[Any]:
        commits.add(asyncio.ensure_future(late(intake, arrivals)))
        return await _without_commit(intake, arrivals)

    _plant(Intake, "_decide", early)


def _skip_clear() -> None:
    """Takes a copy for cleared that nobody has cleared."""
    from gateway.deliver import Deliverer

    publish = Deliverer._publish

    async def lazy(deliverer: Any, connection: Any, wanted: Any) -> bool:
        return bool(not wanted.payload or await publish(deliverer, connection, wanted))

    _plant(Deliverer, "_publish", lazy)


def _clear_early() -> None:
    """Clears each copy as soon as it stands."""
    from gateway.deliver import Deliverer

    publish = Deliverer._publish

    async def hasty(deliverer: Any, connection: Any, wanted: Any) -> bool:
        done = await publish(deliverer, connection, wanted)
        if wanted.ref and wanted.payload:
            await publish(deliverer, connection, replace(wanted, payload=b""))
        return done

    _plant(Deliverer, "_publish", hasty)


def _skip_erasure() -> None:
    """Deletes rows, and leaves their bytes."""
    from gateway.store import sqlite
    from gateway.store.sqlite_erase import Eraser

    sqlite._WRITE_PRAGMAS["secure_delete"] = 0
    _plant(Eraser, "erase", lambda _: True)


def _believe_acks() -> None:
    """Takes anybody's word for a read ack."""
    from device_sdk.wire import cose
    from device_sdk.wire.read_ack import ReadAck
    from gateway import acknowledge

    def believe(_ref: Any, payload: bytes, _situation: Any) -> ReadAck:
        return cose.parse_signed(ReadAck, payload).claims

    _plant(acknowledge, "_verify", believe)
    _plant(acknowledge, "_compare", lambda *_: None)


def _tell_nothing() -> None:
    """Never says how a message ended."""
    from gateway.enquire import Enquiries
    from gateway.tell import Teller

    async def silent(*_: Any) -> None:
        pass

    tell = Teller.tell

    def only_held(teller: Any, tells: Any, after: Any) -> None:
        tell(teller, tuple(one for one in tells if one.event.kind == "held"), after)

    _plant(Teller, "tell", only_held)
    _plant(Enquiries, "_answer", silent)


def _forget_handled() -> None:
    """A reader that shows again what it has handled."""
    from device_sdk.inbox.store import HANDLED, InboxStore

    get = InboxStore.get

    def forgetful(store: Any, key: Any) -> Any:
        known = get(store, key)
        return None if known is not None and known.state == HANDLED else known

    _plant(InboxStore, "get", forgetful)


def _garble() -> None:
    """A reader that shows what nobody has sent."""
    from device_sdk import reading

    open_copy = getattr(reading, "open_copy")  # noqa: B009 - it is imported there

    def wrong(*arguments: Any) -> Any:
        opened = open_copy(*arguments)
        return replace(opened, payload=b"x" + opened.payload[1:])

    _plant(reading, "open_copy", wrong)


BUGS: dict[str, Callable[[], None]] = {
    "skip-commit": _skip_commit,
    "ack-early": _ack_early,
    "skip-clear": _skip_clear,
    "clear-early": _clear_early,
    "skip-erasure": _skip_erasure,
    "believe-acks": _believe_acks,
    "tell-nothing": _tell_nothing,
    "forget-handled": _forget_handled,
    "garble": _garble,
}


def main() -> None:
    """Plant the bug that is named first, and run the program with the rest of the arguments."""
    bug = sys.argv.pop(1)
    BUGS[bug]()
    if sys.argv[1] == "serve":
        from gateway.cli import main as serve

        serve()
    else:
        from tests.faults.reader import main as read

        read(*sys.argv[1:])


if __name__ == "__main__":
    main()
