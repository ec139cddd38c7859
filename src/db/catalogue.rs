//! The rules a database must keep before this house serves from it (SECURITY b.7). Read from PostgreSQL's own catalogue,
//! at each start and in the tests; any finding refuses the start.

use super::pool::Db;
use super::scope::Login;
use super::sql::sql;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use diesel::QueryableByName;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use futures_util::future::try_join_all;

#[derive(QueryableByName)]
struct Finding {
    #[diesel(sql_type = Text)]
    finding: String,
}

/// The functions that authority hangs on, with the hash of their source and settings: the one SECURITY DEFINER function there is, and those
/// that read the scope. The latter run in every policy, so they name everything in full instead of fixing a search_path.
const PINNED: [&str; 7] = [
    "keep_partitions 0f365d118bbc",
    "scope_vendor 66fa0e7c1db0",
    "scope_partner d88f89fced31",
    "scope_partners 2191ed886a51",
    "scope_totals 369455321326",
    "scope_system aeec9106be99",
    "scope_acting 07e9128cee74",
];

/// Everything that breaks a rule, seen as each login role; empty when all is well.
pub async fn findings(db: &Db) -> Result<Vec<String>, Fault> {
    // A start waits for them: side by side, each login one of those that all would answer alike, on the pools' connections, most of which are needed next.
    let mut all = try_join_all(Login::ALL.map(|login| findings_of(db, login))).await?.concat();
    all.retain(|finding| finding.strip_prefix("unpinned function ").is_none_or(|function| !PINNED.contains(&function)));
    Ok(all)
}

async fn findings_of(db: &Db, login: Login) -> Result<Vec<String>, Fault> {
    let of_all = match login {
        Login::Partner => POLICIES,
        Login::Staff => KEYS,
        Login::Worker => FUNCTIONS,
        Login::Auth => TABLES,
        Login::Analyst => VIEWS,
    };
    // Whatever kept it from connecting, there is no database to serve from, and whoever starts waits for one.
    let mut conn = db.connection(login).await.map_err(|fault| Fault { code: Code::DatabaseUnavailable, ..fault })?;
    let mut rows: Vec<Finding> = sql(SELF).load(&mut conn).await.map_err(super::fault::fault)?;
    rows.extend(sql(of_all).load::<Finding>(&mut conn).await.map_err(super::fault::fault)?);
    Ok(rows.into_iter().map(|row| row.finding).collect())
}

/// Refuses a database that breaks a rule.
pub async fn check(db: &Db) -> Result<(), Fault> {
    let findings = findings(db).await?;
    if findings.is_empty() {
        return Ok(());
    }
    Err(Fault::internal(format!("the database breaks {} rule(s):\n  {}", findings.len(), findings.join("\n  "))))
}

const SELF: &str = r"
SELECT 'login ' || current_user || ' is superuser, may bypass row security, create roles or databases' AS finding
  FROM pg_catalog.pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb)
UNION ALL SELECT 'login ' || current_user || ' is a member of ' || r.rolname
  FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles r ON r.oid = m.roleid
  WHERE m.member = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
UNION ALL SELECT 'login ' || current_user || ' owns ' || c.relname
  FROM pg_catalog.pg_class c WHERE c.relowner = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
UNION ALL SELECT 'server version ' || current_setting('server_version') || ' is older than 15.14, 16.10, 17.6 or 18'
  WHERE NOT (current_setting('server_version_num')::int >= 180000
    OR current_setting('server_version_num')::int BETWEEN 170006 AND 179999
    OR current_setting('server_version_num')::int BETWEEN 160010 AND 169999
    OR current_setting('server_version_num')::int BETWEEN 150014 AND 159999)
UNION ALL SELECT 'lc_messages of ' || current_user || ' must be C or English: errors are told apart by their words'
  WHERE current_setting('lc_messages') !~* '^(c|posix|en|$)'
UNION ALL SELECT 'encoding must be UTF8 and ctype not C' FROM pg_catalog.pg_database
  WHERE datname = current_database() AND (pg_encoding_to_char(encoding) <> 'UTF8' OR datctype IN ('C', 'POSIX'))
UNION ALL SELECT 'login ' || current_user || ' may create in schema ' || nspname FROM pg_catalog.pg_namespace
  WHERE has_schema_privilege(current_user, oid, 'CREATE') AND nspname !~ '^pg_'";

// The two sums are numeric because no integer holds them, and nothing is looked for by them.
const TABLES: &str = r"
WITH t AS (SELECT c.oid, n.nspname, c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relispartition, obj_description(c.oid) AS class
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname IN ('todoku', 'auth', 'ops') AND c.relkind IN ('r', 'p'))
SELECT 'table ' || nspname || '.' || relname || ' does not force row security' AS finding FROM t WHERE NOT (relrowsecurity AND relforcerowsecurity)
UNION ALL SELECT 'table ' || nspname || '.' || relname || ' has no known class' FROM t WHERE NOT relispartition
  AND coalesce(class, '') NOT IN ('class: root', 'class: partner-owned', 'class: vendor-owned', 'class: vendor-side', 'class: ledger', 'class: system')
UNION ALL SELECT 'partition ' || t.relname || ' carries a grant' FROM t JOIN pg_catalog.pg_class c USING (oid), aclexplode(c.relacl) a
  WHERE t.relispartition AND a.grantee <> c.relowner
UNION ALL SELECT 'table ' || t.nspname || '.' || t.relname || ' grants TRUNCATE, REFERENCES or TRIGGER' FROM t JOIN pg_catalog.pg_class c USING (oid), aclexplode(c.relacl) a
  WHERE a.grantee <> c.relowner AND a.privilege_type IN ('TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN')
