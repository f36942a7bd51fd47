# What the image holds is decided by uv.lock and by Debian's archive as it was at SNAPSHOT: the
# same by `docker build .` and by `make image`, which brings such a base itself (.ci/image).
ARG BASE=docker.io/library/debian:trixie-slim

FROM ${BASE} AS build
ARG UV=0.13.9
ARG SNAPSHOT=20261127T000000Z
ARG MIRROR=http://snapshot.debian.org/archive
# Also what the base brought is set to the snapshot's versions, back if need be. A base that has
# python3 is one of .ci/image, made of the snapshot.
RUN set -eu; export DEBIAN_FRONTEND=noninteractive; if ! [ -x /usr/bin/python3 ]; then \
      rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*; \
      . /etc/os-release; \
      case $MIRROR in *snapshot*) at=/$SNAPSHOT ;; *) at= ;; esac; \
      for suite in debian:$VERSION_CODENAME debian:$VERSION_CODENAME-updates debian-security:$VERSION_CODENAME-security; do \
        echo "deb [check-valid-until=no] $MIRROR/${suite%%:*}$at ${suite#*:} main"; \
      done >/etc/apt/sources.list; \
      printf 'Package: *\nPin: release *\nPin-Priority: 1001\n' >/etc/apt/preferences.d/snapshot; \
      apt-get update -qq; \
      apt-get dist-upgrade -y -qq --allow-downgrades; \
      apt-get install -y -qq --no-install-recommends ca-certificates libcap2-bin python3 python3-venv; \
    fi; \
    python3 -m venv /uv && /uv/bin/pip install --quiet --no-cache-dir uv==${UV}
WORKDIR /app
ENV UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=1
COPY pyproject.toml uv.lock ./
RUN /uv/bin/uv sync --quiet --frozen --no-dev --python /usr/bin/python3
COPY guest guest
COPY binding binding
COPY dhcp dhcp
COPY ra ra
COPY LICENSE NOTICE ./
COPY .ci/image_root.py .ci/sbom.py .ci/bytecode.py /build/
ARG VERSION=0.2.0
ARG SOURCE_DATE_EPOCH=0
# The entry point must be the very file that carries the capabilities: a shell or a wrapper
# in front loses them under no_new_privs. Permitted only (=p): with =ep it could not even be
# executed where the pod grants none.
# What bytecode says of a string depends on what the process has loaded: none of Debian's own
# bytecode, which differs from machine to machine.
# netbase's tables are not in the image: without them here, too, scapy loads its own.
RUN set -eu; rm -f /etc/ethertypes /etc/protocols /etc/services; export PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0; \
    cp --remove-destination /usr/bin/python3 .venv/bin/python; \
    printf '%s\n' '#!/app/.venv/bin/python' 'import sys' 'sys.path[0] = "/app"' \
      'from binding.__main__ import main' 'sys.exit(main())' >.venv/bin/dsbridge; \
    chmod 755 .venv/bin/dsbridge; \
    .venv/bin/python /build/image_root.py /image; \
    .venv/bin/python /build/sbom.py /image ${VERSION}; \
    PYTHONPYCACHEPREFIX=/none .venv/bin/python /build/bytecode.py /image; \
    setcap cap_net_admin,cap_net_raw=p /image/app/.venv/bin/python; \
    find /image -depth -exec touch --no-dereference --date=@${SOURCE_DATE_EPOCH} {} +

FROM scratch
ARG VERSION=0.2.0
ARG REVISION=unknown
ARG SOURCE=https://github.com/dsbridge/dsbridge
LABEL org.opencontainers.image.title="dsbridge" \
      org.opencontainers.image.description="KubeVirt network binding plugin: dual-stack bridge mode on any CNI" \
      org.opencontainers.image.licenses="(Apache-2.0 OR GPL-2.0-or-later) AND GPL-2.0-only AND BSD-3-Clause AND MIT AND PSF-2.0 AND LGPL-2.1-or-later" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.documentation="${SOURCE}/blob/${REVISION}/docs/install.md" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image /
WORKDIR /app
ENV PATH=/app/.venv/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 107:107
ENTRYPOINT ["/app/.venv/bin/python", "-m", "binding"]
