"""Warnings of a guest: which stand, which are taken back."""

from dataclasses import replace

from binding.ipc.about import Remark
from binding.ipc.messages import Event, GuestReport, Report
from binding.ipc.status import Fault
from binding.sidecar.status import StatusPages
from binding.sidecar.status_page import SILENT_GATEWAY, Page
from tests.samples import GUEST

FOUR, SIX = str(GUEST.gateway4), str(GUEST.gateway6)
TAP_DOWN, NIC_DOWN = Fault("link-down", "tap0 is down"), Fault("link-down", "eth0-nic is down")
NO_DNS = Remark(GUEST.network, "no DNS")


def warnings(pages):
    (guest,) = pages.guests()
    return list(guest.warnings)


def report(*notes):
    events = tuple(Event("", "", note, warning="rogue", at=0.0) for note in notes)
    return Report((GuestReport(GUEST.network, serves=(4, 6), events=events),))


def test_the_next_call_takes_back_what_is_no_longer_so():
    pages = StatusPages()
    pages.open((GUEST,), (NO_DNS,))
    assert warnings(pages) == [NO_DNS.text]
    pages.open((GUEST,), ())
    assert warnings(pages) == []


def test_a_warning_that_stands_keeps_its_time():
    pages = StatusPages()
    pages.open((GUEST,), (NO_DNS,))
    ((first,),) = (guest.warned for guest in pages.guests())
    pages.open((GUEST,), (NO_DNS,))
    assert [guest.warned for guest in pages.guests()] == [(first,)]


def test_what_has_happened_stands_until_the_guest_is_another():
    pages = StatusPages()
    pages.open((GUEST,), ())
    pages.take(report("rogue RA"))
    pages.open((GUEST,), ())
    assert warnings(pages) == ["rogue RA"]
    pages.open((replace(GUEST, mtu=1300),), ())  # is told something else
    assert warnings(pages) == ["rogue RA"]
    pages.open((replace(GUEST, mac="02:00:00:00:00:77"),), ())
    assert warnings(pages) == []


def test_a_warning_that_comes_again_is_logged_once(caplog):
    pages = StatusPages()
    for _ in range(3):
        pages.open((GUEST,), (NO_DNS,))
        pages.find(GUEST.network, "guard", "guard off")
    logged = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert logged == [NO_DNS.text, "guard off"]


def test_what_is_wrong_with_links_stands_as_long_as_it_is_so_and_its_end_is_logged(caplog):
    caplog.set_level("INFO")
    pages = StatusPages()
    pages.open((GUEST,), ())
    pages.fault(GUEST.network, {"tap": TAP_DOWN, "nic": NIC_DOWN})
    pages.fault(GUEST.network, {"nic": NIC_DOWN})
    assert warnings(pages) == ["eth0-nic is down"]
    assert caplog.messages.count("eth0-nic is down") == 1
    assert "resolved: tap0 is down" in caplog.messages


def silent_gateways(*known, guest=GUEST, serves=(4, 6)):
    return Page(
        guest, gateways=dict.fromkeys(known, "02:00:00:00:00:01"), serves=serves
    ).silent_gateways()


def test_gateways_whose_mac_nobody_tells():
    assert silent_gateways(FOUR, SIX) == ""
    said = silent_gateways(FOUR)
    assert f"the MAC of gateway {SIX} is not known" in said
    assert f"does the CNI let the guest's MAC, {GUEST.mac}, send?" in said
    assert f"gateway {FOUR}, {SIX}" in silent_gateways()
    assert silent_gateways(serves=()) == silent_gateways(serves=None) == ""
    assert silent_gateways(SIX, guest=replace(GUEST, ipv4_mode="off")) == ""
    permanent = tuple((one, "02:00:00:00:00:01") for one in (GUEST.gateway4, GUEST.gateway6))
    assert silent_gateways(guest=replace(GUEST, permanent_neighbors=permanent)) == ""


def test_a_silent_gateway_stands_until_it_has_told_its_mac(caplog):
    """Where Open vSwitch knows the pod's MAC alone, nothing else tells of the guest's other one."""
    caplog.set_level("INFO")
    pages = StatusPages()
    pages.open((GUEST,), ())
    pages.take(report())
    (page,) = pages.opened()
    pages.find(GUEST.network, SILENT_GATEWAY, page.silent_gateways())
    assert [FOUR in one and SIX in one for one in warnings(pages)] == [True]

    def told(*known):
        gateways = dict.fromkeys(known, "02:00:00:00:00:01")
        pages.take(Report((GuestReport(GUEST.network, serves=(4, 6), gateways=gateways),)))

    told(FOUR)
    assert [FOUR not in one and SIX in one for one in warnings(pages)] == [True]
    told(FOUR, SIX)
    assert warnings(pages) == []
    assert caplog.messages[-1].startswith(f"resolved: the MAC of gateway {SIX}")


def test_a_renewal_by_another_way_is_logged_however_many_came_before(caplog):
    caplog.set_level("INFO")
    pages = StatusPages()
    pages.open((GUEST,), ())
    for state in ["RENEWING"] * 10 + ["REBINDING"]:
        event = Event("REQUEST", "ACK", f"{GUEST.ipv4[0].ip}, {state}", warning="", at=0.0)
        pages.take(Report((GuestReport(GUEST.network, serves=(4, 6), events=(event,)),)))
    logged = [record.message for record in caplog.records if "ACK" in record.message]
    assert logged[-1].endswith("REBINDING")
    assert len(logged) == 5
