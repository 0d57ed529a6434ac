-- A row as a store writes it, under an id that no session can have. It is gone before anybody can see it.
INSERT INTO {table} (
    created_at, expires_at, deadline, purge_after, revision, format, id, secret_hash, payload
) VALUES (
    'epoch', 'epoch', 'epoch', 'epoch', 0, 1, decode(repeat('00', 16), 'hex'), decode(repeat('00', 32), 'hex'), ''
) ON CONFLICT (id) DO NOTHING;
DELETE FROM {table} WHERE id = decode(repeat('00', 16), 'hex');
