"""Network boot over IPv6 (RFC 5970), by URL."""

from dataclasses import replace

import pytest

from guest.network import Boot
from tests.dhcp.v6_wire import CLIENT_ID, GUEST, INFORMATION_REQUEST, option, oro, told

URL = "http://[fd77::80]/boot.efi"
BOOTS = replace(GUEST, boot=Boot(url=URL))


def informed(guest, *options):
    return told(guest, INFORMATION_REQUEST, CLIENT_ID, *options)


def vendor_class(*data, enterprise=343):
    counted = b"".join(len(one).to_bytes(2, "big") + one for one in data)
    return option(16, enterprise.to_bytes(4, "big") + counted)


HTTP = vendor_class(b"HTTPClient:Arch:00016:UNDI:003001")


def test_uefi_http_boot_is_told_that_its_server_knows_http():
    """UEFI 2.10 section 24.7.3: without class HTTPClient the firmware ignores the URL."""
    assert informed(BOOTS, oro(59, 16), HTTP) == [
        "59 " + URL.encode().hex(),
        "16 00000157000a" + b"HTTPClient".hex(),
    ]


@pytest.mark.parametrize(
    ("guest", "options"),
    [
        pytest.param(BOOTS, (oro(59), HTTP), id="not asked for"),
        pytest.param(BOOTS, (oro(16),), id="no class of its own"),
        pytest.param(BOOTS, (oro(16), vendor_class(b"PXEClient:Arch:00007")), id="PXE"),
        pytest.param(BOOTS, (oro(16), vendor_class()), id="no class data"),
        pytest.param(replace(BOOTS, boot=Boot()), (oro(16), HTTP), id="no URL"),
        pytest.param(
            replace(BOOTS, boot=Boot(url="tftp://[fd77::80]/b")), (oro(16), HTTP), id="another URL"
        ),
    ],
)
def test_nobody_else_is_told_a_vendor_class(guest, options):
    assert not [line for line in informed(guest, *options) if line.startswith("16 ")]


TFTP, HTTP_URL = "tftp://[fd77::69]/x64.efi", "http://[fd77::80]/x64.efi"
SCRIPT = "http://[fd77::80]/boot.ipxe"
BY_ARCH = Boot(url=URL, url_by_arch=((7, TFTP), (16, HTTP_URL)), ipxe=SCRIPT)
PXE = vendor_class(b"PXEClient:Arch:00007:UNDI:003016")
IPXE = option(15, b"\x00\x04iPXE")


def arch(*numbers):
    return option(61, b"".join(number.to_bytes(2, "big") for number in numbers))


@pytest.mark.parametrize(
    ("boot", "options", "url"),
    [
        pytest.param(BY_ARCH, (PXE, arch(7)), TFTP, id="PXEv6 of OVMF"),
        pytest.param(BY_ARCH, (HTTP, arch(16)), HTTP_URL, id="HTTPv6 of OVMF"),
        pytest.param(BY_ARCH, (arch(11, 16),), HTTP_URL, id="the first of a list"),
        pytest.param(BY_ARCH, (arch(19), HTTP), URL, id="an architecture without its own"),
        pytest.param(BY_ARCH, (), URL, id="no architecture"),
        pytest.param(BY_ARCH, (IPXE, PXE, arch(7)), SCRIPT, id="iPXE"),
        pytest.param(Boot(url=TFTP), (PXE,), TFTP, id="PXE, TFTP"),
        pytest.param(Boot(url=URL), (PXE,), None, id="PXE, HTTP"),
        pytest.param(Boot(url=TFTP), (HTTP,), None, id="HTTP, TFTP"),
        pytest.param(Boot(url=URL), (IPXE, PXE), URL, id="iPXE without its own"),
        pytest.param(
            Boot(url=URL, ipxe="boot.ipxe"), (IPXE, PXE), URL, id="iPXE, its own is no URL"
        ),
    ],
)
def test_the_url_is_one_that_the_client_can_load(boot, options, url):
    lines = informed(replace(GUEST, boot=boot), oro(59), *options)
    assert lines == ([f"59 {url.encode().hex()}"] if url else [])
