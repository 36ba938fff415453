"""Who may log in at the embedded broker: the roster's active devices and gateways by their tokens,
and one operator account that sees everything and changes nothing (PROTOCOL 12)."""

import hmac
import secrets
from pathlib import Path

from device_sdk.trust import Roster
from device_sdk.wire.errors import SealgateError
from device_sdk.wire.login import make_token, parse_token, verify_token
from device_sdk.wire.names import is_name
from device_sdk.wire.roster_page import ROLE_DEVICE, ROLE_GATEWAY
from gateway.access import Client, Role
from gateway.files import write_whole
from gateway.keeper import Keeper
from gateway.link.port import Credentials

OPERATOR, JOIN, ANONYMOUS = "operator", str(Role.JOINER), str(Role.ANONYMOUS)
OPERATOR_FILE = "operator-password"
_ROLES = ((ROLE_GATEWAY, Role.GATEWAY), (ROLE_DEVICE, Role.DEVICE))
_PASSWORD_BYTES = 24


def operator_password(data: Path) -> str:
    """Return the operator's password, made at the first start in a file of mode 0600."""
    path = data / OPERATOR_FILE
    if not path.exists():
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        write_whole(path, f"{password}\n".encode(), mode=0o600)
    return path.read_text().strip()


def own_credentials(keeper: Keeper, name: str) -> Credentials:
    """Return a fresh login token of the gateway itself."""
    token = make_token(
        name,
        audience=keeper.pin.fingerprint,
        now=keeper.wall,
        signer=keeper.identity,
        aad=keeper.pin.aad,
    )
    return Credentials(user=name, password=token)


class Doorkeeper:
    """Tells the embedded broker who a client is. Before there is a roster nobody gets in."""

    def __init__(self, keeper: Keeper, operator: str) -> None:
        self._keeper = keeper
        self._operator = operator.encode()

    def __call__(self, client_id: str, user: str, password: str) -> Client | None:
        """Return the client, or None if user name and password prove nothing."""
        roster = self._keeper.situation.roster
        if user == OPERATOR and hmac.compare_digest(password.encode(), self._operator):
            return Client(name=OPERATOR, role=Role.OPERATOR)
        if roster is None:
            return None
        if user == JOIN:
            # It can only ask: the owner finds out, by a ticket's code, who that is.
            return Client(name=client_id, role=Role.JOINER) if is_name(client_id) else None
        if user == ANONYMOUS:
            return Client(name=ANONYMOUS, role=Role.ANONYMOUS)
        for roster_role, role in _ROLES:
            if roster.is_active(user, self._keeper.wall, roster_role):
                known = self._is_proven(roster, user, password, roster_role)
                return Client(name=user, role=role) if known else None
        return None

    def _is_proven(self, roster: Roster, user: str, token: str, role: str) -> bool:
        try:
            unverified = parse_token(token)
            login = verify_token(
                unverified,
                key=roster.identity(user, unverified.kid, role),
                audience=self._keeper.pin.fingerprint,
                now=self._keeper.wall,
                aad=self._keeper.pin.aad,
            )
        except SealgateError:
            return False
        return login.name == user
