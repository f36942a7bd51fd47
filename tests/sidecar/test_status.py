"""Warnings of a guest: which stand, which are taken back."""

from dataclasses import replace

from binding.ipc.messages import Event, GuestReport, Report
from binding.sidecar.status import StatusPages
from tests.samples import GUEST

NO_DNS = f"network {GUEST.network}: no DNS"


def warnings(pages):
    (guest,) = pages.guests()
    return list(guest.warnings)


def report(*notes):
    events = tuple(Event("", "", note, warning=True, at=0.0) for note in notes)
    return Report((GuestReport(GUEST.network, serves=(4, 6), events=events),))


def test_the_next_call_takes_back_what_is_no_longer_so():
    pages = StatusPages()
    pages.open((GUEST,), (NO_DNS,))
    assert warnings(pages) == [NO_DNS]
    pages.open((GUEST,), ())
    assert warnings(pages) == []


def test_what_has_happened_stands_until_the_guest_is_another():
    pages = StatusPages()
    pages.open((GUEST,), ())
    pages.take(report("rogue RA"))
    pages.open((GUEST,), ())
    assert warnings(pages) == ["rogue RA"]
    pages.open((replace(GUEST, hostname="another"),), ())
    assert warnings(pages) == []


def test_a_warning_that_comes_again_is_logged_once(caplog):
    pages = StatusPages()
    for _ in range(3):
        pages.open((GUEST,), (NO_DNS,))
        pages.find(GUEST.network, "guard", "guard off")
    logged = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert logged == [NO_DNS, "guard off"]


def test_what_is_wrong_with_links_stands_as_long_as_it_is_so_and_its_end_is_logged(caplog):
    caplog.set_level("INFO")
    pages = StatusPages()
    pages.open((GUEST,), ())
    pages.fault(GUEST.network, {"tap": "tap0 is down", "nic": "eth0-nic is down"})
    pages.fault(GUEST.network, {"nic": "eth0-nic is down"})
    assert warnings(pages) == ["eth0-nic is down"]
    assert caplog.messages.count("eth0-nic is down") == 1
    assert "resolved: tap0 is down" in caplog.messages
