"""The owner as an authority: what its certificates say, and what TLS makes of them."""

import contextlib
import ssl
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from device_sdk.identity import Identity
from device_sdk.wire.certificates import verify_certificates
from device_sdk.wire.errors import MalformedError, SignatureError
from device_sdk.wire.limits import DAY
from gateway.owner.certificates import (
    Authority,
    client_certificate,
    granted_authority,
    pem,
    revocation_list,
    root_authority,
    server_certificate,
)
from gateway.owner.errors import FleetError

from .conftest import NOW

UNTIL = NOW + 365 * DAY


@pytest.fixture(scope="module")
def owner() -> Identity:
    return Identity.generate()


@pytest.fixture(scope="module")
def root(owner: Identity) -> Authority:
    return root_authority(owner, now=NOW)


def der(*certificates: x509.Certificate) -> list[bytes]:
    return [one.public_bytes(Encoding.DER) for one in certificates]


def issue(authority: Authority, identity: Identity, name: str = "hub") -> x509.Certificate:
    return client_certificate(authority, name=name, spki=identity.spki, now=NOW, not_after=UNTIL)


def test_a_members_certificate_leads_to_the_owner(owner: Identity, root: Authority) -> None:
    hub = Identity.generate()
    member = verify_certificates(
        der(issue(root, hub), *root.chain), name="hub", identities=[hub.spki], owners=[owner.spki]
    )
    assert (member.not_before, member.not_after) == (NOW - 300, UNTIL)


def test_a_granted_owners_certificates_lead_to_the_root(owner: Identity, root: Authority) -> None:
    second, hub = Identity.generate(), Identity.generate()
    granted = granted_authority(second.spki, root, now=NOW)
    assert not isinstance(second.key, rsa.RSAPrivateKey)
    authority = Authority(key=second.key, chain=(granted, *root.chain))
    chain = der(issue(authority, hub), *authority.chain)
    verify_certificates(chain, name="hub", identities=[hub.spki], owners=[owner.spki])
    with pytest.raises(SignatureError, match="not by an owner"):
        verify_certificates(chain, name="hub", identities=[hub.spki], owners=[second.spki])


def test_an_authority_of_anothers_making_is_not_believed(owner: Identity) -> None:
    hub, mallory = Identity.generate(), root_authority(Identity.generate(), now=NOW)
    chain = der(issue(mallory, hub), *mallory.chain)
    with pytest.raises(SignatureError, match="not by an owner"):
        verify_certificates(chain, name="hub", identities=[hub.spki], owners=[owner.spki])


def test_a_member_cannot_sign_for_another(owner: Identity, root: Authority) -> None:
    hub, lamp = Identity.generate(), Identity.generate()
    own = issue(root, hub)
    assert not isinstance(hub.key, rsa.RSAPrivateKey)
    forged = issue(Authority(key=hub.key, chain=(own,)), lamp, "lamp")
    with pytest.raises(SignatureError, match="no authority"):
        verify_certificates(
            der(forged, own, *root.chain),
            name="lamp",
            identities=[lamp.spki],
            owners=[owner.spki],
        )


def test_a_certificate_is_for_its_name_and_key_only(owner: Identity, root: Authority) -> None:
    hub, other = Identity.generate(), Identity.generate()
    chain = der(issue(root, hub), *root.chain)
    for name, identity in (("lamp", hub), ("hub", other)):
        with pytest.raises(SignatureError):
            verify_certificates(chain, name=name, identities=[identity.spki], owners=[owner.spki])


def test_a_brokers_certificate_is_no_members(owner: Identity, root: Authority) -> None:
    hub = Identity.generate()
    broker = server_certificate(root, hosts=["hub"], spki=hub.spki, now=NOW, not_after=UNTIL)
    for name in ("hub", "sealgate broker"):
        with pytest.raises((MalformedError, SignatureError)):
            verify_certificates(
                der(broker, *root.chain), name=name, identities=[hub.spki], owners=[owner.spki]
            )


