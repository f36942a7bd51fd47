#!/usr/bin/env bash
# Debian packages that a task needs beyond Python: tests/packages.sh test|test-vm|demo|PACKAGE...
set -euo pipefail
common=(iproute2 iputils-ping busybox-static isc-dhcp-client cpio qemu-system-x86 zstd)
# Of a user's namespaces: user 107 of QEMU has to be mapped there, too.
[ "$(id -u)" = 0 ] || common+=(uidmap)
libvirt=(libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients libxml2-utils genisoimage mmdebstrap
  e2fsprogs kmod)
case ${1:-} in
  demo)
    case ${GUEST:-vm} in
      vm) set -- "${common[@]}" ;;
      debian) set -- "${common[@]}" "${libvirt[@]}" ;;
      *) set -- "${common[@]}" systemd dbus ;;
    esac ;;
  test-vm) set -- "${common[@]}" "${libvirt[@]}" ipxe ipxe-qemu dnsmasq-base grub-pc-bin \
    grub-common ;;
  test) set -- "${common[@]}" dhcpcd5 udhcpc systemd dbus network-manager wide-dhcpv6-client \
    klibc-utils dnsmasq-base ndisc6 radvd ipxe ovmf u-boot-qemu tcpdump nftables iptables ovn-central \
    ovn-host openvswitch-switch ethtool strace netplan.io python3-configobj python3-requests \
    python3-yaml prometheus tshark zsh libvirt-clients libxml2-utils ;;
esac
missing=()
for package in "$@"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" != 0 ]; then
  echo "needed and not installed: ${missing[*]}; run once as root: $0 ${missing[*]}" >&2
  exit 1
fi
echo "installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
# Another run of this script, and then another apt, is waited for.
exec 9</var/lib/dpkg
flock 9
apt_get() { apt-get -qq -o DPkg::Lock::Timeout=900 "$@"; }
install() { apt_get install -y --no-install-recommends "${missing[@]}"; }
# A test machine's services must not start: their clients would take its own links.
policy=/usr/sbin/policy-rc.d
[ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy; chmod +x $policy; trap 'rm -f $policy' EXIT; }
install >/dev/null 2>&1 || { apt_get update && install >/dev/null; }
