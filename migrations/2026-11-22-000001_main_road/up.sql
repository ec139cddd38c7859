-- The main road: who exists, what we are told, what we conclude, what leaves a transaction.
-- Runs as the owner. Roles, grants and row policies live in ../policies.sql, re-applied after every migration.
-- Table classes and their keys: DECISIONS 1. No now(), no defaults that read a clock: the time comes from the Tx.

CREATE SCHEMA IF NOT EXISTS todoku;
CREATE SCHEMA IF NOT EXISTS auth;
CREATE SCHEMA IF NOT EXISTS ops;

-- Scope: authority set transaction-locally by Tx. Missing and '' are the same, and both raise (SECURITY 0.5).
CREATE FUNCTION todoku.scope_text(name text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog AS $$
DECLARE v text := current_setting(name, true);
BEGIN
  IF v IS NULL OR v = '' THEN
    RAISE EXCEPTION USING ERRCODE = 'TD001', MESSAGE = 'scope not set';
  END IF;
  RETURN v;
END $$;
CREATE FUNCTION todoku.scope_vendor() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog
  AS $$ SELECT todoku.scope_text('app.vendor')::uuid $$;
CREATE FUNCTION todoku.scope_partner() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog
  AS $$ SELECT todoku.scope_text('app.partner')::uuid $$;
CREATE FUNCTION todoku.scope_partners() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog
  AS $$ SELECT todoku.scope_text('app.partners')::uuid[] $$;
CREATE FUNCTION todoku.scope_totals() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog
  AS $$ SELECT todoku.scope_text('app.totals')::uuid[] $$;
CREATE FUNCTION todoku.scope_system() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog
  AS $$ SELECT todoku.scope_text('app.system') $$;
-- Staff act for a direct partner or for none; none matches no row.
CREATE FUNCTION todoku.scope_acting() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog
  AS $$ SELECT CASE WHEN todoku.scope_text('app.vendor') <> '' THEN nullif(current_setting('app.partner', true), '')::uuid END $$;

-- The transaction that last wrote a row: a gapless cursor for the caches of principals and partners.
CREATE FUNCTION todoku.stamp_xid() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN NEW.changed_xid := pg_current_xact_id()::text::bigint; RETURN NEW; END $$;

-- directory ---------------------------------------------------------------------------------------------------------
CREATE TABLE todoku.vendor (
  id uuid PRIMARY KEY,
  name text NOT NULL,
  time_zone text NOT NULL,
  currency text NOT NULL,
  realm text NOT NULL CHECK (realm IN ('live', 'sandbox')),
  state text NOT NULL CHECK (state IN ('active', 'suspended')),
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  changed_xid bigint NOT NULL DEFAULT 0);
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON todoku.vendor FOR EACH ROW EXECUTE FUNCTION todoku.stamp_xid();

CREATE TABLE todoku.partner (
  vendor_id uuid NOT NULL REFERENCES todoku.vendor (id),
  id uuid NOT NULL,
  external_id text COLLATE "C" NOT NULL,
  name text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('direct', 'distributor', 'reseller', 'agency', 'referral', 'service')),
  parent_id uuid,
  parent_sees text NOT NULL CHECK (parent_sees IN ('nothing', 'totals', 'customers')),
  state text NOT NULL CHECK (state IN ('active', 'suspended', 'ended')),
  tier text,
  version bigint NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  changed_xid bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (vendor_id, id),
  UNIQUE (vendor_id, external_id),
  CHECK (parent_id IS DISTINCT FROM id),
  FOREIGN KEY (vendor_id, parent_id) REFERENCES todoku.partner (vendor_id, id));
CREATE INDEX partner_changed ON todoku.partner (changed_xid);
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON todoku.partner FOR EACH ROW EXECUTE FUNCTION todoku.stamp_xid();

CREATE TABLE todoku.partner_version (
  vendor_id uuid NOT NULL,
  id uuid NOT NULL,
  valid_from timestamptz NOT NULL,
  known_from timestamptz NOT NULL,
  known_to timestamptz,
  parent_id uuid,
  parent_sees text NOT NULL,
  kind text NOT NULL,
  state text NOT NULL,
  tier text,
  PRIMARY KEY (vendor_id, id, known_from),
  FOREIGN KEY (vendor_id, id) REFERENCES todoku.partner (vendor_id, id));

