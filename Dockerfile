# A node of Weir with its pages; docker-compose.yml runs three of them with what they need.

FROM node:22-bookworm-slim AS pages
WORKDIR /weir/player
COPY player/package.json player/package-lock.json ./
RUN npm ci --no-audit --no-fund --loglevel=error
COPY player ./
RUN npm run --silent build
# It takes the player from there.
WORKDIR /weir/admin-ui
COPY admin-ui/package.json admin-ui/package-lock.json ./
RUN npm ci --no-audit --no-fund --loglevel=error
COPY admin-ui ./
RUN npm run --silent build

FROM rust:1.95.0-bookworm AS build
WORKDIR /weir
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY migrations migrations
COPY --from=pages /weir/player/dist player/dist
COPY --from=pages /weir/admin-ui/dist admin-ui/dist
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/weir/target \
    cargo build --release --locked --bin weir && cp target/release/weir /usr/local/bin/weir

FROM debian:bookworm-slim
# Debian keeps the newest version of a package only: a pinned one could not be built again.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/weir --create-home weir
COPY --from=build /usr/local/bin/weir /usr/local/bin/weir
USER 10001
# SQLite and the secret that is made at the first start live in `data/` here; nodes of a cluster keep nothing.
WORKDIR /var/lib/weir
VOLUME /var/lib/weir
ENV WEIR_INTERNAL_LISTEN=0.0.0.0:9900
# 8080 viewers, API and pages; 1935 publishers; 9900 metrics and other nodes, never for the public.
EXPOSE 8080 1935 9900
HEALTHCHECK --interval=5s --timeout=2s --start-period=20s CMD ["curl", "-fsS", "http://127.0.0.1:8080/livez"]
# SIGTERM drains; leave it more time than `drain_timeout` (docker stop -t 40).
STOPSIGNAL SIGTERM
ENTRYPOINT ["weir"]
CMD ["serve"]
