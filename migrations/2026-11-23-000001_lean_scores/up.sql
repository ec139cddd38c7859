-- What each measure adds to a score is kept as a list of values without names, as text that is read as a whole: half the bytes, so that a row
-- stays out of the TOAST table. Every score is written anew each day; the space left in a page lets most of that happen in place, without
-- touching an index.
CREATE FUNCTION todoku.lean(parts jsonb) RETURNS json LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(json_agg(json_build_array(p -> 'measure', p -> 'weight', p -> 'evidence', p -> 'points', p -> 'contribution', p -> 'sources', p -> 'newest', p -> 'assumed', p -> 'bias') ORDER BY n), '[]')
  FROM jsonb_array_elements(parts) WITH ORDINALITY AS e(p, n) $$;
ALTER TABLE todoku.health_score SET (fillfactor = 50, toast_tuple_target = 4080);
ALTER TABLE todoku.health_score ALTER COLUMN parts TYPE json USING todoku.lean(parts);
DROP FUNCTION todoku.lean;