-- What vendor and partner agreed, in its first form: period, direct contact, shared kinds.
CREATE TABLE todoku.agreement (
  vendor_id uuid NOT NULL,
  id uuid NOT NULL,
  partner_id uuid NOT NULL,
  valid_from date NOT NULL,
  valid_to date,
  direct_contact boolean NOT NULL,
  shared_kinds text[] NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (vendor_id, id),
  UNIQUE (vendor_id, partner_id, valid_from),
  CHECK (valid_to IS NULL OR valid_to >= valid_from),
  FOREIGN KEY (vendor_id, partner_id) REFERENCES todoku.partner (vendor_id, id));

-- Whoever acts: a client (machine), later staff (person), or the system. Actor ids never change.
CREATE TABLE todoku.principal (
  vendor_id uuid NOT NULL REFERENCES todoku.vendor (id),
  id uuid NOT NULL,
  partner_id uuid,
  kind text NOT NULL CHECK (kind IN ('client', 'staff', 'system')),
  name text NOT NULL,
  hats text[] NOT NULL,
  scopes text[] NOT NULL,
  state text NOT NULL CHECK (state IN ('active', 'revoked')),
  epoch bigint NOT NULL,
  version bigint NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  changed_xid bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (vendor_id, id),
  FOREIGN KEY (vendor_id, partner_id) REFERENCES todoku.partner (vendor_id, id));
CREATE INDEX principal_changed ON todoku.principal (changed_xid);
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON todoku.principal FOR EACH ROW EXECUTE FUNCTION todoku.stamp_xid();

CREATE TABLE auth.credential (
  public_id text COLLATE "C" PRIMARY KEY,
  vendor_id uuid NOT NULL,
  principal_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('client_secret')),
  mac bytea NOT NULL,
  pepper_version int NOT NULL,
  created_at timestamptz NOT NULL,
  not_after timestamptz,
  revoked_at timestamptz,
  last_used_on date,
  FOREIGN KEY (vendor_id, principal_id) REFERENCES todoku.principal (vendor_id, id));
CREATE INDEX credential_principal ON auth.credential (vendor_id, principal_id);

CREATE TABLE auth.signing_key (
  kid text COLLATE "C" PRIMARY KEY,
  state text NOT NULL CHECK (state IN ('next', 'active', 'passive')),
  public_key bytea NOT NULL,
  sealed_key bytea NOT NULL,
  created_at timestamptz NOT NULL,
  active_from timestamptz,
  passive_from timestamptz);
CREATE UNIQUE INDEX signing_key_one_active ON auth.signing_key ((true)) WHERE state = 'active';

-- A customer: one end customer as served by exactly one partner.
CREATE TABLE todoku.customer (
  vendor_id uuid NOT NULL,
  partner_id uuid NOT NULL,
  id uuid NOT NULL,
  external_id text COLLATE "C" NOT NULL,
  name text NOT NULL,
  state text NOT NULL CHECK (state IN ('prospect', 'onboarding', 'active', 'ended')),
  touch_model text NOT NULL CHECK (touch_model IN ('high', 'low', 'tech')),
  corporate_number text COLLATE "C",
  segment text,
  region text,
  version bigint NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (vendor_id, partner_id, id),
  UNIQUE (vendor_id, partner_id, external_id),
  FOREIGN KEY (vendor_id, partner_id) REFERENCES todoku.partner (vendor_id, id));

-- Whose customer an id is, for the vendor only: no partner may read it, so that no lookup by a lone id exists in a
-- partner's plans (SECURITY 0.4). Written by the statement that creates the customer.
CREATE TABLE todoku.customer_locator (
  vendor_id uuid NOT NULL,
  customer_id uuid NOT NULL,
  partner_id uuid NOT NULL,
  PRIMARY KEY (vendor_id, customer_id),
  FOREIGN KEY (vendor_id, partner_id, customer_id) REFERENCES todoku.customer (vendor_id, partner_id, id));
CREATE FUNCTION todoku.keep_customer_locator() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  INSERT INTO todoku.customer_locator (vendor_id, customer_id, partner_id) SELECT vendor_id, id, partner_id FROM changed;
  RETURN NULL;
END $$;
CREATE TRIGGER locate AFTER INSERT ON todoku.customer REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION todoku.keep_customer_locator();

