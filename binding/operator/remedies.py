"""Remedies, by the anchor of the paragraph in docs/troubleshooting.md that tells more."""

from __future__ import annotations

from binding.ipc.status import Finding, Severity
from binding.process import capabilities

POLICY = capabilities.remedy()
REMEDIES: dict[str, str] = {
    "no-guest": "is an interface of the VMI bound to the plugin? has the VM been started?",
    "hook-socket": "KubeVirt's next call fails: restart or migrate the VM",
    "refused-start": "do what the message says; the VM starts by itself at KubeVirt's next try",
    "no-net-raw": POLICY,
    "two-sidecars": "ask the other container's `dsbridge status` for this NIC; keep one of the two",
    "process-restarted": "its end is in the log; after `out of memory` raise the memory limit",
    "process-hung": "the sidecar replaces it within seconds; if not, restart the VM",
    "not-saved": "make room on the node, or see who else writes to that directory",
    "state-removed": "who cleans up there? no other program may. `dsbridge reload` works again "
    "after a migration",
    "pod-not-mended": "do what the message says; it is tried again every 5 s",
    "tap": "restart the VM, or migrate it: only virt-handler makes this tap again",
    "no-qemu": "is QEMU running (kubectl logs -c compute)? was the NIC unplugged, or its carrier "
    "switched off (ip link set TAP carrier on)? restart the VM",
    "link-down": "ip link set LINK up in the pod's network namespace; who took it down?",
    "link-gone": "did the CNI or another sidecar remove or rename it? restart the VM",
    "not-a-port": "ip link set LINK master BRIDGE in the pod's network namespace",
    "no-carrier": "look at the other end of the pod's NIC on the node, and at the CNI's log",
    "mtu": "ip link set LINK mtu MTU, or tell the guest less by the key `mtu`",
    "placeholder": "harmless for the guest; restart the VM if CNI CHECK complains",
    "bridge-port": "undo that setting (bridge link set dev LINK …, ip link set LINK …)",
    "pod-has-mac": "ip link set LINK address 02:…, any other MAC; who gave it that one?",
    "pod-has-address": "ip addr flush dev LINK in the pod's network namespace; who added it?",
    "guard-off": "the reason is behind it; other servers can reach the guest until it is mended",
    "guard-changed": "who else runs nft in this pod? dsbridge sets it again within seconds",
    "foreign-rules": "does that table drop what the guest sends or gets? remove it, or its rule",
    "traffic-control": "tc qdisc show dev LINK, tc filter show dev LINK ingress: who set that?",
    "held-inside": "the pod keeps it back: is another finding its cause? else look, in the pod's "
    "network namespace, at nft list ruleset, bridge -d link, tc -s qdisc, tc filter of TAP and NIC",
    "gateway-mac": "is the gateway there, and does the CNI let the guest's MAC send?",
    "gateway-at-tap": "bridge fdb show br BRIDGE: who made that entry? or does the guest send from "
    "its gateway's MAC?",
    "gateway-moved": "a fail-over, or a machine that takes its traffic? the guest has been told",
    "no-frame": "bring the NIC up in the guest: `ip link` there, a driver for its model? "
    "is it `state: down` in the VMI?",
    "vlan": "take the VLAN interface away in the guest, and set the NIC itself to DHCP",
    "never-asked": "set the NIC to DHCP in the guest (cloud-init: dhcp4, dhcp6)",
    "static-address": "set the NIC to DHCP in the guest, or give the VM this address (`addresses`)",
    "no-dhcp4-client": "set the NIC to DHCP for IPv4 in the guest (cloud-init: dhcp4: true); or "
    "does its firewall drop what it sends?",
    "no-dhcp6-client": "enable DHCPv6 in the guest (dhcp6: true), or use `ipv6: slaac`",
    "no-rs": "accept router advertisements in the guest: sysctl net.ipv6.conf.NIC.accept_ra=1, "
    "or 2 where it forwards (net.ipv6.conf.NIC.forwarding)",
    "ra-not-taken": "does the guest's firewall drop ICMPv6? is accept_ra 0, or its link-local "
    "address missing? is there a DHCPv6 client?",
    "no-ipv6-in-guest": "is IPv6 disabled in the guest (disable_ipv6, ipv6.disable=1)?",
    "no-boot-file": "give it one by the key `boot`, or let the VM boot from its disk first",
    "no-prefix": "give the VM one by the key `delegate`, or let its client do without one",
    "silent-guest": "is the VM paused, or still booting? is its NIC up (`ip link`), and does it "
    "still have that address (`ip addr`)?",
    "deaf-guest": "does the guest's firewall drop ARP or ICMPv6, in or out? is ARP off "
    "at its NIC (ip link set NIC arp on), or arp_ignore set?",
    "no-request": "does the guest's firewall drop UDP to its port 68 or 546?",
    "other-mac": "give the guest's NIC its MAC again, or set macAddress in the VMI",
    "malformed": "update or replace the DHCP client in the guest",
    "silence": "the reason is in the message",
    "refused-address": "the guest asks for an address that is not its own; renew the lease there",
    "declined": "who else has the address? compare the MAC in the guest's log or in `capture`",
    "released": "renew the lease in the guest, or restart its network service",
    "expired": "is the DHCP client still running in the guest? leave `lease` out for ever",
    "rogue": "find it by its MAC and stop it; the guard keeps it from this guest",
    "rogue-unguarded": "find it by its MAC and stop it, and let the guard in: " + POLICY,
    "duplicate-address": "find that machine by its MAC; no two may have one address",
    "duplicate-mac": "find the machine by `bridge fdb` on the node; give one of both another MAC",
    "dns-silent": "does the guest reach it (ping)? is it there, and is UDP to its port 53 allowed?",
    "wrong-gateway": "set the NIC to DHCP in the guest, or correct its gateway and prefix length",
    "guest-server": 'stop that service in the guest, or allow it by "shield": false',
    "kube-ovn": "the message begins with the key of the Subnet or pod that mends it",
    "settings": "the message says what to change in the annotation, the VMI or the pod",
}


def finding(  # noqa: PLR0913  # the fields of a Finding
    severity: Severity,
    text: str,
    anchor: str,
    *,
    evidence: str = "",
    time: str = "",
    remedy: str = "",
) -> Finding:
    """Return a finding with the remedy of its anchor, unless one is given."""
    return Finding(severity, text, anchor, remedy or REMEDIES.get(anchor, ""), evidence, time)


def ok(text: str, *, evidence: str = "", time: str = "") -> Finding:
    """Return what is as it should be."""
    return Finding("ok", text, evidence=evidence, time=time)
