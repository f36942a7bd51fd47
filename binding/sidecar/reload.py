"""`dsbridge reload`: settings of a NIC taken anew while the VM runs.

The sidecar reads no settings: `hooks` discovers the guests with them, and refuses bad ones before
anything is touched. What was served goes on then.
"""

from __future__ import annotations

import logging

from binding.ipc.codec import decode, encode
from binding.ipc.messages import Reload, Reloaded
from binding.process.loop import Loop, within
from binding.sidecar.hooks_child import HooksChild
from binding.sidecar.reconciler import Reconciler

_log = logging.getLogger(__name__)

_WITHIN = 45.0
"""Seconds; `hooks` may have to be started, and a new `serve`."""


class Reloading:
    """Takes settings anew, one after the other."""

    def __init__(self, loop: Loop, reconciler: Reconciler, hooks: HooksChild) -> None:
        self._loop = loop
        self._reconciler = reconciler
        self._hooks = hooks

    async def answer(self, line: bytes) -> str:
        """Return the answer, a Reloaded, to a Reload, both as JSON."""
        try:
            asked = decode(Reload, line)
        except ValueError as error:
            return encode(Reloaded(f"not a question of this version of dsbridge: {error}"[:300]))
        done = await self._reload(asked)
        if done.refusal:
            _log.warning("reload refused: %s", done.refusal)
        return encode(done)

    async def _reload(self, asked: Reload) -> Reloaded:
        desired, call = self._reconciler.desired, self._reconciler.file.last_call()
        names = [guest.network for guest in desired.guests]
        if not names or call is None:
            return Reloaded("no NIC of a VM is served yet: KubeVirt has not called")
        if not asked.network and len(names) > 1:
            return Reloaded(f"name the network, the VM has {len(names)}: {', '.join(names)}")
        network = asked.network or names[0]
        if network not in names:
            return Reloaded(f"no NIC of network {network} is served, only of {', '.join(names)}")
        settings = {name: text for name, text in desired.settings.items() if name != network}
        if asked.settings is not None:
            settings[network] = asked.settings
        try:
            discovered = self._hooks.discover(*call, settings)
            refusal = await within(self._loop, _WITHIN, discovered)
        except TimeoutError:
            refusal = f"not done within {_WITHIN:.0f} s: the node is overloaded; see `status`"
        if refusal:
            return Reloaded(refusal, network)
        after = self._reconciler.desired
        before = tuple(one for one in desired.guests if one.network == network)
        return Reloaded(
            network=network,
            before=before,
            after=tuple(one for one in after.guests if one.network == network),
            warnings=tuple(one.text for one in after.warnings if one not in desired.warnings),
        )
