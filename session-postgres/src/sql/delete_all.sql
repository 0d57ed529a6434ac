-- One piece of a walk over a subject's sessions in the order of their ids, from $2 on. Looked up by the
-- subject first, whatever the planner knows of the table, and deleted in one order, so that two of these do
-- not wait for each other in a ring.
WITH own AS MATERIALIZED (
    SELECT id FROM {table} WHERE {subject_key} = {given_key} AND subject = $1
), piece AS MATERIALIZED (
    SELECT id FROM own WHERE id > $2 ORDER BY id LIMIT 1000
), gone AS (
    DELETE FROM {table}
    WHERE id = ANY (ARRAY(SELECT id FROM piece)) AND subject = $1 AND id <> $3
    RETURNING expires_at > $4 AND deadline > $4 AND {readable} AS live
)
SELECT
    (SELECT count(*) FROM gone WHERE live),
    (SELECT count(*) FROM piece),
    (SELECT {id} FROM piece ORDER BY id DESC LIMIT 1)
