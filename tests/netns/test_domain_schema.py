"""libvirt's own schema accepts every domain that an edit gives back to virt-launcher."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests import samples
from tests.bed.domain_schema import complaints
from tests.hooks.test_domain_xml import edited
from tests.samples import domain_xml


@pytest.mark.parametrize("name", samples.DOMAINS)
def test_virt_xml_validate_accepts_every_sample_after_the_edit(name: str, tmp_path: Path) -> None:
    assert complaints(edited(name).decode(), tmp_path) == ""


@pytest.mark.parametrize(
    "change", [{"transitional": True}, {"sev": True}, {"architecture": "s390x"}], ids=str
)
def test_it_accepts_what_other_machines_need(change: dict[str, object], tmp_path: Path) -> None:
    name = "09-all-fields"
    vmi = replace(samples.vmi(name), **change)
    made = edited(f"{name}.sidecar-only.prephase2", vmi).decode()
    assert complaints(made, tmp_path) == ""


def test_it_refuses_what_libvirt_does_not_know(tmp_path: Path) -> None:
    wrong = domain_xml("01-single-binding.managedtap.phase2").replace(b"managed=", b"manged=")
    assert "devices" in complaints(wrong.decode(), tmp_path)
