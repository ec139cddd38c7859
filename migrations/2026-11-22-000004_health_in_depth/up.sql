-- Health in depth: several purposes side by side, cases, overrides, three sources, bands that do not flicker, and both times.

-- What criteria of a scorecard look at, beside segment, stage and touch model.
ALTER TABLE todoku.customer ADD COLUMN business_model text;
ALTER TABLE todoku.customer_version ADD COLUMN business_model text;
CREATE OR REPLACE FUNCTION todoku.keep_customer_version() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  UPDATE todoku.customer_version v SET known_to = n.updated_at FROM changed n
   WHERE v.vendor_id = n.vendor_id AND v.partner_id = n.partner_id AND v.id = n.id AND v.known_to IS NULL AND v.known_from < n.updated_at;
  INSERT INTO todoku.customer_version (vendor_id, partner_id, id, valid_from, known_from, state, touch_model, segment, region, business_model)
  SELECT vendor_id, partner_id, id, updated_at, updated_at, state, touch_model, segment, region, business_model FROM changed
  ON CONFLICT (vendor_id, partner_id, id, known_from) DO UPDATE SET state = excluded.state,
    touch_model = excluded.touch_model, segment = excluded.segment, region = excluded.region, business_model = excluded.business_model;
  RETURN NULL;
END $$;

-- The cases a report says are open; NULL when it says nothing of cases.
ALTER TABLE todoku.status_report ADD COLUMN open_cases jsonb;
CREATE INDEX status_report_cases ON todoku.status_report (vendor_id, partner_id, customer_id, period_end) WHERE open_cases IS NOT NULL;
-- A revision is replaced by one other: until when it was in force.
CREATE UNIQUE INDEX status_report_replaces ON todoku.status_report (vendor_id, partner_id, replaces_id) WHERE replaces_id IS NOT NULL;

-- Within a purpose the active scorecards are asked in the order of their rank; the last one is for everybody.
ALTER TABLE todoku.scorecard ADD COLUMN purpose text NOT NULL DEFAULT 'churn' CHECK (purpose IN ('churn', 'growth', 'onboarding'));
ALTER TABLE todoku.scorecard ADD COLUMN rank int NOT NULL DEFAULT 1000 CHECK (rank BETWEEN 1 AND 1000);
ALTER TABLE todoku.scorecard ALTER COLUMN purpose DROP DEFAULT, ALTER COLUMN rank DROP DEFAULT;
DROP INDEX todoku.scorecard_one_active;
CREATE UNIQUE INDEX scorecard_one_active ON todoku.scorecard (vendor_id, purpose, rank) WHERE state = 'active';

-- A customer has a conclusion per purpose; only that of 'churn' stands in figures and lists.
ALTER TABLE todoku.health_score ADD COLUMN purpose text NOT NULL DEFAULT 'churn' CHECK (purpose IN ('churn', 'growth', 'onboarding'));
ALTER TABLE todoku.health_score ALTER COLUMN purpose DROP DEFAULT;
ALTER TABLE todoku.health_score DROP CONSTRAINT health_score_pkey;
ALTER TABLE todoku.health_score ADD PRIMARY KEY (vendor_id, partner_id, customer_id, audience, purpose);
-- What moved the score after the measures had spoken: limits and overrides, each a line.
ALTER TABLE todoku.health_score ADD COLUMN adjustments jsonb NOT NULL DEFAULT '[]';
-- The band of the last daily close.
ALTER TABLE todoku.health_score ADD COLUMN closed_in text CHECK (closed_in IN ('healthy', 'watch', 'at_risk', 'unknown'));
-- The same policy over each source by itself, and how far they lie apart; in the vendor's view alone.
ALTER TABLE todoku.health_score ADD COLUMN sources jsonb;
ALTER TABLE todoku.health_score ADD COLUMN divergence int CHECK (divergence BETWEEN 0 AND 100000);
ALTER TABLE todoku.health_score ADD COLUMN diverges_since date;
ALTER TABLE todoku.health_score ADD CONSTRAINT health_score_sources CHECK (audience = 'vendor' OR num_nonnulls(sources, divergence, diverges_since) = 0);
-- Divergence x value: where to look first.
ALTER TABLE todoku.health_score ADD COLUMN divergence_weight double precision;
CREATE INDEX health_score_divergence ON todoku.health_score (vendor_id, divergence_weight DESC, customer_id) WHERE diverges_since IS NOT NULL AND counted;

-- The bands customers closed in, one row each time it became another one.
CREATE TABLE todoku.band_change (
  vendor_id uuid NOT NULL,
  partner_id uuid NOT NULL,
  customer_id uuid NOT NULL,
  audience text NOT NULL CHECK (audience IN ('shared', 'vendor')),
  purpose text NOT NULL CHECK (purpose IN ('churn', 'growth', 'onboarding')),
  closed_on date NOT NULL,
  band text NOT NULL CHECK (band IN ('healthy', 'watch', 'at_risk', 'unknown')),
  closed_at timestamptz NOT NULL,
  PRIMARY KEY (vendor_id, partner_id, customer_id, audience, purpose, closed_on),
  FOREIGN KEY (vendor_id, partner_id, customer_id) REFERENCES todoku.customer (vendor_id, partner_id, id));

-- A score set by a person, beside the one that was worked out. The vendor's alone, like its reason (DECISIONS 2 and 13).
CREATE TABLE todoku.health_override (
  vendor_id uuid NOT NULL,
  id uuid NOT NULL,
  partner_id uuid NOT NULL,
  customer_id uuid NOT NULL,
  purpose text NOT NULL CHECK (purpose IN ('churn', 'growth', 'onboarding')),
  score int NOT NULL CHECK (score BETWEEN 0 AND 100000),
  author_id uuid NOT NULL,
  created_at timestamptz NOT NULL,
  expires_on date NOT NULL,
  -- When it began to count: at once, or when a second person approved.
  counts_from timestamptz,
  approver_id uuid,
  withdrawn_at timestamptz,
  withdrawn_by uuid,
  PRIMARY KEY (vendor_id, id),
  CHECK (approver_id <> author_id),
  FOREIGN KEY (vendor_id, partner_id, customer_id) REFERENCES todoku.customer (vendor_id, partner_id, id));
CREATE INDEX health_override_customer ON todoku.health_override (vendor_id, partner_id, customer_id, id);
CREATE TABLE todoku.health_override_text (
  vendor_id uuid NOT NULL,
  override_id uuid NOT NULL,
  reason text NOT NULL,
  evidence_link text,
  PRIMARY KEY (vendor_id, override_id),
  FOREIGN KEY (vendor_id, override_id) REFERENCES todoku.health_override (vendor_id, id));

-- Who looks after a gap between the sources.
CREATE TABLE todoku.divergence_owner (
  vendor_id uuid NOT NULL,
  customer_id uuid NOT NULL,
  partner_id uuid NOT NULL,
  owner text,
  assigned_by uuid NOT NULL,
  assigned_at timestamptz NOT NULL,
  PRIMARY KEY (vendor_id, customer_id),
  FOREIGN KEY (vendor_id, partner_id, customer_id) REFERENCES todoku.customer (vendor_id, partner_id, id));
