"""The status object as text for a person: at most 80 columns, or as wide as it takes. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from binding.ipc.status import GuestStatus, LastExchange, ProcessStatus, Status
from binding.process.logs import epoch
from guest.network import GuestNetwork

_COLUMNS = 80
_LABEL = 14


def text(status: Status, *, wide: bool = False) -> str:
    """Return some lines for the sidecar and for each guest; `wide` leaves nothing out."""
    now = epoch(status.now)
    lines = list(_sidecar(status, now))
    for guest in status.guests:
        lines += ["", *_guest(guest, now, wide=wide)]
    if wide:
        return "\n".join(lines)
    return "\n".join(folded for line in lines for folded in _folded(line))


def _folded(line: str) -> list[str]:
    """Return a line as several that fit, broken between words. textwrap would cost 0.3 MiB."""
    folded: list[str] = []
    while len(line) > _COLUMNS:
        at = line.rfind(" ", _LABEL, _COLUMNS + 1)
        at = at if at > 0 else _COLUMNS
        folded.append(line[:at])
        line = " " * _LABEL + line[at:].lstrip()
    return [*folded, line]


def _line(label: str, words: str) -> str:
    return f"  {label:<{_LABEL - 3}} {words}"


def _sidecar(status: Status, now: float) -> Iterator[str]:
    vmi = "/".join(filter(None, (status.vmi.namespace, status.vmi.name))) or "no VMI yet"
    yield f"dsbridge {status.version}, plugin {status.plugin}, guard {status.guard}"
    yield _line("VMI", vmi)
    yield _line("running", f"{age(now - epoch(status.started))}, since {_when(status.started)}")
    yield _line("processes", "; ".join(_process(one) for one in status.processes))
    if status.last_call is not None and status.last_call.text != "done":
        yield _line("refused", f"{status.last_call.text} ({_when(status.last_call.time)})")
    for network, settings in status.reloaded.items():
        yield _line("reloaded", f"{network}: {settings}")
    for warning in status.warnings:
        yield _line("warning", warning)


def _process(one: ProcessStatus) -> str:
    words = [one.name, "resting" if one.resting else one.phase]
    if one.memory:
        words.append(f"{one.memory / 2**20:.1f} MiB")
    if one.restarts:
        words.append(f"(started again {one.restarts}x: {one.last_end})")
    return " ".join(words)


def _guest(guest: GuestStatus, now: float, *, wide: bool) -> Iterator[str]:
    yield f"{guest.network}: {_provider(guest)}, {guest.shape}, tap {guest.tap}"
    path = " - ".join(filter(None, (guest.tap, guest.bridge, guest.nic)))
    yield _line("guest", f"{guest.mac}, MTU {guest.mtu}" + (f", {path}" if wide else ""))
    yield _line("addresses", _addresses(guest))
    yield _line("router", _router(guest))
    if guest.told is not None:
        yield from (_line(*told) for told in _told(guest.told, wide=wide))
    for request, last in guest.last.items():
        yield _line(request, _exchange(last, now))
    heard = f"{_when(guest.last_heard)}" if guest.last_heard else "never"
    yield _line("last heard", heard)
    if wide:
        counted = ", ".join(f"{name} {count}" for name, count in guest.counters.items())
        yield _line("counted", counted or "nothing")
        for reason, count in guest.silences.items():
            yield _line("silence", f"{count} x {reason}")
    for one in guest.warned:
        yield _line("warning", f"{one.text} (since {_when(one.time)})")


def _addresses(guest: GuestStatus) -> str:
    six = ", ".join(guest.ipv6)
    if six and guest.modes.ipv6 == "slaac":
        six = f"by SLAAC in {six}"
    return ", ".join(filter(None, (*guest.ipv4, six))) or "none"


def _provider(guest: GuestStatus) -> str:
    if guest.provider != "auto":
        return guest.provider
    found = ", ".join(f"{family} {by}" for family, by in guest.serves.items())
    return f"auto ({found or 'not known yet'})"


def _router(guest: GuestStatus) -> str:
    router = guest.router
    if router is None:
        return "OVN's" if guest.serves.get("ipv6") == "kube-ovn" else "none yet"
    return f"{router.address} ({router.source}), MAC {router.lladdr or 'unknown'}"


def _told(told: GuestNetwork, *, wide: bool) -> Iterator[tuple[str, str]]:
    """Yield label and words of what the guest is told beside its addresses."""
    defaults = [one for one in (told.default4, told.default6) if one is not None]
    yield "gateways", ", ".join(str(one.gateway or "on-link") for one in defaults) or "none"
    yield "DNS", ", ".join(map(str, told.dns)) or "none"
    if told.search:
        yield "search", " ".join(told.search)
    if told.encrypted_dns:
        yield "encrypted DNS", ", ".join(one.name for one in told.encrypted_dns)
    if told.ntp or told.ntp_names:
        yield "NTP", ", ".join(map(str, (*told.ntp, *told.ntp_names)))
    if told.delegated:
        yield "prefixes", ", ".join(map(str, told.delegated))
    yield "host name", told.fqdn or "none"
    yield "lease", told.lease_text
    others = [one for one in told.routes if one not in defaults]
    if others and wide:
        routes = (f"{one.destination} via {one.gateway or 'on-link'}" for one in others)
        yield "routes", ", ".join(routes)
    elif others:
        yield "routes", f"{len(others)} more (-o wide)"
    boot = told.boot
    if boot.file or boot.url or boot.by_arch:
        yield "boot", ", ".join(filter(None, (boot.server, boot.file, boot.url))) or "by arch"


def _exchange(last: LastExchange, now: float) -> str:
    words = last.reply or "silence"
    note = f": {last.note}" if last.note else ""
    return f"{words}, {_when(last.time)}, {age(now - epoch(last.time))} ago{note}"


def _when(text: str) -> str:
    """Return date and time to the second, with the zone."""
    return f"{text[:10]} {text[11:19]} UTC" if text else "unknown"


def age(seconds: float) -> str:
    """Return a duration in one or two units."""
    whole = max(0, int(seconds))
    for unit, size, smaller, of in (
        ("d", 86_400, "h", 3_600),
        ("h", 3_600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // of} {smaller}"
    return f"{whole} s"
