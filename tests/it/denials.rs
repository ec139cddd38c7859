//! What known callers are refused is written down, once for each kind with how often, and it is told apart by nothing that a
//! partner could not know.

use crate::harness::App;
use crate::world::{client, reseller, text};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_known_callers_are_written_down() {
    let app = App::start().await;
    let (_, staff) = app.found("Vendor").await;
    let (_, first) = reseller(&app, &staff, "A").await;
    let (b, second) = reseller(&app, &staff, "B").await;
    let (_, reader) = client(&app, &staff, &b, &["customers:read"]).await;
    let customer = text(&app.post(&first, "/v1/customers", &json!({ "external_id": "K", "name": "K" })).await.expect(201)["id"]);
    app.write_denials().await;
    let refusals =
        "SELECT operation, outcome, times, partner_id IS NOT NULL, subject_id IS NULL FROM todoku.audit_entry WHERE outcome <> 'done' ORDER BY operation, outcome, times";
    assert!(app.ask(refusals).await.is_empty(), "nothing was refused yet");

    for _ in 0..3 {
        app.get(&second, &format!("/v1/customers/{customer}")).await.expect(404);
    }
    app.get(&second, "/v1/customers/cus_00000000000000000000000000").await.expect(404);
    app.post(&second, "/v1/partners", &json!({})).await.expect(403);
    app.post(&reader, "/v1/customers", &json!({})).await.expect(403);
    app.post(&second, "/v1/status-reports", &json!({ "customer_id": customer, "period_end": "2026-11-20" })).await.expect(422);
    app.post(&second, "/v1/customers", &json!({ "name": 1 })).await.expect(422);
    app.get(&staff, "/v1/customers/cus_00000000000000000000000000").await.expect(404);
    // Rows of a batch, by themselves and with the batch.
    let own = json!({ "customer_external_id": "K2", "external_id": "1", "period_end": "2026-11-20" });
    app.post(&second, "/v1/customers", &json!({ "external_id": "K2", "name": "K2" })).await.expect(201);
    let rows = json!({ "reports": [own, { "customer_id": customer, "external_id": "2", "period_end": "2026-11-20" }, { "customer_id": customer, "external_id": "3", "period_end": "2026-11-20" }] });
    app.post(&second, "/v1/status-reports/batch", &rows).await.expect(200);
    app.post(&second, "/v1/status-reports/batch?atomic=true", &rows).await.expect(422);
    app.get("garbage", "/v1/customers").await.expect(401);
    app.write_denials().await;
    let row = |operation: &str, outcome: &str, times: &str, partner: &str| [operation, outcome, times, partner, "t"].map(|cell| Some(cell.to_owned())).to_vec();
    let expected = [
        row("create_partner", "insufficient-scope", "1", "t"),
        row("get_customer", "not-found", "1", "f"),
        row("get_customer", "not-found", "4", "t"),
        row("submit_status_report", "reference-not-found", "1", "t"),
        row("submit_status_report_batch", "reference-not-found", "4", "t"),
        row("upsert_customer", "insufficient-scope", "1", "t"),
    ];
    assert_eq!(app.ask(refusals).await, expected);
    app.write_denials().await;
    assert_eq!(app.ask(refusals).await.len(), expected.len(), "once");
}
