ALTER TABLE todoku.list_close DROP COLUMN computed, DROP COLUMN unconverted;
