//! The worker: bundles, turns, failures, and two processes on one database.

use crate::harness::App;
use crate::world::{reseller, text};
use chrono::Duration;
use serde_json::{Value, json};
use std::sync::Arc;
use todoku::auth::SystemScope;
use todoku::db::Db;
use todoku::ledger::{self, Claimed};
use todoku::state::State;
use todoku::worker;
use uuid::Uuid;

async fn customers(app: &App, token: &str, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for i in 0..count {
        ids.push(text(&app.post(token, "/v1/customers", &json!({ "external_id": format!("K{i}"), "name": "K" })).await.expect(201)["id"]));
    }
    ids
}

fn report(customer: &str, value: usize) -> Value {
    json!({ "customer_id": customer, "external_id": format!("{customer}-{value}"), "period_end": "2026-11-20", "observations": [{ "measure": "adoption", "value": value % 101 }] })
}

const AT_ONCE: std::time::Duration = std::time::Duration::ZERO;

async fn claim_after(app: &App, after: (Uuid, Uuid), gather: std::time::Duration) -> Vec<Claimed> {
    let tx = app.state.db.begin_write(SystemScope::worker()).await.unwrap();
    let claimed = ledger::claim_jobs(&tx, after, gather, Duration::seconds(60)).await.unwrap();
    tx.commit().await.unwrap();
    claimed
}

async fn claim(app: &App, after: (Uuid, Uuid)) -> Vec<Claimed> {
    claim_after(app, after, AT_ONCE).await
}

