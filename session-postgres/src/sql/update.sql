-- The end comes earlier only with a lower deadline, and then purge has to look earlier. In all other cases
-- purge_after stays as it is, which keeps the update out of the indexes.
UPDATE {table} SET
    revision = $4,
    secret_hash = $5,
    previous_hash = $6,
    grace_until = $7,
    subject = $8,
    expires_at = greatest(expires_at, $9),
    deadline = $10,
    purge_after = least(purge_after, $11),
    authenticated_at = $12,
    authentication_level = $13,
    credential_tag = $14,
    payload = $15
WHERE id = $1 AND revision = $2 AND expires_at > $3 AND deadline > $3 AND format = 1 AND {readable}
