"""KubeVirt's hook services and structured plugin over gRPC: bytes in and out, errors as statuses.

Method names are the protocol's. What a call does is in binding.hooks.define_domain. The generated
code, protobuf and XML are imported behind the start of the gRPC server, or by the first call if
that comes earlier.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import threading
from collections.abc import Awaitable
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from binding.hooks.refusal import FailedPrecondition, InvalidInput
from binding.hooks.sidecar import Sidecar
from binding.ipc.messages import Collected, Discover, Ended
from binding.process import memory

if TYPE_CHECKING:
    from binding.hooks.define_domain import DefineDomain

_log = logging.getLogger(__name__)

T = TypeVar("T")
Context = grpc.aio.ServicerContext[Any, Any]

VERSIONS = ("v1alpha1", "v1alpha2", "v1alpha3")
_LIBVIRT = "libvirt"


class Services(grpc.GenericRpcHandler):
    """Every method of every service; loaded when first asked."""

    def __init__(self, sidecar: Sidecar, *, structured: bool) -> None:
        self._sidecar = sidecar
        self._structured = structured
        self._loading = threading.Lock()
        self._handlers: list[grpc.GenericRpcHandler] | None = None
        self._define: DefineDomain | None = None
        sidecar.on_discover = self._discover

    def load_soon(self) -> None:
        """Import the rest beside the event loop, which goes on greeting callers."""
        threading.Thread(target=self._load, name="imports", daemon=True).start()

    async def _discover(self, asked: Discover) -> None:
        """Find the guests anew: the pod has changed."""
        await asyncio.to_thread(self._load)
        assert self._define is not None
        await self._define.again(asked)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler of a method, None for one that no service has."""
        found = (one.service(details) for one in self._load())
        return next((one for one in found if one is not None), None)

    def _load(self) -> list[grpc.GenericRpcHandler]:
        with self._loading:
            if self._handlers is None:
                registry = _Registry()
                self._define = _register(self._sidecar, registry, structured=self._structured)
                self._handlers = registry.handlers
                memory.give_back()  # imports leave much of it behind
            return self._handlers


class _Registry:
    """Takes what generated code gives to a server."""

    def __init__(self) -> None:
        self.handlers: list[grpc.GenericRpcHandler] = []

    def add_generic_rpc_handlers(self, handlers: tuple[grpc.GenericRpcHandler, ...]) -> None:
        self.handlers += handlers

    def add_registered_method_handlers(self, *_: object) -> None:
        """Ignore them: the generic handlers have these methods, too."""


def _register(sidecar: Sidecar, registry: Any, *, structured: bool) -> DefineDomain:  # noqa: ANN401  # in place of a server
    from binding.hooks.define_domain import DefineDomain, Settings  # noqa: PLC0415  # imports XML
    from proto import (  # noqa: PLC0415  # imports protobuf
        info_pb2,
        info_pb2_grpc,
        plugins_v1alpha1_pb2,
        plugins_v1alpha1_pb2_grpc,
    )

    plugin = os.environ.get("NETWORK_BINDING_PLUGIN_NAME") or None
    settings = Settings(plugin, os.environ.get("DSBRIDGE_DEFAULTS", ""), structured)
    define = DefineDomain(sidecar, settings)
    points = ["OnDefineDomain", "Shutdown"]
    # KubeVirt panics on a nil pointer for a VM without cloud-init: only where there is one.
    points += ["PreCloudInitIso"] if os.environ.get("DSBRIDGE_CLOUD_INIT") == "1" else []
    answer = info_pb2.InfoResult(
        name=plugin or "dsbridge",
        versions=VERSIONS,
        hookPoints=[info_pb2.HookPoint(name=point, priority=0) for point in points],
    )
    info_pb2_grpc.add_InfoServicer_to_server(_Info(sidecar, answer), registry)  # type: ignore[arg-type]  # see _Info
    for version in VERSIONS:
        messages = importlib.import_module(f"proto.{version}_pb2")
        services = importlib.import_module(f"proto.{version}_pb2_grpc")
        callbacks = _Callbacks(messages, define, sidecar)
        services.add_CallbacksServicer_to_server(callbacks, registry)
    hooks = _DomainHooks(plugins_v1alpha1_pb2, define)
    plugins_v1alpha1_pb2_grpc.add_DomainHookServiceServicer_to_server(hooks, registry)  # type: ignore[arg-type]  # see _Info
    return define


