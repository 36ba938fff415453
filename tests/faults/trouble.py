"""Everything that is broken on purpose: each function breaks something and lets it work again.

What a fault leaves is the product's own business. Only what no system could survive is left out:
the ledger is never taken back while the broker may have lost something (see `Backup`).
"""

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable

from tests.faults.proxy import Proxy
from tests.faults.world import Program, World
from tests.faults.wrong_clock import YEAR

Trouble = Callable[[World, random.Random], Awaitable[None]]


# ---------------------------------------------------------------------------- kill -9


async def kill_gateway(world: World, _: random.Random) -> None:
    """`kill -9` the gateway, and with it the embedded broker, and start it again."""
    await world.gateway.end()
    world.backup.take()
    await world.serve()


async def kill_broker(world: World, _: random.Random) -> None:
    """`kill -9` Mosquitto: it comes back with what it saved last, sessions included."""
    assert world.mosquitto is not None
    world.backup.forget()
    await asyncio.to_thread(world.mosquitto.restart, kill=True)


async def lose_broker(world: World, _: random.Random) -> None:
    """The same, and its files are lost as well."""
    assert world.mosquitto is not None
    world.backup.forget()
    await asyncio.to_thread(world.mosquitto.kill)
    world.mosquitto.forget()
    await asyncio.to_thread(world.mosquitto.start)


async def save_broker(world: World, _: random.Random) -> None:
    """Let Mosquitto save what it has, to come back with it at its next kill: old by then."""
    assert world.mosquitto is not None
    world.mosquitto.save()


async def kill_both(world: World, chance: random.Random) -> None:
    """`kill -9` gateway and broker at about the same moment, in any order."""
    assert world.mosquitto is not None
    world.backup.forget()
    first = chance.random() < 0.5
    if first:
        await world.gateway.end()
    await asyncio.to_thread(world.mosquitto.kill)
    await asyncio.sleep(chance.uniform(0, 0.2))
    await world.gateway.end()
    await asyncio.to_thread(world.mosquitto.start)
    await world.serve()


async def kill_device(world: World, chance: random.Random) -> None:
    """`kill -9` a sender or a reader, and start it again on the same directory."""
    device = chance.choice([*world.senders, *world.readers])
    await device.end()
    await device.start()


# ---------------------------------------------------------------------------- hanging


async def stop_gateway(world: World, chance: random.Random) -> None:
    """Let the gateway hang for seconds."""
    await _hang(world.gateway, chance)


async def stop_device(world: World, chance: random.Random) -> None:
    """Let a device hang for seconds."""
    await _hang(chance.choice([*world.senders, *world.readers]), chance)


async def _hang(program: Program, chance: random.Random) -> None:
    program.send_signal(signal.SIGSTOP)
    await asyncio.sleep(chance.uniform(0.5, 3))
    program.send_signal(signal.SIGCONT)


async def stop_broker(world: World, chance: random.Random) -> None:
    """Let Mosquitto hang for seconds."""
    assert world.mosquitto is not None
    world.mosquitto.send_signal(signal.SIGSTOP)
    await asyncio.sleep(chance.uniform(0.5, 3))
    world.mosquitto.send_signal(signal.SIGCONT)


# ---------------------------------------------------------------------------- the network


async def cut(world: World, chance: random.Random) -> None:
    """Reset connections."""
    _line(world, chance).cut()


async def cut_in_a_packet(world: World, chance: random.Random) -> None:
    """Reset connections within the next bytes, most often in the middle of a packet."""
    line = _line(world, chance)
    line.cut_after(chance.randint(1, 20_000))
    await asyncio.sleep(0.5)
    line.mend()


async def freeze(world: World, chance: random.Random) -> None:
    """Leave connections half open for seconds, and then go on or reset them."""
    line = _line(world, chance)
    line.freeze()
    await asyncio.sleep(chance.uniform(0.5, 3))
    if chance.random() < 0.5:
        line.cut()
    line.mend()


