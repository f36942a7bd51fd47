"""Opens the first packet sockets before scapy is imported, which takes 1.5 s at 200m CPU.

KubeVirt's call waits for the sockets only: frames of the guest wait in them, and the sidecar's
stand-in hands those to the program once it is ready.
"""

from __future__ import annotations

import select
import socket

from binding.ipc import channel, messages
from binding.process import capabilities
from binding.serve.open_ports import OpenPorts, PortError

_PATIENCE = 5.0
"""Seconds in which a program that was started ahead waits for its first guests."""


def wait(control: socket.socket) -> bool:
    """Open what the sidecar asks for, if it does in time; False when the sidecar has ended.

    The sockets are the sidecar's then, which hands them over again. Capabilities are given up.
    """
    waiting = select.poll()
    waiting.register(control, select.POLLIN)
    if not waiting.poll(1000 * _PATIENCE):
        return True
    received = channel.receive(control)
    if received is None:
        return False
    asked, _ = received
    assert isinstance(asked, messages.Open)  # nothing else is said to a program that is not ready
    ports = OpenPorts()
    try:
        for guest in asked.guests:
            ports.of(guest, {}, is_arriving=guest.migration_target)
    except PortError as error:
        failed = messages.Failed(asked.number, error.link, str(error), error.privilege)
        channel.send(control, failed)
        return True
    finally:
        capabilities.drop()
    opened = messages.Opened(asked.number, tuple(port.link for port in ports))
    channel.send(control, opened, [port.socket.fileno() for port in ports])
    for port in ports:
        port.socket.close()
    return True
