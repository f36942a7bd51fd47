"""What multus writes of a pod's networks into its annotation `network-status`: their DNS. Pure.

A NetworkAttachmentDefinition says it in its `dns`, or its IPAM does (CNI specification 1.1.0,
"Add Success"; Kubernetes Network Custom Resource Definition De-facto Standard 1.3, section 5).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from binding.discover import annotation_addresses, dns_name
from binding.discover.json_node import Node
from guest.network import Address

ANNOTATION = "k8s.v1.cni.cncf.io/network-status"
_MOST = 16
"""Name servers, and search domains, of one network; no message to a guest has room for more."""
_MOST_WARNINGS = 8


@dataclass(frozen=True, slots=True)
class NetworkDns:
    """The name servers and search domains of one network."""

    nameservers: tuple[Address, ...] = ()
    search: tuple[str, ...] = ()


class _StatusError(ValueError):
    """The text names the JSON path and what is wrong there."""


def dns_by_link(annotations: Mapping[str, str], warnings: list[str]) -> dict[str, NetworkDns]:
    """Return the DNS of each network that has any, by the name of the network's pod link.

    What cannot be read is left out, with a warning.
    """
    text = annotations.get(ANNOTATION, "")
    found: dict[str, NetworkDns] = {}
    if not text:
        return found
    wrong: list[str] = []
    try:
        for entry in Node(json.loads(text), "", _StatusError).list():
            _take(entry, found, wrong)
    except _StatusError as error:
        wrong.append(str(error))
    except (ValueError, RecursionError):
        wrong.append("it is not JSON")
    warnings += [
        f"annotation {ANNOTATION} of the pod: {one}; left out" for one in wrong[:_MOST_WARNINGS]
    ]
    return found


def _take(entry: Node, found: dict[str, NetworkDns], wrong: list[str]) -> None:
    try:
        link, dns = entry["interface"].text(), entry["dns"]
        servers = tuple(dict.fromkeys(_servers(dns["nameservers"], wrong)))
        names = tuple(one.text() for one in islice(dns["search"].list(), _MOST))
        search, invalid = dns_name.valid_names(
            tuple(filter(None, names or (dns["domain"].text(),)))
        )
    except _StatusError as error:
        wrong.append(str(error))
        return
    wrong += [f"{dns.path}: {name[:60]!r} is no DNS name" for name in invalid]
    if link and (servers or search):
        found[link] = NetworkDns(servers, search)


def _servers(nodes: Node, wrong: list[str]) -> Iterator[Address]:
    for node in islice(nodes.list(), _MOST):
        text = node.text()
        try:
            found = () if "%" in text else annotation_addresses.addresses([text])
        except ValueError:
            found = ()
        yield from found
        if not found:
            wrong.append(str(node.error("is no address that a guest could ask")))
