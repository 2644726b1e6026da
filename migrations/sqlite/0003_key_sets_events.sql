-- Public keys that a tenant serves: fetched on a timer, the last good ones are kept.
CREATE TABLE key_sets (
    id          TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    url         TEXT NOT NULL,
    -- Of JWKs, each as text.
    keys        TEXT NOT NULL DEFAULT '[]',
    fetched_us  BIGINT,
    -- Why the last fetch failed; null: it did not.
    error       TEXT,
    next_us     BIGINT NOT NULL,
    created_us  BIGINT NOT NULL
);

CREATE INDEX key_sets_by_tenant ON key_sets (tenant_id, created_us, id);
CREATE INDEX key_sets_due ON key_sets (next_us);

-- What happened to streams and quotas, written in one transaction with the deliveries that tell of it.
CREATE TABLE events (
    id         TEXT PRIMARY KEY,
    tenant_id  TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    stream_id  TEXT,
    name       TEXT NOT NULL,
    payload    TEXT NOT NULL,
    at_us      BIGINT NOT NULL
);

CREATE INDEX events_by_tenant ON events (tenant_id, at_us, id);
CREATE INDEX events_by_age ON events (at_us, id);
