"""Say what is in the image's root: Debian's packages for scanners, and an SPDX document of all.

Runs in the build stage after image_root.py: sbom.py ROOT VERSION. Depends on nothing but what is
installed and SOURCE_DATE_EPOCH, so equal roots have equal documents.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

INFO = Path("/var/lib/dpkg/info")
OURS = "Apache-2.0 OR GPL-2.0-or-later"
# What some call it in their metadata, by SPDX's names.
LICENSES = {"3-Clause BSD License": "BSD-3-Clause"}


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """One line of the list: where it is from, what it is, and under which licence."""

    kind: str
    name: str
    version: str
    license: str
    purl: str
    home: str

    @property
    def id(self) -> str:
        """Return its name within the document."""
        return f"SPDXRef-{self.kind}-{self.name}".replace("_", "-").replace("+", "-")


def debian(root: Path) -> list[Package]:
    """Return the packages that own files below root; put their control and copyright there."""
    have = {f"/{path.relative_to(root)}" for path in root.rglob("*") if not path.is_dir()}
    have.add(str(Path("/usr/bin/python3").resolve()))  # it lies where the application is
    distribution = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines()
    )["ID"]  # fmt: skip
    found = []
    for listing in INFO.glob("*.list"):
        if not have & {_at(line) for line in listing.read_text().splitlines()}:
            continue
        control = subprocess.check_output(["dpkg-query", "-s", listing.stem], text=True)
        fields = Parser().parsestr(control.replace("\n\n", "\n"), headersonly=True)
        name, architecture = fields["Package"], fields["Architecture"]
        status = root / "var/lib/dpkg/status.d" / name
        status.parent.mkdir(parents=True, exist_ok=True)
        status.write_text(control)
        copyright_file = root / f"usr/share/doc/{name}/copyright"
        copyright_file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(f"/usr/share/doc/{name}/copyright", copyright_file)
        purl = f"pkg:deb/{distribution}/{name}@{fields['Version']}?arch={architecture}"
        home = fields.get("Homepage", "NOASSERTION")
        found.append(Package("deb", name, fields["Version"], "NOASSERTION", purl, home))
    return sorted(found)


def _at(line: str) -> str:
    """Return where a file of Debian's list lies, now that /lib is /usr/lib."""
    return f"/usr{line}" if line.startswith(("/lib/", "/lib64/")) else line


def python(root: Path) -> list[Package]:
    """Return the Python distributions whose metadata lies below root."""
    found = []
    for path in root.glob("app/.venv/lib/python*/site-packages/*.dist-info/METADATA"):
        fields = Parser().parsestr(path.read_text(), headersonly=True)
        name, version = fields["Name"], fields["Version"]
        purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
        found.append(Package("pypi", name, version, _license(fields), purl, _home(fields)))
    return sorted(found)


def _license(fields: Message) -> str:
    said = fields.get("License-Expression") or fields.get("License") or "NOASSERTION"
    return LICENSES.get(said, said)


def _home(fields: Message) -> str:
    urls = dict(one.split(", ", 1) for one in fields.get_all("Project-URL", []))
    return fields.get("Home-page") or urls.get("Homepage") or urls.get("Home") or "NOASSERTION"


def document(version: str, packages: list[Package], moment: datetime) -> dict[str, Any]:
    """Return the SPDX 2.3 document."""
    purl = f"pkg:oci/dsbridge@{version}"
    image = Package("image", "dsbridge", version, OURS, purl, "NOASSERTION")
    content = json.dumps([str(one) for one in packages]).encode()
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"dsbridge-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/dsbridge-{version}-"
        + hashlib.sha256(content).hexdigest(),
        "creationInfo": {
            "created": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": [f"Tool: dsbridge-sbom-{version}"],
        },
        "packages": [_described(one) for one in (image, *packages)],
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relationshipType": "DESCRIBES",
                "relatedSpdxElement": image.id,
            },
            *(
                {
                    "spdxElementId": image.id,
                    "relationshipType": "CONTAINS",
                    "relatedSpdxElement": one.id,
                }
                for one in packages
            ),
        ],
    }


def _described(one: Package) -> dict[str, Any]:
    purpose = {"image": "CONTAINER", "pypi": "LIBRARY", "deb": "LIBRARY"}[one.kind]
    download = {
        "image": "NOASSERTION",
        "pypi": f"https://pypi.org/project/{one.name}/{one.version}/",
        "deb": f"https://snapshot.debian.org/package/{one.name}/{one.version}/",
    }[one.kind]
    return {
        "SPDXID": one.id,
        "name": one.name,
        "versionInfo": one.version,
        "primaryPackagePurpose": purpose,
        "downloadLocation": download,
        "homepage": one.home,
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": one.license,
        "copyrightText": "NOASSERTION",
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": one.purl,
            }
        ],
    }


def main() -> None:
    """Write the document into the root that the command line names."""
    root, version = Path(sys.argv[1]), sys.argv[2]
    moment = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
    packages = debian(root) + python(root)
    text = json.dumps(document(version, packages, moment), indent=1) + "\n"
    (root / "app/sbom.spdx.json").write_text(text)


if __name__ == "__main__":
    main()
