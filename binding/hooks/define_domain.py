"""From a domain and a VMI to a served guest: the steps of one OnDefineDomain, in order.

Knows nothing of gRPC: KubeVirt's structured plugin runs on the same logic.
Everything that can be refused is refused before anything is touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from binding.discover import (
    annotation,
    contradiction,
    guests,
    network_status,
    pod_annotations,
    vmi,
)
from binding.discover.nic import Attachment, MissingLink
from binding.hooks import cloud_init, domain_xml
from binding.hooks.refusal import FailedPrecondition, InvalidInput
from binding.hooks.sidecar import Sidecar
from binding.ipc import messages
from binding.ipc.about import Instance, Remark
from binding.ipc.snapshot import Snapshot
from binding.process import annotations_file
from binding.process.loop import Lock
from guest.network import GuestNetwork

_INVALID = (
    vmi.VmiError,
    domain_xml.DomainError,
    annotation.OverrideError,
    contradiction.Contradiction,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment of the sidecar decides."""

    plugin: str | None
    """NETWORK_BINDING_PLUGIN_NAME; None before KubeVirt 1.9."""
    defaults: str = ""
    """DSBRIDGE_DEFAULTS, JSON."""
    cloud_init: bool = False
    """DSBRIDGE_CLOUD_INIT: KubeVirt asks us for networkData."""
    structured: bool = False
    """KubeVirt calls us as a structured plugin, not as a hook sidecar."""


class DefineDomain:
    """Finds out the guests of one virt-launcher pod and has the sidecar serve them."""

    def __init__(self, sidecar: Sidecar, settings: Settings) -> None:
        self._sidecar = sidecar
        self._settings = settings
        self._one_at_a_time = Lock()
        self._warnings: tuple[Remark, ...] = ()
        """About cloud-init's data, which KubeVirt asks for before the domain."""

    async def __call__(
        self, xml: bytes, vmi_json: bytes, asked: messages.Discover | None = None
    ) -> bytes:
        """Wire and serve the VMI's guests; return the domain that libvirt shall define.

        Equal input has no further effect. Raises InvalidInput and FailedPrecondition.
        """
        async with self._one_at_a_time:
            snapshot, pod = await self._sidecar.pod()
            if asked is not None:
                pod = pod._replace(settings=asked.settings)
            try:
                instance = vmi.decode(vmi_json)
                attached = domain_xml.attachments(xml)
                found = self._discover(snapshot, pod, instance, attached)
                contradiction.refuse(found.guests, snapshot)
                edited = domain_xml.edit(xml, instance, found.guests)
            except _INVALID as error:
                self._refused(asked, error)
                raise InvalidInput(str(error)) from error
            except MissingLink as error:
                self._refused(asked, error)
                raise FailedPrecondition(str(error)) from error
            named = Instance(instance.namespace, instance.name, instance.uid)
            await self._sidecar.define(
                messages.Define(
                    number=0,
                    guests=found.guests,
                    wirings=found.wirings,
                    warnings=(*found.warnings, *self._warnings),
                    vmi=vmi_json.decode(),
                    domain=xml.decode(),
                    instance=named,
                    settings=pod.settings,
                    discovery=asked.number if asked else 0,
                    spared=found.spared,
                )
            )
            return edited

    def _refused(self, asked: messages.Discover | None, error: Exception) -> None:
        if asked is None:
            self._sidecar.say(messages.Refused(str(error)))

    async def again(self, asked: messages.Discover) -> None:
        """Do what the last call did, for a pod or settings that have changed since."""
        try:
            await self(asked.domain.encode(), asked.vmi.encode(), asked)
        except (InvalidInput, FailedPrecondition) as error:
            self._sidecar.say(messages.Undiscovered(asked.number, str(error)))

    async def cloud_init(self, data: bytes, vmi_json: bytes) -> bytes:
        """Return cloud-init's data with networkData for the guests, if it has none.

        Raises InvalidInput.
        """
        snapshot, pod = await self._sidecar.pod()
        try:
            instance = vmi.decode(vmi_json)
            found = self._discover(snapshot, pod, instance, {})
            completed = cloud_init.complete(data, found.guests, instance)
            warned = tuple(cloud_init.warnings(data, found.guests, instance))
        except (*_INVALID, cloud_init.CloudInitError, MissingLink) as error:
            raise InvalidInput(str(error)) from error
        if warned or completed != data:
            self._warnings = warned
        return completed

    def _discover(
        self,
        snapshot: Snapshot,
        pod: messages.Pod,
        instance: vmi.Vmi,
        attached: Mapping[str, Attachment],
    ) -> guests.Discovery:
        reloaded = {annotation.PREFIX + name: text for name, text in pod.settings.items()}
        instance = replace(instance, annotations={**instance.annotations, **reloaded})
        found = guests.guests(
            snapshot,
            instance,
            attached,
            plugin=self._settings.plugin,
            defaults=annotation.parse_defaults(self._settings.defaults),
            wired=pod.wired,
            links=pod.links,
            # The kubelet writes what multus says some time after the pod's start.
            annotations=pod_annotations.parse(annotations_file.read(), network_status.ANNOTATION),
        )
        if not self._settings.cloud_init:
            unasked = (one for one in found.guests if one.cloud_init != "dhcp")
            warned = (
                Remark(
                    one.network,
                    f"cloudInit {one.cloud_init} is not written: KubeVirt does not ask dsbridge "
                    'for networkData; put the label dsbridge.io/cloud-init: "" on the VM\'s '
                    "template",
                )
                for one in unasked
            )
            found = replace(found, warnings=(*found.warnings, *warned))
        if self._settings.structured:
            return replace(found, guests=tuple(map(_of_plugin, found.guests)))
        return found


def _of_plugin(guest: GuestNetwork) -> GuestNetwork:
    return replace(guest, shape="plugin") if guest.shape == "managed" else guest
