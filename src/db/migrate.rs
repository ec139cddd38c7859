//! Roles, numbered migrations, then the policies: run by `todoku migrate` and at each start of the private cluster.

use super::pool::{Place, connect};
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::time::Moment;
use diesel::migration::MigrationSource;
use diesel::pg::Pg;
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");
const POLICIES: &str = include_str!("../../migrations/policies.sql");

/// Makes the roles if they are missing. `admin` is any database of the server; a lock there keeps two processes apart,
/// because roles belong to the whole server (DECISIONS 26).
pub async fn make_roles(admin: &tokio_postgres::Config, place: &Place) -> Result<(), Fault> {
    let mut conn = open(admin).await?;
    let prefix = &place.role_prefix;
    let password = match &place.password {
        // Quoted as a literal: a single quote is doubled; backslashes are plain with standard_conforming_strings.
        Some(secret) => format!("PASSWORD '{}'", secret.reveal().replace('\'', "''")),
        None => String::new(),
    };
    let mut script = String::from("BEGIN; SELECT pg_advisory_xact_lock(7231001);");
    for (role, login) in [("owner", "NOLOGIN"), ("partner", "LOGIN"), ("staff", "LOGIN"), ("worker", "LOGIN"), ("auth", "LOGIN")] {
        let attributes = format!("{login} NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOBYPASSRLS");
        script.push_str(&format!("DO $$ BEGIN IF to_regrole('{prefix}_{role}') IS NULL THEN CREATE ROLE {prefix}_{role} {attributes}; END IF; END $$;"));
        if login == "LOGIN" && !password.is_empty() {
            script.push_str(&format!("ALTER ROLE {prefix}_{role} {password};"));
        }
    }
    // The admin must be able to become the owner; superusers can anyway.
    script.push_str(&format!("GRANT {prefix}_owner TO CURRENT_USER; COMMIT;"));
    run(&mut conn, &script).await?;
    // Messages in English whatever the server speaks (see db/fault.rs); only a superuser may set that, so try.
    for role in ["partner", "staff", "worker", "auth"] {
        if let Err(fault) = run(&mut conn, &format!("ALTER ROLE {prefix}_{role} SET lc_messages = 'C'")).await {
            tracing::debug!(%fault, "lc_messages left as it is");
        }
    }
    Ok(())
}

/// Brings one database to the newest schema and applies the policies. Safe to run again, and by several processes at once.
pub async fn migrate(database: &tokio_postgres::Config, place: &Place, today: Moment) -> Result<(), Fault> {
    let prefix = place.role_prefix.clone();
    let policies = POLICIES.replace("${role}", &prefix);
    let mut conn = open(database).await?;
    run(&mut conn, "SELECT pg_advisory_lock(7231002)").await?;
    prepare_database(&mut conn, &prefix).await?;
    let mut harness = AsyncMigrationHarness::new(conn);
    let done = harness.run_pending_migrations(MIGRATIONS).map_err(Fault::internal)?.len();
    let mut conn = harness.into_inner();
    run(&mut conn, &format!("BEGIN; SELECT pg_advisory_xact_lock(7231003); {policies} COMMIT")).await?;
    run(&mut conn, &format!("SELECT todoku.keep_partitions('{}')", today.format("%Y-%m-%d"))).await?;
    run(&mut conn, "SELECT pg_advisory_unlock(7231002)").await?;
    tracing::info!(migrations = done, "the database is at the newest schema");
    Ok(())
}

/// Undoes every migration; the tests run, revert and run again.
pub async fn revert_all(database: &tokio_postgres::Config, place: &Place) -> Result<(), Fault> {
    let mut conn = open(database).await?;
    run(&mut conn, &format!("SET ROLE {}_owner", place.role_prefix)).await?;
    let mut harness = AsyncMigrationHarness::new(conn);
    harness.revert_all_migrations(MIGRATIONS).map(drop).map_err(Fault::internal)
}

/// How many migrations this binary knows.
pub fn known() -> usize {
    MigrationSource::<Pg>::migrations(&MIGRATIONS).map_or(0, |all| all.len())
}

async fn prepare_database(conn: &mut AsyncPgConnection, prefix: &str) -> Result<(), Fault> {
    run(
        conn,
        &format!(
            "DO $$ BEGIN
           IF current_setting('server_encoding') <> 'UTF8' THEN RAISE EXCEPTION 'the database must be UTF8'; END IF;
           IF (SELECT datctype FROM pg_database WHERE datname = current_database()) IN ('C', 'POSIX') THEN
             RAISE EXCEPTION 'the database must not have ctype C (create it with LC_CTYPE C.UTF-8)'; END IF;
           EXECUTE format('GRANT CREATE ON DATABASE %I TO {prefix}_owner', current_database());
           EXECUTE format('REVOKE TEMP, CONNECT ON DATABASE %I FROM PUBLIC', current_database());
           EXECUTE format('GRANT CONNECT ON DATABASE %I TO {prefix}_partner, {prefix}_staff, {prefix}_worker, {prefix}_auth', current_database());
           REVOKE ALL ON SCHEMA public FROM PUBLIC;
           GRANT USAGE, CREATE ON SCHEMA public TO {prefix}_owner;
         END $$;
         SET ROLE {prefix}_owner"
        ),
    )
    .await
}

async fn open(parameters: &tokio_postgres::Config) -> Result<AsyncPgConnection, Fault> {
    connect(parameters).await.map_err(|e| Fault::unavailable(Code::DatabaseUnavailable, e))
}

async fn run(conn: &mut AsyncPgConnection, script: &str) -> Result<(), Fault> {
    conn.batch_execute(script).await.map_err(super::fault::fault)
}
