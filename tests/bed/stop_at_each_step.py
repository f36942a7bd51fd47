"""Wire up to each step in turn, fail there, and print the steps after which the pod differs.

Run inside the pod's namespace, a tuple of Wiring on stdin.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from binding.ipc import codec
from binding.ipc.wiring import Wiring
from binding.plumb import wire
from binding.plumb.netlink import connect, dump
from binding.plumb.steps import Step, StepError, carry_out


def shown(*what: str):
    text = subprocess.check_output(["ip", "-d", "-j", *what], text=True)
    return [one for one in json.loads(text or "[]") if one]


def pod_state():
    links = [
        {key: link.get(key) for key in ("ifindex", "ifname", "address", "mtu", "master")}
        | {"up": "UP" in link["flags"], "ipv6": link.get("inet6_addr_gen_mode")}
        for link in shown("link", "show")
    ]
    addresses = [
        {"link": link["ifname"]} | address
        for link in shown("addr", "show")
        for address in link["addr_info"]
    ]
    routes = shown("-4", "route", "show", "table", "all")
    routes += shown("-6", "route", "show", "table", "all")
    return {
        "links": links,
        "addresses": sorted(addresses, key=str),
        "routes": sorted(routes, key=str),
        "neighbours": sorted(shown("neigh", "show", "nud", "permanent"), key=str),
        "arp_ignore": Path("/proc/sys/net/ipv4/conf/eth0/arp_ignore").read_text(),
    }


def failing_step() -> None:
    raise RuntimeError("failed on purpose")


def main() -> None:
    wirings = codec.decode(tuple[Wiring, ...], sys.stdin.read())
    before = pod_state()
    tried, differing = [], {}
    with connect() as ipr:
        stop = 0
        while True:
            links = {link.get("ifname"): link for link in dump(ipr.link)}
            plan = [step for wiring in wirings for step in wire.steps(ipr, links, wiring)]
            if stop > len(plan):
                break
            try:
                carry_out([*plan[:stop], Step("the failing step", failing_step)], lambda: None)
            except StepError as error:
                remains = error.remains
            after = pod_state()
            for _ in range(20):  # the kernel's own routes come and go a little later
                if after == before:
                    break
                time.sleep(0.05)
                after = pod_state()
            tried.append(plan[stop - 1].name if stop else "nothing")
            if after != before or remains:
                differing[tried[-1]] = [
                    list(remains),
                    *([before[key], after[key]] for key in before if before[key] != after[key]),
                ]
            stop += 1
    print(json.dumps({"tried": tried, "differing": differing}))


if __name__ == "__main__":
    main()
