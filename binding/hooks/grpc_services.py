"""KubeVirt's hook services over gRPC: bytes in, bytes out, errors as statuses.

Method names are the protocol's. What happens is in binding.hooks.define_domain.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from binding.hooks.grpc_on_demand import IDLE
from binding.hooks.refusal import FailedPrecondition, InvalidInput
from proto import (
    info_pb2,
    info_pb2_grpc,
    v1alpha1_pb2,
    v1alpha1_pb2_grpc,
    v1alpha2_pb2,
    v1alpha2_pb2_grpc,
    v1alpha3_pb2,
    v1alpha3_pb2_grpc,
)

_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from binding.hooks.define_domain import Binder

T = TypeVar("T")
Binders = Callable[[], "Binder"]
"""Returns the one binder; the first call imports what Info does without."""
Context = grpc.aio.ServicerContext[Any, Any]

_SOON = 0.1
VERSIONS = ("v1alpha1", "v1alpha2", "v1alpha3")


class Info(info_pb2_grpc.InfoServicer):
    """Asked once, within a second, by virt-launcher; an error here is fatal to the VM."""

    def __init__(self, name: str, prepare: Callable[[], None], *, cloud_init: bool) -> None:
        self._prepare = prepare
        points = ["OnDefineDomain", "Shutdown"]
        # KubeVirt panics on a nil pointer for a VM without cloud-init: only where there is one.
        points += ["PreCloudInitIso"] if cloud_init else []
        self._answer = info_pb2.InfoResult(
            name=name,
            versions=VERSIONS,
            hookPoints=[info_pb2.HookPoint(name=point, priority=0) for point in points],
        )

    async def Info(self, request: info_pb2.InfoParams, context: Context) -> info_pb2.InfoResult:  # noqa: N802, ARG002  # the protocol's name and arguments
        # The answer goes first: it has a second, and OnDefineDomain comes seconds later.
        asyncio.get_running_loop().call_later(_SOON, self._prepare)
        return self._answer


class _Callbacks:
    """The same for every version of the service; each has message classes of its own."""

    def __init__(self, messages: ModuleType, binder: Binders, stop: asyncio.Event) -> None:
        self._messages = messages
        self._binder = binder
        self._stop = stop

    async def OnDefineDomain(self, request: Any, context: Context) -> Any:  # noqa: N802, ANN401  # the protocol's name; messages of any version
        xml = await or_status(context, self._binder().define(request.domainXML, request.vmi))
        return self._messages.OnDefineDomainResult(domainXML=xml)

    async def PreCloudInitIso(self, request: Any, context: Context) -> Any:  # noqa: N802, ANN401  # the protocol's name; messages of any version
        data, legacy = await or_status(context, self._cloud_init(request))
        return self._messages.PreCloudInitIsoResult(
            cloudInitData=data, cloudInitNoCloudSource=legacy
        )

    async def Shutdown(self, request: Any, context: Context) -> Any:  # noqa: N802, ANN401, ARG002  # the protocol's name and arguments
        _log.info("virt-launcher says that the VM has ended")
        self._stop.set()
        return self._messages.ShutdownResult()

    async def _cloud_init(self, request: Any) -> tuple[bytes, bytes]:  # noqa: ANN401  # messages of any version
        return (
            self._binder().cloud_init(request.cloudInitData, request.vmi),
            self._binder().cloud_init(request.cloudInitNoCloudSource, request.vmi),
        )


class _V1Alpha1(_Callbacks, v1alpha1_pb2_grpc.CallbacksServicer):
    pass


class _V1Alpha2(_Callbacks, v1alpha2_pb2_grpc.CallbacksServicer):
    pass


class _V1Alpha3(_Callbacks, v1alpha3_pb2_grpc.CallbacksServicer):
    pass


async def or_status(context: Context, work: Coroutine[Any, Any, T]) -> T:
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
    except Exception as error:  # noqa: BLE001  # a bug of ours must not leave the VM without answers
        _log.exception("a hook call failed for a reason of our own")
        status, text = grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"
    _log.error("refused: %s", text)
    await context.abort(status, text)
    raise AssertionError("abort() raises")


def server(binder: Binders, name: str, stop: asyncio.Event, *, cloud_init: bool) -> grpc.aio.Server:
    """Return a gRPC server of every hook service, not yet bound or started."""

    def prepare() -> None:
        binder().supervisor.prepare()

    grpc_server = grpc.aio.server(options=IDLE)
    info = Info(name, prepare, cloud_init=cloud_init)
    info_pb2_grpc.add_InfoServicer_to_server(info, grpc_server)
    v1alpha1_pb2_grpc.add_CallbacksServicer_to_server(
        _V1Alpha1(v1alpha1_pb2, binder, stop), grpc_server
    )
    v1alpha2_pb2_grpc.add_CallbacksServicer_to_server(
        _V1Alpha2(v1alpha2_pb2, binder, stop), grpc_server
    )
    v1alpha3_pb2_grpc.add_CallbacksServicer_to_server(
        _V1Alpha3(v1alpha3_pb2, binder, stop), grpc_server
    )
    return grpc_server
