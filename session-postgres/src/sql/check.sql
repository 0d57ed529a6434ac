-- Settings, and the table as the catalogue has it: one row, whether or not the table is there.
SELECT
    current_setting('server_version'),
    current_setting('server_version_num')::bigint,
    pg_is_in_recovery(),
    current_setting('default_transaction_read_only')::boolean,
    current_setting('fsync')::boolean,
    current_setting('full_page_writes')::boolean,
    current_setting('synchronous_commit'),
    current_setting('synchronous_standby_names'),
    current_setting('default_transaction_isolation'),
    floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    class.relkind::text,
    class.relpersistence::text,
    class.relrowsecurity,
    has_schema_privilege(class.relnamespace, 'USAGE'),
    has_table_privilege(class.oid, 'SELECT'),
    has_table_privilege(class.oid, 'INSERT'),
    has_table_privilege(class.oid, 'UPDATE'),
    has_table_privilege(class.oid, 'DELETE'),
    (
        SELECT string_agg(
            attname || ' ' || format_type(atttypid, atttypmod)
                || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END
                || CASE WHEN atthasdef THEN ' DEFAULT' ELSE '' END,
            E'\n'
        )
        FROM pg_attribute
        WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped
    ),
    (
        SELECT string_agg(pg_get_indexdef(indexrelid), E'\n')
        FROM pg_index
        WHERE indrelid = class.oid AND indisvalid AND indisready
    ),
    EXISTS (SELECT FROM pg_namespace WHERE nspname = '{schema_name}')
FROM (SELECT 1) AS always
LEFT JOIN (
    pg_class AS class
    JOIN pg_namespace AS namespace
        ON namespace.oid = class.relnamespace AND namespace.nspname = '{schema_name}'
) ON class.relname = '{table_name}'
