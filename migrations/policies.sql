-- Every role, grant and row policy, in one place; re-applied after each migration, safe to apply again.
-- ${role} is the configured prefix of the role names. Runs as the owner, who made the tables; the login roles exist.
--
-- The table below is the whole authority: what each login may do to each table.
--   r read, i insert, u update, d delete; a column list after ':' narrows a right to those columns.
-- Classes (DECISIONS 1): partner-owned (vendor_id, partner_id, ..), vendor-owned (vendor_id, ..),
--   vendor-side (vendor_id, ..; no partner may read), ledger (vendor_id, caller_id, ..), system, root (the vendor itself).

REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA todoku, auth, ops FROM PUBLIC, ${role}_partner, ${role}_staff, ${role}_worker, ${role}_analyst, ${role}_auth;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA todoku FROM PUBLIC, ${role}_partner, ${role}_staff, ${role}_worker, ${role}_analyst, ${role}_auth;
GRANT USAGE ON SCHEMA todoku TO ${role}_partner, ${role}_staff, ${role}_worker, ${role}_analyst, ${role}_auth;
GRANT USAGE ON SCHEMA auth TO ${role}_staff, ${role}_auth;
GRANT USAGE ON SCHEMA ops TO ${role}_partner, ${role}_staff, ${role}_worker, ${role}_analyst;
GRANT EXECUTE ON FUNCTION todoku.scope_vendor(), todoku.scope_partner(), todoku.scope_partners(),
  todoku.scope_totals(), todoku.scope_system(), todoku.scope_acting() TO ${role}_partner, ${role}_staff, ${role}_worker, ${role}_analyst, ${role}_auth;
GRANT EXECUTE ON FUNCTION todoku.stamp_xid(), todoku.keep_partner_version(), todoku.keep_customer_version(), todoku.keep_customer_locator(),
  todoku.keep_subscription_version(), todoku.keep_scorecard_version() TO ${role}_partner, ${role}_staff, ${role}_worker;
GRANT EXECUTE ON FUNCTION todoku.keep_partitions(date) TO ${role}_worker;

REVOKE ALL ON ALL SEQUENCES IN SCHEMA todoku, auth, ops FROM PUBLIC, ${role}_partner, ${role}_staff, ${role}_worker, ${role}_analyst, ${role}_auth;
GRANT USAGE ON SEQUENCE todoku.observation_arrival TO ${role}_partner, ${role}_staff;

DO $policies$
DECLARE
  t record; p record; g text; col text; readable text; own text; seen text; aud text;
  commands constant jsonb := '{"r":"SELECT","i":"INSERT","u":"UPDATE","d":"DELETE"}';
  rights record; command text; columns text; using_ text; check_ text;
