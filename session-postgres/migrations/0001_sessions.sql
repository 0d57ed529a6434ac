-- One row for each session. {table}, {pkey}, {purge_index} and {subject_index} stand for the names of the
-- store, quoted. Every statement can be run again.

CREATE TABLE IF NOT EXISTS {table} (
    created_at            timestamptz NOT NULL,
    -- The idle deadline.
    expires_at            timestamptz NOT NULL,
    -- The absolute deadline.
    deadline              timestamptz NOT NULL,
    -- When purge looks at the row: in whole seconds, and never later than the session's end. Only purge
    -- moves it forward, so that the index on it costs a touch and an update nothing.
    purge_after           timestamptz NOT NULL,
    -- 64 random bits, other ones after each update.
    revision              bigint      NOT NULL,
    authenticated_at      timestamptz,
    -- Until when the secret behind previous_hash is accepted.
    grace_until           timestamptz,
    -- The format of the row: 1.
    format                smallint    NOT NULL,
    authentication_level  smallint,
    -- The public id, 16 bytes.
    id                    bytea       NOT NULL,
    -- SHA-256 of the secret that the client holds, and of the one before it.
    secret_hash           bytea       NOT NULL,
    previous_hash         bytea,
    credential_tag        bytea,
    -- The user: the length of the realm in one byte, the realm, the name.
    subject               bytea,
    -- The application's data, encoded.
    payload               bytea       NOT NULL,
    CONSTRAINT {pkey} PRIMARY KEY (id)
) WITH (
    -- Room for the next version of a row on its own page.
    fillfactor = 90,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05
);

CREATE INDEX IF NOT EXISTS {purge_index} ON {table} (purge_after);

-- Eight bytes for each session with a user, whatever the length of the name.
CREATE INDEX IF NOT EXISTS {subject_index} ON {table} (hashtextextended(encode(subject, 'hex'), 0))
    WHERE subject IS NOT NULL;
