-- People who sign in to the admin UI.
CREATE TABLE users (
    id            TEXT PRIMARY KEY,
    -- In lower case.
    login         TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    -- A PHC string of argon2id; null: nobody has chosen one yet.
    password      TEXT,
    revision      BIGINT NOT NULL DEFAULT 1,
    created_us    BIGINT NOT NULL,
    updated_us    BIGINT NOT NULL,
    signed_in_us  BIGINT
);

CREATE INDEX users_by_age ON users (created_us, id);

CREATE TABLE user_roles (
    -- Of user and tenant.
    id         TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Null: the platform.
    tenant_id  TEXT REFERENCES tenants (id) ON DELETE CASCADE,
    role       TEXT NOT NULL CHECK (role IN ('platform', 'owner', 'operator', 'reader')),
    CHECK ((tenant_id IS NULL) = (role = 'platform'))
);

CREATE INDEX user_roles_by_user ON user_roles (user_id);
CREATE INDEX user_roles_by_tenant ON user_roles (tenant_id);

-- A browser in which a user is signed in, by the keyed hash of its cookie.
CREATE TABLE sign_ins (
    hash        BLOB PRIMARY KEY,
    user_id     TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_us  BIGINT NOT NULL,
    used_us     BIGINT NOT NULL,
    expires_us  BIGINT NOT NULL
);

CREATE INDEX sign_ins_by_user ON sign_ins (user_id);
CREATE INDEX sign_ins_by_end ON sign_ins (expires_us);

-- Links that are good once, by their keyed hash.
CREATE TABLE links (
    hash        BLOB PRIMARY KEY,
    purpose     TEXT NOT NULL CHECK (purpose IN ('first_user', 'password', 'sign_in')),
    -- Null: the user whom it makes.
    user_id     TEXT REFERENCES users (id) ON DELETE CASCADE,
    created_us  BIGINT NOT NULL,
    expires_us  BIGINT NOT NULL
);

CREATE INDEX links_by_user ON links (user_id);
CREATE INDEX links_by_end ON links (expires_us);
