CREATE TABLE tenants (
    id                TEXT PRIMARY KEY,
    name              TEXT NOT NULL,
    quota_streams     BIGINT,
    quota_viewers     BIGINT,
    quota_ingest_bps  BIGINT,
    quota_egress_bps  BIGINT,
    disabled_us       BIGINT,
    revision          BIGINT NOT NULL DEFAULT 1,
    created_us        BIGINT NOT NULL,
    updated_us        BIGINT NOT NULL
);

CREATE INDEX tenants_by_age ON tenants (created_us, id);

CREATE TABLE streams (
    id                  TEXT PRIMARY KEY,
    tenant_id           TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    playback_id         TEXT NOT NULL UNIQUE,
    name                TEXT NOT NULL,
    policy              TEXT NOT NULL CHECK (policy IN ('signed', 'public')),
    second_publisher    TEXT NOT NULL CHECK (second_publisher IN ('refuse', 'takeover')),
    reconnect_window_s  BIGINT NOT NULL,
    latency_target_ms   BIGINT,
    allowed_origins     TEXT NOT NULL DEFAULT '[]',
    labels              TEXT NOT NULL DEFAULT '{}',
    -- Media time 0, set when the first fence is taken.
    origin_us           BIGINT,
    -- The fence handed out last, and the one accepted last.
    fence_next          BIGINT NOT NULL DEFAULT 0,
    fence               BIGINT NOT NULL DEFAULT 0,
    revision            BIGINT NOT NULL DEFAULT 1,
    created_us          BIGINT NOT NULL,
    updated_us          BIGINT NOT NULL
);

CREATE INDEX streams_by_age ON streams (created_us, id);
CREATE INDEX streams_by_tenant ON streams (tenant_id, created_us, id);
CREATE INDEX streams_by_name ON streams (name);

CREATE TABLE stream_keys (
    id            TEXT PRIMARY KEY,
    stream_id     TEXT NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    prefix        TEXT NOT NULL,
    hash          BLOB NOT NULL UNIQUE,
    created_us    BIGINT NOT NULL,
    last_used_us  BIGINT
);

CREATE INDEX stream_keys_by_stream ON stream_keys (stream_id);

CREATE TABLE signing_keys (
    id          TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    kid         TEXT NOT NULL,
    algorithm   TEXT NOT NULL,
    -- An HS256 secret sealed with the root secret, or a public key in PEM or JWK.
    sealed      BLOB,
    public_key  TEXT,
    created_us  BIGINT NOT NULL,
    UNIQUE (tenant_id, kid),
    CHECK ((sealed IS NULL) <> (public_key IS NULL))
);

CREATE TABLE api_keys (
    id            TEXT PRIMARY KEY,
    -- Null: the platform's.
    tenant_id     TEXT REFERENCES tenants (id) ON DELETE CASCADE,
    role          TEXT NOT NULL CHECK (role IN ('platform', 'owner', 'operator', 'reader')),
    name          TEXT NOT NULL,
    prefix        TEXT NOT NULL,
    hash          BLOB NOT NULL UNIQUE,
    created_us    BIGINT NOT NULL,
    last_used_us  BIGINT,
    CHECK ((tenant_id IS NULL) = (role = 'platform'))
);

CREATE INDEX api_keys_by_tenant ON api_keys (tenant_id, created_us, id);

-- What may happen once in the life of a database.
CREATE TABLE once (
    name   TEXT PRIMARY KEY,
    at_us  BIGINT NOT NULL
);

-- No foreign keys: it outlives what it tells of.
CREATE TABLE audit (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    at_us      BIGINT NOT NULL,
    tenant_id  TEXT,
    actor      TEXT NOT NULL,
    address    TEXT,
    action     TEXT NOT NULL,
    target     TEXT NOT NULL,
    outcome    TEXT NOT NULL CHECK (outcome IN ('done', 'refused')),
    before     TEXT,
    after      TEXT
);

CREATE INDEX audit_by_tenant ON audit (tenant_id, seq);

CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;

CREATE TRIGGER audit_is_never_cut BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;
