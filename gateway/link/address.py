"""Where a broker is: mqtt:// and mqtts:// URLs."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from gateway.link.port import Credentials, LinkError

_PORTS = {"mqtt": 1883, "mqtts": 8883}


class BrokerAddressError(LinkError):
    """A broker URL of another form than ``mqtt[s]://[user[:password]@]host[:port]``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokerAddress:
    """A broker URL taken apart."""

    host: str
    port: int
    tls: bool
    user: str = ""
    password: str = ""

    def __str__(self) -> str:
        """Return the URL without user and password, for logs."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"

    def credentials(self, password: str | None = None) -> Credentials | None:
        """Return the URL's user with its password, or with the one from a file; None without."""
        if not self.user:
            return None
        return Credentials(user=self.user, password=self.password if password is None else password)


def parse_address(url: str) -> BrokerAddress:
    """Take a broker URL apart. Raises BrokerAddressError, which never quotes the URL."""
    form = "expected mqtt[s]://[user[:password]@]host[:port]"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BrokerAddressError(f"broker URL: {form}, got a bad host or port") from error
    if parts.scheme not in _PORTS:
        raise BrokerAddressError(f"broker URL: {form}, got the scheme {parts.scheme or 'none'}")
    if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise BrokerAddressError(f"broker URL: {form}, got more or less than that")
    if port == 0:
        raise BrokerAddressError(f"broker URL: {form}, got the port 0")
    if parts.password and not parts.username:
        raise BrokerAddressError(f"broker URL: {form}, got a password without a user")
    return BrokerAddress(
        host=parts.hostname,
        port=_PORTS[parts.scheme] if port is None else port,
        tls=parts.scheme == "mqtts",
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )
