#!/bin/sh
# venv.sh DIRECTORY SET: brings the virtual environment DIRECTORY to requirements/SET.txt and installs
# the project into it, editable. Does nothing, silently, when nothing has changed since it last did.
# PYTHON names the interpreter to build it with; without it an environment that works is kept as it is.
set -eu
cd "$(dirname "$0")/.."
directory=$1 set=$2

fail() { echo "error: $*" >&2; exit 1; }
runs() { "$1" -c "${2:-}" >/dev/null 2>&1; }
recent='import sys; sys.exit(sys.version_info < (3, 11))'
build='import sys; print(sys.base_prefix, *sys.version_info[:3])'

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        runs "$PYTHON" || fail "PYTHON=$PYTHON cannot be run"
        runs "$PYTHON" "$recent" || fail "Sealgate needs Python 3.11 or newer, but $PYTHON is $("$PYTHON" -V 2>&1)"
        python=$PYTHON
        return
    fi
    for python in python3 python3.13 python3.12 python3.11; do
        if runs "$python" "$recent"; then return; fi
    done
    fail "Sealgate needs Python 3.11 or newer, but python3 is $(python3 -V 2>&1 || true); name one: make PYTHON=python3.12"
}

usable() {  # the environment was finished, still runs, and comes from the interpreter that was asked for
    [ -f "$directory/.made" ] && runs "$directory/bin/python" "$recent" || return 1
    [ -z "${PYTHON:-}" ] || [ "$("$directory/bin/python" -c "$build")" = "$("$python" -c "$build")" ]
}

create() {
    rm -rf "$directory"
    # Debian's python3 has no ensurepip without python3-venv; a pip of the system's own does instead.
    if runs "$python" 'import ensurepip, venv'; then
        "$python" -m venv "$directory"
    elif runs "$python" 'import pip, venv; assert tuple(map(int, pip.__version__.split(".")[:2])) >= (22, 3)'; then
        "$python" -m venv --without-pip "$directory"
    else
        sh requirements/system.sh "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" "Python's venv"
        runs "$python" 'import ensurepip, venv' || fail "$python still has no ensurepip: it is not Debian's own Python; install pip for it"
        "$python" -m venv "$directory"
    fi
    touch "$directory/.made"
}

install() {
    if [ -x "$directory/bin/pip" ]; then
        "$directory/bin/python" -m pip install -qq --disable-pip-version-check "$@"
    else
        "$python" -m pip --python "$directory/bin/python" install -qq --disable-pip-version-check "$@"
    fi
}

find_python
usable || { echo "Creating $directory with $("$python" -V) ..."; create; }
state=$(cat pyproject.toml requirements/venv.sh "requirements/$set.txt" | cksum)
stamp=$directory/.$set
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$state" ]; then exit 0; fi

echo "Installing requirements/$set.txt into $directory (about a minute the first time) ..."
install --require-hashes -r "requirements/$set.txt"
[ "$set" = lock ] || install --no-deps --no-build-isolation --editable .
echo "$state" > "$stamp"
