"""From a domain and a VMI to a served guest: the steps of one OnDefineDomain, in order.

Knows nothing of gRPC, so that KubeVirt's structured plugin can run on the same logic.
Everything that can be refused is refused before anything is touched.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from binding.discover import annotation, guests, vmi
from binding.hooks import cloud_init, domain_xml
from binding.hooks.refusal import FailedPrecondition, InvalidInput
from binding.ipc.channel import Message
from binding.ipc.snapshot import Snapshot
from binding.packet import guard, links
from binding.process import capabilities
from binding.sidecar.plumb_child import PlumbError
from binding.sidecar.pod_guard import Enforcer, Guard
from binding.sidecar.status import Ledger
from binding.sidecar.supervisor import ServeError, Supervisor
from guest.network import GuestNetwork

_log = logging.getLogger(__name__)

_INVALID = (vmi.VmiError, domain_xml.DomainError, annotation.OverrideError)
_POLICY = "apply deploy/policy (docs/install.md, 'Privileges') and restart the VM"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment of the sidecar decides."""

    plugin: str | None
    """NETWORK_BINDING_PLUGIN_NAME; None before KubeVirt 1.9."""
    defaults: str = ""
    """DSBRIDGE_DEFAULTS, JSON."""
    structured: bool = False
    """KubeVirt calls us as a structured plugin, not as a hook sidecar."""


class Binder:
    """Serves the guests of one virt-launcher pod."""

    def __init__(self, snapshot: Snapshot, settings: Settings) -> None:
        self._snapshot = snapshot
        self._settings = settings
        self._one_at_a_time = asyncio.Lock()
        self._guests: tuple[GuestNetwork, ...] = ()
        self._enforcer = Enforcer(guard.table_name(settings.plugin))
        self._tasks: set[asyncio.Task[None]] = set()
        self.ledger = Ledger()
        self.supervisor = Supervisor(self._reported)

    @property
    def guard(self) -> Guard:
        """Whether the kernel keeps other servers from the guests."""
        return self._enforcer.guard

    async def define(self, xml: bytes, vmi_json: bytes) -> bytes:
        """Wire and serve the VMI's guests; return the domain that libvirt shall define.

        Equal input has no further effect. Raises InvalidInput and FailedPrecondition.
        """
        async with self._one_at_a_time:
            try:
                instance = vmi.decode(vmi_json)
                attached = domain_xml.attachments(xml)
                found = self._discover(instance, attached)
                edited = domain_xml.edit(xml, instance, found.guests)
            except _INVALID as error:
                raise InvalidInput(str(error)) from error
            except guests.MissingLink as error:
                raise FailedPrecondition(str(error)) from error
            self._check_privileges(found)
            unguarded = await self._wire(found)
            self._check_taps(found.guests)
            self._guests = found.guests
            self.ledger.serve(found.guests, found.warnings)  # before the first report of serve
            self._warn(unguarded)
            await self._serve(found.guests)
            return edited

    def cloud_init(self, data: bytes, vmi_json: bytes) -> bytes:
        """Return cloud-init's data with networkData for the guests, if it has none.

        Raises InvalidInput.
        """
        try:
            instance = vmi.decode(vmi_json)
            return cloud_init.complete(data, self._discover(instance, {}).guests, instance)
        except (*_INVALID, cloud_init.CloudInitError, guests.MissingLink) as error:
            raise InvalidInput(str(error)) from error

    def _discover(
        self, instance: vmi.Vmi, attached: Mapping[str, domain_xml.Attachment]
    ) -> guests.Discovery:
        defaults = annotation.parse_defaults(self._settings.defaults)
        found = guests.guests(
            self._snapshot,
            instance,
            attached,
            plugin=self._settings.plugin,
            defaults=defaults,
            wired={one.names.tap for one in self._enforcer.wired},
        )
        if self._settings.structured:
            return replace(found, guests=tuple(map(_of_plugin, found.guests)))
        return found

    def _check_privileges(self, found: guests.Discovery) -> None:
        needed = {"NET_ADMIN"} if found.wirings else set()
        if any(guard.is_heard(guest) for guest in found.guests):
            needed.add("NET_RAW")
        if missing := sorted(needed - capabilities.permitted()):
            raise FailedPrecondition(
                f"the sidecar lacks {' and '.join(missing)}: the pod was not granted it; {_POLICY}"
            )

    async def _wire(self, found: guests.Discovery) -> str:
        """Return why the guard is off, or an empty string: without it all else works."""
        filters = guard.filters(found.guests, self.ledger.served(found.guests))
        try:
            return await self._enforcer.wire(found.wirings, filters)
        except PlumbError as error:
            remedy = f"; the sidecar lacks {error.privilege}: {_POLICY}" if error.privilege else ""
            raise FailedPrecondition(f"wiring was undone: {error}{remedy}") from error

    def _check_taps(self, guests: tuple[GuestNetwork, ...]) -> None:
        for guest in guests:
            mtu = links.mtu(guest.tap)
            if mtu is None:
                raise FailedPrecondition(
                    f"network {guest.network}: there is no link {guest.tap} in the pod, only "
                    f"{', '.join(links.names())}; does the binding's domainAttachmentType fit?"
                )
            if mtu < guest.mtu:
                _log.warning(
                    "tap %s has MTU %d, the guest is told %d",
                    guest.tap,
                    mtu,
                    guest.mtu,
                    extra={"network": guest.network},
                )

    async def _guard(self) -> None:
        """Drop what must not pass, as far as it is known who serves."""

        def wanted() -> tuple[guard.Filter, ...]:
            return guard.filters(self._guests, self.ledger.served(self._guests))

        self._warn(await self._enforcer.enforce(wanted))

    def _warn(self, unguarded: str) -> None:
        if not unguarded:
            return
        if "NET_ADMIN" not in capabilities.permitted():
            unguarded = f"{unguarded}; {_POLICY}"
        for guest in self._guests:
            what = "requests leave the pod and other servers may answer"
            if guest.shape == "takeover":
                what = "KubeVirt's own DHCP server goes on answering, and others may"
            self.ledger.warn(guest.network, f"guard off, {what}: {unguarded}")

    def _reported(self, message: Message) -> None:
        before = self.ledger.served(self._guests)
        self.ledger.take(message)
        if self.ledger.served(self._guests) != before:
            task = asyncio.get_running_loop().create_task(self._guard())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, guests: tuple[GuestNetwork, ...]) -> None:
        try:
            await self.supervisor.serve(tuple(guest for guest in guests if guard.is_heard(guest)))
        except ServeError as error:
            remedy = f"the sidecar lacks {error.privilege}: {_POLICY}" if error.privilege else ""
            raise FailedPrecondition("; ".join(filter(None, [str(error), remedy]))) from error


def _of_plugin(guest: GuestNetwork) -> GuestNetwork:
    return replace(guest, shape="plugin") if guest.shape == "managed" else guest
