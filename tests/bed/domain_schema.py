"""What libvirt's own schema says of a domain: virt-xml-validate, of Debian's libvirt-clients."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lxml import etree


def complaints(domain: str, workdir: Path) -> str:
    """Return what virt-xml-validate finds wrong with a domain; nothing is accepted."""
    file = workdir / "domain.xml"
    file.write_text(_as_libvirt_knows_it(domain))
    done = subprocess.run(
        ["virt-xml-validate", str(file), "domain"], text=True, capture_output=True, check=False
    )
    return done.stdout + done.stderr if done.returncode else ""


def _as_libvirt_knows_it(domain: str) -> str:
    """Leave out what KubeVirt writes and libvirt reads in spite of its schema."""
    root = etree.fromstring(domain)
    for empty in root.xpath("sysinfo/*[self::bios or self::baseBoard or self::chassis][not(*)]"):
        empty.getparent().remove(empty)
    for address in root.iterfind("devices/hostdev/source/address[@type]"):
        del address.attrib["type"]
    return etree.tostring(root, encoding="unicode")
