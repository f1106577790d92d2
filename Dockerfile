# An image with Hipache from its Debian package, for Docker 23 or newer, Podman and Buildah:
#
#   docker build --tag hipache .
#   docker run --detach --name hipache --publish 80:8080 --volume hipache:/var/lib/hipache hipache
#   docker exec hipache hipache route set app.example.com http://10.0.0.1:8000
#
# docs/install.md says more.

ARG DEBIAN=debian:trixie-slim

FROM $DEBIAN AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libatomic1 nodejs npm
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
COPY scripts/link-node.sh scripts/
RUN npm ci
COPY . .
# Seconds; the time of all files in the package. Default: that of package.json.
ARG SOURCE_DATE_EPOCH
RUN npm run package

FROM $DEBIAN
# A fixed number, for the owner of volumes and for Kubernetes' runAsNonRoot.
RUN groupadd --gid 10080 hipache \
    && useradd --uid 10080 --gid 10080 --no-create-home --home-dir /var/lib/hipache --shell /usr/sbin/nologin hipache
RUN --mount=type=bind,from=build,source=/src/build,target=/packages \
    apt-get update \
    && apt-get install --yes --no-install-recommends /packages/hipache_*.deb \
    && rm -rf /var/lib/apt/lists/*
COPY packaging/docker/config.json /etc/hipache/config.json

USER 10080:10080
WORKDIR /var/lib/hipache
VOLUME /var/lib/hipache
# Commands in the container use this store too, as in a service of systemd.
ENV STATE_DIRECTORY=/var/lib/hipache
EXPOSE 8080
STOPSIGNAL SIGTERM
# By bash alone: the image has no curl.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET / HTTP/1.0\\r\\nHost: __ping__\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]
ENTRYPOINT ["hipache"]
CMD ["--config", "/etc/hipache/config.json"]
