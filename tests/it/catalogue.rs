//! The rules of the catalogue hold, and each of them can fail.

use crate::harness::{database, db_at, sql};
use crate::world::World;
use todoku::db::catalogue::findings;

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_keeps_its_rules() {
    let place = database().await;
    assert_eq!(findings(&db_at(&place)).await.unwrap(), Vec::<String>::new());
    let name = place.base.get_dbname().unwrap().to_owned();
    let examined: i64 = sql(&name, "SELECT count(*) FROM pg_policies WHERE schemaname IN ('todoku','auth','ops')").await[0][0].as_deref().unwrap().parse().unwrap();
    assert!(examined > 80, "{examined} policies");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_broken_rule_is_found() {
    for (damage, word) in [
        ("ALTER TABLE todoku.customer NO FORCE ROW LEVEL SECURITY", "does not force row security"),
        ("ALTER TABLE todoku.observation_default DISABLE ROW LEVEL SECURITY", "does not force row security"),
        ("CREATE TABLE todoku.loose (id uuid PRIMARY KEY)", "no known class"),
        ("GRANT SELECT ON todoku.observation_default TO todoku_partner", "carries a grant"),
        ("GRANT TRUNCATE ON todoku.customer TO todoku_partner", "grants TRUNCATE"),
        ("ALTER TABLE todoku.customer ADD COLUMN price numeric", "cannot filter by index"),
        ("ALTER TABLE todoku.customer ALTER COLUMN created_at SET DEFAULT now()", "reads a clock"),
        ("CREATE UNIQUE INDEX odd ON todoku.customer (vendor_id, external_id)", "does not begin with the key columns"),
        ("ALTER TABLE todoku.agreement ADD CONSTRAINT odd FOREIGN KEY (partner_id, vendor_id) REFERENCES todoku.partner (id, vendor_id)", "does not pair"),
        ("CREATE POLICY odd ON todoku.customer FOR SELECT TO todoku_partner USING (true)", "is open"),
        ("CREATE POLICY odd ON todoku.customer FOR SELECT TO todoku_partner USING (vendor_id = todoku.scope_vendor())", "calls a function per row"),
        ("CREATE VIEW todoku.peek AS SELECT * FROM todoku.customer", "does not run as its caller"),
        ("CREATE FUNCTION todoku.open() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT 1'", "unpinned function"),
        ("CREATE OR REPLACE FUNCTION todoku.scope_partner() RETURNS uuid LANGUAGE sql STABLE AS 'SELECT gen_random_uuid()'", "unpinned function scope_partner"),
        ("CREATE FUNCTION todoku.late() RETURNS timestamptz LANGUAGE sql SET search_path = pg_catalog AS 'SELECT now()'", "reads a clock"),
        ("CREATE FUNCTION todoku.loose() RETURNS int LANGUAGE sql AS 'SELECT 1'", "no fixed search_path"),
        ("CREATE MATERIALIZED VIEW todoku.peek AS SELECT 1 AS one", "materialised view peek"),
        ("GRANT CREATE ON SCHEMA todoku TO todoku_partner", "may create"),
        ("GRANT CREATE ON SCHEMA ops TO todoku_worker", "login todoku_worker may create in schema ops"),
        ("GRANT DELETE ON todoku.customer TO todoku_partner", "has no policy"),
        ("GRANT DELETE ON todoku.customer TO todoku_analyst", "to todoku_analyst has no policy"),
        ("GRANT SELECT ON todoku.customer TO PUBLIC", "to public has no policy"),
        (
            "CREATE FOREIGN DATA WRAPPER far; CREATE SERVER far FOREIGN DATA WRAPPER far; CREATE FOREIGN TABLE todoku.far (id uuid) SERVER far; GRANT SELECT ON todoku.far TO todoku_staff",
            "on todoku.far to todoku_staff has no policy",
        ),
    ] {
        let place = database().await;
        sql(place.base.get_dbname().unwrap(), damage).await;
        let found = findings(&db_at(&place)).await.unwrap();
        assert!(found.iter().any(|finding| finding.contains(word)), "{damage}: {found:?}");
    }
}

// While there are no statistics every index that begins with some columns of the key costs the planner the same, and reads every row of a partner for each
// row that refers to it. It takes the one made last: a migration that adds such an index makes the key anew behind it (see `keys_find_their_index`).
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_key_is_checked_by_the_keys_own_index_also_before_there_are_statistics() {
    let name = database().await.base.get_dbname().unwrap().to_owned();
    let keys = "SELECT DISTINCT f.confrelid::regclass::text, (SELECT relname FROM pg_class WHERE oid = f.conindid),
                  (SELECT string_agg(format('%I = $%s', a.attname, k.o), ' AND ' ORDER BY k.o) FROM unnest(f.confkey) WITH ORDINALITY k(n, o)
                   JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.n), repeat(', NULL', cardinality(f.confkey) - 1)
                FROM pg_constraint f WHERE f.contype = 'f' AND f.conparentid = 0";
    let keys = sql(&name, keys).await;
    assert!(keys.len() > 5);
    for key in keys {
        let [table, index, equal, nulls] = [0, 1, 2, 3].map(|n| key[n].as_deref().unwrap());
        let check =
            format!("SET plan_cache_mode = force_generic_plan; PREPARE k AS SELECT 1 FROM ONLY {table} WHERE {equal} FOR KEY SHARE; EXPLAIN (COSTS off) EXECUTE k (NULL{nulls})");
        let plan: Vec<String> = sql(&name, &check).await.into_iter().filter_map(|line| line[0].clone()).collect();
        assert!(plan.iter().any(|line| line.contains(&format!("using {index} "))), "{table}: {plan:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_without_a_scope_is_an_error_and_never_an_empty_answer() {
    let world = World::make().await;
    let app = &world.app;
    let shared = crate::harness::shared().await;
    for role in ["partner", "staff", "worker", "auth"] {
        let mut parameters = shared.cluster.parameters(&app.database);
        parameters.user(format!("todoku_{role}"));
        let (client, connection) = parameters.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let tables = client
            .query("SELECT table_schema || '.' || table_name FROM information_schema.role_table_grants WHERE grantee = current_user AND privilege_type = 'SELECT' AND table_schema IN ('todoku', 'auth', 'ops')", &[])
            .await
            .unwrap();
        let mut examined = 0;
        for table in tables {
            let table: String = table.get(0);
            // A policy is asked row by row: a table without rows has nothing to hide.
            if app.count(&format!("SELECT count(*) FROM {table}")).await == 0 {
                continue;
            }
            examined += 1;
            let error = client.simple_query(&format!("SELECT count(*) FROM {table}")).await.unwrap_err();
            assert_eq!(error.code().map(|code| code.code().to_owned()), Some("TD001".into()), "{role} {table}");
            // After a transaction that set it, the setting is '' and not missing.
            client.batch_execute("BEGIN; SET LOCAL app.vendor = '00000000-0000-0000-0000-000000000000'; COMMIT").await.unwrap();
        }
        assert!(examined > if role == "auth" { 0 } else { 5 }, "{role}: {examined} tables");
    }
}
