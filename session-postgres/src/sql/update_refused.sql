SELECT {expires_at}, {deadline}, {format}, {revision}, {readable}
FROM {table}
WHERE id = $1
