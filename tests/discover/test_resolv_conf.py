from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binding.discover import resolv_conf


@pytest.mark.parametrize(
    ("text", "servers", "search"),
    [
        ("nameserver 10.96.0.10\nnameserver fd00::a\n", ["10.96.0.10", "fd00::a"], ()),
        ("nameserver fe80::1%eth0\nnameserver 1.1.1.1", ["1.1.1.1"], ()),
        ("nameserver dns.example\nnameserver\nnameserver 300.1.1.1\n", [], ()),
        ("nameserver 1.1.1.1\nnameserver 1.1.1.1\n", ["1.1.1.1"], ()),
        ("search a.example\nsearch b.example c.example\n", [], ("b.example", "c.example")),
        ("domain a.example\n", [], ("a.example",)),
        ("domain a.example\nsearch b.example\n", [], ("b.example",)),
        ("search b.example\ndomain a.example\n", [], ("b.example",)),
        ("# nameserver 1.1.1.1\n; search a\noptions ndots:5\n\n", [], ()),
        ("  nameserver\t1.1.1.1  # the first\n", ["1.1.1.1"], ()),
        ("nameserver 127.0.0.53\nnameserver ::1\n", [], ()),
        ("search .\n", [], ()),
        ("domain a.example\nsearch . b.example\n", [], ("b.example",)),
    ],
    ids=[
        "both families",
        "a scope means nothing to the guest",
        "what is no address is skipped",
        "said twice, given once",
        "the last search wins",
        "a domain is a search list of one",
        "search beats a domain before it",
        "search beats a domain after it",
        "comments and options are not for us",
        "white space and a remark",
        "the pod's own loopback is not the guest's",
        "systemd-resolved's way to say that there is none",
        "the root is no search domain",
    ],
)
def test_resolver(text, servers, search):
    assert resolv_conf.parse(text) == (tuple(ip_address(server) for server in servers), search)


@given(st.text())
def test_no_text_raises(text):
    resolv_conf.parse(text)
    resolv_conf.parse(f"nameserver {text}\nsearch {text}\ndomain {text}")
