"""The name servers, search domains and domain names that one NIC of the guest is told."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from ipaddress import ip_network

from binding.discover import dns_name
from binding.discover.annotation import Override
from binding.discover.network_status import NetworkDns
from binding.discover.reserved import within
from binding.discover.vmi import Vmi
from binding.ipc.snapshot import Snapshot
from guest.network import Address, IPNetwork


def told(  # noqa: PLR0913  # all that has name servers and search domains
    snapshot: Snapshot,
    vmi: Vmi,
    change: Override,
    *,
    network: NetworkDns,
    elsewhere: Collection[Address],
    reached: Collection[IPNetwork],
    warnings: list[str],
) -> tuple[tuple[Address, ...], tuple[str, ...]]:
    """Return the name servers and search domains that the guest is told by this NIC.

    Those of the annotation; else those of the NIC's own network, as multus has them; else those of
    the pod. Of network and pod only servers within `reached`, where this NIC's routes lead:
    systemd-networkd adds a host route to each server that a lease names, so that a NIC without a
    route to the server would take the queries of all other NICs. So would one with a default
    route: the cluster's DNS answers on the pod's network, whatever else calls itself a default.
    """
    dns, search = change.dns, change.search
    if dns is None:
        theirs = reachable(network.nameservers, reached)
        if beyond := [str(one) for one in network.nameservers if one not in theirs]:
            warnings.append(
                f"the network's DNS {', '.join(beyond)} is not told: no route of this NIC leads "
                "there; give routes, gateways or dns"
            )
        dns = theirs or _of_pod(snapshot.nameservers, elsewhere, reached)
        if search is None and dns and (theirs or network.search):
            search = network.search
    if search is None:
        # Search domains belong to the NIC that leads to the servers which know them.
        has_servers = bool(dns) or change.dns is not None or not snapshot.nameservers
        pod = search_list(snapshot, vmi.subdomain, vmi.namespace, warnings)
        search = pod if has_servers else ()
    return dns, search


def reachable(servers: Collection[Address], reached: Collection[IPNetwork]) -> tuple[Address, ...]:
    """Return the servers that are in one of the networks."""
    return tuple(
        server
        for server in servers
        if any(within(ip_network(server), network) for network in reached)
    )


def _of_pod(
    servers: Collection[Address], elsewhere: Collection[Address], reached: Iterable[IPNetwork]
) -> tuple[Address, ...]:
    """Return the pod's servers that a NIC tells; the NIC of the pod's network has `elsewhere`."""
    networks = tuple(reached)
    # Two halves of an address family stand for its default route.
    specific = tuple(network for network in networks if network.prefixlen > 1)
    return tuple(
        server
        for server in servers
        if reachable((server,), specific if server in elsewhere else networks)
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
