"""Warnings of a guest: which stand, which are taken back."""

from dataclasses import replace

from binding.sidecar.status import Ledger
from tests.binding.test_codec import GUEST


def warnings(ledger):
    (guest,) = ledger.status()
    return guest["warnings"]


def report(*notes):
    events = [{"request": "", "reply": "", "note": note, "warning": True} for note in notes]
    known = {"counters": {}, "router": None, "serves": [4, 6], "findings": {}}
    return {"guests": [{"network": GUEST.network, "events": events, **known}]}


def test_the_next_call_takes_back_what_is_no_longer_so():
    ledger = Ledger()
    ledger.serve((GUEST,), (f"network {GUEST.network}: no DNS",))
    ledger.warn(GUEST.network, "guard off")
    assert warnings(ledger) == [f"network {GUEST.network}: no DNS", "guard off"]
    ledger.serve((GUEST,), ())
    assert warnings(ledger) == []


def test_what_has_happened_stands_until_the_guest_is_another():
    ledger = Ledger()
    ledger.serve((GUEST,), ())
    ledger.take(report("rogue RA"))
    ledger.serve((GUEST,), ())
    assert warnings(ledger) == ["rogue RA"]
    ledger.serve((replace(GUEST, hostname="another"),), ())
    assert warnings(ledger) == []


def test_a_warning_that_comes_again_is_logged_once(caplog):
    ledger = Ledger()
    for _ in range(3):
        ledger.serve((GUEST,), (f"network {GUEST.network}: no DNS",))
        ledger.warn(GUEST.network, "guard off")
    logged = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert logged == [f"network {GUEST.network}: no DNS", "guard off"]
