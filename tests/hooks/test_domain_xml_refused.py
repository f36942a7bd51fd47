"""Domain XML that is refused, and that nothing else is raised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binding.hooks.domain_xml import DomainError, attachments, edit
from guest.network import GuestNetwork
from tests.samples import ONE, POD_MAC, domain_xml

OWN = (GuestNetwork("default", "tap0", POD_MAC, 1450, shape="own"),)

END = b"</interface></devices>"
BOMB = b"".join(
    [
        b'<!DOCTYPE domain [<!ENTITY a "aaaaaaaaaa">',
        *(b'<!ENTITY %c "%s">' % (c + 1, b"&%c;" % c * 10) for c in range(ord("a"), ord("j"))),
        b']><domain type="&j;">&j;</domain>',
    ]
)


@pytest.mark.parametrize(
    "xml, message",
    [
        (b"", "line .*, column .*: .*send well-formed XML"),
        (b"<domain>\n  <devices>\n</domain>", r"line 3, column \d+: .*devices"),
        (b"<domain/><domain/>", "line 1, column 10: "),
        (b"<vm/>", "the root is <vm>; send <domain>"),
        (b"<domain xmlns='x'/>", "the root is <{x}domain>; send <domain>"),
        (b"<!DOCTYPE domain><domain/>", "a DTD is not accepted"),
        (
            b'<!DOCTYPE domain SYSTEM "file:///etc/passwd"><domain/>',
            "a DTD is not accepted",
        ),
        (
            b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><domain>&x;</domain>',
            "a DTD is not accepted",
        ),
        (BOMB, "line 1, column|a DTD is not accepted"),
        (b"<domain>" * 5000 + b"</domain>" * 5000, "line 1, column .*: .*depth"),
        (
            b"<domain><devices>\n<interface><alias name='ua-x'/><mtu size='1e3'/>%s</domain>" % END,
            "line 2: <mtu size='1e3'> of ua-x is no number; send one",
        ),
    ],
    ids=[
        *("empty", "unclosed", "two roots", "other root", "namespaced root", "doctype"),
        *("external DTD", "external entity", "billion laughs", "deep", "no number"),
    ],
)
def test_what_is_no_domain_is_refused_with_the_place(xml, message):
    with pytest.raises(DomainError, match=f"^domain XML: {message}"):
        attachments(xml)


def test_a_domain_without_devices_cannot_be_given_a_nic():
    assert attachments(b"<domain/>") == {}
    with pytest.raises(DomainError, match="<domain> has no <devices>"):
        edit(b"<domain/>", ONE, OWN)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(xml):
    with pytest.raises(DomainError):
        attachments(xml)
    with pytest.raises(DomainError):
        edit(xml, ONE, OWN)


BASE = domain_xml("09-all-fields.managedtap.phase2")


@given(st.integers(0, len(BASE) - 1), st.binary(max_size=6), st.integers(0, 40))
def test_no_damage_to_a_domain_raises_anything_else(at, put, cut):
    xml = BASE[:at] + put + BASE[at + cut :]
    try:
        found = attachments(xml)
        assert isinstance(found, dict)
        assert isinstance(edit(xml, ONE, OWN), bytes)
    except DomainError as error:
        assert str(error).startswith("domain XML: ")  # noqa: PT017  # either outcome is right
