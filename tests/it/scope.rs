//! A state machine over the transaction type: however a transaction ends - committed, undone, dropped in the middle, in a panic,
//! after an error, its backend killed - the next one on the same connections never runs in another's scope.

use crate::harness::{App, Dice, shared};
use diesel::QueryableByName;
use diesel::sql_types::{Nullable, Text, Uuid as SqlUuid};
use std::time::Duration;
use todoku::db::{Clock, Db, Login, Place, Scope, Settings, Tx, sql};
use todoku::kernel::code::Code;
use todoku::kernel::error::Fault;
use uuid::Uuid;

/// Any authority there could be: what a login of it sets, others of the same login leave out.
#[derive(Clone, Debug)]
struct Any {
    login: Login,
    settings: Settings,
}

impl Scope for Any {
    fn login(&self) -> Login {
        self.login
    }
    fn settings(&self) -> Settings {
        self.settings.clone()
    }
}

impl Any {
    /// Of one of five vendors with a partner each: a partner, which may see others' customers or totals; staff, which may act for a partner; a job; the worker itself.
    fn roll(dice: &mut Dice) -> Self {
        let login = [Login::Partner, Login::Staff, Login::Worker][dice.roll(3) as usize];
        Self::of(login, dice)
    }

    fn of(login: Login, dice: &mut Dice) -> Self {
        let tenant = dice.roll(5);
        let partner = |n: u64| Uuid::from_u128(0xb000 + u128::from(n));
        let (mut some, mut settings) = (|| dice.roll(2) == 0, Settings { vendor: Some(Uuid::from_u128(0xa000 + u128::from(tenant))), ..Settings::default() });
        match login {
            Login::Partner => {
                settings.partner = Some(partner(tenant));
                settings.partners = if some() { [partner(tenant), partner(tenant + 10)].into() } else { [partner(tenant)].into() };
                settings.totals = if some() { [partner(tenant + 20), partner(tenant + 30)].into() } else { [].into() };
            }
            Login::Staff => settings.partner = some().then(|| partner(tenant)),
            _ => {
                settings.system = Some("worker");
                if some() {
                    settings.partner = Some(partner(tenant));
                } else {
                    settings.vendor = None;
                }
            }
        }
        Self { login, settings }
    }
}

/// What the connection says that its scope is.
#[derive(QueryableByName, PartialEq, Debug)]
struct Scoped {
    #[diesel(sql_type = Text)]
    login: String,
    #[diesel(sql_type = Nullable<Text>)]
    vendor: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    partner: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    partners: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    totals: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    system: Option<String>,
}

