"""What every test may use: keys made once per session, and programs that are not Python."""

import importlib.util
import os
import shutil
from pathlib import Path

import hypothesis
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

# The oracles are installed in an environment of their own (see requirements/oracles.in).
collect_ignore = [] if importlib.util.find_spec("pycose") else ["oracles"]

# RSA on a busy small machine takes as long as it takes: no test here is about time.
hypothesis.settings.register_profile("sealgate", deadline=None, print_blob=True)
hypothesis.settings.load_profile("sealgate")


@pytest.fixture(scope="session")
def rsa_keys() -> list[rsa.RSAPrivateKey]:
    """Four RSA-2048 private keys, fresh in every session: none is ever written down."""
    return [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(4)]


@pytest.fixture(scope="session")
def ec_keys() -> list[ec.EllipticCurvePrivateKey]:
    """Four P-256 private keys, fresh in every session."""
    return [ec.generate_private_key(ec.SECP256R1()) for _ in range(4)]


def _program(name: str) -> str:
    # Debian keeps brokers in /usr/sbin, which is not on everybody's PATH.
    found = shutil.which(name, path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture(scope="session")
def mosquitto() -> str:
    """The path of Mosquitto; the test is skipped without it (`make test` installs it)."""
    return _program("mosquitto")


@pytest.fixture(scope="session")
def softoken() -> str:
    """A C compiler, beside NSS's softoken; skipped without them (`make test` installs them)."""
    if not any(Path("/usr/lib").glob("*/libsoftokn3.so")):
        pytest.skip("libsoftokn3.so is not installed")
    return _program("cc")


@pytest.fixture(scope="session")
def softhsm() -> str:
    """The path of softhsm2-util; skipped without it (`make test` installs it)."""
    return _program("softhsm2-util")


@pytest.fixture(scope="session")
def node() -> str:
    """The path of Node.js; the test is skipped without it."""
    return _program("node")
