"""Makes again what another program removed or changed of a running guest's wiring.

Nothing that is still there is made anew: QEMU holds the tap, and its frames go on where they can.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial

from binding.ipc.wiring import Mend, Wiring
from binding.packet.link_table import IFF_UP
from binding.plumb import wire
from binding.plumb.device_conf import is_silent
from binding.plumb.netlink import IPRoute, dump
from binding.plumb.steps import Step, StepError

_log = logging.getLogger(__name__)
_LEARNING = ("IFLA_LINKINFO", "IFLA_INFO_SLAVE_DATA", "IFLA_BRPORT_LEARNING")


def mend(ipr: IPRoute, asked: Mend) -> tuple[str, ...]:
    """Return the names of the steps that were taken. Raises StepError at the first that fails.

    Nothing is undone then: each step by itself brings the pod nearer to what it was.
    """
    done = []
    for wiring in asked.wirings:
        for step in _steps(ipr, wiring, asked.nics.get(wiring.names.nic, 0)):
            try:
                step.do()
            except Exception as error:  # whatever it is, its step is named
                raise StepError(step.name, error, ()) from error
            done.append(step.name)
    for name in done:
        _log.info("mended: %s", name)
    return tuple(done)


def _steps(ipr: IPRoute, wiring: Wiring, nic: int) -> Iterator[Step]:
    """Yield steps; each looks at the links as the former steps have left them."""
    names = wiring.names
    yield from _name(ipr, wiring, nic)
    bridge, port = wire.bridge_steps(ipr, wiring)
    for name, steps in (
        (names.bridge, bridge),
        (names.tap, port),
        (names.pod, wire.placeholder_steps(ipr, wiring)),
    ):
        if name not in _links(ipr):
            yield from steps
    for name in (names.tap, names.nic):
        links = _links(ipr)
        if not {name, names.bridge} <= links.keys():
            continue  # somebody has removed it meanwhile: the next mend makes it
        if links[name].get("master") != links[names.bridge]["index"]:
            yield wire.attach_step(ipr, name, names.bridge)
    yield from _settings(ipr, wiring)


def _settings(ipr: IPRoute, wiring: Wiring) -> Iterator[Step]:
    names, links = wiring.names, _links(ipr)
    # A mend that failed may have made a link and not silenced it.
    for name in (names.bridge, names.tap, names.nic, names.pod):
        if name in links and not is_silent(links[name]):
            yield Step(f"silence {name}", partial(wire.silence, ipr, name))
    for name in (names.tap, names.bridge):
        if name in links and links[name].get("mtu") != wiring.mtu:
            change = partial(wire.set_link, ipr, name, mtu=wiring.mtu)
            yield Step(f"set the MTU of {name}", change)
    if names.nic in links and links[names.nic].get_nested(*_LEARNING):
        change = partial(ipr.brport, "set", index=links[names.nic]["index"], learning=0)
        yield Step(f"turn off learning on {names.nic}", change)
    for name in (names.bridge, names.nic, names.tap):
        if name in links and not links[name]["flags"] & IFF_UP:
            yield Step(f"bring up {name}", partial(wire.set_link, ipr, name, state="up"))


def _name(ipr: IPRoute, wiring: Wiring, nic: int) -> Iterator[Step]:
    """Give the pod NIC its name as a bridge port back."""
    name = wiring.names.nic
    link = next((one for one in _links(ipr).values() if one["index"] == nic), None)
    if link is not None and link.get("ifname") != name:
        change = partial(ipr.link, "set", index=nic)
        yield Step(f"take down {link.get('ifname')}", partial(change, state="down"))
        yield Step(f"rename {link.get('ifname')} to {name}", partial(change, ifname=name))


def _links(ipr: IPRoute) -> wire.Links:
    return {link.get("ifname"): link for link in dump(ipr.link)}
