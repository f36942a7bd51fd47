"""The status object as text for a person and as metrics for Prometheus. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Status = dict[str, Any]


def text(status: Status) -> str:
    """Return a few lines for each guest."""
    lines = [f"dsbridge {status['version']}, plugin {status['plugin']}, guard {status['guard']}"]
    lines += [f"warning: {warning}" for warning in status["warnings"]]
    for guest in status["guests"]:
        lines += ["", *_guest(guest)]
    return "\n".join(lines)


def _guest(guest: dict[str, Any]) -> Iterator[str]:
    yield f"{guest['network']}: {_provider(guest)}, {guest['shape']}, tap {guest['tap']}"
    yield f"  guest      {guest['mac']}, MTU {guest['mtu']}"
    yield f"  addresses  {', '.join(guest['ipv4'] + guest['ipv6']) or 'none'}"
    yield f"  router     {_router(guest)}"
    for request, event in guest["last"].items():
        time = event["time"].partition("T")[2].partition("+")[0]
        yield f"  {request:<19} {event['reply'] or 'silence':<10} {time}  {event['note']}"
    for warning in guest["warnings"]:
        yield f"  warning    {warning}"


def _provider(guest: dict[str, Any]) -> str:
    if guest["provider"] != "auto":
        return str(guest["provider"])
    found = ", ".join(f"{family} {by}" for family, by in guest["serves"].items())
    return f"auto ({found or 'not known yet'})"


def _router(guest: dict[str, Any]) -> str:
    router = guest["router"]
    if router is None:
        return "OVN's" if guest["serves"].get("ipv6") == "kube-ovn" else "none"
    return f"{router['address']} ({router['source']}), MAC {router['lladdr'] or 'unknown'}"


def prometheus(status: Status) -> str:
    """Return the metrics in the text exposition format, for a node exporter's collector."""
    restarts = sum(process.get("restarts", 0) for process in status["processes"])
    lines = [
        "# HELP dsbridge_info Version and plugin name of the sidecar.",
        "# TYPE dsbridge_info gauge",
        _sample("info", {key: status[key] for key in ("version", "plugin", "guard")}, 1),
        "# HELP dsbridge_serve_restarts_total Times that the serving process was replaced.",
        "# TYPE dsbridge_serve_restarts_total counter",
        _sample("serve_restarts_total", {}, restarts),
        "# HELP dsbridge_messages_total Requests of the guest and answers to it, by name.",
        "# TYPE dsbridge_messages_total counter",
    ]
    for guest in status["guests"]:
        for message, count in guest["counters"].items():
            labels = {"network": guest["network"], "message": message}
            lines.append(_sample("messages_total", labels, count))
    lines += [
        "# HELP dsbridge_warnings Warnings that stand against a guest's network.",
        "# TYPE dsbridge_warnings gauge",
    ]
    for guest in status["guests"]:
        lines.append(_sample("warnings", {"network": guest["network"]}, len(guest["warnings"])))
    return "\n".join(lines)


def _sample(name: str, labels: dict[str, str], value: int) -> str:
    inner = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
    return f"dsbridge_{name}{{{inner}}} {value}" if inner else f"dsbridge_{name} {value}"


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
