"""A real PKCS#11 token without hardware: NSS's softoken, with a database in a test's directory.

It does ECDSA and OAEP with SHA-256. It wants its database named when it is initialised, which the
binding does not do, so that a few lines of C stand before it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_SHIM = r"""
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
typedef unsigned long CK_RV;
struct init { void *mutexes[4]; unsigned long flags; void *parameters; void *reserved; };
struct list { unsigned char version[2]; CK_RV (*functions[68])(void *); };
static struct list *real, ours;
static CK_RV initialize(void *given) {
    struct init arguments;
    (void)given;
    memset(&arguments, 0, sizeof arguments);
    arguments.flags = 2; /* CKF_OS_LOCKING_OK */
    arguments.parameters = getenv("SOFTOKEN_PARAMETERS");
    return real->functions[0](&arguments);
}
CK_RV C_GetFunctionList(struct list **out) {
    void *library = dlopen("libsoftokn3.so", RTLD_NOW);
    CK_RV (*get)(struct list **) = library ? dlsym(library, "C_GetFunctionList") : 0;
    CK_RV failed = get ? get(&real) : 5;
    if (failed) return failed;
    ours = *real;
    ours.functions[0] = initialize;
    *out = &ours;
    return 0;
}
"""
LABEL, PIN = "NSS Certificate DB", b"a long PIN 1234"
_SET_PIN = """
import sys, pkcs11
token = pkcs11.lib(sys.argv[1]).get_token(token_label=sys.argv[2])
with token.open(rw=True, so_pin="") as session:
    session.init_pin(sys.argv[3])
"""


class SoftToken:
    """The token of one test; used by processes that have its `environment`."""

    def __init__(self, directory: Path) -> None:
        compiler = shutil.which("cc")
        assert compiler is not None
        directory.mkdir()
        self.module = directory / "softoken.so"
        source = directory / "softoken.c"
        source.write_text(_SHIM)
        command = [compiler, "-shared", "-fPIC", "-o", str(self.module), str(source), "-ldl"]
        subprocess.run(command, check=True)
        parameters = (
            f"configdir='sql:{directory}' certPrefix='' keyPrefix='' secmod='secmod.db' flags="
        )
        self.environment = {**os.environ, "SOFTOKEN_PARAMETERS": parameters}
        self.run(_SET_PIN, str(self.module), LABEL, PIN.decode())

    def run(self, program: str, *arguments: str) -> str:
        """Run a program in a process of its own that knows the token."""
        return run_with(self.environment, program, *arguments)


def run_with(environment: Mapping[str, str], program: str, *arguments: str) -> str:
    """Run a program in a process of its own: a token's library is initialised once in each."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
