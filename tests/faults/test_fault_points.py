"""`kill -9` at every named point of the gateway's order of things, once on each broker, under load.

One world a broker: the gateway dies at one point after the other and is started again, and at the
end the checker looks at the whole history.
"""

import asyncio
import signal
from pathlib import Path

import pytest

from gateway.fault_points import ARRIVAL_STEPS, ARRIVING, POINTS
from tests.brokers.mosquitto import Mosquitto
from tests.faults import history
from tests.faults.checker import check
from tests.faults.world import World, world

_PAUSE = 0.05
_DIES_WITHIN = 30.0
_FEW, _PATIENCE = 150, 120.0
"""Copies that stand while readers still keep up, and seconds until they surely do."""

ADOPTION = frozenset(f"adoption-{step}" for step in ARRIVAL_STEPS)
"""An older ledger is needed; a broker that dies with its gateway has no copies that it lacks."""
AT_A_DEVICES_RETURN = frozenset(f"announce-{step}" for step in ARRIVAL_STEPS)
"""Devices announce their keys when they connect."""
WHERE_TOKENS_ARE_ISSUED = frozenset(f"blind-{step}" for step in ARRIVAL_STEPS)
"""This world has no anonymous channel: see `tests.acceptance.test_anonymous`."""
WHERE_COPIES_ARE_MISSING = frozenset({"missing-committed"})


def test_every_point_of_what_arrives_has_its_three_names() -> None:
    assert {f"{work}-{step}" for work in ARRIVING for step in ARRIVAL_STEPS} <= set(POINTS)
    assert len(set(POINTS)) == len(POINTS)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["embedded", "mosquitto"])
async def test_a_gateway_killed_at_any_point_loses_nothing_and_leaves_nothing(
    kind: str, made: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == "embedded":
        await _walk(made, tmp_path, None)
        return
    program = request.getfixturevalue("mosquitto")
    with Mosquitto(tmp_path, program=program, persistent=True) as broker:
        await _walk(made, tmp_path, broker)


async def _walk(made: Path, tmp_path: Path, broker: Mosquitto | None) -> None:
    elsewhere = WHERE_TOKENS_ARE_ISSUED | (ADOPTION if broker is None else frozenset())
    points = [point for point in POINTS if point not in elsewhere]
    async with world(made, tmp_path / "world", broker, pause=_PAUSE, absent=True) as here:
        await here.gateway.end()
        for point in points:
            await _die_at(here, point)
        remains = await here.settle()
        violations = check(history.load(here.history), remains)
    assert not violations, "\n".join(map(str, violations))


async def _make_older(here: World) -> None:
    """Give the gateway a ledger that does not know what was held since, and nobody has read."""
    await here.serve()
    async with asyncio.timeout(_PATIENCE):
        # Senders that wait for their readers would send nothing more.
        while len(await here.watcher.standing()) > _FEW:  # noqa: ASYNC110 - as below
            await asyncio.sleep(0.2)
        for reader in here.readers:
            reader.send_signal(signal.SIGSTOP)
        await here.gateway.end()
        here.backup.forget()
        here.backup.take()
        await here.serve()
        copies = len(here.watcher.copies)
        while len(here.watcher.copies) < copies + 5:  # noqa: ASYNC110 - the watcher tells nobody
            await asyncio.sleep(0.05)
    await here.gateway.end()
    here.note_rollback(here.backup.restore())


async def _die_at(here: World, point: str) -> None:
    """Let the gateway die at a point, and prepare what leads there. It is dead before, too."""
    await asyncio.to_thread(here.renew_roster)
    if point in ADOPTION:
        await _make_older(here)
    if point in WHERE_COPIES_ARE_MISSING and here.mosquitto is not None:
        here.backup.forget()
        here.mosquitto.kill()
        here.mosquitto.forget()
        here.mosquitto.start()
    await here.serve(die_at=point, ready=False)
    if point in AT_A_DEVICES_RETURN:
        await here.senders[0].end()
        await here.senders[0].start()
    assert await here.gateway.ended(_DIES_WITHIN) == -signal.SIGKILL, point
    for reader in here.readers:
        reader.send_signal(signal.SIGCONT)
