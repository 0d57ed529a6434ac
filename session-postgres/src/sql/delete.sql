DELETE FROM {table}
WHERE id = $1
RETURNING {summary}
