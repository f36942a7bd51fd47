# The only entry to every task. `make setup` is implied by all of them.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
UV_VERSION := 0.13.9
UV := $(or $(shell command -v uv),.cache/uv/bin/uv)
PY := .venv/bin/python
RUN := PATH="$(CURDIR)/.venv/bin:$$PATH"
# Ubuntu 22.04's python3 is 3.10; its python3.11 is a package of its own.
NEW_PYTHON = python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || tests/packages.sh python3.11
# Where it is set, as in many container images, every program of a test compiles its sources anew.
unexport PYTHONDONTWRITEBYTECODE
PROTO_OUT := .
# The tests' gRPC client logs a warning when the sidecar closes an idle connection: silence it.
QUIET_GRPC := GRPC_VERBOSITY=ERROR

.PHONY: help setup lint unit test test-all fuzz differential migration soak million test-vm demo transcripts image test-image test-kernels test-arm64 test-fresh test-chart test-grpc-go chart release proto bench clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.ready  ## .venv with everything pinned

.venv/.ready: pyproject.toml uv.lock
	@if [ "$(UV)" = .cache/uv/bin/uv ] && [ ! -x $(UV) ]; then \
	  python3 -m venv .cache/uv 2>/dev/null || { rm -rf .cache/uv; tests/packages.sh python3-venv; python3 -m venv .cache/uv; }; \
	  .cache/uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); \
	fi
	@$(NEW_PYTHON)
	$(UV) sync --quiet --frozen --group dev
	@touch $@

lint: setup  ## style, types, layers
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) lint-imports

unit: setup  ## the tests that need no root and no namespaces; under a minute, ARGS="-k WORD"
	$(RUN) pytest -n auto -m "not netns and not vm and not image and not go" $(ARGS)

test: setup  ## every test, in namespaces of root's or of a user's own
	tests/packages.sh test
	$(RUN) tests/as_root.sh pytest -n 5 --dist worksteal -m "not image and not matrix and not vm_long" $(ARGS)

test-all: setup  ## the same with every client in every combination
	tests/packages.sh test
	$(RUN) tests/as_root.sh pytest -n 4 --dist worksteal -m "not image and not vm_long" $(ARGS)

test-vm: setup  ## real libvirt, and Debian guests by each network manager; half an hour; writes docs/guests.md
	tests/packages.sh test-vm
	$(PY) -m tests.bed.debian
	$(PY) -m tests.bed.installer
	$(RUN) tests/as_root.sh pytest -n 2 -m vm_long --write-table docs/guests.md $(ARGS)

migration: setup  ## migrations between two nodes, QEMU's own and link refreshes; writes the tables of docs/migration.md
	tests/packages.sh test
	$(RUN) TABLES=docs/migration.md tests/as_root.sh pytest tests/netns/test_migration.py tests/netns/test_migration_refresh.py \
	  tests/vm/test_live_migration.py $(ARGS)

soak: setup  ## forty pods, kills, flaps, flushes, floods for half an hour (SOAK_SECONDS), ten minutes of the virtual router
	tests/packages.sh test
	$(UV) sync --quiet --frozen --group dev --group bench
	$(RUN) tests/as_root.sh pytest -s tests/netns/soak_forty_pods.py tests/netns/soak_reachability.py
	$(PY) -m bench.soak_plot .cache/soak/figures.json docs/soak.svg

million: setup  ## a million mutated frames of a guest to the live serve, a quarter of an hour; FRAMES=
	tests/packages.sh test
	$(RUN) FRAMES=$(or $(FRAMES),1000000) tests/as_root.sh pytest -s tests/netns/test_mutated_frames.py $(ARGS)

fuzz: setup  ## coverage-guided, every reader of foreign octets: TIME= seconds of each target, ARGS="[TARGET...]"
	$(UV) sync --quiet --frozen --group dev --group fuzz
	$(PY) -m tests.fuzz --seconds $(or $(TIME),60) $(ARGS)

differential: setup  ## the same 100,000 requests to dsbridge, dnsmasq and Kea + radvd: who differs, and why; ARGS="--count N"
	tests/packages.sh test
	tests/packages.sh kea-dhcp4-server kea-dhcp6-server
	$(QUIET_GRPC) tests/as_root.sh $(PY) -m tests.differential $(ARGS)

demo: setup  ## a pod, the sidecar, a VM: CNI=flat|calico|kube-ovn|all GUEST=vm|netns|debian SHAPE=own|managed
	tests/packages.sh demo
	[ "$${GUEST:-vm}" = netns ] || $(PY) -m tests.bed.$(if $(filter debian,$(GUEST)),debian,image)
	$(QUIET_GRPC) tests/as_root.sh $(PY) -m tests.demo

transcripts: setup  ## docs/transcripts.md anew, by what the commands print in beds
	tests/packages.sh test
	$(QUIET_GRPC) tests/as_root.sh $(PY) -m tests.transcripts

image:  ## build the container image without a registry or a daemon, print its size
	.ci/image

test-fresh:  ## the two commands on Debian 12, 13, Ubuntu 22.04, 24.04 as they come; needs root; ARGS="[RELEASE...] [-- COMMAND]"
	.ci/fresh $(ARGS)

test-chart: setup  ## the Helm chart, by Helm's own engine beside kustomize's
	$(UV) sync --quiet --frozen --group dev --group chart
	$(RUN) pytest tests/deploy $(ARGS)

test-grpc-go: setup  ## virt-launcher's own gRPC client against the hook server; installs 550 MB of Go
	tests/packages.sh golang-go golang-google-grpc-dev
	$(RUN) pytest tests/hooks/test_grpc_go.py $(ARGS)

chart: setup  ## write what the Helm chart is filled from: kustomize's output
	$(RUN) .ci/chart

release: setup $(if $(WRITE),,image)  ## VERSION=x.y.z: check that changelog, version, tag, chart and image agree; WRITE=1 sets it
	$(PY) .ci/release.py "$(VERSION)" $(if $(WRITE),--write)

test-image: setup image  ## run the image as KubeVirt would: runc, uid 107, 64 MB, 0.2 CPU; minutes
	tests/packages.sh iproute2 busybox-static isc-dhcp-client libcap2-bin runc golang-github-containers-common
	$(RUN) pytest -m image tests/image $(ARGS)

test-kernels: setup  ## the guard's frames on the kernels of Debian 12 and 13, in a VM; minutes by KVM, an hour without
	tests/packages.sh test
	tests/packages.sh kmod debian-archive-keyring
	$(RUN) pytest -s tests/vm/kernels.py $(ARGS)

test-arm64: setup  ## build the arm64 image and ask it by emulation what amd64 is asked; an hour
	[ -n "$${IMAGE_STORE:-}" ] || .ci/image .cache/image arm64
	$(RUN) pytest tests/image/emulated_arm64.py $(ARGS)

bench: setup  ## side by side with dnsmasq, Kea + radvd, OVN; ARGS="[NAME...] [--out DIR] [--quick]"
	tests/packages.sh test
	tests/packages.sh gcc libc6-dev kea-dhcp4-server kea-dhcp6-server iperf3
	$(UV) sync --quiet --frozen --group dev --group bench
	$(QUIET_GRPC) $(PY) -m bench $(ARGS)

proto: setup  ## regenerate proto/*_pb2* from proto/*.proto
	$(RUN) python -m grpc_tools.protoc -I . --python_out=$(PROTO_OUT) --grpc_python_out=$(PROTO_OUT) proto/*.proto

clean:  ## what the other targets made
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
