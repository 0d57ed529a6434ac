-- At most $3 rows that purge has to look at, by now ($1) or within the second ($2) that is not over yet.
-- Those whose session is over go; the others are looked at again at the end that they have now. By ctid: any
-- other form can be planned so that it runs over the limit or over the whole table.
WITH due AS MATERIALIZED (
    SELECT ctid
    FROM {table}
    WHERE purge_after <= $2 AND (purge_after <= $1 OR expires_at <= $1 OR deadline <= $1)
    ORDER BY purge_after
    LIMIT $3
    FOR UPDATE SKIP LOCKED
), kept AS (
    UPDATE {table}
    SET purge_after = date_trunc('second', least(expires_at, deadline) + interval '999999 microseconds')
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM due)) AND expires_at > $1 AND deadline > $1
), gone AS (
    DELETE FROM {table}
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM due)) AND (expires_at <= $1 OR deadline <= $1)
    RETURNING 1
)
SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM due)