CREATE TABLE todoku.customer_version (
  vendor_id uuid NOT NULL,
  partner_id uuid NOT NULL,
  id uuid NOT NULL,
  valid_from timestamptz NOT NULL,
  known_from timestamptz NOT NULL,
  known_to timestamptz,
  state text NOT NULL,
  touch_model text NOT NULL,
  segment text,
  region text,
  PRIMARY KEY (vendor_id, partner_id, id, known_from),
  FOREIGN KEY (vendor_id, partner_id, id) REFERENCES todoku.customer (vendor_id, partner_id, id));

CREATE TABLE todoku.subscription (
  vendor_id uuid NOT NULL,
  partner_id uuid NOT NULL,
  id uuid NOT NULL,
  customer_id uuid NOT NULL,
  external_id text COLLATE "C" NOT NULL,
  product text NOT NULL,
  seats bigint,
  amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
  currency text NOT NULL,
  period_months int NOT NULL CHECK (period_months BETWEEN 1 AND 120),
  starts_on date NOT NULL,
  renews_on date,
  ends_on date,
  vendor_ref text COLLATE "C",
  version bigint NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (vendor_id, partner_id, id),
  UNIQUE (vendor_id, partner_id, external_id),
  CHECK (ends_on IS NULL OR ends_on >= starts_on),
  FOREIGN KEY (vendor_id, partner_id, customer_id) REFERENCES todoku.customer (vendor_id, partner_id, id));
CREATE INDEX subscription_customer ON todoku.subscription (vendor_id, partner_id, customer_id);
CREATE INDEX subscription_vendor_ref ON todoku.subscription (vendor_id, vendor_ref) WHERE vendor_ref IS NOT NULL;

CREATE TABLE todoku.subscription_version (
  vendor_id uuid NOT NULL,
  partner_id uuid NOT NULL,
  id uuid NOT NULL,
  valid_from timestamptz NOT NULL,
  known_from timestamptz NOT NULL,
  known_to timestamptz,
  product text NOT NULL,
  seats bigint,
  amount_minor bigint NOT NULL,
  currency text NOT NULL,
  period_months int NOT NULL,
  starts_on date NOT NULL,
  renews_on date,
  ends_on date,
  PRIMARY KEY (vendor_id, partner_id, id, known_from),
  FOREIGN KEY (vendor_id, partner_id, id) REFERENCES todoku.subscription (vendor_id, partner_id, id));

-- One unit (major) of `currency` is worth rate_nano / 1e9 units (major) of the vendor's reporting currency from that day.
CREATE TABLE todoku.currency_rate (
  vendor_id uuid NOT NULL REFERENCES todoku.vendor (id),
  currency text COLLATE "C" NOT NULL,
  valid_from date NOT NULL,
  rate_nano bigint NOT NULL CHECK (rate_nano > 0),
  created_at timestamptz NOT NULL,
  PRIMARY KEY (vendor_id, currency, valid_from));

-- Versions are written by the statement that changes the row: set-based, impossible to forget (DECISIONS 4).
-- Two changes in one transaction share a moment; the last one stands.
CREATE FUNCTION todoku.keep_partner_version() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  UPDATE todoku.partner_version v SET known_to = n.updated_at FROM changed n
   WHERE v.vendor_id = n.vendor_id AND v.id = n.id AND v.known_to IS NULL AND v.known_from < n.updated_at;
  INSERT INTO todoku.partner_version (vendor_id, id, valid_from, known_from, parent_id, parent_sees, kind, state, tier)
  SELECT vendor_id, id, updated_at, updated_at, parent_id, parent_sees, kind, state, tier FROM changed
  ON CONFLICT (vendor_id, id, known_from) DO UPDATE SET parent_id = excluded.parent_id,
    parent_sees = excluded.parent_sees, kind = excluded.kind, state = excluded.state, tier = excluded.tier;
  RETURN NULL;
END $$;
CREATE TRIGGER version_insert AFTER INSERT ON todoku.partner REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION todoku.keep_partner_version();
CREATE TRIGGER version_update AFTER UPDATE ON todoku.partner REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION todoku.keep_partner_version();

