-- Roll-ups: figures by every dimension and by any two crossed, the value-weighted mean, quantiles, and closes that say when they were known.

-- Under which groups a conclusion stands in the cells; '' is what nobody said. `product` is that of its largest subscription.
ALTER TABLE todoku.health_score
  ADD COLUMN region text COLLATE "C" NOT NULL DEFAULT '', ADD COLUMN segment text COLLATE "C" NOT NULL DEFAULT '', ADD COLUMN touch_model text COLLATE "C" NOT NULL DEFAULT '',
  ADD COLUMN product text COLLATE "C" NOT NULL DEFAULT '', ADD COLUMN stage text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE todoku.health_score NO FORCE ROW LEVEL SECURITY;
ALTER TABLE todoku.customer NO FORCE ROW LEVEL SECURITY;
ALTER TABLE todoku.subscription NO FORCE ROW LEVEL SECURITY;
UPDATE todoku.health_score h SET region = coalesce(c.region, ''), segment = coalesce(c.segment, ''), touch_model = c.touch_model, stage = c.state,
  product = coalesce((SELECT s.product FROM todoku.subscription s WHERE s.vendor_id = h.vendor_id AND s.partner_id = h.partner_id AND s.customer_id = h.customer_id
    AND s.starts_on <= h.scored_for AND (s.ends_on IS NULL OR s.ends_on >= h.scored_for) ORDER BY s.amount_minor::numeric / s.period_months DESC, s.product LIMIT 1), '')
FROM todoku.customer c WHERE c.vendor_id = h.vendor_id AND c.partner_id = h.partner_id AND c.id = h.customer_id;
ALTER TABLE todoku.subscription FORCE ROW LEVEL SECURITY;
ALTER TABLE todoku.customer FORCE ROW LEVEL SECURITY;
ALTER TABLE todoku.health_score FORCE ROW LEVEL SECURITY;
ALTER TABLE todoku.health_score ALTER COLUMN region DROP DEFAULT, ALTER COLUMN segment DROP DEFAULT, ALTER COLUMN touch_model DROP DEFAULT,
  ALTER COLUMN product DROP DEFAULT, ALTER COLUMN stage DROP DEFAULT;

-- A cell is additive figures of one partner, audience and group. `facet` names what is grouped by: nothing ('all'), one dimension or two.
-- `value_scores` is the sum of value x score. `points` counts customers by whole points of their score, eight digits for each of the
-- points 0 to 100: a histogram that is one number, so that sum() adds it.
ALTER TABLE todoku.cell ADD COLUMN value_scores numeric, ADD COLUMN points numeric, ADD COLUMN facet text COLLATE "C" NOT NULL DEFAULT 'all',
  ADD COLUMN key_a text COLLATE "C" NOT NULL DEFAULT '', ADD COLUMN key_b text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE todoku.cell ALTER COLUMN facet DROP DEFAULT, ALTER COLUMN key_a DROP DEFAULT, ALTER COLUMN key_b DROP DEFAULT;
ALTER TABLE todoku.cell ADD CONSTRAINT cell_facet CHECK (facet IN ('all', 'region', 'segment', 'touch_model', 'product', 'stage', 'region segment', 'region touch_model',
  'region product', 'region stage', 'segment touch_model', 'segment product', 'segment stage', 'touch_model product', 'touch_model stage', 'product stage'));
ALTER TABLE todoku.cell DROP CONSTRAINT cell_pkey;
ALTER TABLE todoku.cell ADD PRIMARY KEY (vendor_id, partner_id, audience, facet, key_a, key_b);
CREATE INDEX cell_facet ON todoku.cell (vendor_id, audience, facet, partner_id);

-- The same of a day. Of the closes made before there are neither groups nor the two new sums.
ALTER TABLE todoku.cell_close ADD COLUMN value_scores numeric NOT NULL DEFAULT 0, ADD COLUMN points numeric NOT NULL DEFAULT 0, ADD COLUMN facet text COLLATE "C" NOT NULL DEFAULT 'all',
  ADD COLUMN key_a text COLLATE "C" NOT NULL DEFAULT '', ADD COLUMN key_b text COLLATE "C" NOT NULL DEFAULT '', ADD COLUMN closed_at timestamptz;
ALTER TABLE todoku.cell_close ALTER COLUMN value_scores DROP DEFAULT, ALTER COLUMN points DROP DEFAULT, ALTER COLUMN facet DROP DEFAULT, ALTER COLUMN key_a DROP DEFAULT, ALTER COLUMN key_b DROP DEFAULT;
ALTER TABLE todoku.cell_close NO FORCE ROW LEVEL SECURITY;
ALTER TABLE todoku.vendor NO FORCE ROW LEVEL SECURITY;
UPDATE todoku.cell_close c SET closed_at = (c.closed_on + 1)::timestamp AT TIME ZONE v.time_zone FROM todoku.vendor v WHERE v.id = c.vendor_id;
ALTER TABLE todoku.vendor FORCE ROW LEVEL SECURITY;
ALTER TABLE todoku.cell_close FORCE ROW LEVEL SECURITY;
ALTER TABLE todoku.cell_close ALTER COLUMN closed_at SET NOT NULL;
ALTER TABLE todoku.cell_close DROP CONSTRAINT cell_close_pkey;
ALTER TABLE todoku.cell_close ADD PRIMARY KEY (vendor_id, partner_id, audience, facet, closed_on, key_a, key_b);
CREATE INDEX cell_close_day ON todoku.cell_close (vendor_id, audience, facet, closed_on);