class _Info:
    """Asked once, within a second, by virt-launcher; an error here is fatal to the VM.

    No subclass of the generated servicer, which only raises "not implemented".
    """

    def __init__(self, sidecar: Sidecar, answer: object) -> None:
        self._sidecar = sidecar
        self._answer = answer

    async def Info(self, request: object, context: Context) -> object:  # noqa: N802, ARG002  # the protocol's name and arguments
        # The answer goes first: it has a second, and OnDefineDomain comes seconds later.
        asyncio.get_running_loop().call_later(0.1, self._sidecar.say, Collected())
        return self._answer


class _Callbacks:
    """The same for every version of the service; each has message classes of its own."""

    def __init__(self, messages: ModuleType, define: DefineDomain, sidecar: Sidecar) -> None:
        self._messages = messages
        self._define = define
        self._sidecar = sidecar

    async def OnDefineDomain(self, request: Any, context: Context) -> Any:  # noqa: N802, ANN401  # the protocol's name; messages of any version
        xml = await _or_status(context, self._define(request.domainXML, request.vmi))
        return self._messages.OnDefineDomainResult(domainXML=xml)

    async def PreCloudInitIso(self, request: Any, context: Context) -> Any:  # noqa: N802, ANN401  # the protocol's name; messages of any version
        data, legacy = await _or_status(context, self._cloud_init(request))
        return self._messages.PreCloudInitIsoResult(
            cloudInitData=data, cloudInitNoCloudSource=legacy
        )

    async def Shutdown(self, request: Any, context: Context) -> Any:  # noqa: N802, ANN401, ARG002  # the protocol's name and arguments
        self._sidecar.say(Ended())
        return self._messages.ShutdownResult()

    async def _cloud_init(self, request: Any) -> tuple[bytes, bytes]:  # noqa: ANN401  # messages of any version
        return (
            await self._define.cloud_init(request.cloudInitData, request.vmi),
            await self._define.cloud_init(request.cloudInitNoCloudSource, request.vmi),
        )


class _DomainHooks:
    """kubevirt.hooks.plugins.v1alpha1: KubeVirt's structured plugin.

    virt-launcher calls it once for each start, after all hook sidecars, and on a migration
    target, where the answer is thrown away as theirs is.
    """

    def __init__(self, messages: ModuleType, define: DefineDomain) -> None:
        self._messages = messages
        self._define = define

    async def MutateDomain(self, request: Any, context: Context) -> Any:  # noqa: N802, ANN401  # the protocol's name
        if request.domain_type != _LIBVIRT:
            text = f"domain_type {request.domain_type[:60]!r} is unknown; send {_LIBVIRT}"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        domain = await _or_status(context, self._define(request.domain, request.vmi))
        return self._messages.MutateDomainResponse(domain=domain)


async def _or_status(context: Context, work: Awaitable[T]) -> T:
    """Await the work; end the call with a status that names what is wrong.

    Work that was begun is carried to its end, even where its caller does not wait for it.
    """
    task = asyncio.ensure_future(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        return await asyncio.shield(task)
    except InvalidInput as error:
        status, text = grpc.StatusCode.INVALID_ARGUMENT, str(error)
    except FailedPrecondition as error:
        status, text = grpc.StatusCode.FAILED_PRECONDITION, str(error)
    except Exception as error:  # noqa: BLE001  # a bug of ours must not leave the VM without an answer
        _log.exception("a hook call failed for a reason of our own")
        status, text = grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"
    _log.error("refused: %s", text)
    await context.abort(status, text)
    raise AssertionError("abort() raises")
