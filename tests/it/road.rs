//! The main road, step by step, as a newcomer would walk it.

use crate::harness::App;
use crate::world::{client, reseller, text};
use chrono::Duration;
use serde_json::{Value, json};

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// 50 and all contributions, in thousandths.
fn adds_up_to(health: &Value) -> i64 {
    let milli = |value: &Value| (number(value) * 1000.0).round() as i64;
    50_000 + health["contributions"].as_array().unwrap().iter().map(|c| milli(&c["contribution"])).sum::<i64>()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_travels_from_the_partner_to_the_vendors_channel_view() {
    let app = App::start().await;
    let (_, staff) = app.found("株式会社カンリ").await;
    let top = text(&app.post(&staff, "/v1/partners", &json!({ "external_id": "D1", "name": "東日本ディストリビューション", "kind": "distributor" })).await.expect(201)["id"]);
    let partner = json!({ "external_id": "R1", "name": "株式会社ひかり販売", "kind": "reseller", "parent_id": top });
    let reseller = text(&app.post(&staff, "/v1/partners", &partner).await.expect(201)["id"]);
    let (_, distributor) = client(&app, &staff, &top, &[]).await;
    let (_, portal) = client(&app, &staff, &reseller, &[]).await;

    // Step 2: customers, subscriptions, a report, and health in the reply.
    let customer = json!({ "external_id": "K-0042", "name": "株式会社青葉製作所", "corporate_number": "１１８０３０１－０１８７７１", "touch_model": "high", "region": "東北" });
    let created = app.post(&portal, "/v1/customers", &customer).await;
    assert_eq!(created.header("etag"), "\"1\"");
    let created = created.expect(201);
    assert_eq!(created["corporate_number"], "1180301018771");
    let id = text(&created["id"]);
    assert_eq!(app.post(&portal, "/v1/customers", &customer).await.expect(200)["version"], 1);
    let renamed = json!({ "external_id": "K-0042", "name": "青葉製作所株式会社" });
    let renamed = app.post(&portal, "/v1/customers", &renamed).await.expect(200);
    assert_eq!((&renamed["version"], &renamed["region"]), (&json!(2), &json!("東北")), "what is left out stays");
    let subscription = json!({ "external_id": "S-7", "customer_external_id": "K-0042", "product": "Kanri Cloud", "seats": 20, "amount_minor": 100_000,
        "currency": "JPY", "period_months": 1, "starts_on": "2026-04-01", "renews_on": "2027-04-01", "vendor_ref": "KC-9" });
    app.post(&portal, "/v1/subscriptions", &subscription).await.expect(201);
    let report = json!({ "customer_external_id": "K-0042", "period_end": "2026-11-20", "declared_band": "watch", "comment": "工場長が交代。\n利用は横ばい。",
        "observations": [{ "measure": "adoption", "value": 72 }, { "measure": "csat", "value": 35 }] });
    let first = app.post(&portal, "/v1/status-reports", &report).await.expect(201);
    assert_eq!((&first["revision"], &first["outcome"]), (&json!(1), &json!("created")));
    let health = &first["health"];
    assert_eq!((&health["band"], &health["view"], &health["scored_for"]), (&json!("watch"), &json!("shared"), &json!("2026-11-22")));
    assert_eq!(adds_up_to(health), (number(&health["score"]) * 1000.0).round() as i64);
    assert!(number(&health["interval"]["low"]) < number(&health["score"]) && number(&health["score"]) < number(&health["interval"]["high"]));
    assert_eq!(health["missing"], json!(["seats_used", "support_load", "sentiment"]));
    assert_eq!(health["next_report_due_on"], "2026-12-20", "30 days after the last day spoken of, for high touch");

    // Step 3: a retry changes nothing; with a key it is the same to the byte; a correction is the next revision.
    let again = app.post(&portal, "/v1/status-reports", &report).await.expect(200);
    assert_eq!((&again["id"], &again["outcome"]), (&first["id"], &json!("unchanged")));
    let corrected = json!({ "customer_external_id": "K-0042", "period_end": "2026-11-20", "declared_band": "healthy", "observations": [{ "measure": "adoption", "value": 90 }] });
    let key = [("idempotency-key", "\"7d1f\"")];
    let second = app.post_with(&portal, "/v1/status-reports", &corrected, &key).await;
    let replay = app.post_with(&portal, "/v1/status-reports", &corrected, &[("idempotency-key", "7d1f")]).await;
    assert_eq!((&replay.bytes, replay.status, replay.header("idempotency-replayed")), (&second.bytes, second.status, "true"));
    let second = second.expect(201);
    assert_eq!((&second["revision"], &second["outcome"]), (&json!(2), &json!("updated")));
    assert!(second["health"]["missing"].as_array().unwrap().contains(&json!("csat")), "what the correction leaves out is gone");
    let stale = json!({ "customer_external_id": "K-0042", "period_end": "2026-11-20", "declared_band": "at_risk", "replaces": first["id"] });
    assert_eq!(app.post(&portal, "/v1/status-reports", &stale).await.problem().1, "state-conflict");
    assert_eq!(app.count("SELECT count(*) FROM todoku.status_report").await, 2);

    // Step 5: the vendor's telemetry; the partner sees neither it nor its effect.
    let before = app.get(&portal, &format!("/v1/customers/{id}/health/explanation")).await;
    let seen = json!({ "subscription_vendor_ref": "KC-9", "measure": "seats_used", "value": 5, "observed_at": "2026-11-21T00:00:00Z" });
    app.post(&staff, "/v1/observations", &seen).await.expect(201);
    app.post(&staff, "/v1/observations", &seen).await.expect(200);
    app.settle().await;
    let after = app.get(&portal, &format!("/v1/customers/{id}/health/explanation")).await;
    assert_eq!(before.bytes, after.bytes);
    let full = app.get(&staff, &format!("/v1/customers/{id}/health")).await.expect(200);
    let shared = app.get(&staff, &format!("/v1/customers/{id}/health?view=shared")).await.expect(200);
    assert!(number(&full["score"]) < number(&shared["score"]), "{full} {shared}");
    assert_eq!(app.get(&portal, &format!("/v1/customers/{id}/health?view=full")).await.problem().1, "invalid-parameter");
    assert!(full["contributions"].as_array().unwrap().iter().any(|c| c["measure"] == "seats_used"));

    // Step 6: the channel view, the at-risk list, an explanation that adds up.
    let channels = app.get(&staff, "/v1/insights/channels").await.expect(200);
    let of = |id: &str| channels["data"].as_array().unwrap().iter().find(|c| c["partner_id"] == id).unwrap().clone();
    assert_eq!(of(&reseller)["own"]["customers"], 1);
    assert_eq!(of(&reseller)["own"]["value_minor"], 1_200_000, "12 months of 100,000");
    assert_eq!((&of(&top)["own"]["customers"], &of(&top)["rolled_up"]["customers"]), (&json!(0), &json!(1)));
    assert_eq!(of(&top)["rolled_up"]["mean_health"], full["score"]);
    assert_eq!(channels["total"]["known_share"], json!({ "count": 1.0, "value": 1.0 }));
    let explanation = app.get(&staff, &format!("/v1/customers/{id}/health/explanation")).await.expect(200);
    assert_eq!(explanation["sum"], explanation["score"]);
    assert_eq!(adds_up_to(&explanation), (number(&explanation["score"]) * 1000.0).round() as i64);
    let list = app.get(&staff, "/v1/insights/at-risk").await.expect(200);
    assert_eq!(list["data"][0]["customer_id"].as_str(), (full["band"] == "at_risk").then_some(id.as_str()));

    // Step 7: the distributor sees what the link allows, and cannot write it.
    assert_eq!(app.get(&distributor, &format!("/v1/customers/{id}")).await.expect(200)["name"], "青葉製作所株式会社");
    assert_eq!(app.patch(&distributor, &format!("/v1/customers/{id}"), "*", &json!({ "name": "x" })).await.problem().1, "read-only-here");
    let mine = app.get(&distributor, "/v1/insights/channels").await.expect(200);
    assert_eq!(mine["total"]["customers"], 1);
    assert_eq!(mine["total"]["mean_health"], shared["score"], "a distributor sees the shared view");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_answers_every_row_in_order() {
    let app = App::start().await;
    let (_, staff) = app.found("Vendor").await;
    let (_, portal) = reseller(&app, &staff, "R1").await;
    for i in 0..20 {
        app.post(&portal, "/v1/customers", &json!({ "external_id": format!("K{i}"), "name": format!("お客様{i}") })).await.expect(201);
    }
    let row = |i: usize| match i {
        100 => json!({ "customer_external_id": "nobody", "period_end": "2026-11-20" }),
        200 => json!({ "customer_external_id": "K1", "period_end": "2026-11-20", "observations": [{ "measure": "adoption", "value": "high" }], "extra": 1 }),
        300 => json!({ "customer_external_id": "K1", "period_end": "2027-11-20" }),
        _ => {
            json!({ "customer_external_id": format!("K{}", i % 20), "external_id": format!("r{i}"), "period_end": "2026-11-20", "observations": [{ "measure": "adoption", "value": i % 100 }] })
        }
    };
    let batch = json!({ "reports": (0..2000).map(row).collect::<Vec<_>>() });
    let counts = |answer: &Value| answer["counts"].clone();
    let dry = app.post(&portal, "/v1/status-reports/batch?dry_run=true", &batch).await.expect(200);
    assert_eq!(counts(&dry), json!({ "created": 1997, "updated": 0, "unchanged": 0, "rejected": 3 }));
    assert_eq!(app.count("SELECT count(*) FROM todoku.status_report").await, 0, "a dry run leaves nothing");
    let refused = app.post(&portal, "/v1/status-reports/batch?atomic=true", &batch).await;
    assert_eq!((refused.problem().0, refused.problem().1), (422, "batch-rejected".into()));
    assert!(refused.problem().2.contains(&("/reports/100/customer_external_id".into(), "reference-not-found".into())), "{:?}", refused.problem());
    assert_eq!(app.count("SELECT count(*) FROM todoku.status_report").await, 0, "all or nothing");

    let answer = app.post(&portal, "/v1/status-reports/batch", &batch).await.expect(200);
    assert_eq!(counts(&answer), counts(&dry));
    let results = answer["results"].as_array().unwrap();
    assert!(results.iter().enumerate().all(|(i, result)| result["index"] == i));
    assert_eq!(results[100]["rejection"]["code"], "reference-not-found");
    let mut pointers: Vec<&str> = results[200]["rejection"]["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/reports/200/extra", "/reports/200/observations/0/value"]);
    assert_eq!(results[300]["rejection"]["errors"][0]["code"], "in-the-future");
    let again = app.post(&portal, "/v1/status-reports/batch", &batch).await.expect(200);
    assert_eq!(counts(&again), json!({ "created": 0, "updated": 0, "unchanged": 1997, "rejected": 3 }));
    assert_eq!(app.count("SELECT count(*) FROM todoku.status_report").await, 1997);
    assert_eq!(app.count("SELECT count(*) FROM todoku.audit_entry WHERE operation = 'submit_status_report_batch'").await, 1997);
    assert_eq!(app.count("SELECT count(*) FROM todoku.event WHERE type = 'status_report.accepted'").await, 1997);
    // Of several reports for one moment the last word counts: K1's are 1, 21, .., 1981 and row 200, 300 are not among them.
    app.settle().await;
    let health = app.get(&portal, "/v1/customers?external_id=K1").await.expect(200);
    let health = app.get(&portal, &format!("/v1/customers/{}/health/explanation", text(&health["data"][0]["id"]))).await.expect(200);
    let adoption = health["measures"].as_array().unwrap().iter().find(|m| m["measure"] == "adoption").unwrap();
    assert_eq!(adoption["points"], json!(81.0));
    assert_eq!(app.count("SELECT count(*) FROM todoku.event WHERE seq IS NULL").await, 0);
    assert_eq!(app.count("SELECT max(seq) - count(*) FROM todoku.event GROUP BY vendor_id").await, 0, "numbers are dense");
}

#[tokio::test(flavor = "multi_thread")]
async fn days_turn_evidence_fades_and_closes_are_kept() {
    let app = App::start().await;
    let (_, staff) = app.found("Vendor").await;
    let (_, portal) = reseller(&app, &staff, "R1").await;
    app.settle().await;
    let id = text(&app.post(&portal, "/v1/customers", &json!({ "external_id": "K", "name": "K" })).await.expect(201)["id"]);
    app.post(&portal, "/v1/status-reports", &json!({ "customer_id": id, "period_end": "2026-11-22", "declared_band": "at_risk" })).await.expect(201);
    app.settle().await;
    let coverage = async |day: i64| {
        let row = app.ask(&format!("SELECT coverage, scored_for - date '2026-11-22', band FROM todoku.health_score WHERE customer_id = (SELECT id FROM todoku.customer) AND audience = 'vendor' AND {day} = {day}")).await;
        (row[0][0].clone().unwrap(), row[0][1].clone().unwrap(), row[0][2].clone().unwrap())
    };
    // One opinion of six equal measures: 0.6 / 6.
    assert_eq!(coverage(0).await, ("100".into(), "0".into(), "unknown".into()));
    for day in 1..=31 {
        app.clock.turn_to(crate::harness::noon() + Duration::days(day));
        app.settle().await;
        app.settle().await;
    }
    // 0.6 * 2^(-31/45) / 6.
    assert_eq!(coverage(31).await, ("62".into(), "31".into(), "unknown".into()));
    assert_eq!(app.count("SELECT count(DISTINCT closed_on) FROM todoku.cell_close WHERE audience = 'vendor'").await, 31, "each day closed once");
    assert_eq!(app.count("SELECT count(*) FROM ops.job").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lives_three_hundred_seconds_and_five_more() {
    let app = App::start().await;
    let (_, staff) = app.found("Vendor").await;
    for (seconds, status) in [(304, 200), (306, 401), (-4, 200), (-6, 401)] {
        app.clock.turn_to(crate::harness::noon() + Duration::seconds(seconds));
        let reply = app.get(&staff, "/v1/customers").await;
        assert_eq!(reply.status.as_u16(), status, "{seconds} s after it was made");
        assert_eq!(reply.header("www-authenticate").contains("invalid_token"), status == 401);
    }
    assert_eq!(app.send("GET", "/v1/customers", &[], None).await.header("www-authenticate"), "Bearer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_client_and_a_suspended_partner_are_refused() {
    let app = App::start().await;
    let (_, staff) = app.found("Vendor").await;
    let (partner, _) = reseller(&app, &staff, "R1").await;
    let (id, portal) = client(&app, &staff, &partner, &[]).await;
    let (_, second) = client(&app, &staff, &partner, &[]).await;
    app.get(&portal, "/v1/customers").await.expect(200);
    let bearer = format!("Bearer {staff}");
    let revoked = app.send("DELETE", &format!("/v1/partners/{partner}/clients/{id}"), &[("authorization", &bearer)], None).await;
    assert_eq!(revoked.status, 204);
    assert_eq!(app.get(&portal, "/v1/customers").await.problem().1, "unauthenticated");
    app.get(&second, "/v1/customers").await.expect(200);
    let etag = app.get(&staff, &format!("/v1/partners/{partner}")).await.header("etag").to_owned();
    app.patch(&staff, &format!("/v1/partners/{partner}"), &etag, &json!({ "state": "suspended" })).await.expect(200);
    assert_eq!(app.get(&second, "/v1/customers").await.problem().1, "tenant-suspended");
    assert_eq!(app.patch(&staff, &format!("/v1/partners/{partner}"), &etag, &json!({ "state": "active" })).await.problem().1, "precondition-failed");
}