CREATE FUNCTION todoku.keep_customer_version() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  UPDATE todoku.customer_version v SET known_to = n.updated_at FROM changed n
   WHERE v.vendor_id = n.vendor_id AND v.partner_id = n.partner_id AND v.id = n.id AND v.known_to IS NULL AND v.known_from < n.updated_at;
  INSERT INTO todoku.customer_version (vendor_id, partner_id, id, valid_from, known_from, state, touch_model, segment, region)
  SELECT vendor_id, partner_id, id, updated_at, updated_at, state, touch_model, segment, region FROM changed
  ON CONFLICT (vendor_id, partner_id, id, known_from) DO UPDATE SET state = excluded.state,
    touch_model = excluded.touch_model, segment = excluded.segment, region = excluded.region;
  RETURN NULL;
END $$;
CREATE TRIGGER version_insert AFTER INSERT ON todoku.customer REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION todoku.keep_customer_version();
CREATE TRIGGER version_update AFTER UPDATE ON todoku.customer REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION todoku.keep_customer_version();

CREATE FUNCTION todoku.keep_subscription_version() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  UPDATE todoku.subscription_version v SET known_to = n.updated_at FROM changed n
   WHERE v.vendor_id = n.vendor_id AND v.partner_id = n.partner_id AND v.id = n.id AND v.known_to IS NULL AND v.known_from < n.updated_at;
  INSERT INTO todoku.subscription_version (vendor_id, partner_id, id, valid_from, known_from, product, seats, amount_minor,
    currency, period_months, starts_on, renews_on, ends_on)
  SELECT vendor_id, partner_id, id, updated_at, updated_at, product, seats, amount_minor, currency, period_months,
    starts_on, renews_on, ends_on FROM changed
  ON CONFLICT (vendor_id, partner_id, id, known_from) DO UPDATE SET product = excluded.product, seats = excluded.seats,
    amount_minor = excluded.amount_minor, currency = excluded.currency, period_months = excluded.period_months,
    starts_on = excluded.starts_on, renews_on = excluded.renews_on, ends_on = excluded.ends_on;
  RETURN NULL;
END $$;
CREATE TRIGGER version_insert AFTER INSERT ON todoku.subscription REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION todoku.keep_subscription_version();
CREATE TRIGGER version_update AFTER UPDATE ON todoku.subscription REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION todoku.keep_subscription_version();

-- intake ------------------------------------------------------------------------------------------------------------
CREATE TABLE todoku.measure (
  vendor_id uuid NOT NULL REFERENCES todoku.vendor (id),
  id uuid NOT NULL,
  key text COLLATE "C" NOT NULL,
  name_en text NOT NULL,
  name_ja text NOT NULL,
  unit text NOT NULL,
  nature text NOT NULL CHECK (nature IN ('figure', 'opinion')),
  curve jsonb NOT NULL,
  half_life_days int CHECK (half_life_days BETWEEN 1 AND 3650),
  valid_days int NOT NULL CHECK (valid_days BETWEEN 1 AND 3650),
  created_at timestamptz NOT NULL,
  PRIMARY KEY (vendor_id, id),
  UNIQUE (vendor_id, key));

CREATE TABLE todoku.status_report (
  vendor_id uuid NOT NULL,
  partner_id uuid NOT NULL,
  id uuid NOT NULL,
  customer_id uuid NOT NULL,
  subscription_id uuid,
  external_id text COLLATE "C" NOT NULL,
  revision int NOT NULL CHECK (revision >= 1),
  replaces_id uuid,
  period_start date,
  period_end date NOT NULL,
  declared_band text CHECK (declared_band IN ('healthy', 'watch', 'at_risk')),
  content_hash bytea NOT NULL,
  received_at timestamptz NOT NULL,
  reported_by uuid NOT NULL,
  PRIMARY KEY (vendor_id, partner_id, id),
  UNIQUE (vendor_id, partner_id, external_id, revision),
  CHECK (period_start IS NULL OR period_start <= period_end),
  CHECK ((revision = 1) = (replaces_id IS NULL)),
  FOREIGN KEY (vendor_id, partner_id, customer_id) REFERENCES todoku.customer (vendor_id, partner_id, id),
  FOREIGN KEY (vendor_id, partner_id, subscription_id) REFERENCES todoku.subscription (vendor_id, partner_id, id),
  FOREIGN KEY (vendor_id, partner_id, replaces_id) REFERENCES todoku.status_report (vendor_id, partner_id, id));

