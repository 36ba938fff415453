"""``sealgate demo``: a sealed message's whole way on this machine, every step checked."""

import time

from gateway.cli.terminal import NotInstalledError

EXAMPLE = "Example: sealgate demo"


def demo() -> None:
    """Show a sealed message's whole way on this machine, checked step by step.

    A gateway with a broker inside, a sender and three readers run as processes of their own, on
    free ports and in a temporary directory; nothing of them is left when the demo ends. It succeeds
    only if every fact that it shows was checked.
    """
    try:
        import amqtt  # noqa: F401 - `serve` needs it, and would say so too late
        import psutil  # noqa: F401
        import structlog  # noqa: F401
    except ModuleNotFoundError as error:
        raise NotInstalledError("the demo needs: pip install 'sealgate[all]'") from error
    from rich.console import Console

    from gateway.cli.demo.facts import DemoError
    from gateway.cli.demo.processes import Workshop
    from gateway.cli.demo.screen import Screen
    from gateway.cli.demo.snooper import Snooper
    from gateway.cli.demo.stage import make_everybody, start_gateway
    from gateway.cli.demo.story import Story

    screen, began = Screen(Console(highlight=False)), time.monotonic()
    screen.title(
        "One message: sealed by a sensor, held for three readers, read, and gone",
        "Lines with $ are commands that you could type; what has a ✓ was checked just now.",
    )
    with Workshop() as shop:
        make_everybody(shop, screen)
        stage = start_gateway(shop, screen)
        with Snooper(stage.host, stage.port, stage.password) as snooper:
            try:
                Story(shop, screen, stage, snooper).tell()
            except DemoError:
                screen.log(["The gateway's last words:", *stage.gateway.log.splitlines()[-5:]])
                raise
    screen.end(f"All {screen.facts} facts hold. {time.monotonic() - began:.0f} s.")
