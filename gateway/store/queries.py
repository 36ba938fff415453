"""SQL lives in files: named queries and numbered migrations, read once."""

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_MIGRATION = re.compile(r"(\d{4})_\w+\.sql")


@cache
def queries(file: str = "queries") -> dict[str, str]:
    """Return every statement of ``sql/queries.sql``, or of another file, by its name."""
    text = (files(__package__) / "sql" / f"{file}.sql").read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    return dict(zip(parts[::2], (part.strip() for part in parts[1::2]), strict=True))


@cache
def migrations() -> tuple[str, ...]:
    """Return the scripts that lead from an empty file to today's schema, the first one first."""
    folder = files(__package__) / "sql"
    found = {
        int(match[1]): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if (match := _MIGRATION.fullmatch(entry.name))
    }
    return tuple(found[number] for number in range(1, len(found) + 1))
