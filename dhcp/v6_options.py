"""The options that a DHCPv6 client gets only if its Option Request option asks for them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address

from scapy.layers.dhcp6 import (
    DHCP6NTPSubOptMCAddr,
    DHCP6NTPSubOptSrvAddr,
    DHCP6OptDNSServers,
    DHCP6OptInfoRefreshTime,
    DHCP6OptNTPServer,
    DHCP6OptSNTPServers,
    DHCP6OptUnknown,
)
from scapy.packet import Packet

from dhcp.boot_clients import HTTP, IPXE, PXE
from dhcp.v6_associations import offered
from dhcp.v6_message import FQDN, INFORMATION_REQUEST, VENDOR_CLASS, Message
from guest import dns_label
from guest.build import built
from guest.encrypted_dns import resolvers
from guest.network import Address, GuestNetwork

_DNS, _SEARCH, _SNTP, _REFRESH, _NTP = 23, 24, 31, 32, 56
_POSIX_ZONE, _TZDB_ZONE, _ENCRYPTED_DNS = 41, 42, 144
_BOOT_URL, _BOOT_PARAMETERS, _SOL_MAX_RT, _INF_MAX_RT, _PORTAL = 59, 60, 82, 83, 103

_MAX_RT_DEFAULT = 3600  # RFC 8415 section 7.6
_MAX_RT_RAISED = 86400  # the most that option 82 may say (section 21.24)
_REFRESH_MINIMUM = 600  # IRT_MINIMUM
_NTP_FQDN = 3  # sub-option of RFC 5908 section 4.3
_FQDN_S, _FQDN_O, _FQDN_N = 1, 2, 4  # RFC 4704 section 4.1


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the options of one reply depend on."""

    message: Message
    guest: GuestNetwork
    room: int
    """Octets that the reply still has."""


def requested(message: Message, guest: GuestNetwork, room: int) -> bytes:
    """Return the options that were asked for and are configured, in at most `room` octets.

    They stand in order of worth: what does not fit is left out.
    """
    octets = b""
    for code, make in _MAKERS.items():
        if code in message.requested:
            more = make(_Wish(message, guest, room - len(octets)))
            octets += more if len(octets) + len(more) <= room else b""
    return octets


