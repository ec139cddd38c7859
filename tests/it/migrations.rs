//! Migrations run, are reverted, run again, and come to the same.

use crate::harness::{db_at, noon, shared, sql};
use todoku::db::{Place, migrate};

async fn shape(database: &str) -> Vec<Vec<Option<String>>> {
    let mut all = sql(database, "SELECT table_schema, table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns WHERE table_schema IN ('todoku', 'auth', 'ops') ORDER BY 1, 2, ordinal_position").await;
    all.extend(sql(database, "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace::regnamespace::text IN ('todoku', 'auth', 'ops') ORDER BY 1, 2").await);
    all.extend(sql(database, "SELECT indexdef FROM pg_indexes WHERE schemaname IN ('todoku', 'auth', 'ops') ORDER BY 1").await);
    all.extend(sql(database, "SELECT schemaname, tablename, policyname, roles::text, cmd, qual, with_check FROM pg_policies ORDER BY 1, 2, 3").await);
    all.extend(sql(database, "SELECT pg_get_functiondef(oid), proacl::text FROM pg_proc WHERE pronamespace::regnamespace::text IN ('todoku', 'auth', 'ops') ORDER BY 1").await);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn up_down_up_is_up() {
    let shared = shared().await;
    sql("postgres", "CREATE DATABASE updown TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'").await;
    let place = Place { base: shared.cluster.parameters("updown"), ..shared.place.clone() };
    let admin = shared.cluster.superuser("updown");
    assert!(migrate::known() >= 1);
    migrate::migrate(&admin, &place, noon(), false).await.unwrap();
    let first = shape("updown").await;
    assert!(first.len() > 300, "{} facts", first.len());
    migrate::migrate(&admin, &place, noon(), false).await.unwrap();
    assert_eq!(shape("updown").await, first, "running again changes nothing");
    sql("updown", "DROP POLICY partner_select ON todoku.customer").await;
    migrate::bring_up(&admin, &place, &db_at(&place), noon()).await.unwrap();
    assert_eq!(shape("updown").await, first, "what broke a rule is mended");
    migrate::revert_all(&admin, &place).await.unwrap();
    assert!(shape("updown").await.is_empty(), "nothing is left behind");
    migrate::migrate(&admin, &place, noon(), false).await.unwrap();
    assert_eq!(shape("updown").await, first);

    // What is kept in another form says the same as before, in both directions.
    let function = |file: &str| file.split("ALTER TABLE").next().unwrap().to_owned();
    sql("updown", &function(include_str!("../../migrations/2026-11-23-000001_lean_scores/up.sql"))).await;
    sql("updown", &function(include_str!("../../migrations/2026-11-23-000001_lean_scores/down.sql"))).await;
    let named = r#"[{"measure":"a","weight":1.5,"evidence":1000,"points":50000,"contribution":-12,"sources":[["partner_declared",1000]],"newest":"2026-11-20"},
        {"measure":"b","weight":2,"evidence":0,"points":20000,"contribution":null,"sources":[],"newest":null,"assumed":"floor","bias":-300}]"#;
    let lean = r#"[["a",1.5,1000,50000,-12,[["partner_declared",1000]],"2026-11-20",null,null],["b",2,0,20000,null,[],null,"floor",-300]]"#;
    let found =
        sql("updown", &format!("SELECT todoku.lean('{named}')::jsonb = '{lean}', todoku.named('{lean}') = '{named}', todoku.lean('[]')::text, todoku.named('[]')::text")).await;
    assert_eq!(found, [["t", "t", "[]", "[]"].map(|is| Some(is.to_owned()))]);
}