-- The revision in force of each report; a projection of status_report.
CREATE TABLE todoku.status_report_head (
  vendor_id uuid NOT NULL,
  partner_id uuid NOT NULL,
  external_id text COLLATE "C" NOT NULL,
  report_id uuid NOT NULL,
  customer_id uuid NOT NULL,
  revision int NOT NULL,
  content_hash bytea NOT NULL,
  period_end date NOT NULL,
  PRIMARY KEY (vendor_id, partner_id, external_id),
  FOREIGN KEY (vendor_id, partner_id, report_id) REFERENCES todoku.status_report (vendor_id, partner_id, id));
CREATE UNIQUE INDEX status_report_head_customer ON todoku.status_report_head (vendor_id, partner_id, customer_id, report_id);

-- Personal text apart from facts (DECISIONS 13).
CREATE TABLE todoku.status_report_text (
  vendor_id uuid NOT NULL,
  partner_id uuid NOT NULL,
  report_id uuid NOT NULL,
  comment text NOT NULL,
  PRIMARY KEY (vendor_id, partner_id, report_id),
  FOREIGN KEY (vendor_id, partner_id, report_id) REFERENCES todoku.status_report (vendor_id, partner_id, id));

-- The order in which observations came to be kept: drawn under the customer's lock, so that of two words about one moment
-- the later one is in force whichever transaction began first.
CREATE SEQUENCE todoku.observation_arrival;
CREATE TABLE todoku.observation (
  vendor_id uuid NOT NULL,
  partner_id uuid NOT NULL,
  customer_id uuid NOT NULL,
  id uuid NOT NULL,
  subscription_id uuid,
  measure_id uuid NOT NULL,
  report_id uuid,
  value double precision NOT NULL,
  evidence text NOT NULL CHECK (evidence IN ('partner_declared', 'vendor_observed', 'customer_voiced', 'third_party')),
  audience text NOT NULL CHECK (audience IN ('shared', 'vendor')),
  observed_at timestamptz NOT NULL,
  received_at timestamptz NOT NULL,
  arrival bigint NOT NULL DEFAULT nextval('todoku.observation_arrival'),
  PRIMARY KEY (vendor_id, partner_id, customer_id, observed_at, id),
  FOREIGN KEY (vendor_id, partner_id, customer_id) REFERENCES todoku.customer (vendor_id, partner_id, id),
  FOREIGN KEY (vendor_id, partner_id, subscription_id) REFERENCES todoku.subscription (vendor_id, partner_id, id),
  FOREIGN KEY (vendor_id, partner_id, report_id) REFERENCES todoku.status_report (vendor_id, partner_id, id),
  FOREIGN KEY (vendor_id, measure_id) REFERENCES todoku.measure (vendor_id, id)
) PARTITION BY RANGE (observed_at);
CREATE TABLE todoku.observation_default PARTITION OF todoku.observation DEFAULT;

-- health ------------------------------------------------------------------------------------------------------------
CREATE TABLE todoku.scorecard (
  vendor_id uuid NOT NULL REFERENCES todoku.vendor (id),
  id uuid NOT NULL,
  name text NOT NULL,
  state text NOT NULL CHECK (state IN ('draft', 'active', 'retired')),
  policy jsonb NOT NULL,
  version bigint NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (vendor_id, id));
CREATE UNIQUE INDEX scorecard_one_active ON todoku.scorecard (vendor_id) WHERE state = 'active';

CREATE TABLE todoku.scorecard_version (
  vendor_id uuid NOT NULL,
  id uuid NOT NULL,
  valid_from timestamptz NOT NULL,
  known_from timestamptz NOT NULL,
  known_to timestamptz,
  state text NOT NULL,
  PRIMARY KEY (vendor_id, id, known_from),
  FOREIGN KEY (vendor_id, id) REFERENCES todoku.scorecard (vendor_id, id));
CREATE FUNCTION todoku.keep_scorecard_version() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  UPDATE todoku.scorecard_version v SET known_to = n.updated_at FROM changed n
   WHERE v.vendor_id = n.vendor_id AND v.id = n.id AND v.known_to IS NULL AND v.known_from < n.updated_at;
  INSERT INTO todoku.scorecard_version (vendor_id, id, valid_from, known_from, state)
  SELECT vendor_id, id, updated_at, updated_at, state FROM changed
  ON CONFLICT (vendor_id, id, known_from) DO UPDATE SET state = excluded.state;
  RETURN NULL;