/// Jobs of the partner's customers, straight into the queue.
async fn enqueue(app: &App, partner_name: &str, kind: &str, count: usize) {
    app.ask(&format!(
        "INSERT INTO ops.job (id, vendor_id, partner_id, kind, subjects, run_at, attempt)
         SELECT gen_random_uuid(), p.vendor_id, p.id, '{kind}', ARRAY(SELECT id FROM todoku.customer c WHERE c.partner_id = p.id LIMIT 1), '2026-11-22T02:00:00Z', 0
         FROM todoku.partner p, generate_series(1, {count}) WHERE p.external_id = '{partner_name}'"
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partners_take_turns_and_a_bundle_is_one_partners() {
    let app = App::start().await;
    let (_, staff) = app.found("Vendor").await;
    for name in ["A", "B"] {
        let (_, token) = reseller(&app, &staff, name).await;
        customers(&app, &token, 1).await;
    }
    app.settle().await;
    enqueue(&app, "A", "health.rescore", 1200).await;
    enqueue(&app, "B", "health.rescore_full", 1).await;
    let nobody = (Uuid::nil(), Uuid::nil());
    let first = claim(&app, nobody).await;
    let one = (first[0].vendor_id, first[0].partner_id);
    assert!(first.iter().all(|job| (job.vendor_id, job.partner_id) == one));
    let second = claim(&app, one).await;
    let other = (second[0].vendor_id, second[0].partner_id);
    assert_ne!(one, other, "the next partner, however much the first has waiting");
    let mut sizes = [first.len(), second.len()];
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 500]);
    assert!(claim(&app, other).await.is_empty(), "both partners are being worked for");
    app.clock.turn_to(app.clock.now() + Duration::seconds(61));
    let again = claim(&app, other).await;
    assert_eq!((again[0].partner_id, again[0].attempt, again.len()), (one.1, 1, 1), "a lease that ran out; what was tried before comes alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_a_job_waits_for_company_goes_with_it() {
    let app = App::start().await;
    let (_, staff) = app.found("Vendor").await;
    let (_, token) = reseller(&app, &staff, "A").await;
    let ids = customers(&app, &token, 1).await;
    app.settle().await;
    let (nobody, gather) = ((Uuid::nil(), Uuid::nil()), std::time::Duration::from_millis(250));
    for value in 0..3 {
        app.post(&token, "/v1/status-reports", &report(&ids[0], value)).await.expect(201);
        assert!(claim_after(&app, nobody, gather).await.is_empty(), "the first is {} ms old", 100 * value);
        app.clock.turn_to(app.clock.now() + Duration::milliseconds(100));
    }
    assert_eq!(claim_after(&app, nobody, gather).await.len(), 3, "all of them, the youngest of 100 ms as well");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_be_done_harms_no_other() {
    let app = App::start().await;
    let (_, staff) = app.found("Vendor").await;
    let (_, token) = reseller(&app, &staff, "A").await;
    customers(&app, &token, 1).await;
    app.settle().await;
    enqueue(&app, "A", "health.rescore", 5).await;
    enqueue(&app, "A", "health.of_tomorrow", 1).await;
    enqueue(&app, "A", "health.rescore_full", 5).await;
    for _ in 0..20 {
        worker::run_due(&app.state).await.unwrap();
        app.clock.turn_to(app.clock.now() + Duration::seconds(2));
    }
    let left = app.ask("SELECT kind, attempt > 1, failure LIKE '%unknown kind%' FROM ops.job").await;
    assert_eq!(left, [["health.of_tomorrow", "t", "t"].map(|cell| Some(cell.to_owned())).to_vec()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_the_work_and_nothing_is_done_twice() {
    // The clock stands still: nothing would wait long enough.
    let app = App::start_with(&[("TODOKU_WORKER__GATHER_MS", "0")]).await;
    let (_, staff) = app.found("Vendor").await;
    let mut everybody = Vec::new();
    for name in ["A", "B", "C"] {
        let (_, token) = reseller(&app, &staff, name).await;
        let ids = customers(&app, &token, 6).await;
        everybody.push((token, ids));
    }
    app.settle().await;
    let place = todoku::db::Place { base: crate::harness::shared().await.cluster.parameters(&app.database), ..crate::harness::shared().await.place.clone() };
    let db = Db::new(&place, &app.state.config.database, app.clock.clone()).unwrap();
    let other = Arc::new(State { keys: todoku::state::Keys::derive(&[42; 32]).unwrap(), db, config: app.state.config.clone(), wake: tokio::sync::Notify::new() });
    let working = [app.state.clone(), other].map(|state| tokio::spawn(async move { worker::work(&state).await }));
    // Reports and both workers at once, with the customers in crossing orders.
    let reporting = everybody.iter().map(async |(token, ids)| {
        for round in 0..10 {
            let ids: Vec<&String> = if round % 2 == 0 { ids.iter().collect() } else { ids.iter().rev().collect() };
            let rows: Vec<Value> = ids.iter().map(|id| report(id, round)).collect();
            app.post(token, "/v1/status-reports/batch?atomic=true", &json!({ "reports": rows })).await.expect(200);
            app.post(token, "/v1/customers", &json!({ "external_id": format!("K{}", round % 6), "name": "K", "touch_model": if round % 2 == 0 { "high" } else { "low" } }))
                .await
                .expect(200);
        }
    });
    futures_util::future::join_all(reporting).await;
    working.iter().for_each(tokio::task::JoinHandle::abort);
    // A worker that was stopped in the middle leaves its lease.
    app.clock.turn_to(app.clock.now() + Duration::seconds(61));
    app.settle().await;
    assert_eq!(app.count("SELECT count(*) FROM ops.job").await, 0);
    let recount = "SELECT audience, sum(healthy), sum(watch), sum(at_risk), sum(unknown), sum(score_sum), sum(score_squares), sum(coverage_sum) FROM
        (SELECT audience, facet, healthy, watch, at_risk, unknown, score_sum, score_squares, coverage_sum FROM todoku.cell
         UNION ALL SELECT audience, facet, healthy, watch, at_risk, unknown, score_sum, score_squares, coverage_sum FROM todoku.cell_delta) c
        WHERE facet = 'all' GROUP BY audience ORDER BY audience";
    let truth = "SELECT audience, count(*) FILTER (WHERE band = 'healthy'), count(*) FILTER (WHERE band = 'watch'), count(*) FILTER (WHERE band = 'at_risk'),
        count(*) FILTER (WHERE band = 'unknown'), coalesce(sum(score), 0), coalesce(sum(score::bigint * score), 0), sum(coverage) FROM todoku.health_score GROUP BY audience ORDER BY audience";
    assert_eq!(app.ask(recount).await, app.ask(truth).await, "the cells equal a recount");
    // A customer moved between two groups of a dimension all the while, and stands in one.
    let groups = "SELECT audience, key_a, sum(healthy + watch + at_risk + unknown) FROM todoku.cell WHERE facet = 'touch_model' GROUP BY 1, 2 ORDER BY 1, 2";
    let truth = "SELECT h.audience, c.touch_model, count(*) FROM todoku.health_score h JOIN todoku.customer c ON c.id = h.customer_id GROUP BY 1, 2 ORDER BY 1, 2";
    assert_eq!(app.ask(groups).await, app.ask(truth).await, "the groups equal a recount");
    assert_eq!(
        app.count(
            "SELECT count(*) FROM todoku.health_score s JOIN todoku.health_score v USING (customer_id) WHERE s.audience = 'shared' AND v.audience = 'vendor' AND s.score <> v.score"
        )
        .await,
        0
    );
}
