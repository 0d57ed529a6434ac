INSERT INTO {table} (
    created_at, expires_at, deadline, purge_after, revision, authenticated_at, grace_until, format,
    authentication_level, id, secret_hash, previous_hash, credential_tag, subject, payload
) VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (id) DO NOTHING
