"""Passphrases and passwords that the operator keeps in files."""

from pathlib import Path

from gateway.settings import SettingsError


def read_secret(path: Path | None, what: str) -> bytes | None:
    """Return what a file holds but for the end of its line; None without a file.

    Raises SettingsError.
    """
    if path is None:
        return None
    try:
        return path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise SettingsError(f"cannot read the {what} in {path}: {error.strerror}") from error


def read_password(path: Path | None) -> str | None:
    """Return the password that a file holds; None without a file. Raises SettingsError."""
    secret = read_secret(path, "password")
    try:
        return None if secret is None else secret.decode()
    except UnicodeDecodeError:
        raise SettingsError(f"expected a password in UTF-8 in {path}, got other bytes") from None
