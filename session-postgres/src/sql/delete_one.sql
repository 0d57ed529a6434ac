DELETE FROM {table}
WHERE id = $1 AND subject = $2
RETURNING {summary}
