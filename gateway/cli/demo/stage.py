"""Before the story begins: a fleet, a gateway with its broker, a sender and three readers."""

import shlex
import stat
from dataclasses import dataclass
from pathlib import Path

from gateway.cli.demo.processes import Running, Workshop
from gateway.cli.demo.screen import Screen

GATEWAY, SENDER = "gw-1", "thermo-1"
READERS = ("hub", "phone", "attic")
LATE = READERS[-1]
"""Switched off until the others have read."""
DEVICES = (SENDER, *READERS)
_ALL_OTHERS = "and the other three"
_PRIVATE = ("fleet/private", GATEWAY, *DEVICES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """What runs once everybody is in place."""

    gateway: Running
    gateway_data: Path
    host: str
    port: int
    password: str
    """The operator's, who may read everything at the broker."""


def do(shop: Workshop, screen: Screen, *arguments: str) -> list[str]:
    """Show a command, run it, and return the lines that it printed."""
    screen.command(shlex.join(arguments))
    return shop.run(*arguments)


def make_everybody(shop: Workshop, screen: Screen) -> None:
    """Make the owner's fleet and everybody's keys, and admit them all."""
    screen.step("An owner makes a fleet. All others make their own keys, and ask to join")
    do(shop, screen, "fleet", "init", "./fleet", "--name", "home", "--no-passphrase")
    do(shop, screen, "gateway", "init", GATEWAY, "--data", f"./{GATEWAY}")
    with screen.waiting("making RSA-3072 keys ..."):
        screen.command(f"device init {SENDER} --dir ./{SENDER}", _ALL_OTHERS)
        making = [shop.start("device", "init", name, "--dir", f"./{name}") for name in DEVICES]
        for process in making:
            process.finish()
    request = f"./{GATEWAY}/join-request"
    do(shop, screen, "fleet", "admit", "./fleet", request, "--role", "gateway")
    with screen.waiting("admitting the devices ..."):
        screen.command(f"fleet admit ./fleet ./{SENDER}/join-request", _ALL_OTHERS)
        for name in DEVICES:
            shop.run("fleet", "admit", "./fleet", f"./{name}/join-request")
    screen.fact(
        "private keys only where they were made, in files of mode 600; none in the bundle",
        _keys_are_private(shop.directory),
    )


def start_gateway(shop: Workshop, screen: Screen) -> Stage:
    """Start a gateway with a broker of its own, and tell the devices where it is."""
    screen.step("A gateway starts, with a broker of its own")
    arguments = (
        "serve",
        "--data",
        f"./{GATEWAY}",
        "--bundle",
        "./fleet/public",
        "--listen",
        "127.0.0.1:0",
    )
    screen.command(shlex.join(arguments))
    gateway = shop.start(*arguments)
    with screen.waiting("starting ..."):
        url = gateway.line().removeprefix("ready ")
        root = "./fleet/public/root.pub"
        screen.command(f"device trust {root} --dir ./{SENDER} --broker {url}", _ALL_OTHERS)
        for name in DEVICES:
            shop.run("device", "trust", root, "--dir", f"./{name}", "--broker", url)
    host, port = url.removeprefix("mqtt://").rsplit(":", 1)
    data = shop.directory / GATEWAY
    return Stage(
        gateway=gateway,
        gateway_data=data,
        host=host,
        port=int(port),
        password=(data / "operator-password").read_text().strip(),
    )


def _keys_are_private(directory: Path) -> bool:
    keys = [list((directory / name).glob("*.pem")) for name in _PRIVATE]
    modes = {stat.S_IMODE(key.stat().st_mode) for found in keys for key in found}
    rooms = {stat.S_IMODE((directory / name).stat().st_mode) for name in _PRIVATE}
    bundle = [path for path in (directory / "fleet/public").rglob("*") if path.is_file()]
    leaked = any(b"PRIVATE KEY" in path.read_bytes() for path in bundle)
    return all(keys) and modes == {0o600} and rooms == {0o700} and not leaked
