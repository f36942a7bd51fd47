"""grpc-go, which virt-launcher calls with, against the gRPC server of hooks.

Its packages have 550 MB on a disk: `make test-grpc-go` installs them, no other target does.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "go"
GOPATH = Path("/usr/share/gocode")
SCENARIOS = re.findall(r'\n\t"(\w+)": func\(\)', (SOURCE / "main.go").read_text())
pytestmark = [
    pytest.mark.go,
    pytest.mark.skipif(
        shutil.which("go") is None or not (GOPATH / "src/google.golang.org/grpc").is_dir(),
        reason="no Go, or no grpc-go: make test-grpc-go",
    ),
]


@pytest.fixture(scope="session")
def client(tmp_path_factory):
    """Return the program, made by what Debian has of Go: nothing is downloaded."""
    made = tmp_path_factory.mktemp("go") / "client"
    cache = {"GOCACHE": os.environ.get("GOCACHE") or str(Path(".cache/go").absolute())}
    gopath = {"GO111MODULE": "off", "GOPATH": str(GOPATH)}
    subprocess.run(
        ["go", "build", "-o", made, "."], cwd=SOURCE, check=True, env=os.environ | cache | gopath
    )
    return made


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_grpc_go(server, client, scenario):
    done = subprocess.run(
        [client, server.path, scenario], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
