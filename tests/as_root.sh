#!/bin/sh
# Run a command with the rights to make network namespaces: as root, or in a user namespace of
# one's own where the machine allows that. tests/as_root.sh COMMAND...
set -eu
[ "$(id -u)" != 0 ] || exec "$@"
fail() { echo "$0: $1; run as root instead" >&2; exit 1; }
[ -w /dev/net/tun ] || fail "no right to open /dev/net/tun"
command -v newuidmap >/dev/null || fail "user 107 of QEMU cannot be mapped without the package uidmap"
# `ip netns` keeps its names in /run, which must be writable to us.
exec unshare --user --map-root-user --map-auto --net --mount \
  sh -c 'mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"' as_root "$@"
