//! Published snapshots: the bytes of a closed day, their numbers, and the table made of them.

use crate::harness::App;
use crate::insight::{customer, report, roll_up, subscription};
use crate::world::{reseller, text};
use base64::Engine;
use chrono::Duration;
use futures_util::future::join_all;
use serde_json::{Value, json};
use todoku::command::Founded;
use todoku::kernel::hash::{hex, sha256};

/// On the next day, when what closed is settled; signs the administrator in anew.
pub async fn next_day(app: &App, founded: &Founded) -> String {
    app.clock.turn_to(app.clock.now() + Duration::days(1));
    app.settle().await;
    app.clock.turn_to(app.clock.now() + Duration::seconds(90));
    app.token(&founded.client.to_string(), &founded.secret).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_snapshot_never_changes() {
    let app = App::start().await;
    let (founded, staff) = app.found("株式会社カンリ").await;
    let (partner, portal) = reseller(&app, &staff, "ひかり販売").await;
    customer(&app, &portal, "K-1", "関東", "製造業").await;
    subscription(&app, &portal, "S-1", "K-1", "Kanri", 100_000).await;
    report(&app, &portal, "K-1", "2026-11-22", 80).await;
    app.settle().await;
    let staff = next_day(&app, &founded).await;
    let tried = app.post(&staff, "/v1/snapshots?dry_run=true", &json!({})).await.expect(201);
    assert_eq!(app.get(&staff, &format!("/v1/snapshots/{}", text(&tried["id"]))).await.status, 404);
    let first = app.post_with(&staff, "/v1/snapshots", &json!({ "title": "秋の報告" }), &[("idempotency-key", "autumn")]).await.expect(201);
    let again = app.post_with(&staff, "/v1/snapshots", &json!({ "title": "秋の報告" }), &[("idempotency-key", "autumn")]).await.expect(201);
    assert_eq!((&first["number"], &first["title"], &first["as_of"], &again), (&json!(1), &json!("秋の報告"), &json!("2026-11-22"), &first));
    let path = format!("/v1/snapshots/{}", text(&first["id"]));
    let published = app.get(&staff, &format!("{path}/report")).await;
    let digest = sha256(&published.bytes);
    assert_eq!(hex(&digest), first["sha256"].as_str().unwrap());
    assert_eq!((published.header("content-type"), published.header("etag")), ("application/json", format!("\"{}\"", hex(&digest)).as_str()));
    assert_eq!(published.header("repr-digest"), format!("sha-256=:{}:", base64::engine::general_purpose::STANDARD.encode(&digest)));
    // It says what the past says, by ids and figures, and nothing of names.
    let told = published.json();
    let past = roll_up(&app, &staff, &format!("by=region&as_of=2026-11-22&known_at={}", text(&first["known_at"]))).await;
    assert_eq!((&told["total"], &told["total"]["customers"]), (&past["total"], &json!(1)));
    let channel = told["channels"].as_array().unwrap().iter().find(|channel| channel["partner_id"] == partner.as_str()).unwrap();
    assert_eq!((&channel["scored_for"], &channel["own"]["customers"], &channel["rolled_up"]), (&json!("2026-11-22"), &json!(1), &channel["own"]));
    let groups: Vec<(&str, &str)> = told["groups"].as_array().unwrap().iter().map(|group| (group["by"].as_str().unwrap(), group["group"].as_str().unwrap_or("-"))).collect();
    assert_eq!(groups, [("region", "関東"), ("segment", "製造業"), ("touch_model", "low"), ("product", "Kanri"), ("stage", "active")]);
    let cards = app.get(&staff, "/v1/scorecards").await.expect(200);
    assert_eq!((told["policies"].as_array().unwrap().len(), &told["policies"][0]["scorecard_id"]), (1, &cards["data"][0]["id"]));
    let bytes = String::from_utf8(published.bytes.clone()).unwrap();
    for name in ["ひかり販売", "株式会社", "K-1", "S-1", "秋の報告"] {
        assert!(!bytes.contains(name), "{name}");
    }
    let table = app.get(&staff, &format!("{path}/report?format=csv")).await;
    // Everything changes: the customer, its health, the tree, the policy.
    let portal = crate::world::client(&app, &staff, &partner, &[]).await.1;
    customer(&app, &portal, "K-1", "九州", "小売業").await;
    report(&app, &portal, "K-1", "2026-11-23", 5).await;
    let (above, _) = reseller(&app, &staff, "親").await;
    app.patch(&staff, &format!("/v1/partners/{partner}"), "*", &json!({ "parent_id": above, "name": "改名" })).await.expect(200);
    let card = text(&app.post(&staff, "/v1/scorecards", &json!({ "name": "次", "measures": [{ "measure": "csat", "weight": 1 }] })).await.expect(201)["id"]);
    app.post_with(&staff, &format!("/v1/scorecards/{card}/activate"), &Value::Null, &[("if-match", "*")]).await.expect(200);
    app.settle().await;
    let staff = next_day(&app, &founded).await;
    assert_eq!(app.get(&staff, &format!("{path}/report")).await.bytes, published.bytes);
    assert_eq!(app.get(&staff, &format!("{path}/report?format=csv")).await.bytes, table.bytes);
    assert_eq!(app.get(&staff, &path).await.expect(200), first);
    let second = app.post(&staff, "/v1/snapshots", &json!({})).await.expect(201);
    assert_eq!((&second["number"], &second["as_of"], &second["title"]), (&json!(2), &json!("2026-11-23"), &Value::Null));
    let told = app.get(&staff, &format!("/v1/snapshots/{}/report", text(&second["id"]))).await.json();
    assert_eq!((&told["policies"][0]["scorecard_id"], &told["groups"][0]["group"]), (&json!(card), &json!("九州")));
    // Those who publish at once wait for each other: no number is given twice or left out.
    let whole = json!({});
    let mut numbers = join_all((0..10).map(async |_| app.post(&staff, "/v1/snapshots", &whole).await.expect(201)["number"].as_i64().unwrap())).await;
    numbers.sort_unstable();
    assert_eq!(numbers, (3..=12).collect::<Vec<i64>>());
    let first_page = app.get(&staff, "/v1/snapshots?limit=7").await.expect(200);
    let rest = app.get(&staff, &format!("/v1/snapshots?limit=7&cursor={}", text(&first_page["next_cursor"]))).await.expect(200);
    let listed: Vec<i64> = [first_page, rest].iter().flat_map(|page| page["data"].as_array().unwrap()).map(|row| row["number"].as_i64().unwrap()).collect();
    assert_eq!(listed, (1..=12).rev().collect::<Vec<i64>>());
    assert_eq!(app.count("SELECT count(*) FROM todoku.event WHERE type = 'snapshot.published'").await, 12);
    // The database itself lets nobody change one.
    for role in ["partner", "staff", "worker", "analyst", "auth"] {
        for right in ["UPDATE", "DELETE", "TRUNCATE"] {
            assert_eq!(app.count(&format!("SELECT has_table_privilege('todoku_{role}', 'todoku.snapshot', '{right}')::int")).await, 0, "{role} {right}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_as_a_table_is_inert() {
    let app = App::start().await;
    let (founded, staff) = app.found("株式会社カンリ").await;
    let (_, portal) = reseller(&app, &staff, "ひかり販売").await;
    customer(&app, &portal, "K-1", "=HYPERLINK(1)", "＋1, \"x\"").await;
    customer(&app, &portal, "K-2", "関東", "@SUM(A1)").await;
    app.settle().await;
    let staff = next_day(&app, &founded).await;
    let published = app.post(&staff, "/v1/snapshots", &json!({})).await.expect(201);
    let path = format!("/v1/snapshots/{}/report?format=csv", text(&published["id"]));
    let bearer = format!("Bearer {staff}");
    let table = app.send("GET", &path, &[("authorization", &bearer), ("accept", "text/csv")], None).await;
    assert_eq!(
        (table.status.as_u16(), table.header("content-type"), table.header("content-disposition")),
        (200, "text/csv; charset=utf-8", "attachment; filename=\"snapshot-1.csv\"")
    );
    assert_eq!(table.header("etag"), format!("\"{}\"", hex(&sha256(&table.bytes))));
    let mut reader = csv::Reader::from_reader(table.bytes.strip_prefix("\u{feff}".as_bytes()).unwrap());
    let head: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let at = |name: &str| head.iter().position(|column| column == name).unwrap();
    let lines: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let groups: Vec<(&str, &str, &str)> =
        lines.iter().filter(|line| &line[0] == "group").map(|line| (&line[at("by")], &line[at("group")], &line[at("customers")])).take(4).collect();
    assert_eq!(groups, [("region", "'=HYPERLINK(1)", "1"), ("region", "関東", "1"), ("segment", "'@SUM(A1)", "1"), ("segment", "'＋1, \"x\"", "1")]);
    assert_eq!((&lines[0][0], &lines[0][at("customers")], &lines[0][at("snapshot")]), ("total", "2", "1"));
    for cell in lines.iter().flatten() {
        assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']), "{cell}");
    }
    assert_eq!(app.get(&staff, &path.replace("format=csv", "format=xlsx")).await.problem().2, [("format".to_owned(), "malformed".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_of_days_that_closed_and_of_the_vendor_alone() {
    let app = App::start().await;
    let (founded, staff) = app.found("株式会社カンリ").await;
    for (body, status, pointer, code) in [
        (json!({ "as_of": "2026-11-23" }), 422, "/as_of", "in-the-future"),
        (json!({ "as_of": "2026-11-21" }), 422, "/as_of", "out-of-range"),
        (json!({ "known_at": "2026-11-22T02:59:30Z" }), 422, "/known_at", "in-the-future"),
        (json!({ "as_of": "yesterday" }), 422, "/as_of", "malformed"),
        (json!({ "title": "" }), 422, "/title", "empty"),
        (json!({ "on": "2026-11-22" }), 422, "/on", "unknown-field"),
        (json!({}), 409, "/as_of", "out-of-range"),
    ] {
        let refused = app.post(&staff, "/v1/snapshots", &body).await.problem();
        assert!(refused.0 == status && refused.2.contains(&(pointer.to_owned(), code.to_owned())), "{body}: {refused:?}");
    }
    // A day passed, and nobody was there whose day could close.
    let staff = next_day(&app, &founded).await;
    let refused = app.post(&staff, "/v1/snapshots", &json!({ "as_of": "2026-11-22" })).await.problem();
    assert_eq!((refused.0, refused.1.as_str()), (409, "state-conflict"));
    assert_eq!(app.get(&staff, "/v1/snapshots").await.expect(200), json!({ "data": [] }));
    let nobodys = "/v1/snapshots/snp_01m7zzzzzzf8x8x8x8x8x8x8x8";
    for path in [nobodys.to_owned(), format!("{nobodys}/report"), "/v1/snapshots/7".into()] {
        assert_eq!(app.get(&staff, &path).await.problem().1, "not-found", "{path}");
    }
    let (_, portal) = reseller(&app, &staff, "ひかり販売").await;
    assert_eq!(app.post(&portal, "/v1/snapshots", &json!({})).await.problem().1, "insufficient-scope");
    for path in ["/v1/snapshots".to_owned(), nobodys.to_owned(), format!("{nobodys}/report")] {
        assert_eq!(app.get(&portal, &path).await.problem().1, "insufficient-scope", "{path}");
    }
}
