#!/bin/sh
# Run a command with the rights to make network namespaces: as root, or in a user namespace of
# one's own where the machine allows that. tests/as_root.sh COMMAND...
set -eu
[ "$(id -u)" != 0 ] || exec "$@"
fail() { echo "$0: $1; run as root instead" >&2; exit 1; }
[ -w /dev/net/tun ] || fail "no right to open /dev/net/tun"
command -v newuidmap >/dev/null || fail "user 107 of QEMU cannot be mapped without the package uidmap"
# Not `unshare --map-auto`, which Ubuntu 22.04 does not have.
first() { sed -n "s/^$(id -un):\([0-9]*\):.*/\1/p" "$1" | head -1; }
users=$(first /etc/subuid) groups=$(first /etc/subgid)
[ -n "$users" ] && [ -n "$groups" ] || fail "/etc/subuid and /etc/subgid name no range for $(id -un)"
{
  outside=$(readlink /proc/self/ns/user)
  while [ "$(readlink /proc/$$/ns/user)" = "$outside" ]; do sleep 0.1; done
  newuidmap $$ 0 "$(id -u)" 1 1 "$users" 65535 && newgidmap $$ 0 "$(id -g)" 1 1 "$groups" 65535 || kill $$
} &
# The second exec is by the namespace's root, and so has its rights. `ip netns` keeps its names in
# /run, which must be writable to us.
exec unshare --user --net --mount sh -c '
  until grep -q . /proc/self/gid_map; do sleep 0.1; done
  exec setpriv --reuid 0 --regid 0 --clear-groups sh -c "
    mount -t tmpfs tmpfs /run && ip link set lo up && exec \"\$@\"" as_root "$@"' as_root "$@"
