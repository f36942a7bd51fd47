"""The options that a DHCPv6 client gets only if its Option Request option asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv6Address

from scapy.layers.dhcp6 import (
    DHCP6NTPSubOptMCAddr,
    DHCP6NTPSubOptSrvAddr,
    DHCP6OptBootFileUrl,
    DHCP6OptCaptivePortal,
    DHCP6OptDNSServers,
    DHCP6OptInfoRefreshTime,
    DHCP6OptNTPServer,
    DHCP6OptSNTPServers,
    DHCP6OptUnknown,
)
from scapy.packet import Packet

from binding.guest import Address, GuestNetwork
from dhcp.v6_associations import offered
from dhcp.v6_message import FQDN, INFORMATION_REQUEST, Message

_DNS, _SEARCH, _SNTP, _REFRESH, _NTP = 23, 24, 31, 32, 56
_BOOT_URL, _BOOT_PARAMETERS, _SOL_MAX_RT, _INF_MAX_RT, _PORTAL = 59, 60, 82, 83, 103

_MAX_RT_DEFAULT = 3600  # RFC 8415 section 7.6
_MAX_RT_RAISED = 86400  # the most that option 82 may say (section 21.24)
_REFRESH_MINIMUM = 600  # IRT_MINIMUM
_FQDN_S, _FQDN_O, _FQDN_N = 1, 2, 4  # RFC 4704 section 4.1


def requested(message: Message, guest: GuestNetwork) -> Iterator[bytes]:
    """Yield what was asked for and is configured, most worthy first, each code's octets whole."""
    for code, make in _MAKERS.items():
        if code in message.requested and (octets := make(message, guest)):
            yield octets


def _dns(_message: Message, guest: GuestNetwork) -> bytes:
    servers = _ipv6(guest.dns)
    return bytes(DHCP6OptDNSServers(dnsservers=servers)) if servers else b""


def _search(_message: Message, guest: GuestNetwork) -> bytes:
    names = b"".join(dns_name(name) for name in guest.search)
    return option(_SEARCH, names) if names else b""


def _boot_url(_message: Message, guest: GuestNetwork) -> bytes:
    url = guest.boot.url.encode()
    return bytes(DHCP6OptBootFileUrl(optdata=url)) if url else b""


def _boot_parameters(_message: Message, guest: GuestNetwork) -> bytes:
    if not guest.boot.url:
        return b""
    # RFC 5970 section 3.2: each parameter behind its 16-bit length.
    parts = [text.encode() for text in guest.boot.parameters]
    counted = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    return option(_BOOT_PARAMETERS, counted) if counted else b""


def _fqdn(message: Message, guest: GuestNetwork) -> bytes:
    """Tell the guest its name; nobody here updates any DNS (N), whatever it wished (O)."""
    name = dns_name(guest.fqdn)
    if not name:
        return b""
    overridden = bool((message.fqdn_flags or 0) & _FQDN_S)
    flags = _FQDN_N | (_FQDN_O if overridden else 0)
    # A host name without domain is partial: no terminating zero label (section 4.2).
    return option(FQDN, bytes([flags]) + (name if "." in guest.fqdn else name[:-1]))


def _sol_max_rt(_message: Message, guest: GuestNetwork) -> bytes:
    # Said in both cases, so that a guest which once got the long one forgets it.
    seconds = _MAX_RT_DEFAULT if offered(guest) else _MAX_RT_RAISED
    return option(_SOL_MAX_RT, seconds.to_bytes(4, "big"))


def _inf_max_rt(_message: Message, _guest: GuestNetwork) -> bytes:
    return option(_INF_MAX_RT, _MAX_RT_DEFAULT.to_bytes(4, "big"))


def _ntp(_message: Message, guest: GuestNetwork) -> bytes:
    # RFC 5908 section 4: one time source per option, the option as often as needed.
    return b"".join(
        bytes(DHCP6OptNTPServer(ntpserver=[_ntp_source(server)])) for server in _ipv6(guest.ntp)
    )


def _ntp_source(server: str) -> Packet:
    multicast = IPv6Address(server).is_multicast
    return (DHCP6NTPSubOptMCAddr if multicast else DHCP6NTPSubOptSrvAddr)(addr=server)


def _sntp(_message: Message, guest: GuestNetwork) -> bytes:
    servers = [server for server in _ipv6(guest.ntp) if not IPv6Address(server).is_multicast]
    return bytes(DHCP6OptSNTPServers(sntpservers=servers)) if servers else b""


def _portal(_message: Message, guest: GuestNetwork) -> bytes:
    uri = guest.captive_portal.encode()
    return bytes(DHCP6OptCaptivePortal(URI=uri)) if uri else b""


def _refresh(message: Message, guest: GuestNetwork) -> bytes:
    # Without the option a client asks again after a day (IRT_DEFAULT), so it is worth
    # sending only where the operator set a lease time. RFC 8415 section 21.23: in the
    # REPLY to an INFORMATION-REQUEST only.
    if message.kind != INFORMATION_REQUEST or guest.lease is None:
        return b""
    seconds = min(max(guest.lease, _REFRESH_MINIMUM), 0xFFFFFFFF)
    return bytes(DHCP6OptInfoRefreshTime(reftime=seconds))


_MAKERS: dict[int, Callable[[Message, GuestNetwork], bytes]] = {
    _DNS: _dns,
    _SEARCH: _search,
    _BOOT_URL: _boot_url,
    _BOOT_PARAMETERS: _boot_parameters,
    FQDN: _fqdn,
    _SOL_MAX_RT: _sol_max_rt,
    _INF_MAX_RT: _inf_max_rt,
    _NTP: _ntp,
    _SNTP: _sntp,
    _REFRESH: _refresh,
    _PORTAL: _portal,
}


def dns_name(name: str) -> bytes:
    """Encode a name as in RFC 1035 section 3.1, uncompressed (RFC 8415 section 10).

    Empty when it is not one: a bad name costs itself, never the answer.
    """
    labels = name.removesuffix(".").split(".")
    if not name.isascii() or not all(1 <= len(label) <= 63 for label in labels):
        return b""
    encoded = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
    return encoded if len(encoded) <= 255 else b""


def _ipv6(servers: tuple[Address, ...]) -> list[str]:
    return [str(server) for server in servers if isinstance(server, IPv6Address)]


def option(code: int, data: bytes) -> bytes:
    return bytes(DHCP6OptUnknown(optcode=code, data=data))
