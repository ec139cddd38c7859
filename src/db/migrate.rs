//! Roles, numbered migrations, then the policies: run by `todoku migrate` and at each start of the private cluster.

use super::catalogue;
use super::pool::{Db, Place, connect};
use super::scope::Login;
use super::sql::sql;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::hash::sha256;
use crate::kernel::time::Moment;
use diesel::QueryableByName;
use diesel::migration::MigrationSource;
use diesel::pg::Pg;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");
const POLICIES: &str = include_str!("../../migrations/policies.sql");

/// Makes what belongs to the whole server if it is missing: the roles, for which a lock keeps two processes apart (DECISIONS 26), and
/// in a private cluster, which has one owner, the database. `admin` is any database of the server.
pub async fn prepare_server(admin: &tokio_postgres::Config, place: &Place, database: Option<&str>) -> Result<(), Fault> {
    let mut conn = awake(admin).await?;
    make_roles(&mut conn, place).await?;
    let Some(name) = database else { return Ok(()) };
    let named: Counted = sql("SELECT count(*) AS counted FROM pg_catalog.pg_database WHERE datname = {}")
        .bind::<Text, _>(name.to_owned())
        .get_result(&mut conn)
        .await
        .map_err(super::fault::fault)?;
    if named.counted == 0 {
        // The name is ours, never a caller's.
        run(&mut conn, &format!("CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'")).await?;
    }
    Ok(())
}

async fn make_roles(conn: &mut AsyncPgConnection, place: &Place) -> Result<(), Fault> {
    let prefix = &place.role_prefix;
    let password = match &place.password {
        // Quoted as a literal: a single quote is doubled; backslashes are plain with standard_conforming_strings.
        Some(secret) => format!("PASSWORD '{}'", secret.reveal().replace('\'', "''")),
        None => String::new(),
    };
    let mut script = String::from("BEGIN; SELECT pg_advisory_xact_lock(7231001);");
    for (role, login) in std::iter::once(("owner", "NOLOGIN")).chain(Login::ALL.map(|login| (login.name(), "LOGIN"))) {
        let attributes = format!("{login} NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOBYPASSRLS");
        script.push_str(&format!("DO $$ BEGIN IF to_regrole('{prefix}_{role}') IS NULL THEN CREATE ROLE {prefix}_{role} {attributes}; END IF; END $$;"));
        if login == "LOGIN" && !password.is_empty() {
            script.push_str(&format!("ALTER ROLE {prefix}_{role} {password};"));
        }
    }
    // The admin must be able to become the owner; superusers can anyway.
    script.push_str(&format!("GRANT {prefix}_owner TO CURRENT_USER; COMMIT;"));
    run(conn, &script).await?;
    // Messages in English whatever the server speaks (see db/fault.rs); only a superuser may set that, so try.
    let english = Login::ALL.map(|login| format!("ALTER ROLE {prefix}_{} SET lc_messages = 'C';", login.name())).concat();
    if let Err(fault) = run(conn, &english).await {
        tracing::debug!(%fault, "lc_messages left as it is");
    }
    Ok(())
}

/// Brings a database to the newest schema; one that breaks a rule gets its policies anew, and is refused if it still does.
pub async fn bring_up(database: &tokio_postgres::Config, place: &Place, db: &Db, today: Moment) -> Result<(), Fault> {
    migrate(database, place, today, false).await?;
    if !catalogue::findings(db).await?.is_empty() {
        migrate(database, place, today, true).await?;
        catalogue::check(db).await?;
    }
    Ok(())
}

