-- By which a start knows whether its root secret is the one that the keys in here were made with. One row.
CREATE TABLE root_check (
    id    BIGINT PRIMARY KEY CHECK (id = 1),
    -- Derived from the root secret, which it does not tell.
    hash  BLOB NOT NULL
);
