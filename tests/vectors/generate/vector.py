"""What a vector is: a name, an input, and what must come of it."""

from typing import Any

Vector = dict[str, Any]


def good(name: str, given: dict[str, Any], expect: dict[str, Any]) -> Vector:
    """Return a vector that must be accepted, with the values that must come out."""
    return {"name": name, "input": given, "expect": expect}


def bad(name: str, given: dict[str, Any], error: str) -> Vector:
    """Return a vector that must be refused, with the kind of error."""
    return {"name": name, "input": given, "error": error}