def _dns(wish: _Wish) -> bytes:
    servers = _ipv6(wish.guest.dns)[: max(wish.room - 4, 0) // 16]
    return built(DHCP6OptDNSServers(dnsservers=servers)) if servers else b""


def _search(wish: _Wish) -> bytes:
    names = b""
    for name in map(dns_label.encode, wish.guest.search):
        # A long list loses its tail, not everything.
        if 4 + len(names) + len(name) > wish.room:
            break
        names += name
    return option(_SEARCH, names) if names else b""


def _url(wish: _Wish) -> str:
    """Return the URL that this client can load: iPXE's own, its architecture's, else the general.

    UEFI's PXE over IPv6 loads by TFTP alone, its HTTP boot by HTTP alone; each tries the other
    where it gets no URL.
    """
    boot, message = wish.guest.boot, wish.message
    if IPXE in message.user_class:
        return boot.ipxe if "://" in boot.ipxe else boot.url
    by_arch = dict(boot.url_by_arch)
    named = (by_arch[arch] for arch in message.architectures if arch in by_arch)
    url = next(named, boot.url)
    is_http = url.startswith("http")
    class_data = message.vendor_class[6:]
    refused = class_data.startswith(PXE if is_http else HTTP)
    return "" if refused else url


def _boot_parameters(wish: _Wish) -> bytes:
    parts = [text.encode(errors="replace") for text in wish.guest.boot.parameters]
    if not _url(wish) or any(len(part) > wish.room for part in parts):
        return b""
    # RFC 5970 section 3.2: each parameter behind its 16-bit length.
    counted = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    return option(_BOOT_PARAMETERS, counted) if counted else b""


def _http_class(wish: _Wish) -> bytes:
    # UEFI HTTP boot takes a URL only beside vendor class HTTPClient (UEFI 2.10, 24.7.3).
    enterprise, data = wish.message.vendor_class[:4], wish.message.vendor_class[6:]
    if not data.startswith(HTTP) or not _url(wish):
        return b""
    return option(VENDOR_CLASS, enterprise + len(HTTP).to_bytes(2, "big") + HTTP)


def _fqdn(wish: _Wish) -> bytes:
    """Tell the guest its name; no server here updates any DNS (N), whatever it wished (O).

    Only a client that asks for the option and sends a name of its own (RFC 4704 section 6: MUST).
    """
    if wish.message.fqdn_flags is None:
        return b""
    name = dns_label.encode(wish.guest.fqdn)
    if not name:
        return b""
    overridden = bool(wish.message.fqdn_flags & _FQDN_S)
    flags = _FQDN_N | (_FQDN_O if overridden else 0)
    # A host name without domain is partial: no terminating zero label (section 4.2).
    return option(FQDN, bytes([flags]) + (name if "." in wish.guest.fqdn else name[:-1]))


def _sol_max_rt(wish: _Wish) -> bytes:
    # Sent in both cases, so that a guest which once got the raised value forgets it.
    gives = offered(wish.guest) or wish.guest.delegated
    seconds = _MAX_RT_DEFAULT if gives else _MAX_RT_RAISED
    return option(_SOL_MAX_RT, seconds.to_bytes(4, "big"))


def _ntp(wish: _Wish) -> bytes:
    # RFC 5908 section 4: one time source per option, the option as often as needed.
    sources = map(_ntp_source, _ipv6(wish.guest.ntp)[: wish.room // 24])
    found = b"".join(built(DHCP6OptNTPServer(ntpserver=[source])) for source in sources)
    for name in map(dns_label.encode, wish.guest.ntp_names):
        more = option(_NTP, struct.pack("!HH", _NTP_FQDN, len(name)) + name)
        found += more if len(found) + len(more) <= wish.room else b""
    return found


def _ntp_source(server: str) -> Packet:
    multicast = IPv6Address(server).is_multicast
    return (DHCP6NTPSubOptMCAddr if multicast else DHCP6NTPSubOptSrvAddr)(addr=server)


def _sntp(wish: _Wish) -> bytes:
    servers = [server for server in _ipv6(wish.guest.ntp) if not IPv6Address(server).is_multicast]
    servers = servers[: max(wish.room - 4, 0) // 16]
    return built(DHCP6OptSNTPServers(sntpservers=servers)) if servers else b""


def _encrypted_dns(wish: _Wish) -> bytes:
    # RFC 9463 section 4.1: one resolver per option. Of a long list the best are told.
    found = b""
    for one in resolvers(wish.guest, 6):
        data = struct.pack("!HH", one.priority, len(one.name)) + one.name
        if one.addresses:
            data += len(one.addresses).to_bytes(2, "big") + one.addresses + one.parameters
        more = option(_ENCRYPTED_DNS, data)
        if len(found) + len(more) > wish.room:
            break
        found += more
    return found


def _refresh(wish: _Wish) -> bytes:
    # Only where the operator set a lease time: without the option a client asks again after a
    # day (IRT_DEFAULT). RFC 8415 section 21.23: in the REPLY to an INFORMATION-REQUEST only.
    if wish.message.kind != INFORMATION_REQUEST or wish.guest.lease is None:
        return b""
    seconds = min(max(wish.guest.lease, _REFRESH_MINIMUM), 0xFFFFFFFF)
    return built(DHCP6OptInfoRefreshTime(reftime=seconds))


_MAKERS: dict[int, Callable[[_Wish], bytes]] = {
    _DNS: _dns,
    _SEARCH: _search,
    _BOOT_URL: lambda wish: _text(_BOOT_URL, _url(wish)),
    VENDOR_CLASS: _http_class,
    _BOOT_PARAMETERS: _boot_parameters,
    FQDN: _fqdn,
    _SOL_MAX_RT: _sol_max_rt,
    _INF_MAX_RT: lambda _: option(_INF_MAX_RT, _MAX_RT_DEFAULT.to_bytes(4, "big")),
    _NTP: _ntp,
    _SNTP: _sntp,
    _REFRESH: _refresh,
    _PORTAL: lambda wish: _text(_PORTAL, wish.guest.captive_portal),
    _ENCRYPTED_DNS: _encrypted_dns,
    _POSIX_ZONE: lambda wish: _text(_POSIX_ZONE, wish.guest.time_zone.posix),
    _TZDB_ZONE: lambda wish: _text(_TZDB_ZONE, wish.guest.time_zone.tzdb),
}
KNOWN = frozenset(_MAKERS)
"""Every option that some guest may be told, if it asks."""


def _ipv6(servers: tuple[Address, ...]) -> list[str]:
    return [str(server) for server in servers if isinstance(server, IPv6Address)]


def _text(code: int, text: str) -> bytes:
    return option(code, text.encode(errors="replace")) if text else b""


def option(code: int, data: bytes) -> bytes:
    """Return a whole option; nothing when the data is longer than an option can be."""
    return b"" if len(data) > 0xFFFF else built(DHCP6OptUnknown(optcode=code, data=data))
