"""Exactly one DHCP server and router per guest: which messages must not pass which link. Pure.

The sidecar decides here, `binding.plumb guard` makes the kernel do it, at the ingress hook of
each link, before the bridge sees the frame. There the messages that our packet sockets hear
are copied to a listening bridge, too: a packet socket at the link would cost each packet of
the guest.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from binding.packet.link_names import KUBEVIRT_BRIDGE
from binding.packet.message_table import Kind, Parties
from guest.network import FAMILIES, Family, GuestNetwork

# Heard of every guest, whichever provider serves it: its requests, and at the NIC the messages
# that show the gateways' MACs and other servers.
HEARD_AT_TAP: tuple[Kind, ...] = (
    "dhcp4-to-server", "dhcp6-to-server", "rs", "ns-for-us", "arp-for-us",
)  # fmt: skip
HEARD_OF_ARRIVED: tuple[Kind, ...] = ("ns-of-arrived",)
HEARD_AT_NIC: tuple[Kind, ...] = (
    "arp-announcement", "na", "ra", "dhcp4-to-client", "dhcp6-to-client",
)  # fmt: skip
# Where we serve: requests that we answer stop at the tap, answers of others at the pod NIC.
_REQUESTS: dict[Family, tuple[Kind, ...]] = {
    4: ("dhcp4-to-server", "arp-for-us"),
    6: ("dhcp6-to-server", "rs", "ns-for-us"),
}
_ANSWERS: dict[Family, tuple[Kind, ...]] = {
    4: ("dhcp4-to-client",),
    6: ("dhcp6-to-client", "ra", "na-for-us", "nd-by-us"),
}
EXCEPTIONS: dict[Kind, tuple[Kind, ...]] = {
    "dhcp4-to-server": ("dhcp4-of-others", "dhcp4-to-other-servers"),
    "dhcp4-to-client": ("dhcp4-to-other-clients",),
    "dhcp6-to-server": ("dhcp6-relayed", "dhcp6-to-other-servers"),
    "dhcp6-to-client": ("dhcp6-to-other-clients",),
}
"""What passes of these: messages of clients behind the guest, and to servers elsewhere."""
# RA guard (RFC 6105) and DHCP shield (RFC 7610): what only a server, relay or router sends.
_SHIELDED: tuple[Kind, ...] = (
    "dhcp4-to-client", "dhcp4-from-server", "dhcp6-to-client", "dhcp6-from-server", "ra",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Filter:
    """What happens to messages where they come in from this link; any other frame passes."""

    link: str
    """With a `*` behind it: all links whose names begin so, those to come included. What is
    dropped is then what sockets of the pod itself would get; what is forwarded passes."""
    drop: tuple[Kind, ...] = ()
    hear: tuple[Kind, ...] = ()
    """Copied to the listening bridge of the link, whether dropped or not."""
    passes: tuple[Kind, ...] = ()
    """Exceptions from `drop`."""
    who: Parties = field(default_factory=Parties)
    spares: tuple[str, ...] = ()
    """Links that a `*` does not mean."""

    @property
    def is_of_pod(self) -> bool:
        """Whether it is at the pod's own input, and not at a link."""
        return self.link.endswith("*")


class GuardTable(NamedTuple):
    """The whole guard of one sidecar; a pod may have several, one for each registration."""

    name: str
    filters: tuple[Filter, ...] = ()


class Dropped(NamedTuple):
    """Packets that one rule has dropped since the table was set."""

    link: str
    message: str
    """A Kind, or the name of a disguise."""
    packets: int


_SERVER_KINDS = {
    "dhcp4-to-client": "DHCPv4 answers",
    "dhcp4-from-server": "DHCPv4 answers",
    "dhcp6-to-client": "DHCPv6 answers",
    "dhcp6-from-server": "DHCPv6 answers",
    "ra": "router advertisements",
}
"""What a guest sends that acts as a server or router, by the message that the shield drops."""


def served_by_guest(dropped: Collection[Dropped], tap: str) -> str:
    """Return in words what the shield has dropped at a guest's tap; empty for nothing."""
    of_guest = (one.message for one in dropped if one.link == tap and one.packets)
    return " and ".join(sorted({_SERVER_KINDS[one] for one in of_guest if one in _SERVER_KINDS}))