async def delay(world: World, chance: random.Random) -> None:
    """Hold up every packet for a while."""
    line = _line(world, chance)
    line.delay(chance.uniform(0.02, 0.3))
    await asyncio.sleep(chance.uniform(0.5, 3))
    line.mend()


def _line(world: World, chance: random.Random) -> Proxy:
    return chance.choice([world.to_devices, world.to_gateway])


# ---------------------------------------------------------------------------- the disk


async def fill_disk(world: World, chance: random.Random, seconds: float = 0.0) -> None:
    """Fill the disk of the gateway's directory, and make room again after some seconds."""
    filler = world.data / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    await asyncio.sleep(seconds or chance.uniform(1, 4))
    filler.unlink()


async def fail_disk(world: World, chance: random.Random) -> None:
    """Let every sync, or every write, of the gateway fail for a while."""
    call = chance.choice(["fdatasync,fsync:error=EIO", "pwrite64:error=ENOSPC"])
    async with failing(world.gateway.pid, call):
        await asyncio.sleep(chance.uniform(0.5, 2))


@contextlib.asynccontextmanager
async def failing(pid: int, calls: str) -> AsyncIterator[None]:
    """Let system calls of a process fail, such as ``fdatasync:error=EIO``."""
    names = calls.partition(":")[0]
    strace = await asyncio.create_subprocess_exec(
        *("strace", "-f", "-qq", "-p", str(pid), "-o", os.devnull),
        *("-e", f"trace={names}", "-e", f"inject={calls}"),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        if strace.returncode is None:
            strace.send_signal(signal.SIGINT)
        await strace.wait()


# ---------------------------------------------------------------------------- the clock


async def jump_clock(world: World, chance: random.Random) -> None:
    """Let the gateway's clock be a year off for seconds, and perhaps start it in that year."""
    world.clock.set(chance.choice([YEAR, -YEAR]))
    await asyncio.sleep(chance.uniform(0.5, 2))
    if chance.random() < 0.3:
        await world.gateway.end()
        await world.serve()
    world.clock.set(0)


# ---------------------------------------------------------------------------- an old ledger


async def roll_back(world: World, _: random.Random) -> None:
    """`kill -9` the gateway and give it a ledger of some time ago."""
    if not world.backup.is_there:
        return
    await world.gateway.end()
    world.note_rollback(world.backup.restore())
    await asyncio.to_thread(world.renew_roster)  # so that the log grows in another way than before
    await world.serve()


# ---------------------------------------------------------------------------- which, and how often

KILLS: dict[str, Trouble] = {
    "kill-gateway": kill_gateway,
    "kill-broker": kill_broker,
    "lose-broker": lose_broker,
    "kill-both": kill_both,
}
DEVICES: dict[str, Trouble] = {"kill-device": kill_device, "stop-device": stop_device}
NETWORK: dict[str, Trouble] = {
    "cut": cut,
    "cut-in-a-packet": cut_in_a_packet,
    "freeze": freeze,
    "delay": delay,
}
HANGING: dict[str, Trouble] = {"stop-gateway": stop_gateway, "stop-broker": stop_broker}
DISK: dict[str, Trouble] = {"fill-disk": fill_disk, "fail-disk": fail_disk}
CLOCK: dict[str, Trouble] = {"jump-clock": jump_clock}
LEDGER: dict[str, Trouble] = {"roll-back": roll_back}
BROKERS_OWN = frozenset(
    {"kill-broker", "lose-broker", "kill-both", "stop-broker", "save-broker", "roll-back"}
)
"""What cannot happen to a broker that lives in the gateway."""
EVERYTHING = {
    **KILLS,
    **DEVICES,
    **NETWORK,
    **HANGING,
    **DISK,
    **CLOCK,
    **LEDGER,
    "save-broker": save_broker,
}
