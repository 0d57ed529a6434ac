-- A payload that no session can have is not fetched.
SELECT {format}, {revision}, {secret_hash}, {previous_hash}, {grace_until}, {subject},
    {created_at}, {expires_at}, {deadline}, {authenticated_at}, {authentication_level}, {credential_tag},
    CASE WHEN octet_length(payload) <= 262144 THEN {payload} END
FROM {table}
WHERE id = $1
