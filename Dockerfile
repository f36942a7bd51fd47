# One version each; both stages use the same interpreter.
ARG PYTHON=3.13
ARG DEBIAN=trixie
# Any Debian or Ubuntu with python3 (3.11 or newer), its venv module and apt will do.
ARG BASE=docker.io/library/python:${PYTHON}-slim-${DEBIAN}

FROM ${BASE} AS build
ARG UV=0.13.9
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends libcap2-bin \
 && python3 -m venv /uv && /uv/bin/pip install --quiet --no-cache-dir uv==${UV}
WORKDIR /app
# A VM's start waits for the imports, and a read-only root keeps no bytecode. Hashes that
# nobody checks, because layers may come with other times than the bytecode was made for.
ENV UV_COMPILE_BYTECODE=1 PYC_INVALIDATION_MODE=UNCHECKED_HASH \
    UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=1
COPY pyproject.toml uv.lock ./
RUN /uv/bin/uv sync --quiet --frozen --no-dev --python "$(command -v python3)" \
 && rm -r pyproject.toml uv.lock .venv/.lock .venv/lib/python*/site-packages/scapy/contrib \
 && find .venv/bin -type f,l ! -name 'python*' -delete
COPY guest guest
COPY binding binding
COPY dhcp dhcp
COPY ra ra
COPY proto proto
COPY LICENSE ./
# The entry point must be the very file that carries the capabilities: a shell or a wrapper
# in front loses them under no_new_privs. Permitted only (=p): with =ep it could not even be
# executed where the pod grants none.
RUN set -eux \
 && python3 -m compileall -q --invalidation-mode unchecked-hash guest binding dhcp ra proto \
 && cp --remove-destination "$(readlink -f .venv/bin/python)" .venv/bin/python \
 && setcap cap_net_admin,cap_net_raw=p .venv/bin/python \
 && printf '%s\n' '#!/app/.venv/bin/python' 'import sys' 'sys.path[0] = "/app"' \
      'from binding.__main__ import main' 'sys.exit(main())' > .venv/bin/dsbridge \
 && chmod 755 .venv/bin/dsbridge

FROM ${BASE}
ARG BASE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="dsbridge" \
      org.opencontainers.image.description="KubeVirt network binding plugin: dual-stack bridge mode on any CNI" \
      org.opencontainers.image.licenses="Apache-2.0 OR GPL-2.0-or-later" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
COPY --from=build /app /app
WORKDIR /app
# scapy would otherwise load its table of 11,000 hardware vendors: 23 MiB of the 61 there are.
# The official Python image ships its standard library without bytecode: what we import gets it.
RUN mkdir -p /usr/share/wireshark && : > /usr/share/wireshark/manuf \
 && .venv/bin/python -c "import binding.sidecar.start, binding.hooks.define_domain, binding.operator.commands, binding.plumb.snapshot, binding.plumb.wire, binding.serve.__main__"
ENV PATH=/app/.venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 107:107
ENTRYPOINT ["/app/.venv/bin/python", "-m", "binding"]
