CREATE FUNCTION todoku.named(parts json) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(jsonb_agg(jsonb_build_object('measure', p -> 0, 'weight', p -> 1, 'evidence', p -> 2, 'points', p -> 3, 'contribution', p -> 4, 'sources', p -> 5, 'newest', p -> 6)
    || jsonb_strip_nulls(jsonb_build_object('assumed', p -> 7, 'bias', p -> 8)) ORDER BY n), '[]')
  FROM json_array_elements(parts) WITH ORDINALITY AS e(p, n) $$;
ALTER TABLE todoku.health_score RESET (fillfactor, toast_tuple_target);
ALTER TABLE todoku.health_score ALTER COLUMN parts TYPE jsonb USING todoku.named(parts);
DROP FUNCTION todoku.named;
