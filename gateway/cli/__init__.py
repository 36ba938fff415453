"""The command ``sealgate``. Owner, gateway and device each have their own group of commands."""

import sys

try:
    from gateway.cli.main import main
except ModuleNotFoundError as error:
    if error.name not in ("typer", "rich"):
        raise

    def main() -> None:
        """Stand in for the command line where it was not installed."""
        sys.exit("sealgate: the command line needs: pip install 'sealgate[cli]'")


__all__ = ["main"]
