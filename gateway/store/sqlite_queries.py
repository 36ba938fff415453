"""How a named query is run, for all that look into a SQLite ledger or change it."""

import sqlite3
from typing import Any

from gateway.store.queries import queries


class SqliteQueries:
    """Runs named queries inside a transaction that `gateway.store.sqlite` began."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use a connection whose transaction is open."""
        self._connection = connection
        self._queries = queries()

    def _run(self, name: str, **values: Any) -> sqlite3.Cursor:
        return self._connection.execute(self._queries[name], values)

    def _one(self, name: str, **values: Any) -> Any:
        return self._run(name, **values).fetchone()

    def _all(self, name: str, **values: Any) -> list[Any]:
        return self._run(name, **values).fetchall()

    def _number(self, name: str, **values: Any) -> int:
        row = self._one(name, **values)
        return int(row[0]) if row else 0
