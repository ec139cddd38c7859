//! What clients send that they should not: each gets its answer, and nothing is applied.

use crate::world::World;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn bad_bodies_get_their_answers() {
    let world = World::make().await;
    let (app, near) = (&world.app, world.of("near"));
    let bearer = format!("Bearer {}", near.token);
    let before = app.count("SELECT count(*) FROM todoku.customer").await;
    let send = async |body: &[u8], media: &str| {
        let headers = [("authorization", bearer.as_str()), ("content-type", media)];
        let reply = app.send("POST", "/v1/customers", &headers, Some(body.to_vec())).await;
        (reply.problem().0, reply.problem().1)
    };
    let json = "application/json";
    for (body, media, status, code) in [
        (&b"{\"a\":1,\"a\":2}"[..], json, 400, "malformed-request"),
        (b"{\"external_id\":\"a\",\"\\u0065xternal_id\":\"b\",\"name\":\"n\"}", json, 400, "malformed-request"),
        (b"{} trailing", json, 400, "malformed-request"),
        (b"\xef\xbb\xbf{}", json, 400, "malformed-request"),
        (b"{\"external_id\":\"\\ud800\"}", json, 400, "malformed-request"),
        (b"{\"external_id\":1e400}", json, 400, "malformed-request"),
        (b"", json, 400, "malformed-request"),
        (b"null", json, 422, "validation-failed"),
        (b"[]", json, 422, "validation-failed"),
        (b"{\"external_id\":\"a\\u0000\",\"name\":\"n\"}", json, 422, "validation-failed"),
        (b"{\"external_id\":\"a\",\"name\":\"n\",\"partner_id\":\"par_00000000000000000000000000\"}", json, 422, "validation-failed"),
        ("{\"external_id\":\"a\",\"name\":\"\u{202e}n\"}".as_bytes(), json, 422, "validation-failed"),
        (b"{}", "text/plain", 415, "unsupported-media-type"),
        (b"{}", "application/json; charset=utf-16", 415, "unsupported-media-type"),
    ] {
        assert_eq!(send(body, media).await, (status, code.to_owned()), "{}", String::from_utf8_lossy(body));
    }
    let large = format!("{{\"external_id\":\"{}\"}}", "a".repeat(256 * 1024));
    assert_eq!(send(large.as_bytes(), json).await, (413, "payload-too-large".into()));
    let headers = [("authorization", bearer.as_str()), ("content-type", json), ("content-encoding", "gzip")];
    let packed = app.send("POST", "/v1/customers", &headers, Some(b"{}".to_vec())).await;
    assert_eq!((packed.problem().0, packed.header("accept-encoding")), (415, "identity"));
    for key in ["", "a b", &"k".repeat(256)] {
        let reply = app.post_with(&near.token, "/v1/customers", &json!({ "external_id": "a", "name": "n" }), &[("idempotency-key", key)]).await;
        assert_eq!(reply.problem().1, "idempotency-key-invalid", "{key:?}");
    }
    assert_eq!(app.count("SELECT count(*) FROM todoku.customer").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_paths_queries_and_methods_get_their_answers() {
    let world = World::make().await;
    let (app, near) = (&world.app, world.of("near"));
    for path in [
        "/v1/customers/cus_".to_owned(),
        format!("/v1/customers/{}", near.customer.to_uppercase()),
        format!("/v1/customers/{}", near.partner),
        "/v1/customers/..%2fpartners".into(),
        "/v1/customers/%00".into(),
        "/v1/customers/%ff".into(),
        "/v1/nothing".into(),
        "/".into(),
    ] {
        assert_eq!(app.get(&near.token, &path).await.problem(), (404, "not-found".into(), vec![]), "{path}");
    }
    for query in ["limit=0", "limit=-1", "limit=1001", "limit=1e9", "limit=5&limit=5", "sort=name", "state=gone", "partner=par_1", "updated_after=yesterday"] {
        assert_eq!(app.get(&near.token, &format!("/v1/customers?{query}")).await.problem().1, "invalid-parameter", "{query}");
    }
    assert_eq!(app.get(&near.token, "/v1/customers?cursor=abc").await.problem().1, "invalid-cursor");
    for (method, path, allow) in [("DELETE", "/v1/customers", "GET, HEAD, POST"), ("TRACE", "/v1/measures", "GET, HEAD, POST"), ("FOO", "/v1/insights/channels", "GET, HEAD")] {
        let reply = app.send(method, path, &[("authorization", &format!("Bearer {}", near.token))], None).await;
        assert_eq!((reply.problem().0, reply.header("allow")), (405, allow), "{method} {path}");
    }
    let bearer = format!("Bearer {}", near.token);
    let head = app.send("HEAD", &format!("/v1/customers/{}", near.customer), &[("authorization", &bearer)], None).await;
    assert_eq!((head.status.as_u16(), head.bytes.len(), head.header("etag")), (200, 0, "\"1\""));
    let refused = app.send("GET", "/v1/customers", &[("authorization", &bearer), ("accept", "text/html")], None).await;
    assert_eq!(refused.problem().1, "not-acceptable");
    let path = format!("/v1/customers/{}", near.customer);
    let without = app.send("PATCH", &path, &[("authorization", &bearer), ("content-type", "application/json")], Some(b"{}".to_vec())).await;
    assert_eq!(without.problem(), (428, "precondition-required".into(), vec![]));
    assert_eq!(app.patch(&near.token, &path, "\"99\"", &json!({})).await.problem().1, "precondition-failed");
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
            "/curve",
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

#[tokio::test(flavor = "multi_thread")]
async fn a_partners_name_must_not_deceive() {
    let world = World::make().await;
    let new = |key: &str, name: &str| json!({ "external_id": key, "name": name, "kind": "reseller" });
    world.app.post(&world.staff, "/v1/partners", &new("p1", "paypal")).await.expect(201);
    let (status, code, fields) = world.app.post(&world.staff, "/v1/partners", &new("p2", "раypal")).await.problem();
    assert_eq!((status, code.as_str(), fields), (422, "confusable-name", vec![("/name".into(), "confusable".into())]));
    // Another vendor's names are its own affair.
    world.app.post(&world.other_staff, "/v1/partners", &new("p2", "раypal")).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_http_layer_refuses_smuggling_with_an_empty_body() {
    let world = World::make().await;
    for bytes in [
        &b"GET /v1/customers HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"[..],
        b"GET /v1/customers HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    ] {
        let answer = world.app.raw(bytes);
        assert!(answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
        assert!(answer.ends_with(b"\r\n\r\n"), "{}", String::from_utf8_lossy(&answer));
    }
}
