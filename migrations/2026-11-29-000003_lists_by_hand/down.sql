ALTER TABLE todoku.list_close DROP CONSTRAINT list_close_by_hand, DROP COLUMN unconverted, DROP COLUMN by_hand, DROP COLUMN computed;
