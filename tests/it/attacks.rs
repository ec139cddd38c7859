//! The attacks of SECURITY (d) with the exact answer each must get: status, problem code, the places it names, the headers of
//! the row, and nothing changed. What belongs here: a row of that table which one caller can try.
//!
//! Elsewhere: 49, 51, 52, of the connection itself: wire.rs; 1, 2, 3, 8, 9, 11, 12 of every operation, and 20: matrix.rs; 16-19, 21-24, 26 token by token, and what is in no log:
//! forged_tokens.py; 23, 25: forged_assertions.py; 13, 33 with their replays: idempotency.rs; 34 as a storm: races.rs. Not in the
//! product: 10, 28, 29, 50, 54, 56-60; 55: snapshot.rs.

use crate::harness::{App, Reply, shared};
use crate::world::{World, text};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::fmt::Debug;
use std::time::Duration;

pub const JSON: (&str, &str) = ("content-type", "application/json");

/// A refusal, whole: status, code and the places it names, in the form of a problem.
#[track_caller]
pub fn refused(reply: &Reply, status: u16, code: &str, at: &[&str], what: impl Debug) {
    let ((got, slug, fields), body) = (reply.problem(), reply.json());
    let places: Vec<&str> = fields.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!((got, slug.as_str(), places.as_slice()), (status, code, at), "{what:?}: {}", String::from_utf8_lossy(&reply.bytes));
    assert_eq!((reply.header("content-type"), reply.header("cache-control")), ("application/problem+json", "no-store"), "{what:?}");
    let of_iana = ["quota-exceeded", "overloaded"].contains(&code);
    assert!(
        body["type"].as_str().is_some_and(|kind| if of_iana {
            kind.starts_with("https://iana.org/assignments/http-problem-types#")
        } else {
            kind.ends_with(&format!("/problems/{code}"))
        }),
        "{what:?}: {}",
        body["type"]
    );
    assert_eq!((body["status"].as_u64(), body["request_id"].as_str()), (Some(u64::from(status)), Some(reply.header("x-request-id"))), "{what:?}");
}

/// Rows and versions of all that a request could have changed, as one number.
pub async fn held(app: &App) -> i64 {
    let tables = ["partner", "principal", "customer", "subscription", "measure", "scorecard", "status_report", "observation", "event", "audit_entry", "idempotency"];
    let rows = tables.map(|table| format!("(SELECT count(*) FROM todoku.{table})")).join(" + ");
    app.count(&format!("SELECT {rows} + (SELECT coalesce(sum(version), 0) FROM todoku.customer) + (SELECT sum(version) FROM todoku.partner)")).await
}

pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// The last letters of a secret (SECURITY c.1): its CRC-32 in base 62.
fn check_digits(body: &str) -> String {
    let letters = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let crc = crc32fast::hash(body.as_bytes());
    (0..6).rev().map(|place| char::from(letters[(crc / 62u32.pow(place) % 62) as usize])).collect()
}

