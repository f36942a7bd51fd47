# The only entry to every task. `make setup` is implied by all of them.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
UV_VERSION := 0.13.9
UV := $(or $(shell command -v uv),.cache/uv/bin/uv)
PY := .venv/bin/python
RUN := PATH="$(CURDIR)/.venv/bin:$$PATH"
PROTO_OUT := .

.PHONY: help setup lint test demo proto image bench clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.ready  ## .venv with everything pinned

.venv/.ready: pyproject.toml uv.lock
	@if [ "$(UV)" = .cache/uv/bin/uv ] && [ ! -x $(UV) ]; then \
	  python3 -m venv .cache/uv 2>/dev/null || { rm -rf .cache/uv; tests/packages.sh python3-venv; python3 -m venv .cache/uv; }; \
	  .cache/uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); \
	fi
	$(UV) sync --quiet --frozen --group dev
	@touch $@

lint: setup  ## style, types, layers
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	$(RUN) lint-imports

test: setup  ## every test; needs root for the namespaces
	tests/packages.sh test
	$(RUN) pytest -n 4 $(ARGS)

demo: setup  ## a pod, the sidecar, a VM: CNI=flat|calico|kube-ovn|all GUEST=vm|netns SHAPE=own|managed
	tests/packages.sh demo
	$(PY) -m tests.demo

proto: setup  ## regenerate proto/*_pb2* from proto/*.proto
	$(RUN) python -m grpc_tools.protoc -I . --python_out=$(PROTO_OUT) --grpc_python_out=$(PROTO_OUT) \
	  --mypy_out=quiet:$(PROTO_OUT) --mypy_grpc_out=quiet:$(PROTO_OUT) proto/*.proto

clean:  ## what the other targets made
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
