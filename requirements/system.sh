#!/bin/sh
# system.sh PACKAGE WHY: installs one Debian package when we are root, else says in one line what to install.
set -eu
package=$1 why=$2

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "error: $why is missing; install it first, for example: sudo apt-get install $package" >&2
    exit 1
fi
echo "Installing $package with apt-get for $why (about half a minute) ..."
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update >/dev/null && apt-get -qq install -y --no-install-recommends "$package" >/dev/null || {
    echo "error: apt-get could not install $package, which is needed for $why" >&2
    exit 1
}
# Debian starts the services that it installs. Our tests start their own, and nobody asked for another.
if [ -d /run/systemd/system ]; then systemctl disable --now "$package.service" 2>/dev/null || true; fi