@dataclass(frozen=True, slots=True)
class Observed:
    """What plumb found in the kernel: of a GuardTable, and of other tables."""

    wrong: tuple[str, ...] = ()
    """How the table in the kernel differs from what was set; empty while the guard is in force."""
    dropped: tuple[Dropped, ...] = ()
    foreign: tuple[str, ...] = ()
    """Chains in other tables of the pod that can drop packets."""


def table_name(plugin: str | None) -> str:
    """Return the name that `nft list tables` shows, for the registered name of the plugin."""
    name = plugin or "dsbridge"
    # The kernel takes 255 bytes, a registration any number.
    return (name if name.startswith("dsbridge") else f"dsbridge-{name}")[:60]


def is_heard(guest: GuestNetwork) -> bool:
    """Whether this guest's frames are read at all; a NIC without IPAM is left alone."""
    return guest.provider == "kube-ovn" or guest.is_served


def our_families(guest: GuestNetwork) -> frozenset[Family]:
    """Return the families in which nobody but us may answer; `auto` is not decided yet.

    Both even for a pod of one family: a rogue RA in an IPv4-only cluster is the classic
    (CVE-2020-10749). A NIC without IPAM is not ours: an external server serves it.
    """
    return frozenset(FAMILIES if guest.provider == "in-pod" and guest.is_served else ())


def filters(
    guests: Collection[GuestNetwork],
    ours: Mapping[str, frozenset[Family]] | None = None,
    spared: Collection[str] | None = None,
) -> tuple[Filter, ...]:
    """Return the whole guard of a pod, the same for the same guests.

    `ours` are the families that we serve by network, where `auto` has decided. What is
    heard of a guest never changes while the guest is there: packet sockets rely on that.
    `spared` is None but in the shape takeover: there KubeVirt's own DHCP server is muted at all
    its bridges, those of NICs that it plugs in later included, but for the bridges in `spared`.
    """
    found = [
        one
        for guest in guests
        for one in _at_links(guest, (ours or {}).get(guest.network, our_families(guest)))
    ]
    mute = Filter(f"{KUBEVIRT_BRIDGE}*", ("dhcp4-to-server",), spares=tuple(spared or ()))
    return (
        *sorted(found, key=lambda one: one.link),
        *(() if spared is None else (mute,)),
    )


def _at_links(guest: GuestNetwork, families: Iterable[Family]) -> Iterator[Filter]:
    """Yield the filters of a guest's tap and NIC, as far as they do anything."""
    families, who = tuple(families), parties(guest)
    requests = [kind for family in families for kind in _REQUESTS[family]]
    answers = [kind for family in families for kind in _ANSWERS[family]]
    shielded = _SHIELDED if guest.shield and guest.is_served else ()
    at_tap, at_nic = (heard_at_tap(who), HEARD_AT_NIC) if is_heard(guest) else ((), ())
    for link, drop, hear, excepted in (
        (guest.tap, {*requests, *shielded}, at_tap, requests),
        (guest.nic, set(answers), at_nic, answers),
    ):
        if link and (drop or hear):
            passes = sorted(_exceptions(excepted))
            yield Filter(link, tuple(sorted(drop)), hear, tuple(passes), who)


def _exceptions(kinds: Iterable[Kind]) -> Iterator[Kind]:
    return (each for kind in kinds for each in EXCEPTIONS.get(kind, ()))


def heard_at_tap(who: Parties) -> tuple[Kind, ...]:
    """Return what is heard of a guest, by whether it came by migration."""
    return (*HEARD_AT_TAP, *(HEARD_OF_ARRIVED if who.has_arrived else ()))


def parties(guest: GuestNetwork) -> Parties:
    """Return who speaks at the links of a guest, and for which addresses we answer there."""
    return Parties(
        mac=guest.mac,
        ipv6=tuple(one.ip for one in guest.ipv6),
        server4=guest.server4,
        answered=guest.answered_for,
        has_arrived=guest.migration_target and guest.gets_ipv6,
    )
