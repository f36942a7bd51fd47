"""libvirt's domain as virt-launcher sends it, read and edited."""

from __future__ import annotations

from binding.hooks import domain_xml
from tests.fuzz.guests import GUESTS
from tests.fuzz.mutations import xml as mutate
from tests.samples import DOMAINS, ONE
from tests.samples import domain_xml as sample

__all__ = ["SEEDS", "mutate", "run"]

SEEDS = [sample(name) for name in DOMAINS]


def run(data: bytes) -> None:
    """Refuse with the place, or edit: twice is once."""
    try:
        domain_xml.attachments(data)
        for guest in GUESTS[:2]:
            edited = domain_xml.edit(data, ONE, (guest,))
            assert domain_xml.edit(edited, ONE, (guest,)) == edited, "edited twice is not once"
    except domain_xml.DomainError as error:
        assert 0 < len(str(error)) < 1000