-- A delta is one of all customers ('all'), which a distributor may see of a partner whose totals it sees, or one of a single combination of
-- all dimensions ('grain'); the fold spreads the latter over the facets.
DROP TABLE todoku.cell_delta;
CREATE TABLE todoku.cell_delta (
  vendor_id uuid NOT NULL,
  partner_id uuid NOT NULL,
  audience text NOT NULL CHECK (audience IN ('shared', 'vendor')),
  id uuid NOT NULL,
  facet text COLLATE "C" NOT NULL CHECK (facet IN ('all', 'grain')),
  region text COLLATE "C" NOT NULL, segment text COLLATE "C" NOT NULL, touch_model text COLLATE "C" NOT NULL, product text COLLATE "C" NOT NULL, stage text COLLATE "C" NOT NULL,
  healthy bigint NOT NULL, watch bigint NOT NULL, at_risk bigint NOT NULL, unknown bigint NOT NULL,
  value_healthy bigint NOT NULL, value_watch bigint NOT NULL, value_at_risk bigint NOT NULL, value_unknown bigint NOT NULL,
  unconverted bigint NOT NULL,
  score_sum bigint NOT NULL, score_squares bigint NOT NULL, coverage_sum bigint NOT NULL,
  in_cadence bigint NOT NULL, value_in_cadence bigint NOT NULL,
  heard bigint NOT NULL, report_age_sum bigint NOT NULL,
  value_scores numeric NOT NULL, points numeric NOT NULL,
  PRIMARY KEY (vendor_id, partner_id, audience, id, facet, region, segment, touch_model, product, stage),
  FOREIGN KEY (vendor_id, partner_id) REFERENCES todoku.partner (vendor_id, id));

-- The cells are what the conclusions come to; here they are made anew from them.
ALTER TABLE todoku.health_score NO FORCE ROW LEVEL SECURITY;
ALTER TABLE todoku.cell NO FORCE ROW LEVEL SECURITY;
DELETE FROM todoku.cell;
INSERT INTO todoku.cell (vendor_id, partner_id, audience, facet, key_a, key_b, healthy, watch, at_risk, unknown, value_healthy, value_watch, value_at_risk, value_unknown,
  unconverted, score_sum, score_squares, coverage_sum, in_cadence, value_in_cadence, heard, report_age_sum, value_scores, points)
SELECT vendor_id, partner_id, audience, facet, key_a, key_b,
  count(*) FILTER (WHERE band = 'healthy'), count(*) FILTER (WHERE band = 'watch'), count(*) FILTER (WHERE band = 'at_risk'), count(*) FILTER (WHERE band = 'unknown'),
  coalesce(sum(value_minor) FILTER (WHERE band = 'healthy'), 0), coalesce(sum(value_minor) FILTER (WHERE band = 'watch'), 0),
  coalesce(sum(value_minor) FILTER (WHERE band = 'at_risk'), 0), coalesce(sum(value_minor) FILTER (WHERE band = 'unknown'), 0), count(*) FILTER (WHERE unconverted),
  coalesce(sum(score), 0), coalesce(sum(score::bigint * score), 0), sum(coverage), count(*) FILTER (WHERE in_cadence),
  coalesce(sum(value_minor) FILTER (WHERE in_cadence), 0), count(reported_on), coalesce(sum(scored_for - reported_on), 0),
  coalesce(sum(value_minor::numeric * score), 0), coalesce(sum(('1e' || score / 1000 * 8)::numeric), 0)
FROM todoku.health_score d CROSS JOIN LATERAL (VALUES ('all', '', ''), ('region', d.region, ''), ('segment', d.segment, ''), ('touch_model', d.touch_model, ''),
  ('product', d.product, ''), ('stage', d.stage, ''), ('region segment', d.region, d.segment), ('region touch_model', d.region, d.touch_model),
  ('region product', d.region, d.product), ('region stage', d.region, d.stage), ('segment touch_model', d.segment, d.touch_model), ('segment product', d.segment, d.product),
  ('segment stage', d.segment, d.stage), ('touch_model product', d.touch_model, d.product), ('touch_model stage', d.touch_model, d.stage), ('product stage', d.product, d.stage))
  AS f(facet, key_a, key_b)
WHERE counted GROUP BY vendor_id, partner_id, audience, facet, key_a, key_b;
ALTER TABLE todoku.cell FORCE ROW LEVEL SECURITY;
ALTER TABLE todoku.health_score FORCE ROW LEVEL SECURITY;
ALTER TABLE todoku.cell ALTER COLUMN value_scores SET NOT NULL, ALTER COLUMN points SET NOT NULL;
