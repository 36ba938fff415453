"""A fleet with certificates, and a real Mosquitto that is configured for it."""

import shutil
import ssl
import time
from pathlib import Path
from typing import Literal

from device_sdk.identity import Identity
from device_sdk.wire import cose
from device_sdk.wire.join_request import JoinRequest
from device_sdk.wire.key_statement import KeyStatement
from device_sdk.wire.limits import DAY, READER_KEY_VALIDITY
from device_sdk.wire.roster_page import DeviceEntry
from gateway.owner.certificates import Authority, client_certificate, pem, root_authority
from gateway.owner.fleet import Fleet
from gateway.owner.mosquitto_config import BrokerPlan, write_configuration
from gateway.owner.signing import Members, open_roster, sign_roster
from tests.brokers.mosquitto import Mosquitto, free_port
from tests.support.envelopes import made_up_key
from tests.support.peer import Peer

Transport = Literal["tcp", "websockets"]


class TlsFleet:
    """An owner's fleet of ``gw-1``, ``gw-2``, ``hub``, and ``lost``, which is then revoked."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.identities: dict[str, Identity] = {}
        self.fleet = Fleet.create(
            directory / "fleet", name="home", passphrase=None, now=int(time.time())
        )
        for name in ("gw-1", "gw-2"):
            self.admit(name, "gateway")
        for name in ("hub", "lost"):
            self.admit(name)
        self.chains = {name: self._issued(name) for name in self.identities}
        for name in ("operator", "join", "anonymous"):
            self.identities[name] = Identity.generate()
            self.chains[name] = self.issue(name, self.identities[name])

    @property
    def authority(self) -> Authority:
        """The owner, as who signs certificates."""
        head, now = self.fleet.roster().head, int(time.time())
        return self.fleet.broker_files.authority(self.fleet.root, head, now=now)

    def admit(self, name: str, role: str = "device") -> None:
        """Admit a member with keys of its own."""
        identity, now = Identity.generate(), int(time.time())
        statement = b""
        if role == "device":
            stated = KeyStatement(
                device=name,
                spki=made_up_key(),
                not_before=now,
                not_after=now + READER_KEY_VALIDITY,
                serial=now,
            )
            statement = cose.sign(stated, identity, cose.FLEETLESS_AAD)
        request = JoinRequest(
            name=name, identity_spki=identity.spki, time=now, key_statement=statement
        )
        signed = cose.sign(request, identity, cose.FLEETLESS_AAD)
        self.fleet.admit(signed, role=role, now=now)
        self.identities[name] = identity

    def revoke(self, name: str) -> None:
        """Sign a roster that revokes a member."""
        before, now = self.fleet.roster(), int(time.time())
        old = before.devices[name]
        entry = DeviceEntry(
            identities=old.identities,
            roles=old.roles,
            not_after=old.not_after,
            revoked_at=before.version + 1,
        )
        data = sign_roster(
            Members(devices={**before.devices, name: entry}, channels=before.channels),
            root=self.fleet.root,
            pin=self.fleet.pin,
            previous=before.version,
            now=now,
            validity=365 * DAY,
        )
        roster = open_roster(data, self.fleet.pin)
        (self.fleet.directory / "private/roster").write_bytes(data)
        self.fleet.broker_files.write(roster, self.fleet.root, now=now)
        (self.fleet.directory / "public/roster").write_bytes(data)

    def _issued(self, name: str) -> bytes:
        return (self.fleet.directory / "public/certs" / name).read_bytes()

    def issue(
        self,
        name: str,
        identity: Identity,
        authority: Authority | None = None,
        *,
        validity: int = DAY,
    ) -> bytes:
        """Return a certificate in PEM that no roster knows of."""
        authority, now = authority or self.authority, int(time.time())
        own = client_certificate(
            authority, name=name, spki=identity.spki, now=now - 2 * DAY, not_after=now + validity
        )
        return pem([own, *authority.chain])

    def context(self, identity: Identity | None, chain: bytes = b"") -> ssl.SSLContext:
        """Return a client's TLS context: the fleet's authority, and a certificate if given."""
        context = ssl.create_default_context(cafile=str(self.fleet.directory / "public/ca.pem"))
        if identity is not None:
            identity.present(context, chain)
        return context

    def peer(self, name: str, transport: Transport = "tcp") -> Peer:
        """Return a member, an operator or a joiner that is about to connect."""
        context = self.context(self.identities[name], self.chains[name])
        return Peer(name, transport=transport, tls=context)


class TlsBroker:
    """Mosquitto with the configuration that ``sealgate broker config`` writes."""

    def __init__(self, tls: TlsFleet, program: str) -> None:
        self.fleet = tls
        self.out = tls.directory / "broker"
        self.plan = BrokerPlan(
            hosts=["localhost", "127.0.0.1"], port=free_port(), websockets=free_port()
        )
        self.refresh()
        self.mosquitto = Mosquitto(
            tls.directory, program=program, configuration=self.out / "mosquitto.conf"
        )
        self.mosquitto.port = self.plan.port

    def refresh(self) -> None:
        """What the owner does after a change."""
        write_configuration(self.fleet.fleet, self.out, self.plan, now=int(time.time()))

    def port(self, transport: Transport) -> int:
        """Where it listens."""
        return self.plan.port if transport == "tcp" else self.plan.websockets

    @property
    def url(self) -> str:
        """For devices and gateways."""
        return f"mqtts://127.0.0.1:{self.plan.port}"


def foreign_authority() -> Authority:
    """Return the owner of another fleet."""
    return root_authority(Identity.generate(), now=int(time.time()))


def copy_bundle(fleet: Fleet, to: Path) -> Path:
    """Give the public bundle away."""
    return Path(shutil.copytree(fleet.directory / "public", to))
