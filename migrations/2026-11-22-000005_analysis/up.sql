-- What the analyst finds out, and what it learns from: how rosy each reporter usually is, what became of customers, and what a scorecard foretold.

-- What is taken from the points of a partner's word, per measure; one row each time it changes, the newest is in force.
-- Figures in thousandths: of a point, or of one (shrink).
CREATE TABLE todoku.reporter_bias (
  vendor_id uuid NOT NULL,
  partner_id uuid NOT NULL,
  measure_id uuid NOT NULL,
  estimated_on date NOT NULL,
  known_from timestamptz NOT NULL,
  bias int NOT NULL CHECK (bias BETWEEN -20000 AND 20000),
  raw int NOT NULL,
  pairs int NOT NULL CHECK (pairs >= 0),
  reporters int NOT NULL CHECK (reporters >= 0),
  shrink int NOT NULL CHECK (shrink BETWEEN 0 AND 1000),
  low int,
  high int,
  PRIMARY KEY (vendor_id, partner_id, measure_id, estimated_on),
  FOREIGN KEY (vendor_id, partner_id) REFERENCES todoku.partner (vendor_id, id),
  FOREIGN KEY (vendor_id, measure_id) REFERENCES todoku.measure (vendor_id, id));

-- Which days of which vendors have been analysed.
CREATE TABLE ops.analysed_day (
  vendor_id uuid NOT NULL,
  day date NOT NULL,
  PRIMARY KEY (vendor_id, day));

-- revenue -----------------------------------------------------------------------------------------------------------
-- What became of a customer; append-only. What a partner tells is shared with it, what the vendor tells is the vendor's.
CREATE TABLE todoku.outcome (
  vendor_id uuid NOT NULL,
  partner_id uuid NOT NULL,
  id uuid NOT NULL,
  customer_id uuid NOT NULL,
  subscription_id uuid,
  kind text NOT NULL CHECK (kind IN ('renewed', 'churned', 'contracted', 'expanded')),
  occurred_on date NOT NULL,
  reason text,
  audience text NOT NULL CHECK (audience IN ('shared', 'vendor')),
  recorded_at timestamptz NOT NULL,
  recorded_by uuid NOT NULL,
  PRIMARY KEY (vendor_id, partner_id, id),
  -- Of two subscriptions renewed on one day each is an outcome.
  CONSTRAINT outcome_once UNIQUE NULLS NOT DISTINCT (vendor_id, partner_id, customer_id, subscription_id, audience, kind, occurred_on),
  FOREIGN KEY (vendor_id, partner_id, customer_id) REFERENCES todoku.customer (vendor_id, partner_id, id),
  FOREIGN KEY (vendor_id, partner_id, subscription_id) REFERENCES todoku.subscription (vendor_id, partner_id, id));

-- insight -----------------------------------------------------------------------------------------------------------
-- What calibrating a scorecard by outcomes came to, with the model it was; written once.
CREATE TABLE todoku.calibration (
  vendor_id uuid NOT NULL,
  id uuid NOT NULL,
  scorecard_id uuid NOT NULL,
  lead_days int NOT NULL,
  verdict text NOT NULL CHECK (verdict IN ('accepted', 'ranking_only', 'refused')),
  result jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (vendor_id, id),
  FOREIGN KEY (vendor_id, scorecard_id) REFERENCES todoku.scorecard (vendor_id, id));
CREATE INDEX calibration_scorecard ON todoku.calibration (vendor_id, scorecard_id, id);
