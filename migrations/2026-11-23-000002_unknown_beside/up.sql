-- The unknown beside those at risk are a list of their own: they were sought among the first 1,000 unknown, where one whose renewal was near could
-- be missing because others were worth more. Days closed before say what they said.
ALTER TABLE todoku.list_close ADD COLUMN beside boolean NOT NULL DEFAULT false;
ALTER TABLE todoku.list_close NO FORCE ROW LEVEL SECURITY;
UPDATE todoku.list_close l SET beside = true FROM (
  SELECT vendor_id, partner_id, closed_on, audience, customer_id,
    row_number() OVER (PARTITION BY vendor_id, partner_id, closed_on, audience ORDER BY value_minor DESC, renews_on, customer_id) AS place
  FROM todoku.list_close WHERE band = 'unknown' AND renews_on <= closed_on + 180) n
WHERE n.place <= 21 AND l.vendor_id = n.vendor_id AND l.partner_id = n.partner_id AND l.closed_on = n.closed_on AND l.audience = n.audience AND l.customer_id = n.customer_id;
ALTER TABLE todoku.list_close FORCE ROW LEVEL SECURITY;
-- NULL in `band` is now also of one that stood beside those at risk alone.
ALTER TABLE todoku.list_close DROP CONSTRAINT list_close_check;
ALTER TABLE todoku.list_close ADD CONSTRAINT list_close_stood CHECK (beside OR num_nonnulls(band, diverges_since) > 0);
CREATE INDEX list_close_beside ON todoku.list_close (vendor_id, partner_id, closed_on, audience, value_minor DESC, renews_on, customer_id) WHERE beside;
