DROP INDEX todoku.list_close_beside;
ALTER TABLE todoku.list_close DROP CONSTRAINT list_close_stood;
ALTER TABLE todoku.list_close NO FORCE ROW LEVEL SECURITY;
DELETE FROM todoku.list_close WHERE band IS NULL AND diverges_since IS NULL;
ALTER TABLE todoku.list_close FORCE ROW LEVEL SECURITY;
ALTER TABLE todoku.list_close ADD CHECK (num_nonnulls(band, diverges_since) > 0);
ALTER TABLE todoku.list_close DROP COLUMN beside;
