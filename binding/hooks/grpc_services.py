"""KubeVirt's hook services and structured plugin: which method does what, octets in and out.

Method names are the protocol's. What a call does is in binding.hooks.define_domain, which is
imported, with JSON and XML, once virt-launcher has been greeted.
"""

from __future__ import annotations

import importlib
import logging
import os
from typing import TYPE_CHECKING

from binding.hooks import protobuf
from binding.hooks.grpc_server import Method
from binding.hooks.refusal import InvalidInput
from binding.hooks.sidecar import Sidecar
from binding.ipc.messages import Collected, Discover, Ended
from binding.process import memory
from binding.process.loop import Loop

if TYPE_CHECKING:
    from binding.hooks.define_domain import DefineDomain

_log = logging.getLogger(__name__)

VERSIONS = ("v1alpha1", "v1alpha2", "v1alpha3")
_LIBVIRT = "libvirt"
_LATER = ("binding.ipc.snapshot", "binding.discover.guests", "binding.hooks.lean_lxml")
"""What a call needs beside binding.hooks.define_domain: imported one after the other, so that
nobody waits for all of them."""
_LOADS_AFTER = 1.0
"""Seconds without a call after which the rest is imported."""
_ANSWERED = 0.1
"""Seconds in which the answer to Info is sent."""


class Services:
    """Every method of every service, by path."""

    def __init__(self, loop: Loop, sidecar: Sidecar, *, structured: bool) -> None:
        self._loop = loop
        self._sidecar = sidecar
        self._structured = structured
        self._plugin = os.environ.get("NETWORK_BINDING_PLUGIN_NAME") or None
        # KubeVirt panics on a nil pointer for a VM without cloud-init: only where there is one.
        asked = os.environ.get("DSBRIDGE_CLOUD_INIT", "")
        self._cloud_init = asked == "1"
        if asked not in ("", "0", "1"):
            _log.warning("DSBRIDGE_CLOUD_INIT=%.60s is neither 1 nor 0; taking 0", asked)
        self._loaded: DefineDomain | None = None
        self._later = list(_LATER)
        self._methods: dict[str, Method] = {
            "/kubevirt.hooks.info.Info/Info": self._info,
            "/kubevirt.hooks.plugins.v1alpha1.DomainHookService/MutateDomain": self._mutate_domain,
            "/kubevirt.hooks.v1alpha3.Callbacks/Shutdown": self._shutdown,
        }
        for version in VERSIONS:
            service = f"/kubevirt.hooks.{version}.Callbacks"
            self._methods[f"{service}/OnDefineDomain"] = self._on_define_domain
            if version != "v1alpha1":
                self._methods[f"{service}/PreCloudInitIso"] = self._pre_cloud_init_iso
        sidecar.on_discover = self._discover
        loop.after(_LOADS_AFTER, self._load_part)

    def find(self, path: str) -> Method | None:
        """Return the method of a path, None where no service has it."""
        return self._methods.get(path)

    def _load_part(self) -> None:
        """Import a part of what calls need, and let callers have their turn."""
        if self._later:
            importlib.import_module(self._later.pop(0))
            self._loop.after(0.0, self._load_part)
        elif self._loaded is None:
            self._define_domain()
            memory.give_back()  # imports leave much of it behind

    def _define_domain(self) -> DefineDomain:
        """Return what carries out calls; the first use imports it."""
        if self._loaded is None:
            from binding.hooks.define_domain import DefineDomain, Settings  # noqa: PLC0415  # JSON and XML

            defaults = os.environ.get("DSBRIDGE_DEFAULTS", "")
            settings = Settings(self._plugin, defaults, self._cloud_init, self._structured)
            self._loaded = DefineDomain(self._sidecar, settings)
        return self._loaded

    async def _discover(self, asked: Discover) -> None:
        """Discover the guests again: the pod has changed."""
        await self._define_domain().again(asked)

    async def _info(self, _: bytes) -> bytes:
        """Asked once, within a second, by virt-launcher; an error here is fatal to the VM."""
        # The answer goes first: it has a second, and OnDefineDomain comes seconds later.
        self._loop.after(_ANSWERED, self._collected)
        points = ["OnDefineDomain", "Shutdown"]
        points += ["PreCloudInitIso"] if self._cloud_init else []
        return b"".join(
            (
                protobuf.encoded(1, self._plugin or "dsbridge"),
                *(protobuf.encoded(3, protobuf.encoded(1, point)) for point in points),
                *(protobuf.encoded(4, version) for version in VERSIONS),
            )
        )

    def _collected(self) -> None:
        self._sidecar.say(Collected())
        self._load_part()

    async def _on_define_domain(self, request: bytes) -> bytes:
        asked = _fields(request)
        domain, vmi = asked.get(1, b""), asked.get(2, b"")
        return protobuf.encoded(1, await self._define_domain()(domain, vmi))

    async def _pre_cloud_init_iso(self, request: bytes) -> bytes:
        asked, define = _fields(request), self._define_domain()
        legacy, vmi, data = (asked.get(number, b"") for number in (1, 2, 3))
        answered = protobuf.encoded(1, await define.cloud_init(legacy, vmi))
        return answered + protobuf.encoded(3, await define.cloud_init(data, vmi))

    async def _shutdown(self, _: bytes) -> bytes:
        self._sidecar.say(Ended())
        return b""

    async def _mutate_domain(self, request: bytes) -> bytes:
        """Answer the one call of a structured plugin.

        virt-launcher calls once for each start, after all hook sidecars, and on a migration target,
        where it throws the answer away as it does those of hook sidecars.
        """
        asked = _fields(request)
        kind, domain, vmi = (asked.get(number, b"") for number in (1, 2, 3))
        if (text := kind.decode(errors="replace")) != _LIBVIRT:
            raise InvalidInput(f"domain_type {text[:60]!r} is unknown; send {_LIBVIRT}")
        return protobuf.encoded(1, await self._define_domain()(domain, vmi))


def _fields(request: bytes) -> dict[int, bytes]:
    try:
        return protobuf.fields(request)
    except ValueError as error:
        raise InvalidInput(f"the request cannot be read: {error}") from error