/// Asks for a token.
async fn grant(app: &App, client: &str, secret: &str, form: &str, more: &[(&str, &str)]) -> Reply {
    let basic = format!("Basic {}", STANDARD.encode(format!("{client}:{secret}")));
    let mut headers = vec![("authorization", basic.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    headers.extend(more);
    app.send("POST", "/oauth/token", &headers, Some(form.as_bytes().to_vec())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_partner_is_alone_with_its_ids_and_only_the_vendor_is_the_vendor() {
    let world = World::make().await;
    let (app, near, stranger) = (&world.app, world.of("near"), world.of("stranger"));
    let before = held(app).await;
    // 11, whatever the body says; 14.
    for path in ["/v1/partners", "/v1/measures", "/v1/scorecards", "/v1/currency-rates", &format!("/v1/scorecards/{}/activate", world.scorecard)] {
        refused(&app.post(&near.token, path, &json!({ "x": 1 })).await, 403, "insufficient-scope", &[], path);
    }
    for (list, column) in [("customers", "sort"), ("customers", "vendor_id"), ("subscriptions", "vendor_ref"), ("insights/at-risk", "audience"), ("insights/at-risk", "sort")] {
        refused(&app.get(&near.token, &format!("/v1/{list}?{column}=score")).await, 400, "invalid-parameter", &[column], list);
    }
    refused(&app.get(&near.token, &format!("/v1/customers/{}/health?view=full", near.customer)).await, 400, "invalid-parameter", &[], 14);
    // 6.
    let new = json!({ "external_id": "N-1", "name": "名前" });
    for member in ["partner_id", "vendor_id", "partner"] {
        let mut body = new.clone();
        body[member] = json!(stranger.partner);
        refused(&app.post(&near.token, "/v1/customers", &body).await, 422, "validation-failed", &[&format!("/{member}")], member);
    }
    assert_eq!(held(app).await, before, "nothing changed");
    let claims = ["x-partner", "x-partner-id", "x-vendor-id"].map(|name| (name, stranger.partner.as_str()));
    let mine = app.post_with(&near.token, "/v1/customers", &new, &claims).await.expect(201);
    assert_eq!(text(&mine["partner_id"]), near.partner);
    // 4, 5, 31: without a key, a partner's own id protects its retry, and its alone.
    let theirs = app.post(&stranger.token, "/v1/customers", &new).await.expect(201);
    assert_eq!(app.post(&near.token, "/v1/customers", &new).await.expect(200), mine, "unchanged");
    let changed = app.post(&near.token, "/v1/customers", &json!({ "external_id": "N-1", "name": "別の名前" })).await.expect(200);
    assert_eq!((&changed["id"], &changed["version"]), (&mine["id"], &json!(2)));
    assert_eq!(app.get(&stranger.token, &format!("/v1/customers/{}", text(&theirs["id"]))).await.expect(200), theirs, "as it was");
    assert_eq!(app.count("SELECT count(*) FROM todoku.customer WHERE external_id = 'N-1'").await, 2);
    // 7.
    let rows = |row: fn(&str, usize) -> Value| -> Vec<Value> { [near, stranger, near].iter().enumerate().map(|(n, whose)| row(&whose.customer, n)).collect() };
    let reports = rows(|id, n| json!({ "customer_id": id, "external_id": format!("B-{n}"), "period_end": format!("2026-11-1{n}") }));
    let observations = rows(|id, n| json!({ "customer_id": id, "measure": "csat", "value": n, "observed_at": format!("2026-11-1{n}T00:00:00Z") }));
    let outcomes = rows(|id, n| json!({ "customer_id": id, "kind": "renewed", "occurred_on": format!("2026-10-1{n}") }));
    let batches =
        [("status-reports", "reports", "status_report", reports), ("observations", "observations", "observation", observations), ("outcomes", "outcomes", "outcome", outcomes)];
    for (path, member, table, rows) in batches {
        let (body, at, count) = (json!({ member: rows }), format!("/{member}/1/customer_id"), format!("SELECT count(*) FROM todoku.{table}"));
        let (before, there) = (held(app).await, app.count(&count).await);
        refused(&app.post(&near.token, &format!("/v1/{path}/batch?atomic=true"), &body).await, 422, "batch-rejected", &[at.as_str()], path);
        assert_eq!(held(app).await, before, "nothing applied");
        let done = app.post(&near.token, &format!("/v1/{path}/batch"), &body).await.expect(200);
        let row = &done["results"][1];
        assert_eq!(done["counts"], json!({ "created": 2, "updated": 0, "unchanged": 0, "rejected": 1 }), "{path}");
        assert_eq!([&row["outcome"], &row["rejection"]["code"], &row["rejection"]["errors"][0]["pointer"]], [&json!("rejected"), &json!("reference-not-found"), &json!(at)]);
        assert_eq!(app.count(&count).await, there + 2, "the others applied");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_one_partners_for_one_request_and_a_change_names_the_version_it_saw() {
    let world = World::make().await;
    let (app, near, stranger) = (&world.app, world.of("near"), world.of("stranger"));
    let (new, before) = (json!({ "external_id": "X-1", "name": "n" }), held(app).await);
    // 32.
    let long = "k".repeat(256);
    for keys in [&["a\tb"][..], &["a b"], &["\"\""], &[""], &[long.as_str()], &["k", "k"]] {
        let headers: Vec<(&str, &str)> = keys.iter().map(|key| ("idempotency-key", *key)).collect();
        refused(&app.post_with(&near.token, "/v1/customers", &new, &headers).await, 400, "idempotency-key-invalid", &[], keys);
    }
    // 35.
    let (one, partner, card) = (format!("customers/{}", near.customer), format!("partners/{}", near.partner), format!("scorecards/{}/activate", world.scorecard));
    for (token, method, path) in [(&near.token, "PATCH", one), (&world.staff, "PATCH", partner), (&world.staff, "POST", card)] {
        let (token, path, body) = (bearer(token), format!("/v1/{path}"), || (method == "PATCH").then(|| b"{\"name\":\"n\"}".to_vec()));
        refused(&app.send(method, &path, &[("authorization", &token), JSON], body()).await, 428, "precondition-required", &[], &path);
        for stale in ["\"99\"", "W/\"1\"", "1"] {
            refused(&app.send(method, &path, &[("authorization", &token), JSON, ("if-match", stale)], body()).await, 412, "precondition-failed", &[], &path);
        }
    }
    assert_eq!(held(app).await, before, "nothing changed");
    // 33, 13.
    let key = [("idempotency-key", "k-1")];
    app.post_with(&near.token, "/v1/customers", &new, &key).await.expect(201);
    let before = held(app).await;
    let bent = app.post_with(&near.token, "/v1/customers", &json!({ "external_id": "X-1", "name": "m" }), &key).await;
    refused(&bent, 422, "idempotency-key-reused", &[], 33);
    assert_eq!(held(app).await, before, "nothing changed");
    let first = app.post_with(&stranger.token, "/v1/customers", &new, &key).await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (201, ""));
    // 34: the first one, which has not ended, holds the key in its transaction; a batch waits no longer than one.
    let (holder, wire) = shared().await.cluster.superuser(&app.database).connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(wire);
    let claim = "BEGIN; INSERT INTO todoku.idempotency (vendor_id, caller_id, route, method, key, partner_id, fingerprint, expires_at)
        SELECT vendor_id, caller_id, unnest(ARRAY[route, '/v1/status-reports/batch']), method, 'k-2', partner_id, fingerprint, expires_at FROM todoku.idempotency WHERE key = 'k-1'";
    holder.batch_execute(claim).await.unwrap();
    let reports = json!({ "reports": [{ "customer_id": near.customer, "external_id": "B", "period_end": "2026-11-20" }] });
    let (before, key) = (held(app).await, [("idempotency-key", "k-2")]);
    // It ends after three seconds: who waited longer than 1.5 would be first after all.
    let ends = tokio::spawn(async move { holder.batch_execute("SELECT pg_sleep(3); ROLLBACK").await });
    let paths = [("/v1/customers", &new), ("/v1/status-reports/batch", &reports)];
    for busy in join_all(paths.iter().map(|(path, body)| app.post_with(&near.token, path, body, &key))).await {
        refused(&busy, 409, "idempotency-in-progress", &[], 34);
        assert_eq!(busy.header("retry-after"), "1");
    }
    assert_eq!(held(app).await, before, "nothing changed");
    ends.await.unwrap().unwrap();
    app.post_with(&near.token, "/v1/customers", &new, &key).await.expect(200);
    app.post_with(&near.token, "/v1/status-reports/batch", &reports, &key).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_strict_json_of_known_members_in_their_form() {
    let world = World::make().await;
    let (app, token) = (&world.app, bearer(&world.of("near").token));
    let before = held(app).await;
    let send = async |path: &str, body: &[u8]| app.send("POST", path, &[("authorization", &token), JSON], Some(body.to_vec())).await;
    let shown = |body: &[u8]| String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
    // 36, 37, 38, 39: no JSON.
    let words = r#"; ;{;{"a":1,};{'a':1};/**/{};{} x;{}{};{"a":1,"a":2};{"x":{"b":1,"b":2}};[[{"b":1,"\u0062":2}]];{"external_id":"a","\u0065xternal_id":"b","name":"n"}
        ;{"a":"\ud800"};{"a":"\udc00\ud800"};{"\ud800":1};{"a":1e400};{"a":-1e400};{"a":NaN};{"a":Infinity};{"a":01};{"a":1.};{"a":.5};{"a":+1};{"a":0x1}"#;
    let bytes: [&[u8]; 6] = [b"{}\0", b"\xef\xbb\xbf{}", b"{\"a\":\"\xff\"}", b"{\"a\":\"\xc0\xaf\"}", b"{\"\xed\xa0\x80\":1}", b"{\"a\":\"\n\"}"];
    let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
    let deep = [nested(17), b"[".repeat(200_000), b"{\"x\":".repeat(17)];
    for body in words.split(';').map(str::as_bytes).chain(bytes).chain(deep.iter().map(Vec::as_slice)) {
        let answer = send("/v1/customers", body).await;
        // Where in it, the parser's own tests say.
        let at = answer.problem().2;
        assert!(at.len() == 1 && ["malformed", "duplicate"].contains(&at[0].1.as_str()), "{}: {at:?}", shown(body));
        refused(&answer, 400, "malformed-request", &[&at[0].0], shown(body));
    }
    // 39, 40: JSON of another form, and the deepest there may be.
    let named = r#"{"external_id":"a","name":"n","nickname":1}"#;
    let report = r#"{"customer_external_id":"K-1","period_end":"2026-11-20","observations":[{"measure":"csat","value":1,"weight":2}]}"#;
    for (path, body, at) in [("customers", "null", ""), ("customers", "\"x\"", ""), ("customers", named, "/nickname"), ("status-reports", report, "/observations/0/weight")] {
        refused(&send(&format!("/v1/{path}"), body.as_bytes()).await, 422, "validation-failed", &[at], body);
    }
    refused(&send("/v1/customers", &nested(16)).await, 422, "validation-failed", &[""], "16 deep");
    for member in ["seats", "amount_minor", "period_months"] {
        for number in ["9223372036854775808", "18446744073709551616", "1.0", "1e0", "\"1\"", "true", "[]", "{}"] {
            let body = format!("{{\"external_id\":\"S-1\",\"{member}\":{number}}}");
            refused(&send("/v1/subscriptions", body.as_bytes()).await, 422, "validation-failed", &[&format!("/{member}")], &body);
        }
    }
    // 47, 48: not looked into.
    for path in ["/v1/customers", "/v1/status-reports/batch"] {
        for (media, coding) in [("", ""), ("text/plain", ""), ("application/json; charset=utf-16", ""), (JSON.1, "gzip"), (JSON.1, "br")] {
            let given = [("authorization", token.as_str()), ("content-type", media), ("content-encoding", coding)];
            let headers: Vec<(&str, &str)> = given.into_iter().filter(|(_, value)| !value.is_empty()).collect();
            let reply = app.send("POST", path, &headers, Some(b"{".to_vec())).await;
            refused(&reply, 415, "unsupported-media-type", &[], (media, coding));
            assert!(coding.is_empty() || reply.header("accept-encoding") == "identity", "{coding}");
        }
    }
    assert_eq!(held(app).await, before, "nothing changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_deceives() {
    let world = World::make().await;
    let (app, near, staff) = (&world.app, world.of("near"), &world.staff);
    let before = held(app).await;
    // 41: no text at all; 42: no name.
    let never = "\0\u{fffe}\u{ffff}\u{1fffe}\u{fdd0}";
    let marks = "\u{61c}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2060}\u{2066}\u{2067}\u{2068}\u{2069}\u{feff}";
    let (clients, card) = (format!("/v1/partners/{}/clients", near.partner), json!([{ "measure": "csat", "weight": 1 }]));
    let overrides = format!("/v1/customers/{}/overrides", near.customer);
    for (token, path, mut body, member) in [
        (&near.token, "/v1/customers", json!({ "external_id": "z", "name": "n" }), "name"),
        (&near.token, "/v1/customers", json!({ "external_id": "z", "name": "n" }), "external_id"),
        (&near.token, "/v1/customers", json!({ "external_id": "z", "name": "n" }), "segment"),
        (&near.token, "/v1/subscriptions", json!({ "external_id": "S-1" }), "product"),
        (&near.token, "/v1/status-reports", json!({ "customer_external_id": "K-1", "period_end": "2026-11-20" }), "comment"),
        (staff, "/v1/partners", json!({ "external_id": "z", "name": "n", "kind": "reseller" }), "name"),
        (staff, clients.as_str(), json!({ "name": "n" }), "name"),
        (staff, "/v1/measures", json!({ "key": "z", "name_en": "n", "name_ja": "n", "unit": "u", "nature": "figure" }), "name_ja"),
        (staff, "/v1/scorecards", json!({ "name": "n", "measures": card }), "name"),
        (&near.token, "/v1/customers", json!({ "external_id": "z", "name": "n" }), "region"),
        (&near.token, "/v1/subscriptions", json!({ "external_id": "S-1" }), "vendor_ref"),
        (&near.token, "/v1/outcomes", json!({ "customer_external_id": "K-1", "kind": "churned", "occurred_on": "2026-11-01" }), "reason"),
        (staff, overrides.as_str(), json!({ "score": 1, "reason": "r", "expires_on": "2026-12-31" }), "reason"),
        (staff, overrides.as_str(), json!({ "score": 1, "reason": "r", "expires_on": "2026-12-31" }), "evidence_link"),
        (staff, "/v1/partners", json!({ "external_id": "z", "name": "n", "kind": "reseller" }), "tier"),
        (staff, "/v1/snapshots", json!({}), "title"),
        (staff, "/v1/measures", json!({ "key": "z", "name_en": "n", "name_ja": "n", "unit": "u", "nature": "figure" }), "unit"),
        (staff, "/v1/measures", json!({ "key": "z", "name_en": "n", "name_ja": "n", "unit": "u", "nature": "figure" }), "name_en"),
        (staff, "/v1/partners", json!({ "external_id": "z", "name": "n", "kind": "reseller" }), "external_id"),
    ] {
        let in_names = if ["comment", "reason"].contains(&member) { String::new() } else { format!("{marks}\u{e0001}\u{e0041}\u{e007f}") };
        for character in never.chars().chain(in_names.chars()) {
            body[member] = json!(format!("株{character}式"));
            refused(&app.post(token, path, &body).await, 422, "validation-failed", &[&format!("/{member}")], (path, character));
        }
    }
    assert_eq!(held(app).await, before, "nothing changed");
    // 43.
    let upsert = async |id: &str| app.post(&near.token, "/v1/customers", &json!({ "external_id": id, "name": "n" })).await;
    let (composed, decomposed) = (upsert("caf\u{e9}").await.expect(201), upsert("cafe\u{301}").await.expect(200));
    assert_eq!((&decomposed["id"], &decomposed["external_id"]), (&composed["id"], &json!("caf\u{e9}")));
    for another in ["cafe", "CAF\u{c9}", "ｃａｆ\u{e9}", "A1", "a1", "Ａ1"] {
        assert_eq!(upsert(another).await.expect(201)["external_id"], json!(another));
    }
    assert_eq!(app.get(&near.token, "/v1/customers?external_id=cafe%CC%81").await.expect(200)["data"][0]["id"], composed["id"]);
    let partner = |id: &str, name: &str| json!({ "external_id": id, "name": name, "kind": "reseller" });
    app.post(staff, "/v1/partners", &partner("caf\u{e9}", "paypal")).await.expect(201);
    let before = held(app).await;
    refused(&app.post(staff, "/v1/partners", &partner("cafe\u{301}", "paypal")).await, 409, "already-exists", &[], 43);
    // 44: Cyrillic а and р; another vendor's names are its own affair.
    let renamed = app.patch(staff, &format!("/v1/partners/{}", near.partner), "*", &json!({ "name": "раypal" })).await;
    for reply in [renamed, app.post(staff, "/v1/partners", &partner("p2", "раypal")).await] {
        refused(&reply, 422, "confusable-name", &["/name"], 44);
    }
    assert_eq!(held(app).await, before, "nothing changed");
    app.post(&world.other_staff, "/v1/partners", &partner("p2", "раypal")).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_queries_and_methods_have_one_spelling() {
    let world = World::make().await;
    let (app, near) = (&world.app, world.of("near"));
    // 45, 41: as if there were no such customer.
    let random = app.get(&near.token, "/v1/customers/cus_01m7zzzzzzf8x8x8x8x8x8x8x8").await;
    let uuid = app.ask("SELECT id FROM todoku.customer WHERE name LIKE 'near%'").await[0][0].clone().unwrap();
    let (own, upper) = (near.customer.as_str(), near.customer.to_uppercase());
    let spelled = [format!("cus_8{}", &own[5..]), format!("{own}%20"), format!("{own}%00"), format!("{own}%ff")];
    let others = [upper.as_str(), uuid.as_str(), near.partner.as_str(), &own[..29], "cus_", "..%2fpartners", "%2e%2e%2fpartners", "a%2fb", "%00", "%ff"];
    for id in others.into_iter().chain(spelled.iter().map(String::as_str)) {
        let reply = app.get(&near.token, &format!("/v1/customers/{id}")).await;
        refused(&reply, 404, "not-found", &[], id);
        assert_eq!(reply.masked(), random.masked(), "{id}");
    }
    // 46.
    let document = app.send("GET", "/openapi.json", &[], None).await.json();
    let has_limit = |item: &Value| item["get"]["parameters"].as_array().is_some_and(|all| all.iter().any(|parameter| parameter["name"] == "limit"));
    let lists: Vec<&String> = document["paths"].as_object().unwrap().iter().filter(|(_, item)| has_limit(item)).map(|(path, _)| path).collect();
    assert!(lists.len() >= 10, "{lists:?}");
    for list in lists {
        let by = if list.ends_with("/rollup") { "by=segment&" } else { "" };
        for query in ["limit=0", "limit=-1", "limit=1001", "limit=1e9", "limit=", "limit=%2B5", "limit=5&limit=5"] {
            refused(&app.get(&world.staff, &format!("{list}?{by}{query}")).await, 400, "invalid-parameter", &["limit"], (list, query));
        }
    }
    for (name, value) in [("state", "gone"), ("partner", "par_1"), ("updated_after", "yesterday"), ("external_id", "%00"), ("external_id", "%ff")] {
        refused(&app.get(&near.token, &format!("/v1/customers?{name}={value}")).await, 400, "invalid-parameter", &[name], value);
    }
    // 8.
    let cursor = text(&app.get(&near.token, "/v1/customers?limit=1").await.expect(200)["next_cursor"]);
    let bent = format!("{}{}", if cursor.starts_with('A') { 'B' } else { 'A' }, &cursor[1..]);
    for (token, list, cursor) in [(&world.of("stranger").token, "customers", &cursor), (&near.token, "subscriptions", &cursor), (&near.token, "customers", &bent)] {
        refused(&app.get(token, &format!("/v1/{list}?cursor={cursor}")).await, 400, "invalid-cursor", &[], list);
    }
    // 53, before anybody is asked who they are.
    let one = format!("/v1/customers/{own}");
    let only_get = ["/v1/insights/channels", "/v1/insights/at-risk", &format!("{one}/health"), "/openapi.json", "/.well-known/jwks.json", "/problems/not-found"];
    let viewer = ["/docs", "/docs/", "/docs/index.html"].map(|path| (path, "GET"));
    let all = [("/v1/customers", "GET, HEAD, POST"), (one.as_str(), "GET, HEAD, PATCH"), ("/oauth/token", "POST"), ("/v1/outcomes/batch", "POST")]
        .into_iter()
        .chain(viewer)
        .chain(only_get.map(|path| (path, "GET, HEAD")));
    for (path, allow) in all {
        for method in ["DELETE", "PUT", "TRACE", "FOO"] {
            let reply = app.send(method, path, &[], None).await;
            refused(&reply, 405, "method-not-allowed", &[], (method, path));
            assert_eq!(reply.header("allow"), allow, "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_all_that_is_wrong_the_first_in_the_one_order_is_told() {
    let world = World::make().await;
    let (app, near, before) = (&world.app, world.of("near"), held(&world.app).await);
    // SECURITY c.9: the faults in the order of the checks; each round mends one more of them. A blank behind a code points at the whole body.
    let answers = "401 unauthenticated;403 insufficient-scope;415 unsupported-media-type;406 not-acceptable;413 payload-too-large ;400 idempotency-key-invalid;\
        428 precondition-required;404 not-found;400 invalid-parameter sort;400 malformed-request ;422 validation-failed /x;404 not-found;412 precondition-failed";
    for (mended, answer) in answers.split(';').enumerate() {
        let wrong = |fault: usize| mended <= fault;
        let token = bearer(if wrong(1) { &near.read_only } else { &near.token });
        let mut headers = vec![("accept", if wrong(3) { "text/html" } else { "application/json" }), ("idempotency-key", if wrong(5) { "a b" } else { "k" })];
        headers.push(("content-type", if wrong(2) { "text/plain" } else { "application/merge-patch+json" }));
        headers.extend((!wrong(0)).then_some(("authorization", token.as_str())));
        headers.extend((!wrong(6)).then_some(("if-match", "\"99\"")));
        let customer = [("cus_", 7), (world.of("stranger").customer.as_str(), 11)].into_iter().find(|(_, fault)| wrong(*fault)).map_or(near.customer.as_str(), |(id, _)| id);
        let long = "{".repeat(300_000);
        let body = [(long.as_str(), 4), ("{", 9), ("{\"x\":1}", 10)].into_iter().find(|(_, fault)| wrong(*fault)).map_or("{}", |(body, _)| body);
        let path = format!("/v1/customers/{customer}{}", if wrong(8) { "?sort=name" } else { "" });
        let told: Vec<&str> = answer.split(' ').collect();
        refused(&app.send("PATCH", &path, &headers, Some(body.into())).await, told[0].parse().unwrap(), told[1], &told[2..], mended);
    }
    assert_eq!(held(app).await, before, "nothing changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_nobody_learns_nothing() {
    let app = App::start().await;
    let ((founded, staff), (other, _)) = (app.found("Vendor").await, app.found("Other").await);
    let made = app.post(&staff, &format!("/v1/partners/{}/clients", founded.direct), &json!({ "name": "portal" })).await.expect(201);
    let (id, secret, token) = (text(&made["id"]), text(&made["client_secret"]), bearer(&staff));
    let before = held(&app).await;
    // 15, 16, 21, 22.
    let (head, claims) = (staff.split('.').next().unwrap(), staff.split('.').nth(1).unwrap());
    let head = String::from_utf8(URL_SAFE_NO_PAD.decode(head).unwrap()).unwrap().replace("EdDSA", "none");
    let (unsigned, in_query) = (format!("Bearer {}.{claims}.", URL_SAFE_NO_PAD.encode(head)), format!("/v1/customers?access_token={staff}"));
    let (list, bad) = ("/v1/customers", "Bearer error=\"invalid_token\"");
    for (given, path, challenge) in [("", list, "Bearer"), ("", in_query.as_str(), "Bearer"), ("Bearer x", list, bad), (unsigned.as_str(), list, bad)] {
        let headers = [("authorization", given)];
        let reply = app.send("GET", path, if given.is_empty() { &[] } else { &headers[..] }, None).await;
        refused(&reply, 401, "unauthenticated", &[], given);
        assert_eq!(reply.header("www-authenticate"), challenge);
    }
    refused(&app.send("GET", "/v1/customers", &[("authorization", &token), ("authorization", &token)], None).await, 400, "malformed-request", &[], 22);
    // 24.
    let form = "grant_type=client_credentials";
    let wrong = grant(&app, &id, &other.secret, form, &[]).await;
    assert_eq!((wrong.status.as_u16(), &wrong.json()["error"], &wrong.header("www-authenticate")[..6]), (401, &json!("invalid_client"), "Basic "));
    let (nobody, others) = ("prn_01m7zzzzzzf8x8x8x8x8x8x8x8", other.client.to_string());
    // The public id of a secret there is, with another's hidden part and check digits that fit.
    let known = format!("{}{}", &secret[..23], &other.secret[23..66]);
    let bent = format!("{known}{}", check_digits(&known));
    for (client, secret) in
        [(id.as_str(), bent.as_str()), (nobody, secret.as_str()), (nobody, "x"), (id.as_str(), "x"), (id.as_str(), ""), (others.as_str(), secret.as_str()), ("x", secret.as_str())]
    {
        let reply = grant(&app, client, secret, form, &[]).await;
        assert_eq!((&reply.bytes, reply.masked()), (&wrong.bytes, wrong.masked()), "{client}");
    }
    // 26.
    let (beyond, unknown) = (format!("{form}&scope=customers:read+partners:manage"), format!("{form}&scope=everything"));
    let password = "grant_type=password&username=a&password=b";
    for (form, error) in
        [(password, "unsupported_grant_type"), ("grant_type=refresh_token", "unsupported_grant_type"), (beyond.as_str(), "invalid_scope"), (unknown.as_str(), "invalid_scope")]
    {
        let reply = grant(&app, &id, &secret, form, &[]).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"], reply.header("cache-control")), (400, &json!(error), "no-store"), "{form}");
    }
    // 30.
    for (origin, path) in [("https://evil.example", "/v1/customers"), ("null", "/v1/customers"), ("null", "/oauth/token")] {
        let asked = [("origin", origin), ("access-control-request-method", "POST"), ("access-control-request-headers", "authorization")];
        let (preflight, plain) = (app.send("OPTIONS", path, &asked, None).await, app.send("GET", "/openapi.json", &asked[..1], None).await);
        refused(&preflight, 403, "origin-not-allowed", &[], (origin, path));
        let mut names = preflight.headers.keys().chain(plain.headers.keys());
        assert!(names.all(|name| !name.as_str().starts_with("access-control-")), "{origin}");
    }
    assert_eq!(held(&app).await, before, "nothing changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_a_secret_is_slowed_down_and_nobody_else() {
    let slow = [("TODOKU_LIMITS__TOKEN_PER_SECOND", "1"), ("TODOKU_LIMITS__TOKEN_BURST", "5"), ("TODOKU_SERVER__TRUST_FORWARDED_FOR", "true")];
    let app = App::start_with(&slow).await;
    let ((one, _), (two, _)) = (app.found("One").await, app.found("Two").await);
    let (first, second, form) = (one.client.to_string(), two.client.to_string(), "grant_type=client_credentials");
    // 27.
    let (here, there) = ([("x-forwarded-for", "192.0.2.1")], [("x-forwarded-for", "192.0.2.2")]);
    let guesses = join_all((0..50).map(|_| grant(&app, &first, &two.secret, form, &here))).await;
    let (heard, slowed): (Vec<Reply>, Vec<Reply>) = guesses.into_iter().partition(|reply| reply.status == 401);
    // One more is heard for each second that the fifty take.
    assert!(heard.len() >= 5 && slowed.len() >= 25, "{} heard, {} slowed down", heard.len(), slowed.len());
    for reply in &slowed {
        refused(reply, 429, "quota-exceeded", &[], 27);
        assert!((1..=60).contains(&reply.header("retry-after").parse().unwrap_or(0)), "{:?}", reply.headers);
    }
    assert_eq!(grant(&app, &first, &one.secret, form, &there).await.status, 200, "the right secret from elsewhere");
    // From here too, as soon as Retry-After says.
    let told = grant(&app, &first, &one.secret, form, &here).await;
    if told.status == 429 {
        tokio::time::sleep(Duration::from_secs(told.header("retry-after").parse().unwrap())).await;
        assert_eq!(grant(&app, &first, &one.secret, form, &here).await.status, 200, "the right secret from here");
    }
    assert_eq!(grant(&app, &second, &two.secret, form, &here).await.status, 200, "another client from here");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_for_an_address_pays() {
    let slow = [("TODOKU_LIMITS__ADDRESS_PER_SECOND", "1"), ("TODOKU_LIMITS__ADDRESS_BURST", "5"), ("TODOKU_SERVER__TRUST_FORWARDED_FOR", "true")];
    let app = App::start_with(&slow).await;
    for (number, path) in
        ["/openapi.json", "/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/problems/not-found", "/docs/", "/nowhere", "/v1/customers"].iter().enumerate()
    {
        let (here, there) = (format!("192.0.2.{number}"), format!("198.51.100.{number}"));
        let from = [("x-forwarded-for", here.as_str())];
        let replies = join_all((0..50).map(|_| app.send("GET", path, &from, None))).await;
        let refusals: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 429).collect();
        assert!(refusals.len() >= 25 && replies.len() - refusals.len() >= 5, "{path}: {} of 50", refusals.len());
        refused(refusals[0], 429, "quota-exceeded", &[], path);
        assert_eq!(refusals[0].json()["violated-policies"], serde_json::json!(["address"]), "{path}");
        assert_ne!(app.send("GET", path, &[("x-forwarded-for", &there)], None).await.status, 429, "{path}, from elsewhere");
    }
}
