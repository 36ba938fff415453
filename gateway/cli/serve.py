"""``sealgate serve``: runs a gateway."""

EXAMPLE = "Example: sealgate serve --data ./gateway-data --bundle ./fleet/public"


def serve() -> None:
    """Run a gateway."""
    raise NotImplementedError
