-- One piece of a walk over all rows, from $1 on: short, since a statement that runs for long keeps old
-- versions of rows alive.
WITH piece AS MATERIALIZED (
    SELECT id, expires_at > $2 AND deadline > $2 AND {readable} AS live
    FROM {table}
    WHERE id > $1
    ORDER BY id
    LIMIT 5000
)
SELECT
    (SELECT count(*) FROM piece WHERE live),
    (SELECT count(*) FROM piece),
    (SELECT {id} FROM piece ORDER BY id DESC LIMIT 1)
