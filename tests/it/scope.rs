//! A state machine over the transaction type: however a transaction ends - committed, undone, dropped in the middle, in a panic,
//! after an error, its backend killed - the next one on the same connections never runs in another's scope.

use crate::harness::{App, Dice, shared};
use diesel::QueryableByName;
use diesel::sql_types::{Nullable, Text, Uuid as SqlUuid};
use std::time::Duration;
use todoku::auth::{SystemScope, WorkerScope};
use todoku::db::{Clock, Db, Place, Tx, sql};
use todoku::kernel::code::Code;
use todoku::kernel::error::Fault;
use uuid::Uuid;

#[derive(QueryableByName, PartialEq, Debug)]
struct Scoped {
    #[diesel(sql_type = Nullable<Text>)]
    vendor: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    partner: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    beyond: Option<String>,
}

#[derive(QueryableByName)]
#[allow(dead_code, reason = "the rows are not looked at")]
struct Anything {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

async fn in_scope(tx: &Tx<WorkerScope>, vendor: Uuid, partner: Uuid) -> Result<(), Fault> {
    let seen: Vec<Scoped> = tx
        .rows(sql("SELECT current_setting('app.vendor', true) AS vendor, current_setting('app.partner', true) AS partner,
             nullif(concat(current_setting('app.partners', true), current_setting('app.totals', true), current_setting('app.system', true)), '') AS beyond"))
        .await?;
    // A job's worker settles its own job. No scope of its login names partners it sees: nobody leaves any behind on the connection.
    assert_eq!(seen, [Scoped { vendor: Some(vendor.to_string()), partner: Some(partner.to_string()), beyond: Some("worker".to_owned()) }]);
    Ok(())
}

/// A read is begun by its first statement, or by the first of several that share a round trip, or never.
async fn look(db: &Db, how: u64, vendor: Uuid, partner: Uuid) -> Result<(), Fault> {
    let tx = db.begin_read(WorkerScope::for_job(vendor, partner)).await?;
    match how {
        0 => drop(tx),
        1 => tx.rollback().await,
        2 => tx.look(async |tx| in_scope(tx, vendor, partner).await).await?,
        3 => {
            let both = async |tx: &Tx<WorkerScope>| futures_util::try_join!(in_scope(tx, vendor, partner), in_scope(tx, vendor, partner)).map(drop);
            tx.look(both).await?;
        }
        // Dropped in the middle of what begins it.
        4 => {
            let _ = tokio::time::timeout(Duration::from_micros(200), in_scope(&tx, vendor, partner)).await;
        }
        5 => {
            let handler = tokio::spawn(async move { in_scope(&tx, vendor, partner).await });
            tokio::task::yield_now().await;
            handler.abort();
            let _ = handler.await;
        }
        6 => {
            assert!(tx.rows::<Anything>(sql("SELECT id FROM todoku.nowhere")).await.is_err());
            tx.rollback().await;
        }
        // Another authority of the same login has the connection meanwhile: the one that claims jobs of everybody.
        7 => {
            drop(tx);
            let system = db.begin_read(SystemScope::worker()).await?;
            let seen: Vec<Scoped> = system
                .rows(sql("SELECT nullif(current_setting('app.vendor', true), '') AS vendor, nullif(current_setting('app.partner', true), '') AS partner, current_setting('app.system', true) AS beyond"))
                .await?;
            assert_eq!(seen, [Scoped { vendor: None, partner: None, beyond: Some("worker".to_owned()) }]);
        }
        _ => {
            assert!(tx.run(sql("INSERT INTO ops.turned_day DEFAULT VALUES")).await.is_err(), "a read writes nothing");
        }
    }
    Ok(())
}

async fn step(db: &Db, kind: u64, how: u64, vendor: Uuid, partner: Uuid) -> Result<(), Fault> {
    let scope = WorkerScope::for_job(vendor, partner);
    let tx = match kind {
        0 => db.begin_batch(scope).await?,
        1 => db.begin_study(scope).await?,
        _ => db.begin_write(scope).await?,
    };
    in_scope(&tx, vendor, partner).await?;
    match how {
        0 => tx.commit().await?,
        1 => tx.rollback().await,
        // Dropped while it is quiet.
        2 => drop(tx),
        // Dropped in the middle of a statement: the request was cancelled or took too long.
        3 => {
            let sleep = tx.rows::<Anything>(sql("SELECT id FROM todoku.vendor, pg_sleep(0.02)"));
            let _ = tokio::time::timeout(Duration::from_millis(1), sleep).await;
        }
        // A statement that fails; then whatever the caller does with it.
        4 => {
            let failed = tx.rows::<Anything>(sql("SELECT id FROM todoku.vendor WHERE 1 / 0 = 1")).await;
            assert!(failed.is_err());
            assert!(tx.commit().await.is_err(), "nothing is committed after a failure");
        }
        5 => {
            let failed = tx.rows::<Anything>(sql("SELECT id FROM todoku.nowhere")).await;
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
            let handler = tokio::spawn(async move { tx.rows::<Anything>(sql("SELECT id FROM todoku.vendor, pg_sleep(0.02)")).await.map(drop) });
            tokio::task::yield_now().await;
            handler.abort();
            let _ = handler.await;
        }
        // PostgreSQL cuts a statement that takes too long.
        8 => {
            tx.run(sql("SET LOCAL statement_timeout = '1ms'")).await?;
            assert!(tx.rows::<Anything>(sql("SELECT id FROM todoku.vendor, pg_sleep(0.02)")).await.is_err());
            assert!(tx.commit().await.is_err(), "nothing is committed after a failure");
        }
        // Whoever commits, or undoes, goes away before it is confirmed.
        9 => drop(tokio::time::timeout(Duration::from_micros(100), tx.commit()).await),
        10 => drop(tokio::time::timeout(Duration::from_micros(100), tx.rollback()).await),
        // The backend is killed under it; then it is committed all the same.
        _ => {
            let pid: Vec<Scoped> = tx.rows(sql("SELECT pg_backend_pid()::text AS vendor, NULL AS partner, NULL AS beyond")).await?;
            crate::harness::sql("postgres", &format!("SELECT pg_terminate_backend({})", pid[0].vendor.as_deref().unwrap())).await;
            if how == KILLED {
                assert!(tx.rows::<Anything>(sql("SELECT id FROM todoku.vendor")).await.is_err());
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
    settings.pool_worker = 2;
    settings.pool_wait_ms = 10_000;
    // Pools of two: four walkers wait for each other on the clock of the suite, four on the one of life, with which a transaction asks for its moment as it begins.
    let dbs = [Db::new(&place, &settings, app.clock.clone()).unwrap(), Db::new(&place, &settings, Clock::Live).unwrap()];
    let tenants: Vec<(Uuid, Uuid)> = (0..5).map(|n| (Uuid::from_u128(0xa000 + n), Uuid::from_u128(0xb000 + n))).collect();
    let walkers = (0..8u64).map(|walker| {
        let (db, tenants) = (dbs[walker as usize % 2].clone(), tenants.clone());
        tokio::spawn(async move {
            let mut dice = Dice(0x9e37_79b9 + walker);
            let mut done = 0;
            for n in 0..steps / 8 {
                let (vendor, partner) = tenants[dice.roll(tenants.len() as u64) as usize];
                // A killed backend costs a connection: seldom.
                let how = if dice.roll(50) == 0 { KILLED + dice.roll(2) } else { dice.roll(KILLED) };
                let (looks, way, kind) = (dice.roll(3) == 0, dice.roll(9), dice.roll(4));
                let done_so = if looks { look(&db, way, vendor, partner).await } else { step(&db, kind, how, vendor, partner).await };
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
    for (db, (vendor, partner)) in dbs.iter().flat_map(|db| tenants.iter().map(move |tenant| (db, tenant))) {
        step(db, 2, 0, *vendor, *partner).await.unwrap();
    }
}
