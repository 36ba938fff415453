"""Where the broker is: ``mqtt[s]://[user[:password]@]host[:port]``. Pure."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from device_sdk.errors import SettingsError

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_FORM = "expected mqtt[s]://[user[:password]@]host[:port]"


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokerUrl:
    """A broker URL taken apart. Its text is without user and password, fit for logs."""

    host: str
    port: int
    tls: bool
    user: str = ""
    password: str = ""

    @classmethod
    def parse(cls, url: str) -> "BrokerUrl":
        """Take a URL apart. Raises SettingsError, which never quotes it: it may hold a password."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise SettingsError(f"broker URL: {_FORM}, got a bad host or port") from None
        if parts.scheme not in _PORTS:
            raise SettingsError(f"broker URL: {_FORM}, got the scheme {parts.scheme or 'none'!r}")
        if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
            raise SettingsError(f"broker URL: {_FORM}, got less or more than that")
        if port == 0:
            raise SettingsError(f"broker URL: {_FORM}, got the port 0")
        if parts.password and not parts.username:
            raise SettingsError(f"broker URL: {_FORM}, got a password without a user")
        return cls(
            host=parts.hostname,
            port=port or _PORTS[parts.scheme],
            tls=parts.scheme == "mqtts",
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )

    def __str__(self) -> str:
        """Return the URL without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"
