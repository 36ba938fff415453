"""``python -m gateway.cli`` is ``sealgate``."""

from gateway.cli import main

if __name__ == "__main__":
    main()