/// Brings one database to the newest schema and applies the policies, unless they stand as they are; `anew` applies them anyway.
/// Safe to run again, and by several processes at once.
pub async fn migrate(database: &tokio_postgres::Config, place: &Place, today: Moment, anew: bool) -> Result<(), Fault> {
    let prefix = place.role_prefix.clone();
    let policies = POLICIES.replace("${role}", &prefix);
    let mut conn = open(database).await?;
    run(&mut conn, "SELECT pg_advisory_lock(7231002)").await?;
    prepare_database(&mut conn, &prefix).await?;
    // Whoever is at work must not queue behind a migration that itself waits for long: it fails, changes nothing, and is run again.
    run(&mut conn, "SET lock_timeout = '10s'").await?;
    let mut harness = AsyncMigrationHarness::new(conn);
    let done = harness.run_pending_migrations(MIGRATIONS).map_err(Fault::internal)?.len();
    let mut conn = harness.into_inner();
    run(&mut conn, "RESET lock_timeout").await?;
    let hash: String = sha256(policies.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    if anew || done > 0 || policies_in_force(&mut conn).await? != Some(format!("policies {hash}")) {
        apply(&mut conn, &format!("{policies} COMMENT ON SCHEMA ops IS 'policies {hash}';")).await?;
    }
    run(&mut conn, &format!("SELECT todoku.keep_partitions('{}')", today.format("%Y-%m-%d"))).await?;
    run(&mut conn, "SELECT pg_advisory_unlock(7231002)").await?;
    tracing::info!(migrations = done, "the database is at the newest schema");
    Ok(())
}

/// Which policies were applied last.
async fn policies_in_force(conn: &mut AsyncPgConnection) -> Result<Option<String>, Fault> {
    #[derive(QueryableByName)]
    struct Described {
        #[diesel(sql_type = Nullable<Text>)]
        says: Option<String>,
    }
    let statement = sql("SELECT pg_catalog.obj_description(pg_catalog.to_regnamespace('ops')::oid, 'pg_namespace') AS says");
    let described: Described = statement.get_result(conn).await.map_err(super::fault::fault)?;
    Ok(described.says)
}

/// How often the policies are tried.
const TRIES: u32 = 6;

/// Applies the policies beside whoever is at work: they lock every table, so they give way and come again.
async fn apply(conn: &mut AsyncPgConnection, policies: &str) -> Result<(), Fault> {
    let script = format!("BEGIN; SET LOCAL lock_timeout = '3s'; SELECT pg_advisory_xact_lock(7231003); {policies} COMMIT");
    for left in (0..TRIES).rev() {
        let Err(fault) = run(conn, &script).await else { return Ok(()) };
        run(conn, "ROLLBACK").await?;
        if left == 0 || fault.code != Code::Overloaded {
            return Err(fault);
        }
        tracing::info!(%fault, "the policies give way to running requests");
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
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
    let logins = Login::ALL.map(|login| format!("{prefix}_{}", login.name())).join(", ");
    run(
        conn,
        &format!(
            "DO $$ BEGIN
           IF current_setting('server_encoding') <> 'UTF8' THEN RAISE EXCEPTION 'the database must be UTF8'; END IF;
           IF (SELECT datctype FROM pg_database WHERE datname = current_database()) IN ('C', 'POSIX') THEN
             RAISE EXCEPTION 'the database must not have ctype C (create it with LC_CTYPE C.UTF-8)'; END IF;
           EXECUTE format('GRANT CREATE ON DATABASE %I TO {prefix}_owner', current_database());
           EXECUTE format('REVOKE TEMP, CONNECT ON DATABASE %I FROM PUBLIC', current_database());
           EXECUTE format('GRANT CONNECT ON DATABASE %I TO {logins}', current_database());
           REVOKE ALL ON SCHEMA public FROM PUBLIC;
           GRANT USAGE, CREATE ON SCHEMA public TO {prefix}_owner;
         END $$;
         SET ROLE {prefix}_owner"
        ),
    )
    .await
}

/// How soon one that recovers is asked again.
const RECOVERING: std::time::Duration = std::time::Duration::from_millis(100);
/// How long a server that lives may take to greet who connects.
const GREETING: std::time::Duration = std::time::Duration::from_secs(10);

/// A connection to a server that takes them; one that is stuck is as good as not there. One that says it recovers is waited for as long as it says so.
async fn awake(admin: &tokio_postgres::Config) -> Result<AsyncPgConnection, Fault> {
    let recovers = |cause: &str| cause.contains("the database system is") && !cause.contains("shutting down");
    loop {
        match open(admin).await {
            Err(fault) if fault.cause.as_deref().is_some_and(recovers) => tokio::time::sleep(RECOVERING).await,
            other => return other,
        }
    }
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    counted: i64,
}

/// Whether a database lacks a migration of this binary.
pub async fn is_behind(database: &tokio_postgres::Config) -> Result<bool, Fault> {
    let mut conn = open(database).await?;
    let applied: Counted = sql("SELECT count(*) AS counted FROM public.__diesel_schema_migrations").get_result(&mut conn).await.map_err(super::fault::fault)?;
    Ok(applied.counted < known() as i64)
}

async fn open(parameters: &tokio_postgres::Config) -> Result<AsyncPgConnection, Fault> {
    let greeted = tokio::time::timeout(GREETING, connect(parameters)).await.map_err(|_| Fault::unavailable(Code::DatabaseUnavailable, "it does not answer"))?;
    greeted.map_err(|e| Fault::unavailable(Code::DatabaseUnavailable, e))
}

async fn run(conn: &mut AsyncPgConnection, script: &str) -> Result<(), Fault> {
    conn.batch_execute(script).await.map_err(super::fault::fault)
}
