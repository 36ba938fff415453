"""``sealgate demo``: a sealed message's whole way on this machine, every step checked."""

EXAMPLE = "Example: sealgate demo"


def demo() -> None:
    """Show a sealed message's whole way on this machine, and check every step of it."""
    raise NotImplementedError
