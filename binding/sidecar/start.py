"""Start-up order and end of the sidecar: pod read, then socket, then service.

virt-launcher waits for the hook socket before KubeVirt's phase 1 takes the routes away, so what is
read before the socket exists is what the CNI made.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from binding.ipc.codec import encode
from binding.ipc.status import ProcessStatus, Status
from binding.packet import guard, link_table
from binding.process import capabilities, memory
from binding.process.logs import timestamp
from binding.process.loop import Loop
from binding.process.shortage import passes
from binding.sidecar import state_watch
from binding.sidecar.child import Child
from binding.sidecar.control_socket import ControlSocket
from binding.sidecar.ending import Ending
from binding.sidecar.hooks_child import SUPERSEDED, HooksChild
from binding.sidecar.listening import listen, remove
from binding.sidecar.pod_reader import PodReader
from binding.sidecar.reconciler import Reconciler
from binding.sidecar.reload import Reloading
from binding.sidecar.status_page import now
from binding.sidecar.status_socket import StatusSocket
from binding.version import VERSION

_log = logging.getLogger(__name__)

_PAUSE = 5.0
_REFRESH_WITHIN = 1.0
_STARTS_WITHIN, _RETRY = 240.0, 1.0
"""Seconds for which KubeVirt waits for the hook socket, and between two tries to open it."""
_GRACE = 2.0
"""Seconds for hook calls under way when the VM has ended."""


def run(directory: str, *, structured: bool) -> int:
    """Serve until the VM has ended; return the exit status.

    KubeVirt looks for our socket in the directory, as for that of a hook sidecar or of a
    structured plugin.
    """
    state = os.path.join(os.path.abspath(directory), "state")
    until = Loop.now() + _STARTS_WITHIN
    while True:
        opened = _sidecar(directory, state, structured=structured)
        if isinstance(opened, _Sidecar):
            opened.run()
            return 0
        if not passes(opened) or Loop.now() > until:
            remedy = "--hooks-dir must be a directory that we can write"
            _log.critical("cannot start: %s; %s", opened, remedy)
            return 1
        _log.warning("cannot start yet, retrying in %.0f s: %s", _RETRY, opened)
        gc.collect()  # closes what was opened: a loop and what it watches refer to each other
        time.sleep(_RETRY)


def _sidecar(directory: str, state: str, *, structured: bool) -> _Sidecar | OSError:
    """Return the sidecar with its sockets open, or why they cannot be."""
    try:
        os.makedirs(state, exist_ok=True)
        return _Sidecar(directory, state, structured=structured)
    except OSError as error:
        return error.with_traceback(None)  # whose frames hold what was opened


class _Sidecar:
    """The parts of the sidecar, and the callbacks that connect them."""

    def __init__(self, directory: str, state: str, *, structured: bool) -> None:
        self._plugin = os.environ.get("NETWORK_BINDING_PLUGIN_NAME") or None
        self._state = state
        # virt-launcher keys hook sockets by bare file name: two equal ones in a pod hang it.
        container = "" if structured else os.environ.get("CONTAINER_NAME", "")
        name = _file_name(container, self._plugin or "dsbridge")
        self._socket = os.path.join(directory, f"{name}.sock")
        self._started = now()
        self._loop = Loop()
        self._links: frozenset[tuple[str, int, int]] = frozenset()
        self._reconciler = Reconciler(self._loop, guard.table_name(self._plugin), state)
        self._pod = PodReader(self._loop, f"{state}/snapshot.json", self._pod_changed)
        self._ending = Ending(self._loop, self._taps)
        self._hooks = HooksChild(
            self._loop,
            listen(state, "hook.sock"),
            self._reconciler,
            *(["structured"] if structured else []),
            on_ended=self._ended,
            on_lost=self._ending.lost,
        )
        self._open_sockets()
        self._loop.on_signals((signal.SIGTERM, signal.SIGINT, state_watch.SIGNAL), self._signalled)
        self._files = state_watch.StateWatch(self._loop, state, self._missing, self._make_again)
        self._files.start()

    def _open_sockets(self) -> None:
        """Listen where an operator's commands connect."""
        self._control = ControlSocket(
            self._loop,
            listen(self._state, "control.sock"),
            Reloading(self._loop, self._reconciler, self._hooks).answer,
        )
        self._status = StatusSocket(
            self._loop,
            listen(self._state, "status.sock"),
            lambda: self._reconciler.serve.child.refresh(_REFRESH_WITHIN),
            lambda: encode(self._status_object()),
        )

    def _missing(self) -> str:
        """Name what somebody has removed of the state directory."""
        sockets = ("status.sock", "control.sock")
        missing = [one for one in sockets if not os.path.exists(f"{self._state}/{one}")]
        missing += ["desired.json"] * self._reconciler.file.is_missing
        missing += ["snapshot.json"] * self._pod.is_missing
        return ", ".join(missing)

    def _make_again(self) -> None:
        for one in (self._status, self._control):
            one.close()
        self._open_sockets()
        self._reconciler.file.save_again()
        self._pod.save_again()

    def run(self) -> None:
        """Run until the VM has ended."""
        capabilities.drop_effective()
        # In the loop: whatever fails of these must not end the sidecar.
        for each in (self._hooks.start, lambda: self._loop.spawn(self._start()), self._watch_links):
            self._loop.after(0.0, each)
        try:
            self._loop.run()
        finally:
            self._reconciler.serve.close()
            self._status.close()
            self._control.close()
            self._hooks.child.end()
            remove(self._socket)  # before anybody else calls
            children = self._reconciler.serve.child, self._hooks.child
            self._loop.run_while(lambda: any(one.is_there for one in children), _GRACE)
            for child in children:
                child.kill()
            remove(self._socket)  # again: `_start` may have made it meanwhile
            _log.info("stopped answering")

    async def _start(self) -> None:
        remove(self._socket)  # of a former sidecar: nobody accepts there
        await self._until_done(self._reconciler.restore)
        self._hooks.pod_read(await self._pod.read())
        await self._until_done(lambda: os.rename(f"{self._state}/hook.sock", self._socket))
        if self._reconciler.plugs.changed(self._reconciler.desired):  # while there was no sidecar
            self._pod.read_now()
        _log.info("dsbridge %s listens on %s", VERSION, self._socket)

    async def _until_done(self, call: Callable[[], None]) -> None:
        """Do what the sidecar cannot start without; retry while the node is short of something."""
        while True:
            try:
                call()
            except OSError as error:
                if not passes(error):
                    raise
                _log.warning("cannot start yet, retrying in %.0f s: %s", _RETRY, error)
                await self._loop.sleep(_RETRY)
            else:
                return

    def _pod_changed(self, snapshot: str) -> None:
        """Have hooks discover the guests again, with the pod as it is now."""
        self._hooks.pod_read(snapshot)
        desired = self._reconciler.desired
        is_ours = desired.guests or desired.is_takeover  # where a first NIC may be plugged in
        if is_ours and (call := self._reconciler.file.last_call()):
            _log.info("the pod's addresses, routes or MTU have changed; finding the guests anew")
            found = self._hooks.discover(*call, desired.settings)
            found.when_done(lambda: self._found(found.result()))

    @staticmethod
    def _found(refusal: str) -> None:
        if refusal and refusal != SUPERSEDED:
            _log.warning("the pod has changed, but its guests stay as they are: %s", refusal)

    def _watch_links(self) -> None:
        """Look at the pod whenever one of its links, addresses or routes changes."""
        try:
            netlink = link_table.watch()
            self._links = _links()
            self._loop.watch(netlink, lambda: self._changed(link_table.news(netlink)))
        except OSError as error:
            _log.warning("cannot watch the pod's links, retrying in 5 s: %s", error)
            self._loop.after(_PAUSE, self._watch_links)

    def _changed(self, news: link_table.News) -> None:
        self._pod.history.take(news, self._loop.now())
        if news.links or news.addresses:
            self._reconciler.look_soon()
        before = self._links
        if news.links:
            self._ending.look()
            self._links = _links()
        is_other = self._links != before  # a link, not only its carrier
        if is_other and self._reconciler.plugs.changed(self._reconciler.desired):
            self._pod.read_now()
        elif is_other or news.addresses:
            self._pod.read_soon(is_wiring=self._reconciler.is_wiring)

    def _taps(self) -> tuple[str, ...]:
        return tuple(guest.tap for guest in self._reconciler.served)

    def _signalled(self, number: int) -> None:
        if number == state_watch.SIGNAL:
            self._files.signalled()
        elif number == signal.SIGINT:
            self._loop.stop()
        else:
            self._ending.terminated()

    def _ended(self) -> None:
        _log.info("virt-launcher says that the VM has ended")
        # The answer to Shutdown is on its way.
        self._loop.after(0.1, self._loop.stop)

    def _status_object(self) -> Status:
        reconciler = self._reconciler
        serve, hooks = reconciler.serve, self._hooks.child
        pages = reconciler.pages
        return Status(
            version=VERSION,
            plugin=self._plugin or "dsbridge",
            guard=reconciler.guard.state,
            warnings=pages.warnings,
            guests=tuple(pages.guests()),
            processes=(
                ProcessStatus("sidecar", os.getpid(), memory=memory.anonymous(os.getpid())),
                _process("hooks", hooks),
                _process("serve", serve.child, is_resting=serve.is_resting),
            ),
            vmi=reconciler.desired.instance,
            started=self._started,
            now=now(),
            table=guard.table_name(self._plugin),
            last_call=pages.last_call,
            last_plumb_error=pages.last_plumb_error,
            removed=self._files.removed,
            wired=reconciler.wired,
            reloaded=reconciler.desired.settings,
            spared=reconciler.desired.spared,
        )


def _links() -> frozenset[tuple[str, int, int]]:
    """Return what a snapshot has of each link."""
    with suppress(OSError):
        return frozenset((one.name, one.index, one.mtu) for one in link_table.read().values())
    return frozenset()


def _process(name: str, child: Child, *, is_resting: bool = False) -> ProcessStatus:
    return ProcessStatus(
        name,
        child.pid,
        child.phase.value,
        child.restarts,
        is_resting,
        child.last_end,
        timestamp(child.last_end_at) if child.last_end_at else "",
        memory.anonymous(child.pid) if child.pid else 0,
    )


def _file_name(container: str, plugin: str) -> str:
    """Return a name of which a path can have the 107 bytes of a unix socket's, too."""
    return "-".join(filter(None, [container, plugin])).replace("/", "-")[:60]
