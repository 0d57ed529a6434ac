UPDATE {table} SET expires_at = greatest(expires_at, $3)
WHERE id = $1 AND expires_at > $2 AND deadline > $2
    AND expires_at <= {latest} AND deadline <= {latest}
