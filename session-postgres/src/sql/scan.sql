SELECT {summary}
FROM {table}
WHERE id > $1 AND octet_length(id) = 16
ORDER BY id
LIMIT $2
