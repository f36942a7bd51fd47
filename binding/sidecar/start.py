"""Start-up order and end of the sidecar: snapshot, then socket, then service.

virt-launcher waits for the socket before KubeVirt's phase 1 takes the routes away, so
what is read before the socket exists is what the CNI made.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from binding.hooks import grpc_services
from binding.hooks import structured_plugin as plugin_hooks
from binding.hooks.grpc_on_demand import Listener
from binding.ipc.codec import decode
from binding.ipc.snapshot import Snapshot, merged
from binding.process import capabilities
from binding.sidecar import saved_state
from binding.sidecar.plumb_child import PlumbError, plumb
from binding.version import VERSION

if TYPE_CHECKING:
    from binding.hooks.define_domain import Binder

_log = logging.getLogger(__name__)

_GRACE = 2.0
"""Seconds for hook calls under way when the VM has ended."""


def run(directory: Path, *, structured: bool) -> int:
    """Serve until Shutdown, SIGTERM or SIGINT; return the exit status.

    KubeVirt looks for our socket in the directory, as for that of a hook sidecar or of a
    structured plugin.
    """
    # Our children are exec'ed, never forked: gRPC need not prepare for it.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
    try:
        asyncio.run(_run(directory, structured=structured))
    except (OSError, PlumbError) as error:
        _log.critical("cannot start: %s", error)
        return 1
    return 0


async def _run(directory: Path, *, structured: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    state = directory / "state"
    state.mkdir(parents=True, exist_ok=True)
    plugin = os.environ.get("NETWORK_BINDING_PLUGIN_NAME") or None
    snapshot = await _snapshot(state / "snapshot.json")

    @cache
    def binder() -> Binder:
        # Info has a second, all that this imports is for later.
        from binding.hooks.define_domain import Binder, Settings  # noqa: PLC0415  # see above

        settings = Settings(plugin, os.environ.get("DSBRIDGE_DEFAULTS", ""), structured)
        return Binder(snapshot, settings)

    def status() -> dict[str, Any]:
        return _status(binder(), plugin or "dsbridge")

    # By descriptor: the path of a unix socket may have 107 bytes, a directory more.
    short = Path(f"/proc/self/fd/{os.open(state, os.O_PATH | os.O_DIRECTORY)}")
    status_server = await asyncio.start_unix_server(
        lambda reader, writer: _tell(status(), reader, writer), str(short / "status.sock")
    )
    cloud_init = os.environ.get("DSBRIDGE_CLOUD_INIT") == "1"

    def grpc_server() -> grpc.aio.Server:
        server = grpc_services.server(binder, plugin or "dsbridge", stop, cloud_init=cloud_init)
        plugin_hooks.add(binder, server)
        return server

    listener = Listener(grpc_server, str(short / "grpc.sock"))
    await listener.open(str(short / "hook.sock"))
    # virt-launcher keys hook sockets by bare file name: two equal ones in a pod hang it.
    container = "" if structured else os.environ.get("CONTAINER_NAME", "")
    socket = directory / f"{_file_name(container, plugin or 'dsbridge')}.sock"
    (state / "hook.sock").rename(socket)
    capabilities.drop_effective()
    _log.info("dsbridge %s listens on %s", VERSION, socket)
    try:
        await stop.wait()
    finally:
        binder().supervisor.close()
        status_server.close()
        await listener.close(_GRACE)
        socket.unlink(missing_ok=True)
        _log.info("stopped answering")


def _file_name(container: str, plugin: str) -> str:
    """Return a name of which a path can have the 107 bytes of a unix socket's, too."""
    return "-".join(filter(None, [container, plugin])).replace("/", "-")[:60]


async def _snapshot(path: Path) -> Snapshot:
    """Read the pod; what a former process of this pod saved fills in what is gone by now."""
    fresh = decode(Snapshot, await plumb({"snapshot": ""}))
    snapshot = merged(fresh, saved_state.load(path))
    saved_state.save(path, snapshot)
    return snapshot


def _status(binder: Binder, plugin: str) -> dict[str, Any]:
    supervisor = binder.supervisor
    return {
        "version": VERSION,
        "plugin": plugin,
        "guard": binder.guard,
        "warnings": list(binder.ledger.warnings),
        "guests": binder.ledger.status(),
        "processes": [
            {"name": "hooks", "pid": os.getpid()},
            {
                "name": "serve",
                "pid": supervisor.pid,
                "restarts": supervisor.restarts,
                "resting": supervisor.resting,
            },
        ],
    }


async def _tell(
    status: dict[str, Any], _: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.write(json.dumps(status).encode())
    await writer.drain()
    writer.close()