END $$;
CREATE TRIGGER version_insert AFTER INSERT ON todoku.scorecard REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION todoku.keep_scorecard_version();
CREATE TRIGGER version_update AFTER UPDATE ON todoku.scorecard REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION todoku.keep_scorecard_version();

-- What we conclude about a customer, once from the evidence its partner may see ('shared'), once from all ('vendor').
-- Scores, coverage and widths in thousandths; value in minor units of the reporting currency per year.
CREATE TABLE todoku.health_score (
  vendor_id uuid NOT NULL,
  partner_id uuid NOT NULL,
  customer_id uuid NOT NULL,
  audience text NOT NULL CHECK (audience IN ('shared', 'vendor')),
  scorecard_id uuid NOT NULL,
  scored_for date NOT NULL,
  scored_at timestamptz NOT NULL,
  score int CHECK (score BETWEEN 0 AND 100000),
  low int CHECK (low BETWEEN 0 AND 100000),
  high int CHECK (high BETWEEN 0 AND 100000),
  band text NOT NULL CHECK (band IN ('healthy', 'watch', 'at_risk', 'unknown')),
  coverage int NOT NULL CHECK (coverage BETWEEN 0 AND 1000),
  parts jsonb NOT NULL,
  counted boolean NOT NULL,
  value_minor bigint NOT NULL,
  unconverted boolean NOT NULL,
  reported_on date,
  due_on date,
  in_cadence boolean NOT NULL,
  renews_on date,
  CHECK ((band = 'unknown') = (score IS NULL)),
  PRIMARY KEY (vendor_id, partner_id, customer_id, audience),
  FOREIGN KEY (vendor_id, partner_id, customer_id) REFERENCES todoku.customer (vendor_id, partner_id, id),
  FOREIGN KEY (vendor_id, scorecard_id) REFERENCES todoku.scorecard (vendor_id, id));
CREATE INDEX health_score_vendor_list ON todoku.health_score (vendor_id, audience, band, value_minor DESC, renews_on, customer_id) WHERE counted;
CREATE INDEX health_score_partner_list ON todoku.health_score (vendor_id, partner_id, audience, band, value_minor DESC, renews_on, customer_id) WHERE counted;

-- The day a partner's customers are scored for; only the turn of the day moves it (DECISIONS 5).
CREATE TABLE todoku.scoring_day (
  vendor_id uuid NOT NULL,
  partner_id uuid NOT NULL,
  day date NOT NULL,
  PRIMARY KEY (vendor_id, partner_id),
  FOREIGN KEY (vendor_id, partner_id) REFERENCES todoku.partner (vendor_id, id));

-- insight -----------------------------------------------------------------------------------------------------------
-- A cell is additive figures of one partner and audience. A read is base + unfolded deltas (DECISIONS 6).
CREATE TABLE todoku.cell (
  vendor_id uuid NOT NULL,
  partner_id uuid NOT NULL,
  audience text NOT NULL CHECK (audience IN ('shared', 'vendor')),
  healthy bigint NOT NULL, watch bigint NOT NULL, at_risk bigint NOT NULL, unknown bigint NOT NULL,
  value_healthy bigint NOT NULL, value_watch bigint NOT NULL, value_at_risk bigint NOT NULL, value_unknown bigint NOT NULL,
  unconverted bigint NOT NULL,
  score_sum bigint NOT NULL, score_squares bigint NOT NULL, coverage_sum bigint NOT NULL,
  in_cadence bigint NOT NULL, value_in_cadence bigint NOT NULL,
  heard bigint NOT NULL, report_age_sum bigint NOT NULL,
  PRIMARY KEY (vendor_id, partner_id, audience),
  FOREIGN KEY (vendor_id, partner_id) REFERENCES todoku.partner (vendor_id, id));
CREATE TABLE todoku.cell_delta (
  LIKE todoku.cell,
  id uuid NOT NULL,
  PRIMARY KEY (vendor_id, partner_id, audience, id),
  FOREIGN KEY (vendor_id, partner_id) REFERENCES todoku.partner (vendor_id, id),
  CHECK (audience IN ('shared', 'vendor')));
