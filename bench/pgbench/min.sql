BEGIN;
INSERT INTO event (key, body) VALUES (gen_random_uuid()::text, repeat('x', 1000)) RETURNING id \gset
INSERT INTO job (event) VALUES (:id);
COMMIT;
