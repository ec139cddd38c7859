-- What a list shows beside a score that was set by hand (one that is known and has no interval): what the evidence said. And whether a value is missing for want of a
-- rate. Days closed before know neither.
ALTER TABLE todoku.list_close
  ADD COLUMN computed int CHECK (computed BETWEEN 0 AND 100000),
  ADD COLUMN unconverted boolean;
