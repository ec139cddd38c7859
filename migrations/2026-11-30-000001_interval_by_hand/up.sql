-- Beside a score that was set by hand a list shows what the evidence said, and where that lies. Days closed before do not know the latter.
ALTER TABLE todoku.list_close
  ADD COLUMN computed_low int CHECK (computed_low BETWEEN 0 AND 100000),
  ADD COLUMN computed_high int CHECK (computed_high BETWEEN computed_low AND 100000);
