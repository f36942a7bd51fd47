"""Domain XML: what it says of our NICs, and our NICs put into it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from lxml import etree

from binding.discover.nic import Attachment
from binding.discover.vmi import Vmi
from binding.hooks.domain_xml import attachments, edit
from guest.network import GuestNetwork
from tests import samples
from tests.samples import FLAT, FLAT_LINK, MANAGED, ONE, POD_MAC, discovered, domain_xml

# What a VM has, in the words of its domain: all but the NICs is left alone.
ALL_LINKS = samples.snapshot(
    FLAT_LINK, *(samples.secondary(network) for network in ("blue", "n0", "n1", "n2", "n3"))
)
OWN = (GuestNetwork("default", "tap0", POD_MAC, 1450, shape="own"),)


def edited(name: str, vmi: Vmi | None = None) -> bytes:
    """The sample as a sidecar-only registration gives it back to virt-launcher."""
    vmi = vmi or samples.vmi(samples.sample_of(name))
    xml = domain_xml(name)
    return edit(xml, vmi, discovered(vmi, ALL_LINKS, attachments(xml)).guests)


def interfaces(xml: bytes) -> list[str]:
    """Every <interface> in canonical XML without whitespace."""
    root = etree.fromstring(xml, etree.XMLParser(remove_blank_text=True))
    return [canonical(element) for element in root.iterfind("devices/interface")]


def canonical(element: etree._Element) -> str:
    text = etree.canonicalize(etree.tostring(element, encoding=str, with_tail=False))
    # exclusive of the qemu namespace, which the root declares
    return text.replace(' xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0"', "")


def rest(xml: bytes) -> str:
    """All but the interfaces, in canonical XML without whitespace."""
    root = etree.fromstring(xml, etree.XMLParser(remove_blank_text=True))
    for element in list(root.iterfind("devices/interface")):
        element.getparent().remove(element)
    return canonical(root)


def aliases(xml: bytes) -> list[str]:
    return re.findall(r'<interface.*?<alias name="(.*?)"', xml.decode(), re.DOTALL)


# Reading


def test_an_attachment_is_read():
    assert attachments(domain_xml("01-single-binding.managedtap.phase2")) == MANAGED
    found = attachments(domain_xml("07-multiqueue.managedtap.phase2"))
    assert found == {"default": Attachment("tap0", POD_MAC, 1450, 4)}


def test_an_element_without_target_is_an_empty_attachment():
    xml = domain_xml("03-two-iface-multus.tap.prephase2")
    assert attachments(xml) == {"default": Attachment(), "blue": Attachment()}
    assert attachments(domain_xml("03-two-iface-multus.sidecar-only.prephase2")) == {}


def test_placeholders_and_nics_of_others_are_left_out():
    xml = b"""<domain><devices>
      <interface><target dev="placeholder-0"/><alias name="placeholder-0"/></interface>
      <interface><target dev="x"/></interface><!-- <interface/> -->
      <interface><alias name="ua-blue"/><target dev="tap1"/></interface>
    </devices></domain>"""
    assert attachments(xml) == {"blue": Attachment("tap1")}


# What comes back unchanged


@pytest.mark.parametrize("shape", ["managed", "takeover", "plugin"])
def test_without_an_own_nic_the_very_same_bytes_come_back(shape):
    xml = domain_xml("01-single-binding.managedtap.phase2")
    assert edit(xml, ONE, [replace(OWN[0], shape=shape)]) is xml


@pytest.mark.parametrize("shape", ["managed", "plugin"])
def test_a_smaller_mtu_of_the_guest_is_in_the_domain_and_nothing_else_changes(shape):
    xml = domain_xml("07-multiqueue.managedtap.phase2")
    assert xml.count(b'<mtu size="1450"') == 1
    lowered = [replace(OWN[0], shape=shape, mtu=1300)]
    out = edit(xml, ONE, lowered)
    assert etree.canonicalize(out.decode()) == etree.canonicalize(xml.decode()).replace(
        '<mtu size="1450">', '<mtu size="1300">'
    )
    assert edit(out, ONE, lowered) is out


@pytest.mark.parametrize("shape", ["managed", "plugin", "takeover"])
@pytest.mark.parametrize("mtu", [1450, 9000])
def test_an_mtu_is_never_raised_and_never_changed_by_takeover(shape, mtu):
    xml = domain_xml("01-single-binding.managedtap.phase2")
    guest = replace(OWN[0], shape=shape, mtu=1300 if shape == "takeover" else mtu)
    assert edit(xml, ONE, [guest]) is xml


def test_an_mtu_of_another_nic_stays():
    xml = domain_xml("01-single-binding.managedtap.phase2").replace(b"ua-default", b"ua-blue")
    assert edit(xml, ONE, [replace(OWN[0], shape="managed", mtu=1300)]) is xml


@pytest.mark.parametrize("name", samples.DOMAINS)
def test_every_sample_keeps_all_but_its_nics(name):
    assert rest(edited(name)) == rest(domain_xml(name))


@pytest.mark.parametrize("name", samples.DOMAINS)
def test_editing_twice_is_editing_once(name):
    vmi = samples.vmi(samples.sample_of(name))
    once = edited(name)
    guests = discovered(vmi, ALL_LINKS, attachments(domain_xml(name))).guests
    assert edit(once, vmi, guests) == once


def test_qemu_namespace_comments_and_unknown_elements_survive():
    xml = domain_xml("01-single-binding.tap.qemucmd")
    qemu = re.search(rb"<qemu:commandline>.*</qemu:commandline>", xml, re.DOTALL)
    xml = xml.replace(b"<devices>", b"<!-- kept --><devices><future x='1'>y</future>")
    out = edit(xml, ONE, OWN)
    assert qemu is not None
    assert qemu[0].count(b"<qemu:arg") == out.count(b"<qemu:arg") > 0
    assert b"<!-- kept -->" in out
    assert b'<future x="1">y</future>' in out


# What is put in


@pytest.mark.parametrize(
    "vmi", ["01-single-binding", "07-multiqueue", "08-explicit-mac", "09-all-fields"]
)
@pytest.mark.parametrize("given", ["sidecar-only.prephase2", "tap-notap0.phase2"])
def test_our_nic_is_the_one_that_kubevirt_makes_for_managed_tap(vmi, given):
    made = edited(f"{vmi}.{given}")
    assert interfaces(made) == interfaces(domain_xml(f"{vmi}.managedtap.phase2"))
    assert rest(made) == rest(domain_xml(f"{vmi}.managedtap.phase2"))


def test_nics_are_in_the_order_of_the_vmi():
    wanted = ["ua-default", "ua-n0", "ua-n1", "ua-n2", "ua-n3"]
    assert aliases(edited("16-five-ifaces.sidecar-only.prephase2")) == wanted
    assert aliases(edited("16-five-ifaces.tap.prephase2")) == wanted


def test_our_nic_stands_before_the_core_bridge_that_follows_it():
    out = edited("04-mixed-core-bridge-secondary.sidecar-only.prephase2")
    assert aliases(out) == ["ua-default", "ua-blue"]


def test_our_nic_stands_between_its_neighbours_and_before_placeholders():
    xml = b"""<domain><devices><disk/>
      <interface><alias name="ua-default"/></interface>
      <interface><alias name="ua-n2"/></interface>
      <interface><alias name="placeholder-0"/></interface>
    </devices></domain>"""
    guests = [replace(OWN[0], network=name, tap=f"tap{name}") for name in ("n3", "n0", "n1")]
    out = edit(xml, samples.vmi("16-five-ifaces"), guests)
    assert aliases(out) == ["ua-default", "ua-n0", "ua-n1", "ua-n2", "ua-n3", "placeholder-0"]


def test_a_pci_address_that_libvirt_gave_is_kept():
    given = b'<address type="pci" domain="0x0000" bus="0x09" slot="0x00" function="0x0"/>'
    xml = edited("09-all-fields.sidecar-only.prephase2")
    xml = re.sub(rb"<address type=.pci.*?/>", given, xml, count=1)
    out = edit(xml, samples.vmi("09-all-fields"), [replace(OWN[0], mac="02:11:22:33:44:66")])
    assert given in out
    assert out.count(b"<address") == 1


def test_what_others_gave_our_nic_is_kept():
    xml = b"""<domain><devices>
      <interface type="ethernet" trustGuestRxFilters="no">
        <alias name="ua-default"/><tune><sndbuf>0</sndbuf></tune><bandwidth/>
        <driver name="qemu" rx_queue_size="1024"><host mrg_rxbuf="off"/></driver>
      </interface>
    </devices></domain>"""
    (nic,) = interfaces(edit(xml, samples.vmi("07-multiqueue"), OWN))
    assert " ".join(re.findall(r"<(\w+)[ >]", nic)) == (
        "interface source target model mac mtu bandwidth alias driver host rom tune sndbuf"
    )
    assert 'trustGuestRxFilters="no"' in nic
    assert '<driver name="vhost" queues="4" rx_queue_size="1024"><host mrg_rxbuf="off">' in nic


def test_a_nic_that_was_appended_twice_is_one_again():
    once = edited("01-single-binding.sidecar-only.prephase2")
    nic = re.search(rb"\s*<interface.*?</interface>", once, re.DOTALL)
    assert nic is not None
    assert edit(once.replace(nic[0], nic[0] * 2), ONE, OWN) == once


@pytest.mark.parametrize(
    "change, model",
    [
        ({}, "virtio-non-transitional"),
        ({"transitional": True}, "virtio-transitional"),
        ({"architecture": "s390x"}, "virtio"),
        ({"architecture": "arm64"}, "virtio-non-transitional"),
    ],
)
def test_virtio_model_is_the_machines(change, model):
    out = edited("01-single-binding.sidecar-only.prephase2", replace(ONE, **change))
    assert f'<model type="{model}"/>'.encode() in out


def test_another_model_is_taken_as_it_is_and_has_no_vhost_driver():
    vmi = replace(samples.vmi("10-e1000"), sev=True)
    (nic,) = interfaces(edited("10-e1000.sidecar-only.prephase2", vmi))
    assert '<model type="e1000">' in nic
    assert "<driver" not in nic


@pytest.mark.parametrize("multiqueue", [True, False])
def test_encrypted_memory_needs_the_iommu_and_no_firmware(multiqueue):
    vmi = replace(samples.vmi("09-all-fields"), sev=True, multiqueue=multiqueue)
    (nic,) = interfaces(edited("09-all-fields.sidecar-only.prephase2", vmi))
    queues = ' queues="2"' if multiqueue else ""
    assert f'<driver iommu="on" name="vhost"{queues}>' in nic
    assert '<rom enabled="no">' in nic


def test_s390x_has_no_firmware_to_turn_off():
    out = edited("01-single-binding.sidecar-only.prephase2", replace(ONE, architecture="s390x"))
    assert b"<rom" not in out


def test_one_vcpu_with_multiqueue_has_one_queue():
    vmi = replace(ONE, multiqueue=True)
    out = edited("01-single-binding.sidecar-only.prephase2", vmi)
    assert b'<driver name="vhost" queues="1"/>' in out


@pytest.mark.parametrize(
    "xml",
    [
        b"<domain><devices/></domain>",
        b"<domain><devices><disk/></devices></domain>",
        b'<?xml version="1.0" encoding="UTF-8"?>\n<domain><devices/></domain>',
    ],
)
def test_xml_without_line_breaks_or_with_a_declaration_is_edited_as_well(xml):
    out = edit(xml, ONE, OWN)
    assert aliases(out) == ["ua-default"]
    assert out.startswith(b"<?xml") is xml.startswith(b"<?xml")
    assert edit(out, ONE, OWN) == out


def test_the_nic_is_written_as_the_document_is():
    text = edited("01-single-binding.sidecar-only.prephase2").decode()
    assert '  <devices>\n    <interface type="ethernet">\n      <source/>\n' in text
    assert '<rom enabled="no"/>\n    </interface>\n    <channel' in text


def test_the_domain_of_a_pod_made_of_flat_links_needs_no_other_link():
    vmi = samples.vmi("01-single-binding")
    guests = discovered(vmi, FLAT).guests
    out = edit(domain_xml("01-single-binding.sidecar-only.prephase2"), vmi, guests)
    assert attachments(out) == MANAGED
