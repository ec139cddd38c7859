-- Who stood on the lists that say where to look first, as each day closed; written once. Ids and figures: names are today's, and so is who looks
-- after a gap. Of days closed before there is nothing.
CREATE TABLE todoku.list_close (
  vendor_id uuid NOT NULL,
  partner_id uuid NOT NULL,
  customer_id uuid NOT NULL,
  audience text NOT NULL CHECK (audience IN ('shared', 'vendor')),
  closed_on date NOT NULL,
  -- The list by value it stood on; NULL of one that stood on that of divergences alone.
  band text CHECK (band IN ('at_risk', 'unknown')),
  score int CHECK (score BETWEEN 0 AND 100000),
  low int CHECK (low BETWEEN 0 AND 100000),
  high int CHECK (high BETWEEN 0 AND 100000),
  coverage int NOT NULL CHECK (coverage BETWEEN 0 AND 1000),
  value_minor bigint NOT NULL,
  renews_on date,
  reported_on date,
  scored_for date NOT NULL,
  -- NULL of one that did not stand on the list of divergences, which is the vendor's alone.
  sources jsonb,
  divergence int CHECK (divergence BETWEEN 0 AND 100000),
  diverges_since date,
  divergence_weight double precision,
  CHECK (num_nonnulls(band, diverges_since) > 0),
  CONSTRAINT list_close_sources CHECK (audience = 'vendor' OR num_nonnulls(sources, divergence, diverges_since, divergence_weight) = 0),
  PRIMARY KEY (vendor_id, partner_id, closed_on, audience, customer_id),
  FOREIGN KEY (vendor_id, partner_id, customer_id) REFERENCES todoku.customer (vendor_id, partner_id, id));
-- A list is read as the first rows of each partner's day, in its order.
CREATE INDEX list_close_value ON todoku.list_close (vendor_id, partner_id, closed_on, audience, band, value_minor DESC, renews_on, customer_id) WHERE band IS NOT NULL;
CREATE INDEX list_close_divergence ON todoku.list_close (vendor_id, partner_id, closed_on, divergence_weight DESC, customer_id) WHERE diverges_since IS NOT NULL;
