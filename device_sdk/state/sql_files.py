"""SQL with names, from the files in ``sql``: numbered migrations, and queries by what they do."""

from collections.abc import Mapping
from importlib import resources

_FILES = resources.files(__package__).joinpath("sql")
_NAME = "-- name: "


def migrations() -> list[str]:
    """Return the scripts that make and change the tables, oldest first."""
    numbered = [file for file in _FILES.iterdir() if file.name[0].isdigit()]
    return [script.read_text() for script in sorted(numbered, key=lambda file: file.name)]


def queries(file: str) -> Mapping[str, str]:
    """Return the statements of ``sql/{file}.sql`` by the names that stand above them."""
    text = _FILES.joinpath(f"{file}.sql").read_text()
    blocks = (block.partition("\n") for block in text.split(_NAME)[1:])
    return {name.strip(): sql.strip() for name, _, sql in blocks}
