"""A directory with which Mosquitto 2 runs for a fleet, and for nobody else.

``mosquitto.conf``, ``acl``, ``ca.pem``, ``crl.pem``, ``server.pem`` and ``server.key``. Writing it
again brings all of it up to date, but for the key, which stays.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from device_sdk.identity import Identity
from device_sdk.wire.certificates import first_in_pem, public_key
from device_sdk.wire.errors import MalformedError
from device_sdk.wire.limits import DAY
from device_sdk.wire.topics import DEFAULT_PREFIX
from gateway.files import write_whole
from gateway.owner.certificates import pem, server_certificate
from gateway.owner.certificates_bundle import ACL_FILE, CA_FILE, CRL_FILE, GRACE
from gateway.owner.errors import FleetError
from gateway.owner.fleet import Fleet
from gateway.owner.mosquitto_acl import acl_of

CONFIGURATION, SERVER_CERTIFICATE, SERVER_KEY = "mosquitto.conf", "server.pem", "server.key"

_KEPT = 14 * DAY
"""Seconds before its end from which on a certificate by a former root is replaced."""

_HEAD = """\
# Mosquitto 2 for a Sealgate fleet, written by sealgate broker config: change it there.
# Whoever connects has a certificate of the fleet's owner; its common name is the user name.

per_listener_settings false
allow_anonymous false
acl_file {path}/acl

# The gateway publishes again what the broker forgets: what is kept on disk only saves time, and
# leaves cleared ciphertext in old files. So nothing is kept.
persistence false

# The largest envelope: 256 KiB of payload to 1,000 readers, and MQTT's own header.
message_size_limit 1200000
# The defaults drop QoS 1 messages of a slow subscriber, silently (1,000 queued, 20 in flight).
# Nothing is lost to Sealgate, since the gateway's ledger is the truth, but it is sent again later.
max_queued_messages 100000
max_queued_bytes 0
max_inflight_messages 200
# Send small packets at once. Without it every message waits up to 40 ms for an acknowledgement.
set_tcp_nodelay true

log_dest stdout
log_type error
log_type warning
log_type notice
"""

_LISTENER = """
listener {port} {listen}
# Without this, 2.0.11 listens for WebSockets on every address of the machine.
socket_domain {domain}
{protocol}cafile {path}/ca.pem
certfile {path}/server.pem
keyfile {path}/server.key
crlfile {path}/crl.pem
tls_version tlsv1.2
require_certificate true
use_identity_as_username true
# Client id = user name: nobody can throw another device's connection out by taking its client id.
use_username_as_clientid true
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokerPlan:
    """Where a broker is to listen, and what it is called."""

    hosts: Sequence[str]
    """DNS names and IP addresses by which devices reach it."""
    listen: str = "127.0.0.1"
    """An IP address of the broker's machine."""
    port: int = 8883
    websockets: int = 8884
    """The port for MQTT over WebSockets; 0 for none."""
    path: str = ""
    """Where the directory lies on the broker's machine; empty for where it is written."""
    prefix: str = DEFAULT_PREFIX


def write_configuration(fleet: Fleet, out: Path, plan: BrokerPlan, *, now: int) -> Path:
    """Write or refresh the directory; return the path of ``mosquitto.conf``.

    Raises:
        FleetError: no usable host name, a path that Mosquitto cannot read, or a damaged fleet.
        KeyFileError: the broker's key from before is damaged or open to others.
        OSError: it cannot be written.
    """
    path = plan.path or str(out.absolute())
    configuration = _configuration(path, plan)
    if not path.isprintable() or path != path.strip():
        raise FleetError(f"Mosquitto reads paths up to the line's end: {path!r} cannot be one")
    roster = fleet.roster()
    authority = fleet.broker_files.write(roster, fleet.root, now=now)
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    spki = _server_key(out / SERVER_KEY).spki
    if not _is_still_good(fleet, out / SERVER_CERTIFICATE, spki, now=now):
        certificate = server_certificate(
            authority, hosts=plan.hosts, spki=spki, now=now, not_after=roster.expires + GRACE
        )
        write_whole(out / SERVER_CERTIFICATE, pem([certificate, *authority.chain[:-1]]))
    for name in (CA_FILE, CRL_FILE):
        write_whole(out / name, (fleet.broker_files.public / name).read_bytes())
    write_whole(out / ACL_FILE, acl_of(roster, now=now, prefix=plan.prefix).encode(), mode=0o600)
    write_whole(out / CONFIGURATION, configuration.encode())
    return out / CONFIGURATION


def _is_still_good(fleet: Fleet, path: Path, spki: bytes, *, now: int) -> bool:
    """Tell whether the broker should keep its certificate by a former root for a while.

    Devices learn of a new root's authority through the broker, and must believe it until then.
    """
    try:
        known = first_in_pem(path.read_bytes())
    except (FileNotFoundError, MalformedError):
        return False
    return (
        public_key(known) == spki
        and known.not_valid_after_utc.timestamp() > now + _KEPT
        and fleet.broker_files.is_by_a_former_root(known, fleet.roster().head, now=now)
    )


def _server_key(path: Path) -> Identity:
    if path.exists():
        return Identity.load(path, None)
    key = Identity.generate()
    key.save(path, None)
    return key


def _configuration(path: str, plan: BrokerPlan) -> str:
    parts = [_HEAD.format(path=path), _listener(path, plan, plan.port)]
    if plan.websockets:
        parts.append(_listener(path, plan, plan.websockets, "protocol websockets\n"))
    return "".join(parts)


def _listener(path: str, plan: BrokerPlan, port: int, protocol: str = "") -> str:
    try:
        version = ipaddress.ip_address(plan.listen).version
    except ValueError:
        raise FleetError(f"expected an IP address to listen on, got {plan.listen[:80]!r}") from None
    return _LISTENER.format(
        port=port, listen=plan.listen, domain=f"ipv{version}", path=path, protocol=protocol
    )