BEGIN
  FOR p IN SELECT schemaname, tablename, policyname FROM pg_policies WHERE schemaname IN ('todoku', 'auth', 'ops') LOOP
    EXECUTE format('DROP POLICY %I ON %I.%I', p.policyname, p.schemaname, p.tablename);
  END LOOP;
  FOR t IN SELECT * FROM (VALUES
    -- schema   table                   class            partner  staff                     worker      auth      analyst
    ('todoku', 'vendor',               'root',          'r',     'r i',                    'r',        'r:id,state,realm,time_zone,currency,changed_xid', 'r'),
    ('todoku', 'partner',              'vendor-owned',  'r',     'r i u',                  'r',        'r:vendor_id,id,parent_id,parent_sees,kind,state,changed_xid', 'r'),
    ('todoku', 'partner_version',      'vendor-side',   '',      'r i u',                  '',         '', ''),
    ('todoku', 'agreement',            'vendor-side',   '',      'r i',                    '',         '', ''),
    ('todoku', 'principal',            'vendor-side',   '',      'r i u',                  '',         'r:vendor_id,id,partner_id,kind,scopes,state,epoch,changed_xid', ''),
    ('todoku', 'customer',             'partner-owned', 'r i u', 'r i u',                  'r u:version', '', ''),
    ('todoku', 'customer_version',     'partner-owned', 'r i u', 'r i u',                  '',         '', 'r:vendor_id,partner_id,id,state,touch_model,segment,business_model,known_from,known_to'),
    ('todoku', 'customer_locator',     'vendor-side',   'i',     'r i',                    '',         '', ''),
    ('todoku', 'subscription',         'partner-owned', 'r i u', 'r i u',                  'r',        '', 'r:vendor_id,partner_id,id,customer_id'),
    ('todoku', 'subscription_version', 'partner-owned', 'r i u', 'r i u',                  '',         '', 'r:vendor_id,partner_id,id,product,starts_on,ends_on,known_from,known_to'),
    ('todoku', 'currency_rate',        'vendor-owned',  'r',     'r i u',                  'r',        '', ''),
    ('todoku', 'measure',              'vendor-owned',  'r',     'r i',                    'r',        '', 'r'),
    ('todoku', 'status_report',        'partner-owned', 'r i',   'r i',                    'r',        '', 'r'),
    ('todoku', 'status_report_head',   'partner-owned', 'r i u', 'r i u',                  'r',        '', 'r'),
    ('todoku', 'status_report_text',   'partner-owned', 'r i',   'r i',                    '',         '', 'r:vendor_id,partner_id,report_id,comment'),
    ('todoku', 'observation',          'partner-owned', 'r i',   'r i',                    'r',        '', 'r'),
    ('todoku', 'scorecard',            'vendor-owned',  'r',     'r i u:state,version,updated_at', 'r', '', 'r'),
    ('todoku', 'scorecard_version',    'vendor-owned',  'r',     'r i u:known_to,state',   '',         '', 'r'),
    ('todoku', 'health_score',         'partner-owned', 'r i u', 'r i u',                  'r i u',    '', ''),
    ('todoku', 'reporter_bias',        'partner-owned', 'r',     'r',                      'r',        '', 'r i'),
    ('todoku', 'quality_flag',         'partner-owned', 'r',     'r',                      '',         '', 'r i'),
    ('todoku', 'peer_standing',        'partner-owned', 'r',     'r',                      '',         '', 'r i'),
    ('todoku', 'month_total',          'partner-owned', 'r',     '',                       '',         '', 'i'),
    ('todoku', 'outcome',              'partner-owned', 'r i u:withdrawn_at,withdrawn_by', 'r i u:withdrawn_at,withdrawn_by', '', '', 'r:vendor_id,partner_id,customer_id,kind,occurred_on,audience,recorded_at,withdrawn_at'),
    ('todoku', 'calibration',          'vendor-side',   '',      'r i',                    '',         '', 'r'),
    ('todoku', 'calibration_check',    'vendor-side',   '',      'r',                      '',         '', 'r i'),
    ('todoku', 'snapshot',             'vendor-side',   '',      'r i',                    '',         '', ''),
    ('todoku', 'band_change',          'partner-owned', 'r',     'r',                      'r i',      '', ''),
    ('todoku', 'health_override',      'vendor-side',   '',      'r i u:counts_from,approver_id,withdrawn_at,withdrawn_by', 'r', '', ''),
    ('todoku', 'health_override_text', 'vendor-side',   '',      'r i',                    '',         '', ''),
    ('todoku', 'divergence_owner',     'vendor-side',   '',      'r i u',                  '',         '', ''),
    ('todoku', 'scoring_day',          'partner-owned', 'r',     'r',                      'r i u',    '', ''),
    ('todoku', 'cell',                 'partner-owned', 'r',     'r',                      'r i u d',  '', ''),
    ('todoku', 'cell_delta',           'partner-owned', 'r i',   'r i',                    'r i d',    '', ''),
    ('todoku', 'cell_close',           'partner-owned', 'r',     'r',                      'r i',      '', 'r'),
    ('todoku', 'list_close',           'partner-owned', 'r',     'r',                      'r i',      '', ''),
    ('todoku', 'audit_entry',          'ledger',        'i',     'r i',                    'i',        '', ''),
    ('todoku', 'event',                'ledger',        'i',     'r i',                    'i r:vendor_id,caller_id,id,at,seq u:seq', '', 'i'),
    ('todoku', 'event_counter',        'vendor-side',   '',      'r',                      'r i u',    '', ''),
    ('todoku', 'idempotency',          'ledger',        'r i u', 'r i u',                  'd r:vendor_id,caller_id,route,method,key,expires_at', '', ''),
    ('ops',    'job',                  'system',        'i',     'i r:vendor_id,partner_id,kind',  'r i u d',  '', 'i'),
    ('ops',    'analysed_day',         'system',        '',      '',                       '',         '', 'r i'),
    ('ops',    'compared_month',       'system',        '',      '',                       '',         '', 'r i'),
    ('ops',    'turned_day',           'system',        '',      '',                       'r i',      '', ''),
    ('auth',   'credential',           'system',        '',      'i r:id,vendor_id,principal_id,kind,public_key,created_at,not_after,revoked_at,last_used_on u:not_after,revoked_at', '', 'r u:last_used_on', ''),
    ('auth',   'used_assertion',       'system',        '',      '',                       '',         'r i d', ''),
    ('auth',   'signing_key',          'system',        '',      '',                       '',         'r i u', '')
  ) AS x(schema_, table_, class, partner, staff, worker, auth, analyst) LOOP
    EXECUTE format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY', t.schema_, t.table_);
    EXECUTE format('ALTER TABLE %I.%I FORCE ROW LEVEL SECURITY', t.schema_, t.table_);
    EXECUTE format('COMMENT ON TABLE %I.%I IS %L', t.schema_, t.table_, 'class: ' || t.class);
    aud := CASE WHEN EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = format('%I.%I', t.schema_, t.table_)::regclass AND attname = 'audience')
      THEN ' AND audience = ''shared''' ELSE '' END;
    FOR rights IN SELECT * FROM (VALUES ('partner', t.partner), ('staff', t.staff), ('worker', t.worker), ('auth', t.auth), ('analyst', t.analyst)) AS r(login, list) LOOP
      FOREACH g IN ARRAY coalesce(string_to_array(nullif(rights.list, ''), ' '), array[]::text[]) LOOP
        command := commands ->> left(g, 1);
        columns := CASE WHEN position(':' IN g) > 0 THEN ' (' || split_part(g, ':', 2) || ')' ELSE '' END;
        EXECUTE format('GRANT %s%s ON %I.%I TO %I', command, columns, t.schema_, t.table_, '${role}_' || rights.login);
        -- Which rows: own = what this login may write, seen = what it may read.
        CASE rights.login
          WHEN 'auth' THEN
            own := '(SELECT todoku.scope_system()) = ''auth''';
            seen := own;
          -- Reads a vendor and writes what it finds out about it; no request ever runs as it.
          WHEN 'analyst' THEN
            own := CASE t.class WHEN 'root' THEN 'id = (SELECT todoku.scope_vendor())' ELSE 'vendor_id = (SELECT todoku.scope_vendor())' END;
            -- News of the vendor's own, in nobody else's ledger.
            IF t.class = 'ledger' THEN own := own || ' AND caller_id = vendor_id AND partner_id IS NULL'; END IF;
            seen := own;
          WHEN 'worker' THEN
            IF t.class IN ('system', 'root') OR t.table_ IN ('event', 'event_counter', 'idempotency') AND command <> 'INSERT' OR t.table_ = 'event_counter' THEN
              own := '(SELECT todoku.scope_system()) = ''worker''';
            ELSIF t.class = 'partner-owned' OR t.class = 'ledger' THEN
              own := 'vendor_id = (SELECT todoku.scope_vendor()) AND partner_id = (SELECT todoku.scope_partner())';
            ELSE
              own := 'vendor_id = (SELECT todoku.scope_vendor())';
            END IF;
            seen := own;
          WHEN 'partner' THEN
            own := 'vendor_id = (SELECT todoku.scope_vendor()) AND partner_id = (SELECT todoku.scope_partner())';
            seen := CASE
              WHEN t.class = 'root' THEN 'id = (SELECT todoku.scope_vendor())'
              WHEN t.table_ = 'partner' THEN 'vendor_id = (SELECT todoku.scope_vendor()) AND id = ANY ((SELECT todoku.scope_totals())::uuid[])'
              WHEN t.class = 'vendor-owned' THEN 'vendor_id = (SELECT todoku.scope_vendor())'
              WHEN t.class = 'ledger' THEN 'vendor_id = (SELECT todoku.scope_vendor()) AND caller_id = (SELECT todoku.scope_partner())'
              -- How rosy a partner is, how it reports and how it stands among others, and what it is told of totals, is for itself and the vendor, not for the
              -- distributor above it.
              WHEN t.table_ IN ('reporter_bias', 'quality_flag', 'peer_standing', 'month_total') THEN own
              ELSE 'vendor_id = (SELECT todoku.scope_vendor()) AND partner_id = ANY ((SELECT todoku.scope_partners())::uuid[])' || aud END;
            own := own || aud;
            IF t.class = 'ledger' THEN own := own || ' AND caller_id = (SELECT todoku.scope_partner())'; END IF;
          WHEN 'staff' THEN
            seen := CASE WHEN t.class = 'root' THEN 'id = (SELECT todoku.scope_vendor())' ELSE 'vendor_id = (SELECT todoku.scope_vendor())' END;
            own := CASE
              -- Vendor facts about a partner's customer: never shared, so never that partner's word.
              WHEN t.table_ IN ('observation', 'outcome') THEN seen || ' AND (audience = ''vendor'' OR partner_id = (SELECT todoku.scope_acting()))'
              WHEN t.class = 'partner-owned' OR t.table_ = 'customer_locator' THEN seen || ' AND partner_id = (SELECT todoku.scope_acting())' || aud
              ELSE seen END;
        END CASE;
        using_ := CASE command WHEN 'SELECT' THEN seen WHEN 'INSERT' THEN NULL ELSE own END;
        check_ := CASE WHEN command IN ('INSERT', 'UPDATE') THEN own END;
        EXECUTE format('CREATE POLICY %I ON %I.%I FOR %s TO %I', rights.login || '_' || lower(command), t.schema_, t.table_, command, '${role}_' || rights.login)
          || coalesce(' USING (' || using_ || ')', '') || coalesce(' WITH CHECK (' || check_ || ')', '');
      END LOOP;
    END LOOP;
  END LOOP;
  -- Partitions are reached through their parent alone.
  FOR t IN SELECT c.oid::regclass AS child FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'todoku' AND c.relkind IN ('r', 'p') LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t.child);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', t.child);
  END LOOP;
END $policies$;
