//! What clients send that they should not: each gets its answer, and nothing is applied.

use crate::world::World;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_404_and_null_clears() {
    let world = World::make().await;
    let (app, near) = (&world.app, world.of("near"));
    for path in ["/v1/nothing", "/"] {
        assert_eq!(app.get(&near.token, path).await.problem(), (404, "not-found".into(), vec![]), "{path}");
    }
    let (path, bearer) = (format!("/v1/customers/{}", near.customer), format!("Bearer {}", near.token));
    let head = app.send("HEAD", &path, &[("authorization", &bearer)], None).await;
    assert_eq!((head.status.as_u16(), head.bytes.len(), head.header("etag")), (200, 0, "\"1\""));
    assert_eq!(app.patch(&near.token, &path, "\"1\"", &json!({ "segment": null })).await.expect(200)["segment"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_values_name_their_places() {
    let world = World::make().await;
    let (app, near) = (&world.app, world.of("near"));
    let cases = [
        ("/v1/status-reports", json!({ "customer_external_id": "K-1", "period_end": "2026-02-30" }), vec![("/period_end", "malformed")]),
        ("/v1/status-reports", json!({ "period_end": "2026-11-01" }), vec![("/customer_external_id", "required")]),
        ("/v1/status-reports", json!({ "customer_external_id": "K-1", "customer_id": near.customer, "period_end": "2026-11-01" }), vec![("/customer_external_id", "one-of")]),
        ("/v1/status-reports", json!({ "customer_external_id": "K-1", "period_end": "2026-11-24" }), vec![("/period_end", "in-the-future")]),
        (
            "/v1/status-reports",
            json!({ "customer_external_id": "K-1", "period_end": "2026-11-01", "period_start": "2026-11-02", "observations": [{ "measure": "nope", "value": 1 }, { "measure": "csat", "value": 1e300 }] }),
            vec![("/period_start", "contradiction"), ("/observations/0/measure", "reference-not-found"), ("/observations/1/value", "out-of-range")],
        ),
        (
            "/v1/observations",
            json!({ "customer_external_id": "K-1", "measure": "csat", "value": 1, "observed_at": "2027-01-01T00:00:00Z" }),
            vec![("/observed_at", "in-the-future")],
        ),
        ("/v1/observations", json!({ "measure": "csat", "value": 1 }), vec![("/customer_external_id", "required")]),
        (
            "/v1/subscriptions",
            json!({ "external_id": "S-2", "customer_external_id": "K-1", "product": "p", "amount_minor": -1, "currency": "JPY", "starts_on": "2026-01-01", "period_months": 0, "seats": 0 }),
            vec![("/seats", "out-of-range"), ("/amount_minor", "out-of-range"), ("/period_months", "out-of-range")],
        ),
        (
            "/v1/subscriptions",
            json!({ "external_id": "S-2" }),
            vec![("/customer_external_id", "required"), ("/product", "required"), ("/amount_minor", "required"), ("/currency", "required"), ("/starts_on", "required")],
        ),
        ("/v1/subscriptions", json!({ "external_id": "S-1", "ends_on": "2020-01-01" }), vec![("/ends_on", "contradiction")]),
    ];
    for (path, body, expected) in cases {
        let (status, _, fields) = app.post(&near.token, path, &body).await.problem();
        let expected: Vec<(String, String)> = expected.into_iter().map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
        assert_eq!((status, fields), (422, expected), "{path} {body}");
    }
    for (path, body, pointer) in [
        ("/v1/scorecards", json!({ "name": "n", "measures": [] }), "/measures"),
        ("/v1/scorecards", json!({ "name": "n", "measures": [{ "measure": "csat", "weight": -1 }] }), "/measures/0/weight"),
        ("/v1/scorecards", json!({ "name": "n", "measures": [{ "measure": "csat", "weight": 0 }] }), "/measures"),
        ("/v1/scorecards", json!({ "name": "n", "measures": [{ "measure": "csat", "weight": 1 }], "bands": { "watch_from": 70, "healthy_from": 60 } }), "/bands/healthy_from"),
        ("/v1/scorecards", json!({ "name": "n", "measures": (0..10_000).map(|i| json!({ "measure": format!("m{i}"), "weight": 1 })).collect::<Vec<_>>() }), ""),
        (
            "/v1/measures",
            json!({ "key": "x", "name_en": "x", "name_ja": "x", "unit": "x", "nature": "figure", "curve": { "kind": "piecewise", "knots": [{ "at": 0, "points": 0 }] } }),
            "/curve/knots",
        ),
        ("/v1/currency-rates", json!({ "currency": "USD", "valid_from": "2026-01-01", "rate": "-1" }), "/rate"),
        ("/v1/currency-rates", json!({ "currency": "JPY", "valid_from": "2026-01-01", "rate": "1" }), "/currency"),
    ] {
        let (status, _, fields) = app.post(&world.staff, path, &body).await.problem();
        if pointer.is_empty() {
            assert!(status == 413 || status == 422, "{status}");
        } else {
            assert_eq!((status, fields[0].0.as_str()), (422, pointer), "{body}");
        }
    }
}
