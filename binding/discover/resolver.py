"""The name servers, search domains and domain names that one NIC of the guest is told."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_network

from binding.discover import dns_name
from binding.discover.annotation import Override
from binding.discover.reserved import within
from binding.ipc.snapshot import Snapshot
from guest.network import Address, IPInterface, Route


def nameservers(
    snapshot: Snapshot,
    change: Override,
    own: Collection[IPInterface],
    routes: Collection[Route],
) -> tuple[Address, ...]:
    """Return the pod's name servers that this NIC has a route to, or those of the annotation.

    systemd-networkd adds a host route to each server that a lease names: a NIC without a route
    to the server would take the queries of all other NICs.
    """
    if change.dns is not None:
        return change.dns
    reached = [*(address.network for address in own), *(route.destination for route in routes)]
    return tuple(
        server
        for server in snapshot.nameservers
        if any(within(ip_network(server), network) for network in reached)
    )


def search_list(
    snapshot: Snapshot, subdomain: str, namespace: str, warnings: list[str]
) -> tuple[str, ...]:
    """Return the pod's search domains in their order; appends a warning for each invalid one.

    The domain of the VM's headless service comes first, as KubeVirt puts it.
    """
    good, invalid = dns_name.valid_names(snapshot.search)
    domain = fqdn_domain(snapshot, subdomain, namespace)
    if domain and domain not in good:
        checked, unusable = dns_name.valid_names((domain,))
        good, invalid = (*checked, *good), (*invalid, *unusable)
    warnings += [f"search domain {name!r} is no DNS name and left out" for name in invalid]
    return good


def fqdn_domain(snapshot: Snapshot, subdomain: str, namespace: str) -> str:
    """Return `<subdomain>.<namespace>.svc.<cluster domain>`; empty without a subdomain.

    The cluster's DNS knows a VM by name only in its headless service's domain, which the pod's
    resolv.conf does not list.
    """
    good, _ = dns_name.valid_names(snapshot.search)
    services = [name for name in good if ".svc." in name]
    of_namespace = [name for name in services if name.startswith(f"{namespace}.svc.")]
    service = next(iter((*of_namespace, *services)), "")
    if not subdomain or not service:
        return ""
    return service if service.startswith(f"{subdomain}.") else f"{subdomain}.{service}"
