"""Network boot: siaddr, sname and file for every client; 66, 67, 150 where asked; by client."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from guest.network import Boot
from tests.dhcp.v4_wire import ANY, DISCOVER, FLAT, REQUEST, ask, prl, seen

BOOTS = replace(FLAT, boot=Boot(file="boot.img", server="10.0.0.69"))
PXE = (60, b"PXEClient:Arch:00007:UNDI:003016")
BY_ARCH = Boot(file="pxelinux.0", server="10.0.0.69", by_arch=((7, "x64.efi"), (11, "arm64.efi")))
ARCHES = {
    "BIOS": (b"\0\0", b"pxelinux.0"),
    "x64 UEFI": (b"\0\x07", b"x64.efi"),
    "arm64 UEFI": (b"\0\x0b", b"arm64.efi"),
    "a list, first match": (b"\0\x09\0\x0b\0\x07", b"arm64.efi"),
    "half a number": (b"\0\x07\0", b"x64.efi"),
    "empty": (b"", b"pxelinux.0"),
}


def test_a_file_that_its_field_cannot_hold_is_told_by_67_to_who_did_not_ask():
    """U-Boot asks for no 67, and reads it."""
    name = b"a" * 128
    reply = seen(
        ask(DISCOVER, prl(1, 3), guest=replace(FLAT, boot=Boot(file=name.decode(), server="x")))
    )
    assert (reply.file, reply.options[67]) == (b"", name)
    assert 67 not in seen(ask(DISCOVER, prl(1, 3), guest=BOOTS)).options


@pytest.mark.parametrize(("arch", "file"), ARCHES.values(), ids=ARCHES)
def test_boot_file_is_the_one_for(arch, file):
    reply = seen(
        ask(DISCOVER, prl(66, 67, 150), PXE, (93, arch), guest=replace(FLAT, boot=BY_ARCH))
    )
    assert (reply.file, reply.options[67]) == (file, file)
    assert (reply.siaddr, reply.sname) == (IPv4Address("10.0.0.69"), b"10.0.0.69")
    assert (reply.options[66], reply.options[150]) == (b"10.0.0.69", bytes([10, 0, 0, 69]))


CLIENTS = {
    "a PXE client": [prl(1), PXE],
    "a client that tells its architecture": [prl(1), (93, b"\0\x07")],
    "a client that asks for 67": [prl(67)],
    "a client that asks for 66": [prl(66)],
    "U-Boot": [prl(1, 3, 6, 12, 17), (60, b"U-Boot.armv8")],
    "a client without a list": [],
}


@pytest.mark.parametrize("options", CLIENTS.values(), ids=CLIENTS)
@pytest.mark.parametrize("kind", [DISCOVER, REQUEST], ids=["OFFER", "ACK"])
def test_boot_fields_are_filled_for(options, kind):
    """They are header fields: U-Boot says "`serverip' not set" without siaddr."""
    reply = seen(ask(kind, (50, FLAT.ipv4[0].ip.packed), *options, guest=BOOTS))
    assert (reply.siaddr, reply.file) == (IPv4Address("10.0.0.69"), b"boot.img")


IPXE = {
    "by its user class": [(77, b"iPXE")],
    "by its user class, counted": [(77, b"\x04iPXE")],
    "by its encapsulated options": [(175, bytes.fromhex("b10501"))],
    "of UEFI": [PXE, (93, b"\0\x07"), (77, b"iPXE"), (175, b"\x12\x01\x01")],
}
SCRIPT = "http://10.0.0.80/boot.ipxe"


@pytest.mark.parametrize("options", IPXE.values(), ids=IPXE)
def test_ipxe_gets_its_own_file_instead_of_the_one_that_loads_it(options):
    guest = replace(FLAT, boot=replace(BY_ARCH, ipxe=SCRIPT))
    reply = seen(ask(DISCOVER, prl(66, 67), *options, guest=guest))
    assert (reply.file, reply.options[67]) == (SCRIPT.encode(), SCRIPT.encode())
    firmware = seen(ask(DISCOVER, prl(66, 67), PXE, (93, b"\0\x07"), guest=guest))
    assert (firmware.file, firmware.options[67]) == (b"x64.efi", b"x64.efi")


@pytest.mark.parametrize("options", IPXE.values(), ids=IPXE)
def test_ipxe_without_a_file_of_its_own_gets_the_general_one(options):
    reply = seen(ask(DISCOVER, prl(67), *options, guest=BOOTS))
    assert (reply.file, reply.options[67]) == (b"boot.img", b"boot.img")


def test_boot_fields_stay_empty_when_nothing_is_configured():
    reply = seen(ask(DISCOVER, prl(66, 67, 150), PXE, (93, b"\0\x07"), guest=FLAT))
    assert (reply.siaddr, reply.file, reply.sname) == (ANY, b"", b"")
    assert not {66, 67, 150} & reply.options.keys()


def test_boot_server_by_name_is_said_by_name_only():
    guest = replace(FLAT, boot=Boot(file="a", server="tftp.example.org"))
    reply = seen(ask(DISCOVER, prl(66, 67, 150), guest=guest))
    assert (reply.siaddr, reply.sname) == (ANY, b"tftp.example.org")
    assert reply.options[66] == b"tftp.example.org"
    assert 150 not in reply.options


@pytest.mark.parametrize(("size", "fits"), [(-1, True), (0, False)], ids=["fits", "does not"])
def test_names_in_file_and_sname_end_in_a_zero_else_are_options_only(size, fits):
    file, server = "f" * (128 + size), "s" * (64 + size)
    guest = replace(FLAT, boot=Boot(file=file, server=server))
    reply = seen(ask(DISCOVER, prl(66, 67), guest=guest))
    assert (reply.options[67], reply.options[66]) == (file.encode(), server.encode())
    assert (reply.file, reply.sname) == ((file.encode(), server.encode()) if fits else (b"", b""))


def test_uefi_http_boot_gets_its_class_back_with_a_url():
    guest = replace(FLAT, boot=Boot(by_arch=((16, "http://10.0.0.80/x64.efi"),)))
    options = prl(1, 60, 67), (60, b"HTTPClient:Arch:00016:UNDI:003001"), (93, b"\0\x10")
    reply = seen(ask(DISCOVER, *options, guest=guest))
    assert (reply.options[60], reply.options[67]) == (b"HTTPClient", b"http://10.0.0.80/x64.efi")


def test_a_file_name_is_no_http_boot_and_pxe_gets_no_class():
    http = prl(60, 67), (60, b"HTTPClient:Arch:00016:UNDI:003001"), (93, b"\0\x10")
    assert 60 not in seen(ask(DISCOVER, *http, guest=BOOTS)).options
    assert 60 not in seen(ask(DISCOVER, prl(60, 67), PXE, guest=BOOTS)).options
