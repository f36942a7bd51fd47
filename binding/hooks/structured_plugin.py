"""KubeVirt's structured plugin over gRPC: another way to the same binder.

virt-launcher calls it once for each start, after all hook sidecars, and on a migration
target, where the answer is thrown away as theirs is.
"""

from __future__ import annotations

import grpc

from binding.hooks.grpc_services import Binders, Context, or_status
from proto import plugins_v1alpha1_pb2, plugins_v1alpha1_pb2_grpc

_LIBVIRT = "libvirt"


class DomainHooks(plugins_v1alpha1_pb2_grpc.DomainHookServiceServicer):
    """kubevirt.hooks.plugins.v1alpha1."""

    def __init__(self, binder: Binders) -> None:
        self._binder = binder

    async def MutateDomain(  # noqa: N802  # the protocol's name
        self, request: plugins_v1alpha1_pb2.MutateDomainRequest, context: Context
    ) -> plugins_v1alpha1_pb2.MutateDomainResponse:
        if request.domain_type != _LIBVIRT:
            text = f"domain_type {request.domain_type[:60]!r} is unknown; send {_LIBVIRT}"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        domain = await or_status(context, self._binder().define(request.domain, request.vmi))
        return plugins_v1alpha1_pb2.MutateDomainResponse(domain=domain)


def add(binder: Binders, server: grpc.aio.Server) -> None:
    """Let a server answer the plugin's calls, too."""
    plugins_v1alpha1_pb2_grpc.add_DomainHookServiceServicer_to_server(DomainHooks(binder), server)
