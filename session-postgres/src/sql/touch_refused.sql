SELECT {expires_at}, {deadline}
FROM {table}
WHERE id = $1
