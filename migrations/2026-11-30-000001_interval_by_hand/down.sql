ALTER TABLE todoku.list_close DROP COLUMN computed_high, DROP COLUMN computed_low;
