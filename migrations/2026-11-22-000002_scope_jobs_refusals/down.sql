ALTER TABLE todoku.observation DROP CONSTRAINT observation_pkey;
ALTER TABLE todoku.observation ADD PRIMARY KEY (vendor_id, partner_id, customer_id, observed_at, id);
DROP INDEX todoku.customer_updated;
DROP INDEX todoku.status_report_customer;
ALTER TABLE todoku.audit_entry DROP COLUMN times;
DROP INDEX ops.job_leased;
DROP INDEX ops.job_queue;
CREATE INDEX job_due ON ops.job (run_at, id);
CREATE OR REPLACE FUNCTION todoku.scope_text(name text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog AS $$
DECLARE v text := current_setting(name, true);
BEGIN
  IF v IS NULL OR v = '' THEN
    RAISE EXCEPTION USING ERRCODE = 'TD001', MESSAGE = 'scope not set';
  END IF;
  RETURN v;
END $$;
CREATE OR REPLACE FUNCTION todoku.scope_vendor() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog
  AS $$ SELECT todoku.scope_text('app.vendor')::uuid $$;
CREATE OR REPLACE FUNCTION todoku.scope_partner() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog
  AS $$ SELECT todoku.scope_text('app.partner')::uuid $$;
CREATE OR REPLACE FUNCTION todoku.scope_partners() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog
  AS $$ SELECT todoku.scope_text('app.partners')::uuid[] $$;
CREATE OR REPLACE FUNCTION todoku.scope_totals() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog
  AS $$ SELECT todoku.scope_text('app.totals')::uuid[] $$;
CREATE OR REPLACE FUNCTION todoku.scope_system() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog
  AS $$ SELECT todoku.scope_text('app.system') $$;
-- Staff act for a direct partner or for none; none matches no row.
CREATE OR REPLACE FUNCTION todoku.scope_acting() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog
  AS $$ SELECT CASE WHEN todoku.scope_text('app.vendor') <> '' THEN nullif(current_setting('app.partner', true), '')::uuid END $$;