UNION ALL SELECT 'column ' || t.relname || '.' || a.attname || ' has a type that row security cannot filter by index'
  FROM t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
  WHERE y.typtype = 'e' OR y.typname = 'citext' OR y.typname = 'numeric' AND a.attname NOT IN ('value_scores', 'points')
UNION ALL SELECT 'default of ' || t.relname || '.' || a.attname || ' reads a clock'
  FROM t JOIN pg_catalog.pg_attrdef d ON d.adrelid = t.oid JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.adnum
  WHERE pg_get_expr(d.adbin, d.adrelid) ~* '(now|current_|_timestamp|localtime)'";

// Keys begin with the columns of the table's class; foreign keys pair vendor with vendor and partner with partner.
const KEYS: &str = r"
WITH t AS (SELECT c.oid, c.relname, substr(obj_description(c.oid), 8) AS class
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = 'todoku' AND c.relkind IN ('r', 'p') AND NOT c.relispartition),
keys AS (SELECT t.relname, t.class, i.relname AS key, array(SELECT a.attname::text FROM unnest(x.indkey) WITH ORDINALITY k(n, o)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.n ORDER BY o) AS cols
  FROM t JOIN pg_catalog.pg_index x ON x.indrelid = t.oid AND x.indisunique JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid)
SELECT 'key ' || key || ' does not begin with the key columns of class ' || coalesce(class, 'none') AS finding FROM keys
  WHERE CASE class WHEN 'partner-owned' THEN cols[1:2] <> array['vendor_id', 'partner_id']
    WHEN 'ledger' THEN cols[1:2] NOT IN (array['vendor_id', 'caller_id'], array['vendor_id', 'seq'])
    WHEN 'root' THEN cols[1] <> 'id' ELSE cols[1] <> 'vendor_id' END
UNION ALL SELECT 'foreign key ' || f.conname || ' of ' || t.relname || ' does not pair the tenant columns'
  FROM t JOIN pg_catalog.pg_constraint f ON f.conrelid = t.oid AND f.contype = 'f' AND f.conparentid = 0,
  LATERAL (SELECT array_agg(a.attname::text ORDER BY k.o) AS here, array_agg(b.attname::text ORDER BY k.o) AS there
    FROM unnest(f.conkey, f.confkey) WITH ORDINALITY k(c, r, o)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.c
    JOIN pg_catalog.pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = k.r) m
  WHERE m.here[1] <> 'vendor_id' OR m.there[1] NOT IN ('vendor_id', 'id')
    OR (m.there[2] = 'partner_id') <> (m.here[2] = 'partner_id' AND m.there[2] <> 'id')";

// Asked as the partner's login, whose name tells the prefix of ours: what an operator grants to others is theirs to answer for.
const POLICIES: &str = r"
WITH p AS MATERIALIZED (SELECT * FROM pg_catalog.pg_policies WHERE schemaname IN ('todoku', 'auth', 'ops'))
SELECT 'policy ' || policyname || ' on ' || tablename || ' is open' AS finding FROM p
  WHERE (qual = 'true' OR with_check = 'true' OR 'public' = ANY (roles) OR permissive <> 'PERMISSIVE')
UNION ALL SELECT 'policy ' || policyname || ' on ' || tablename || ' writes without a check' FROM p
  WHERE cmd IN ('INSERT', 'UPDATE', 'ALL') AND with_check IS NULL
UNION ALL SELECT 'policy ' || policyname || ' on ' || tablename || ' calls a function per row' FROM p
  WHERE regexp_replace(coalesce(qual, '') || coalesce(with_check, ''), '\( SELECT todoku\.scope_\w+\(\) AS scope_\w+\)', '', 'g') ~ '(\w\(|current_setting)'
UNION ALL SELECT 'grant ' || a.privilege_type || ' on ' || n.nspname || '.' || c.relname || ' to ' || coalesce(r.rolname, 'public') || ' has no policy'
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
  WHERE n.nspname IN ('todoku', 'auth', 'ops') AND c.relkind IN ('r', 'p', 'v', 'f') AND a.grantee <> c.relowner
    AND (a.grantee = 0 OR starts_with(r.rolname, regexp_replace(current_user, 'partner$', ''))) AND NOT EXISTS (SELECT 1 FROM p
    WHERE p.schemaname = n.nspname AND p.tablename = c.relname AND p.cmd = a.privilege_type AND r.rolname = ANY (p.roles))";

const VIEWS: &str = r"
SELECT 'view ' || c.relname || ' does not run as its caller' AS finding FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname IN ('todoku', 'auth', 'ops') AND c.relkind = 'v' AND NOT coalesce(c.reloptions::text LIKE '%security_invoker=true%', false)
UNION ALL SELECT 'materialised view ' || c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname IN ('todoku', 'auth', 'ops') AND c.relkind = 'm'";

const FUNCTIONS: &str = r"
WITH f AS MATERIALIZED (SELECT n.nspname, p.* FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  WHERE n.nspname IN ('todoku', 'auth', 'ops', 'public'))
SELECT 'unpinned function ' || proname || ' ' || left(encode(sha256(convert_to(concat_ws('|', prosrc, prosecdef, provolatile, proconfig), 'UTF8')), 'hex'), 12) AS finding FROM f
  WHERE prosecdef OR proname ~ '^scope_'
UNION ALL SELECT 'function ' || proname || ' has no fixed search_path' FROM f
  WHERE nspname <> 'public' AND proname !~ '^scope_' AND NOT coalesce(proconfig::text LIKE '%search_path=%', false)
UNION ALL SELECT 'function ' || proname || ' reads a clock' FROM f
  WHERE nspname <> 'public' AND prosrc ~* '(\mnow\(|current_timestamp|clock_timestamp|localtimestamp|current_date)'";
