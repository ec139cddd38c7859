-- What a list shows of a row beside its score: whether a person set it, what the evidence said then, and whether a value is missing for want of a rate.
ALTER TABLE todoku.list_close
  ADD COLUMN unconverted boolean NOT NULL DEFAULT false,
  ADD COLUMN by_hand boolean NOT NULL DEFAULT false,
  ADD COLUMN computed int CHECK (computed BETWEEN 0 AND 100000),
  ADD CONSTRAINT list_close_by_hand CHECK (by_hand OR computed IS NULL);
ALTER TABLE todoku.list_close ALTER COLUMN unconverted DROP DEFAULT, ALTER COLUMN by_hand DROP DEFAULT;
