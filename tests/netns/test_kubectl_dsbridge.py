"""deploy/kubectl-dsbridge, with a stand-in for kubectl whose pods are beds."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from tests.bed.clients import client
from tests.bed.guests import started
from tests.bed.sidecar import PROGRAM, ROOT
from tests.bed.wait import crowd, until

SCRIPT = ROOT / "deploy/kubectl-dsbridge"
# get pods: prints what the template would; exec: runs the command in the bed that is the pod.
KUBECTL = f"""#!{sys.executable}
import json, os, subprocess, sys
words = sys.argv[1:]
world = json.load(open({{world!r}}))
if words[:2] == ["get", "pods"]:
    if world.get("denied"):
        sys.exit('pods is forbidden: User "x" cannot list resource "pods"')
    print("\\n".join(" ".join(pod["line"]) for pod in world["pods"]))
elif words[:2] == ["get", "namespaces"]:
    print("namespace/default\\nnamespace/vms")
elif words[0] == "create":
    assert words == ["create", "-f", "-"], words
    made = json.load(sys.stdin)
    events = {{world!r}} + "." + made["metadata"]["name"]
    if os.path.exists(events):
        sys.exit("Error from server (AlreadyExists): events already exists")
    json.dump(made, open(events, "w"))
elif words[0] == "exec":
    is_interactive = words[1] == "-i"
    words = [one for one in words if one != "-i"]
    pod = next(one for one in world["pods"] if one["line"][1] == words[3])
    assert words[4] == "-c" and words[6:8] == ["--", "dsbridge"], words
    assert words[5] in ("hook-sidecar-0", "dsbridge", "hook-sidecar-1"), words
    if "command" not in pod:
        sys.exit('pods "x" is forbidden: cannot create resource "pods/exec"')
    sys.exit(subprocess.run([*pod["command"], *words[8:], "--hooks-dir", pod["dir"]],
                            stdin=None if is_interactive else subprocess.DEVNULL,
                            cwd={str(ROOT)!r}).returncode)
else:
    print("of", *words)
