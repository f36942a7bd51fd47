"""How programs that boot by network name themselves, in vendor class and user class."""

from __future__ import annotations

HTTP, PXE = b"HTTPClient", b"PXEClient"
"""Begin of the vendor class of UEFI firmware (UEFI 2.10 section 24)."""
FIRMWARE_LENGTH = 10
"""Octets of the longest of those."""
IPXE = b"iPXE"
"""The user class of iPXE."""
