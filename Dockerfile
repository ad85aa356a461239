# An exact tag. A release pins it by digest: --build-arg PYTHON_IMAGE=python@sha256:…
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# Without pip: the builder's own installs into it.
RUN python -m venv --without-pip /venv
COPY requirements.lock ./
# Before the sources, so that a change of these leaves the layer as it is. No package may run code
# of its own while it is built.
RUN pip --python /venv/bin/python install --require-hashes --only-binary :all: --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY operator ./operator
RUN pip wheel --no-deps --wheel-dir /dist .
RUN pip --python /venv/bin/python install --no-deps --no-index --find-links /dist agent-identity-operator
# What does not fit together must not become an image.
RUN pip --python /venv/bin/python check

FROM ${PYTHON_IMAGE}
ARG VERSION=0.2.0
ARG REVISION=
LABEL org.opencontainers.image.title="agent-identity-operator" \
      org.opencontainers.image.description="One least-privilege mTLS identity for every AI agent" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Nothing in here can install anything. The interpreter is all that is used of the base.
RUN pip uninstall --yes pip setuptools wheel && rm -rf /usr/local/lib/python3.11/ensurepip
COPY --from=build /venv /venv
# The root filesystem is read-only.
ENV PATH=/venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /
# By number, so that a kubelet can see that it is not root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["agent-identity-operator"]