#[derive(QueryableByName)]
#[allow(dead_code, reason = "the rows are not looked at")]
struct Anything {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

const SLOW: &str = "SELECT gen_random_uuid() AS id FROM pg_sleep(0.02)";
const FAILS: &str = "SELECT gen_random_uuid() AS id FROM generate_series(0, 1) n WHERE 1 / n = 1";
const NOWHERE: &str = "SELECT id FROM todoku.nowhere";

async fn in_scope(tx: &Tx<Any>) -> Result<(), Fault> {
    let seen: Vec<Scoped> = tx
        .rows(sql("SELECT substring(current_user FROM '[a-z]+$') AS login, nullif(current_setting('app.vendor', true), '') AS vendor, nullif(current_setting('app.partner', true), '') AS partner,
             nullif(current_setting('app.partners', true), '') AS partners, nullif(current_setting('app.totals', true), '') AS totals, nullif(current_setting('app.system', true), '') AS system"))
        .await?;
    let Any { login, settings } = tx.scope();
    let list = |ids: &[Uuid]| (!ids.is_empty()).then(|| format!("{{{}}}", ids.iter().map(Uuid::to_string).collect::<Vec<_>>().join(",")));
    let (vendor, partner) = (settings.vendor.map(|id| id.to_string()), settings.partner.map(|id| id.to_string()));
    let own =
        Scoped { login: login.name().to_owned(), vendor, partner, partners: list(&settings.partners), totals: list(&settings.totals), system: settings.system.map(str::to_owned) };
    assert_eq!(seen, [own]);
    Ok(())
}

/// A read is begun by its first statement, or by the first of several that share a round trip, or never.
async fn look(db: &Db, how: u64, scope: Any, other: Any) -> Result<(), Fault> {
    let tx = db.begin_read(scope).await?;
    match how {
        0 => drop(tx),
        1 => tx.rollback().await,
        2 => tx.look(in_scope).await?,
        3 => {
            let both = async |tx: &Tx<Any>| futures_util::try_join!(in_scope(tx), in_scope(tx)).map(drop);
            tx.look(both).await?;
        }
        // Dropped in the middle of what begins it.
        4 => {
            let _ = tokio::time::timeout(Duration::from_micros(200), in_scope(&tx)).await;
        }
        5 => {
            let handler = tokio::spawn(async move { in_scope(&tx).await });
            tokio::task::yield_now().await;
            handler.abort();
            let _ = handler.await;
        }
        6 => {
            assert!(tx.rows::<Anything>(sql(NOWHERE)).await.is_err());
            tx.rollback().await;
        }
        // Another authority of the same login has the connection meanwhile.
        7 => {
            drop(tx);
            db.begin_read(other).await?.look(in_scope).await?;
        }
        8 => assert!(tx.run(sql("INSERT INTO ops.turned_day DEFAULT VALUES")).await.is_err(), "a read writes nothing"),
        // The handler panics, before its first statement or behind it.
        9 | 10 => {
            let handler = tokio::spawn(async move {
                if how == 10 {
                    in_scope(&tx).await.unwrap();
                }
                panic!("a handler panics, as it should here")
            });
            assert!(handler.await.is_err());
        }
        // PostgreSQL cuts a statement that takes too long.
        11 => {
            in_scope(&tx).await?;
            tx.run(sql("SET LOCAL statement_timeout = '1ms'")).await?;
            assert!(tx.rows::<Anything>(sql(SLOW)).await.is_err());
        }
        // The backend is killed under it.
        _ => {
            in_scope(&tx).await?;
            kill_backend(&tx).await?;
            assert!(tx.rows::<Anything>(sql(SLOW)).await.is_err());
        }
    }
    Ok(())
}

/// The way of looking that costs a connection.
const LOOK_KILLED: u64 = 12;

async fn kill_backend(tx: &Tx<Any>) -> Result<(), Fault> {
    #[derive(QueryableByName)]
    struct Backend {
        #[diesel(sql_type = Text)]
        pid: String,
    }
    let found: Vec<Backend> = tx.rows(sql("SELECT pg_backend_pid()::text AS pid")).await?;
    crate::harness::sql("postgres", &format!("SELECT pg_terminate_backend({})", found[0].pid)).await;
    Ok(())
}

async fn step(db: &Db, kind: u64, how: u64, scope: Any) -> Result<(), Fault> {
    let tx = match kind {
        0 => db.begin_batch(scope).await?,
        1 => db.begin_study(scope).await?,
        _ => db.begin_write(scope).await?,
    };
    in_scope(&tx).await?;
    match how {
        0 => tx.commit().await?,
        1 => tx.rollback().await,
        // Dropped while it is quiet.
        2 => drop(tx),
        // Dropped in the middle of a statement: the request was cancelled or took too long.
        3 => {
            let sleep = tx.rows::<Anything>(sql(SLOW));
            let _ = tokio::time::timeout(Duration::from_millis(1), sleep).await;
        }
        // A statement that fails; then whatever the caller does with it.
        4 => {
            let failed = tx.rows::<Anything>(sql(FAILS)).await;
            assert!(failed.is_err());
            assert!(tx.commit().await.is_err(), "nothing is committed after a failure");
        }
        5 => {
            let failed = tx.rows::<Anything>(sql(NOWHERE)).await;
            assert!(failed.is_err());
            tx.rollback().await;
        }
        // The handler panics.
        6 => {
            let handler = tokio::spawn(async move {
                let _tx = tx;
                panic!("a handler panics, as it should here")
            });
            assert!(handler.await.is_err());
        }
        // The task is aborted, as actix does when it stops.
        7 => {
            let handler = tokio::spawn(async move { tx.rows::<Anything>(sql(SLOW)).await.map(drop) });
            tokio::task::yield_now().await;
            handler.abort();
            let _ = handler.await;
        }
        // PostgreSQL cuts a statement that takes too long.
        8 => {
            tx.run(sql("SET LOCAL statement_timeout = '1ms'")).await?;
            assert!(tx.rows::<Anything>(sql(SLOW)).await.is_err());
            assert!(tx.commit().await.is_err(), "nothing is committed after a failure");
        }
        // Whoever commits, or undoes, goes away before it is confirmed.
        9 => drop(tokio::time::timeout(Duration::from_micros(100), tx.commit()).await),
        10 => drop(tokio::time::timeout(Duration::from_micros(100), tx.rollback()).await),
        // The backend is killed under it; then it is committed all the same.
        _ => {
            kill_backend(&tx).await?;
            if how == KILLED {
                assert!(tx.rows::<Anything>(sql(SLOW)).await.is_err());
            } else {
                assert!(tx.commit().await.is_err(), "a backend that is gone commits nothing");
            }
        }
    }
    Ok(())
}

/// The two ways that cost a connection.
const KILLED: u64 = 11;

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_runs_in_anothers_scope() {
    // Panics are part of the game; their traces are not.
    let steps: u64 = std::env::var("TODOKU_SCOPE_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(2_000);
    let app = App::start().await;
    let place = Place { base: shared().await.cluster.parameters(&app.database), ..shared().await.place.clone() };
    let mut settings = app.state.config.database.clone();
    (settings.pool_partner, settings.pool_staff, settings.pool_worker) = (2, 2, 2);
    settings.pool_wait_ms = 10_000;
    // Pools of two: four walkers wait for each other on the clock of the suite, four on the one of life, with which a transaction asks for its moment as it begins.
    let dbs = [Db::new(&place, &settings, app.clock.clone()).unwrap(), Db::new(&place, &settings, Clock::Live).unwrap()];
    let walkers = (0..8u64).map(|walker| {
        let db = dbs[walker as usize % 2].clone();
        tokio::spawn(async move {
            let mut dice = Dice(0x9e37_79b9 + walker);
            let mut done = 0;
            for n in 0..steps / 8 {
                let scope = Any::roll(&mut dice);
                let other = Any::of(scope.login, &mut dice);
                // A killed backend costs a connection: seldom.
                let kills = dice.roll(50) == 0;
                let how = if kills { KILLED + dice.roll(2) } else { dice.roll(KILLED) };
                let (looks, way, kind) = (dice.roll(3) == 0, if kills { LOOK_KILLED } else { dice.roll(LOOK_KILLED) }, dice.roll(4));
                let done_so = if looks { look(&db, way, scope, other).await } else { step(&db, kind, how, scope).await };
                match done_so {
                    Ok(()) => done += 1,
                    Err(fault) => assert!(matches!(fault.code, Code::DatabaseUnavailable | Code::Overloaded), "walker {walker}, step {n}, looks {looks} {way}, way {how}: {fault}"),
                }
            }
            done
        })
    });
    let mut done = 0;
    for walker in walkers {
        done += walker.await.expect("no walker met another's scope");
    }
    assert!(done > steps * 9 / 10, "only {done} of {steps}");
    // And the pools are whole.
    let mut dice = Dice(1);
    for db in &dbs {
        for _ in 0..30 {
            step(db, 2, 0, Any::roll(&mut dice)).await.unwrap();
        }
    }
}
