-- Looked up by the subject first, whatever the planner knows of the table.
WITH own AS MATERIALIZED (
    SELECT id, subject, created_at, expires_at, deadline, authenticated_at, authentication_level,
        {readable} AS readable
    FROM {table}
    WHERE {subject_key} = {given_key} AND subject = $1 AND octet_length(id) = 16
)
SELECT {id}, {subject}, {created_at}, {expires_at}, {deadline}, {authenticated_at}, {authentication_level},
    readable
FROM own
WHERE id > $2 AND expires_at > $3 AND deadline > $3
ORDER BY id
LIMIT $4