-- The published close of a day in the vendor's time zone; written once.
CREATE TABLE todoku.cell_close (
  LIKE todoku.cell,
  closed_on date NOT NULL,
  PRIMARY KEY (vendor_id, partner_id, audience, closed_on),
  FOREIGN KEY (vendor_id, partner_id) REFERENCES todoku.partner (vendor_id, id),
  CHECK (audience IN ('shared', 'vendor')));

-- ledger ------------------------------------------------------------------------------------------------------------
CREATE TABLE todoku.audit_entry (
  vendor_id uuid NOT NULL,
  caller_id uuid NOT NULL,
  id uuid NOT NULL,
  partner_id uuid,
  at timestamptz NOT NULL,
  actor_id uuid NOT NULL,
  operation text NOT NULL,
  subject_id uuid,
  outcome text NOT NULL,
  request_id uuid,
  PRIMARY KEY (vendor_id, caller_id, id));

CREATE TABLE todoku.event (
  vendor_id uuid NOT NULL,
  caller_id uuid NOT NULL,
  id uuid NOT NULL,
  partner_id uuid,
  type text NOT NULL,
  subject_id uuid NOT NULL,
  data jsonb NOT NULL,
  at timestamptz NOT NULL,
  seq bigint,
  PRIMARY KEY (vendor_id, caller_id, id));
CREATE UNIQUE INDEX event_seq ON todoku.event (vendor_id, seq) WHERE seq IS NOT NULL;
CREATE INDEX event_unstamped ON todoku.event (vendor_id, at, id) WHERE seq IS NULL;
CREATE TABLE todoku.event_counter (
  vendor_id uuid PRIMARY KEY REFERENCES todoku.vendor (id),
  last_seq bigint NOT NULL);

CREATE TABLE todoku.idempotency (
  vendor_id uuid NOT NULL,
  caller_id uuid NOT NULL,
  route text COLLATE "C" NOT NULL,
  method text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  partner_id uuid,
  fingerprint bytea NOT NULL,
  status int,
  headers jsonb,
  body_sealed bytea,
  secret_until timestamptz,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (vendor_id, caller_id, route, method, key));
CREATE INDEX idempotency_expiry ON todoku.idempotency (expires_at);

-- Ids only; claimed across tenants by the worker, then worked on in a scope of its own.
CREATE TABLE ops.job (
  id uuid PRIMARY KEY,
  vendor_id uuid NOT NULL,
  partner_id uuid,
  kind text NOT NULL,
  subjects uuid[] NOT NULL,
  day date,
  run_at timestamptz NOT NULL,
  lease_until timestamptz,
  attempt int NOT NULL,
  failure text);
CREATE INDEX job_due ON ops.job (run_at, id);
CREATE UNIQUE INDEX job_one_a_day ON ops.job (vendor_id, partner_id, kind, day) WHERE day IS NOT NULL;

-- Which days of which vendors have been turned; a day is turned once.
CREATE TABLE ops.turned_day (
  vendor_id uuid NOT NULL,
  day date NOT NULL,
  PRIMARY KEY (vendor_id, day));

-- The partition keeper: the one definer function of this schema, its hash pinned by the catalogue rules.
-- Creates the months from the one of `today` to three ahead; children carry row security and no grant at all.
CREATE FUNCTION todoku.keep_partitions(today date) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE first date := date_trunc('month', today); child text; made int := 0;
BEGIN
  FOR i IN 0..3 LOOP
    child := 'observation_' || to_char(first + make_interval(months => i), 'YYYYMM');
    IF to_regclass('todoku.' || child) IS NULL THEN
     BEGIN
      EXECUTE format('CREATE TABLE todoku.%I PARTITION OF todoku.observation FOR VALUES FROM (%L) TO (%L)', child,
        to_char(first + make_interval(months => i), 'YYYY-MM-DD') || ' 00:00:00+00',
        to_char(first + make_interval(months => i + 1), 'YYYY-MM-DD') || ' 00:00:00+00');
      EXECUTE format('ALTER TABLE todoku.%I ENABLE ROW LEVEL SECURITY', child);
      EXECUTE format('ALTER TABLE todoku.%I FORCE ROW LEVEL SECURITY', child);
      made := made + 1;
     -- Rows of that month already lie in the default partition and stay there.
     EXCEPTION WHEN check_violation THEN NULL;
     END;
    END IF;
  END LOOP;
  RETURN made;
END $$;