def test_a_broker_is_named_by_all_its_hosts(root: Authority) -> None:
    made = server_certificate(
        root,
        hosts=["broker.example", "192.0.2.1", "::1"],
        spki=Identity.generate().spki,
        now=NOW,
        not_after=UNTIL,
    )
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["broker.example"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1", "::1"]
    (common,) = made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert " " in str(common.value)


@pytest.mark.parametrize(
    "host", ["", "mqtts://broker", "a b", "broker:8883", "b\u00fccher.example"]
)
def test_what_is_no_host_gets_no_certificate(root: Authority, host: str) -> None:
    with pytest.raises(FleetError, match="host name"):
        server_certificate(root, hosts=[host], spki=root_spki(), now=NOW, not_after=UNTIL)


def root_spki() -> bytes:
    return Identity.generate().spki


def test_serial_numbers_are_random_and_at_most_20_bytes(root: Authority) -> None:
    hub = Identity.generate()
    serials = [issue(root, hub).serial_number for _ in range(20)]
    assert len(set(serials)) == 20
    assert all(0 < serial < 2**160 for serial in serials)
    assert max(serials) > 2**140


def test_the_revocation_list_names_serials_and_when(owner: Identity, root: Authority) -> None:
    crl = revocation_list(root, {7: NOW, 9: NOW - 5}, number=NOW, now=NOW, not_after=UNTIL)
    assert crl.is_signature_valid(root.key.public_key())
    assert {one.serial_number for one in crl} == {7, 9}
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == NOW
    key = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert key.key_identifier == owner.kid


def test_an_rsa_owner_is_no_authority(rsa_keys: list[rsa.RSAPrivateKey]) -> None:
    with pytest.raises(FleetError, match="ES256"):
        root_authority(Identity.from_key(rsa_keys[0]), now=NOW)


def test_openssl_takes_the_certificates_for_what_they_are(root: Authority, tmp_path: Path) -> None:
    """An independent reader of the profile: a whole handshake, in memory."""
    broker, hub = Identity.generate(), Identity.generate()
    now = int(time.time())
    alive = Authority(
        key=root.key, chain=root_authority(Identity.from_key(root.key), now=now).chain
    )
    (tmp_path / "ca").write_bytes(pem(alive.chain))
    served = server_certificate(
        alive, hosts=["127.0.0.1"], spki=broker.spki, now=now, not_after=now + DAY
    )
    member = client_certificate(alive, name="hub", spki=hub.spki, now=now, not_after=now + DAY)
    both = [(broker, served), (hub, member)]
    for index, (identity, certificate) in enumerate(both):
        key = identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / str(index)).write_bytes(key + pem([certificate, *alive.chain]))
    assert handshake(tmp_path, server=0, client=1) == "hub"
    # Neither can stand in for the other: a member is no broker, and a broker no member.
    with pytest.raises(ssl.SSLError):
        handshake(tmp_path, server=1, client=1)
    with pytest.raises(ssl.SSLError):
        handshake(tmp_path, server=0, client=0)


def handshake(directory: Path, *, server: int, client: int) -> str:
    """Return the client's name as the server sees it."""
    contexts = [ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)]
    for context, which in zip(contexts, (server, client), strict=True):
        context.load_verify_locations(directory / "ca")
        context.load_cert_chain(directory / str(which))
        context.verify_mode = ssl.CERT_REQUIRED
    bios = [ssl.MemoryBIO() for _ in range(4)]
    here = contexts[0].wrap_bio(bios[0], bios[1], server_side=True)
    there = contexts[1].wrap_bio(bios[2], bios[3], server_hostname="127.0.0.1")
    for _ in range(5):
        for side in (there, here):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
            bios[0].write(bios[3].read())
            bios[2].write(bios[1].read())
    peer = here.getpeercert(binary_form=True)
    assert peer
    (common,) = x509.load_der_x509_certificate(peer).subject
    return str(common.value)