"""

GONE = """echo 'Error from server (NotFound): pods "virt-launcher-ended" not found' >&2; exit 1"""


@pytest.fixture
def cluster(tmp_path):
    """Give a function that runs the plugin in a cluster of pods."""
    world, kubectl = tmp_path / "world.json", tmp_path / "kubectl"
    kubectl.write_text(KUBECTL.format(world=str(world)))
    kubectl.chmod(0o755)

    def run(*words, pods=(), denied=False, text=True, said=None, script=SCRIPT):
        world.write_text(json.dumps({"pods": list(pods), "denied": denied}))
        return subprocess.run(
            [script, *words],
            env={"KUBECTL": str(kubectl), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
            cwd=tmp_path,
            capture_output=True,
            text=text,
            check=False,
            timeout=120,
            input=said,
        )

    return run


def line(vm, *containers, namespace="default"):
    return [namespace, f"virt-launcher-{vm}", vm, "node1", "compute=quay.io/x", *containers]


OURS = "hook-sidecar-0=registry.example/dsbridge:1"


def pod_of(vm, name="vm1", container=OURS):
    return {
        "line": line(name, container),
        "command": vm.pod.netns.command(*PROGRAM),
        "dir": str(vm.sidecar.hooks_dir),
    }


def test_settings_are_reloaded_by_the_name_of_the_vm(cluster):
    with started("flat", "managed") as vm:
        pods = [pod_of(vm)]
        told = cluster("reload", "vm1", "default", pods=pods, said='{"lease": 600}')
        assert told.returncode == 0, told.stderr
        assert "lease: 600 s (was infinite), by DHCPv4 and DHCPv6" in told.stdout
        told = cluster("reload", "vm1", pods=pods, said='{"lease": 1}')
        assert told.returncode == 1
        assert "refused, all is as before" in told.stdout
        assert cluster("reload", "vm1", "--reset", pods=pods).returncode == 0
        assert vm.sidecar.status()["reloaded"] == {}


def test_the_plugin_at_a_cluster(cluster, tmp_path):
    with (
        started("flat", "managed") as vm,
        client("networkd", vm.guest, tmp_path / "guest") as guest,
    ):
        guest.lease(30)
        until(lambda: "REPLY" in vm.sidecar.status()["guests"][0]["counters"], "reported")
        pods = [
            pod_of(vm),
            pod_of(vm, "vm2", "dsbridge=some.registry/other:2"),
            {"line": line("locked", OURS)},
            {"line": line("foreign")},
            {"line": line("others", "hook-sidecar-0=x/a", "hook-sidecar-1=x/b")},
        ]
        told = cluster("status", "-A", pods=pods)
        rows = [one.split() for one in told.stdout.splitlines()]
        assert " ".join(rows[0]) == "NAMESPACE VM NODE NIC IPV4 IPV6 ROUTER LAST WARNINGS AGE"
        assert [row[1] for row in rows[1:]] == ["vm1", "vm2", "locked"]
        assert rows[1][2:6] == ["node1", "default", "10.244.1.5", "fd00:10:244:1::5"]
        assert rows[1][6] == vm.pod.layout.router
        assert rows[1][8] == "0"
        assert "no access: you may not create pods/exec in namespace default" in told.stdout
        assert told.returncode == 1

        told = cluster("status", "vm2", "nobody", pods=pods)
        assert [one.split()[0] for one in told.stdout.splitlines()] == ["VM", "vm2"]
        assert "no running VM nobody" in told.stderr

        told = cluster("diagnose", "vm1", pods=pods)
        assert told.returncode == 0, told.stdout
        vm.pod.netns.ip("link set tap0 down")
        until(lambda: vm.sidecar.status()["guests"][0]["warnings"], "a warning")
        told = cluster("diagnose", "vm1", pods=pods)
        assert told.returncode == 2
        assert "#link-down" in told.stdout
        assert json.loads(cluster("diagnose", "vm1", "--json", pods=pods).stdout)
        vm.pod.netns.ip("link set tap0 up")

        told = cluster("metrics", "-A", pods=pods).stdout
        assert told.count("# TYPE dsbridge_info gauge") == 1
        assert told.count("\ndsbridge_info{") == 2
        assert 'dsbridge_pods{answers="no"} 1' in told

        capture = cluster("capture", "vm1", "-t", "1", pods=pods, text=False)
        assert capture.stdout[:4] == b"\x0a\x0d\x0d\x0a"
        assert b"listening at tap0" in capture.stderr

        told = cluster("gather", "vm1", pods=pods)
        with tarfile.open(tmp_path / told.stdout.strip()) as tar:
            names = {Path(one).name for one in tar.getnames()}
            inner = tar.extractfile("default-vm1-dsbridge/sidecar.tar").read()
        assert {"log.jsonl", "pod.yaml", "vmi.yaml", "events.txt"} <= names
        with tarfile.open(fileobj=io.BytesIO(inner)) as tar:
            inside = {Path(one).name for one in tar.getnames()}
        assert {"status.json", "diagnose.txt", "capture.pcapng", "links.json"} <= inside
        assert {"nftables.json", "versions.txt", "snapshot.json"} <= inside


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("",), ["capture", "diagnose", "gather", "metrics", "reload", "status", "watch"]),
        (("di",), ["diagnose"]),
        (("diagnose", ""), ["locked", "vm1"]),
        (("diagnose", "-n", "a", "v"), ["vm1"]),
        (("status", "-o", ""), ["json", "prometheus", "text", "wide"]),
        (("capture", "vm1", "-p", "d"), ["dhcp4", "dhcp6"]),
        (("capture", "vm1", "-"), ["--context", "--namespace", "-c", "-p", "-t", "-w"]),
        (("status", "-n", ""), ["default", "vms"]),
        (("metrics", ""), []),
    ],
)
def test_completion_of_the_words_so_far(cluster, tmp_path, words, offered):
    (tmp_path / "kubectl_complete-dsbridge").symlink_to(SCRIPT)
    pods = [{"line": line("vm1", OURS)}, {"line": line("foreign")}, {"line": line("locked", OURS)}]
    told = cluster(*words, pods=pods, script=tmp_path / "kubectl_complete-dsbridge")
    *lines, directive = told.stdout.splitlines()
    assert lines == offered, told.stderr
    assert directive == ":4"


def test_kubectls_own_completion_finds_it(cluster, tmp_path):
    """What bash, zsh and fish ask of kubectl when somebody presses TAB."""
    kubectl = shutil.which("kubectl", path=str(Path(sys.executable).parent))
    assert kubectl
    cluster()  # writes the world
    for name in ("kubectl-dsbridge", "kubectl_complete-dsbridge"):
        (tmp_path / name).symlink_to(SCRIPT)
    done = subprocess.run(
        [kubectl, "__complete", "dsbridge", "d"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "diagnose" in done.stdout.splitlines(), done.stdout + done.stderr


def test_forty_pods_side_by_side(cluster):
    """One after the other they would take forty times as long as one."""
    pods = [
        {
            "line": line(f"vm{number}", OURS),
            "command": ["sh", "-c", "sleep 1; echo row"],
            "dir": "/",
        }
        for number in range(40)
    ]
    begun = time.monotonic()
    told = cluster("status", "-A", pods=pods)
    assert told.stdout.count("row") == 40
    assert time.monotonic() - begun < 25 * crowd()


def test_what_is_missing_is_said(cluster):
    pods = [{"line": line("foreign")}, {"line": line("locked", OURS)}]
    told = cluster("diagnose", "foreign", pods=pods)
    assert told.returncode != 0
    assert "VM foreign has no sidecar of dsbridge" in told.stderr
    assert "no running virt-launcher pod of VM x" in cluster("diagnose", "x", pods=pods).stderr
    assert "cannot list pods" in cluster("status", denied=True).stderr
    assert "name the VM" in cluster("capture", pods=pods).stderr
    assert "Usage:" in cluster().stdout
    assert cluster("nonsense").returncode == 64


def events(tmp_path):
    return [json.loads(path.read_text()) for path in sorted(tmp_path.glob("world.json.*"))]


def test_watch_makes_one_event_of_each_warning(cluster, tmp_path):
    settings = {"dsbridge.io/default": {"cloudInit": "static"}}
    with started("flat", "managed", settings) as vm:
        pod = pod_of(vm)
        done = cluster("watch", "-A", "0", pods=[pod])
        assert done.returncode == 0, done.stderr
        found = events(tmp_path)
        (one,) = [each for each in found if "cloudInit static is not written" in each["message"]]
        assert (one["kind"], one["type"]) == ("Event", "Warning")
        assert one["involvedObject"]["name"] == "vm1"
        assert one["involvedObject"]["uid"] == "00000000-0000-4000-8000-000000000001"
        assert one["message"].startswith("network default: cloudInit")
        assert '"" on the VM' in one["message"], "quotes survive"
        assert one["metadata"]["namespace"] == one["involvedObject"]["namespace"] == "default"
        assert "cloudInit static is not written" in done.stdout
        again = cluster("watch", "-A", "0", pods=[pod])
        assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
        assert events(tmp_path) == found


def test_watch_says_what_it_cannot_see_and_outlives_an_api_server_that_is_away(cluster, tmp_path):
    locked = {"line": line("locked", OURS)}
    ended = {"line": line("ended", OURS), "command": ["sh", "-c", GONE], "dir": "x"}
    done = cluster("watch", "0", pods=[locked, ended])
    assert done.stderr == (
        "kubectl dsbridge: VM locked in default: "
        "no access: you may not create pods/exec in namespace default\n"
    )
    assert cluster("watch", "0", denied=True).returncode == 4
    world, said = tmp_path / "world.json", tmp_path / "said"
    with said.open("w") as output:
        environment = {"KUBECTL": str(tmp_path / "kubectl"), "PATH": "/usr/bin:/bin"}
        watching = subprocess.Popen([SCRIPT, "watch", "1"], env=environment, stderr=output)
    try:
        until(lambda: said.read_text().count("cannot list pods") > 1, "the second attempt")
        world.write_text(json.dumps({"pods": [locked]}))
        until(lambda: "VM locked in default: no access" in said.read_text(), "the pod's line")
        assert watching.poll() is None
    finally:
        watching.terminate()
        watching.wait(60)


def test_watch_trusts_no_octet_of_a_sidecar(cluster, tmp_path):
    said = '"}\tx\ta"\\}\x1b[31m, "kind": "Secret\n\n{}\n'
    command = tmp_path / "sidecar"
    command.write_text(f"#!/bin/sh\nprintf '%s' '{said}'\n")
    command.chmod(0o755)
    pod = {"line": line("vm1", OURS), "command": [str(command)], "dir": "x"}
    assert cluster("watch", "0", pods=[pod]).returncode == 0
    for one in events(tmp_path):
        assert (one["kind"], one["involvedObject"]["uid"]) == ("Event", "")
    told = {one["message"] for one in events(tmp_path)}
    assert told == {'a"\\} [31m, "kind": "Secret', ""}
