-- What a request with an idempotency key was answered; no status: it is being worked on.
CREATE TABLE replays (
    -- A keyed hash of who asked and of the key.
    id       TEXT PRIMARY KEY,
    -- The same of what was asked.
    request  TEXT NOT NULL,
    status   BIGINT,
    body     TEXT,
    at_us    BIGINT NOT NULL
);

CREATE INDEX replays_by_age ON replays (at_us);

CREATE TABLE webhooks (
    id           TEXT PRIMARY KEY,
    tenant_id    TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    url          TEXT NOT NULL,
    events       TEXT NOT NULL,
    -- The secret that signs, sealed with the root secret.
    sealed       BLOB NOT NULL,
    disabled_us  BIGINT,
    -- Since when nothing was delivered.
    failing_us   BIGINT,
    revision     BIGINT NOT NULL DEFAULT 1,
    created_us   BIGINT NOT NULL,
    updated_us   BIGINT NOT NULL
);

CREATE INDEX webhooks_by_tenant ON webhooks (tenant_id, created_us, id);

-- The outbox, and what became of it.
CREATE TABLE deliveries (
    id          TEXT PRIMARY KEY,
    webhook_id  TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event_id    TEXT NOT NULL,
    event       TEXT NOT NULL,
    payload     TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts    BIGINT NOT NULL,
    next_us     BIGINT NOT NULL,
    status      BIGINT,
    error       TEXT,
    created_us  BIGINT NOT NULL,
    updated_us  BIGINT NOT NULL
);

CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id, created_us, id);
CREATE INDEX deliveries_due ON deliveries (state, next_us);

-- No foreign keys: it is billed by, also after its tenant is gone.
CREATE TABLE usage (
    id              TEXT PRIMARY KEY,
    tenant_id       TEXT NOT NULL,
    hour_us         BIGINT NOT NULL,
    ingest_bytes    BIGINT NOT NULL,
    egress_bytes    BIGINT NOT NULL,
    viewer_seconds  BIGINT NOT NULL
);

CREATE INDEX usage_by_tenant ON usage (tenant_id, hour_us);
