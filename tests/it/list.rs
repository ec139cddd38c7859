//! The past of lists: what they say of a day that closed stays, for whom it was closed, and no longer than it is kept.

use crate::harness::App;
use crate::insight::{customer, report};
use crate::snapshot::next_day;
use crate::world::{client, reseller, text};
use chrono::{Duration, SecondsFormat};
use serde_json::{Value, json};
use todoku::command::Founded;

/// A vendor with three partners on the 24th; the days of the 22nd and 23rd have closed.
struct Scene {
    app: App,
    founded: Founded,
    staff: String,
    /// A partner nobody reports for.
    above: String,
    /// Of K-1, at risk; K-2, unknown; K-3, whose sources disagree; and K-4, which the vendor alone knows to be at risk.
    below: String,
    /// Of X-1, at risk.
    beside: String,
}

impl Scene {
    async fn play() -> Self {
        let app = App::start().await;
        let (founded, staff) = app.found("株式会社カンリ").await;
        let (above, _) = reseller(&app, &staff, "親").await;
        let (below, portal) = reseller(&app, &staff, "子").await;
        let (beside, other) = reseller(&app, &staff, "隣").await;
        // The day before closes over nobody.
        app.settle().await;
        for (portal, id, amount, value) in [
            (&portal, "K-1", 500_000, Some(10)),
            (&portal, "K-2", 300_000, None),
            (&portal, "K-3", 200_000, Some(90)),
            (&portal, "K-4", 900_000, Some(60)),
            (&other, "X-1", 700_000, Some(10)),
        ] {
            customer(&app, portal, id, "関東", "製造業").await;
            assert_eq!(bought(&app, portal, id, amount).await, 201);
            if let Some(value) = value {
                report(&app, portal, id, "2026-11-22", value).await;
            }
        }
        app.settle().await;
        for (id, value) in [("K-3", 10), ("K-4", 0)] {
            seats_in_use(&app, &staff, &portal, id, value).await;
        }
        app.settle().await;
        next_day(&app, &founded).await;
        let staff = next_day(&app, &founded).await;
        Self { app, founded, staff, above, below, beside }
    }

    /// A client of a partner, signed in: tokens do not outlive a day.
    async fn portal(&self, partner: &str) -> String {
        client(&self.app, &self.staff, partner, &[]).await.1
    }

    /// A list as the vendor's staff reads it.
    async fn list(&self, asked: &str) -> Value {
        self.app.get(&self.staff, &format!("/v1/insights/{asked}")).await.expect(200)
    }
}

/// What a customer bought, by now; the answer's status.
async fn bought(app: &App, portal: &str, customer: &str, amount: i64) -> u16 {
    let body = json!({ "external_id": format!("S-{customer}"), "customer_external_id": customer, "product": "Kanri", "amount_minor": amount, "currency": "JPY", "period_months": 12,
        "starts_on": "2026-04-01", "renews_on": "2027-04-01" });
    app.post(portal, "/v1/subscriptions", &body).await.status.as_u16()
}

/// What the vendor's systems see.
async fn seats_in_use(app: &App, staff: &str, portal: &str, customer: &str, value: i64) {
    let found = app.get(portal, &format!("/v1/customers?external_id={customer}")).await.expect(200);
    let fact = json!({ "customer_id": found["data"][0]["id"], "measure": "seats_used", "value": value });
    app.post(staff, "/v1/observations", &fact).await.expect(201);
}

/// The customers of a list, in its order.
fn listed(told: &Value) -> Vec<&str> {
    told["data"].as_array().unwrap().iter().map(|row| row["external_id"].as_str().unwrap()).collect()
}

/// The very answers to some questions.
async fn answers(app: &App, token: &str, asked: &[String]) -> Vec<String> {
    let mut told = Vec::new();
    for path in asked {
        let reply = app.get(token, path).await;
        assert_eq!(reply.status, 200, "{path}");
        told.push(String::from_utf8(reply.bytes).unwrap());
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_of_lists_stays_what_it_was() {
    let mut scene = Scene::play().await;
    let then = scene.app.clock.now().to_rfc3339_opts(SecondsFormat::Micros, true);
    scene.app.clock.turn_to(scene.app.clock.now() + Duration::seconds(90));
    let times = ["as_of=2026-11-23".to_owned(), format!("as_of=2026-11-24&known_at={then}"), format!("known_at={then}")];
    let ask = |list: &str| times.iter().map(|times| format!("/v1/insights/{list}{times}")).collect::<Vec<String>>();
    let (shared, gaps) = ([ask("at-risk?"), ask("at-risk?band=unknown&")].concat(), ask("divergences?"));
    let portal = scene.portal(&scene.below).await;
    let before = (answers(&scene.app, &scene.staff, &shared).await, answers(&scene.app, &scene.staff, &gaps).await, answers(&scene.app, &portal, &shared).await);
    let gap = scene.list("divergences?as_of=2026-11-23").await["data"][1].clone();
    assert_eq!((&gap["external_id"], &gap["since"], &gap["age_days"], &gap["scored_for"]), (&json!("K-3"), &json!("2026-11-22"), &json!(1), &json!("2026-11-23")));
    // Everything changes: what is reported, seen and bought, who is a customer, who looks after a gap, and the tree.
    report(&scene.app, &portal, "K-1", "2026-11-24", 95).await;
    report(&scene.app, &portal, "K-3", "2026-11-24", 10).await;
    seats_in_use(&scene.app, &scene.staff, &portal, "K-4", 60).await;
    for id in ["K-1", "K-2", "K-3", "K-4"] {
        assert_eq!(bought(&scene.app, &portal, id, 1).await, 200);
    }
    scene.app.post(&portal, "/v1/customers", &json!({ "external_id": "K-2", "state": "ended" })).await.expect(200);
    customer(&scene.app, &portal, "K-9", "九州", "小売業").await;
    report(&scene.app, &portal, "K-9", "2026-11-24", 5).await;
    let bearer = format!("Bearer {}", scene.staff);
    let path = format!("/v1/customers/{}/divergence-owner", text(&gap["customer_id"]));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    assert_eq!(scene.app.send("PUT", &path, &headers, Some(br#"{"owner":"east"}"#.to_vec())).await.status, 204);
    let moved = json!({ "parent_id": scene.above, "parent_sees": "customers" });
    scene.app.patch(&scene.staff, &format!("/v1/partners/{}", scene.below), "*", &moved).await.expect(200);
    scene.app.settle().await;
    scene.staff = next_day(&scene.app, &scene.founded).await;
    let portal = scene.portal(&scene.below).await;
    let after = (answers(&scene.app, &scene.staff, &shared).await, answers(&scene.app, &scene.staff, &gaps).await, answers(&scene.app, &portal, &shared).await);
    assert_eq!(after, before);
    assert_eq!(listed(&scene.list("at-risk").await), ["X-1", "K-3", "K-9"]);
    assert_eq!(listed(&scene.list("at-risk?as_of=2026-11-24").await), ["X-1", "K-3", "K-9"]);
    // About 40 points apart, and about 29, now of the same value.
    assert_eq!(listed(&scene.list("divergences").await), ["K-3", "K-4"]);
    // Who may see is as of today; what a customer is called is no part of a closed list.
    let above = scene.portal(&scene.above).await;
    assert_eq!(listed(&scene.app.get(&above, "/v1/insights/at-risk?as_of=2026-11-23").await.expect(200)), ["K-1"]);
    scene.app.post(&portal, "/v1/customers", &json!({ "external_id": "K-1", "name": "改名" })).await.expect(200);
    let renamed = scene.app.get(&portal, "/v1/insights/at-risk?as_of=2026-11-23").await.expect(200);
    assert_eq!((&renamed["data"][0]["name"], &renamed["data"][0]["value_minor"]), (&Value::Null, &json!(500_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_list_is_for_whom_it_was_closed() {
    let scene = Scene::play().await;
    for (partner, at_risk, unknown) in [(&scene.below, vec!["K-1"], vec!["K-2"]), (&scene.beside, vec!["X-1"], vec![]), (&scene.above, vec![], vec![])] {
        let portal = scene.portal(partner).await;
        let told = scene.app.get(&portal, "/v1/insights/at-risk?as_of=2026-11-23").await.expect(200);
        assert_eq!((listed(&told), listed(&told["unknown"])), (at_risk, unknown));
        assert_eq!(scene.app.get(&portal, "/v1/insights/divergences?as_of=2026-11-23").await.problem().1, "insufficient-scope");
    }
    let told = scene.list("at-risk?as_of=2026-11-23").await;
    assert_eq!((listed(&told), listed(&told["unknown"]), &told["on"]), (vec!["K-4", "X-1", "K-1"], vec!["K-2"], &json!("2026-11-23")));
    assert_eq!(listed(&scene.list("divergences?as_of=2026-11-23").await), ["K-4", "K-3"]);
    // What was known before the first close is nothing, before the second the first.
    for list in ["at-risk", "at-risk?band=unknown", "divergences"] {
        let glue = if list.contains('?') { '&' } else { '?' };
        assert_eq!(scene.list(&format!("{list}{glue}as_of=2026-11-22&known_at=2026-11-23T02:59:59Z")).await["data"], json!([]), "{list}");
        let of = async |times: &str| scene.list(&format!("{list}{glue}{times}")).await["data"][0]["scored_for"].clone();
        assert_eq!(of("as_of=2026-11-23").await, "2026-11-23", "{list}");
        assert_eq!(of("as_of=2026-11-23&known_at=2026-11-24T03:00:00Z").await, "2026-11-22", "{list}");
        for (asked, pointer, code) in [
            ("as_of=2026-12-31", "as_of", "in-the-future"),
            ("as_of=2026-01-01", "as_of", "out-of-range"),
            ("known_at=2026-11-24T12:00:00Z", "known_at", "in-the-future"),
            ("known_at=2026-01-01T00:00:00Z", "known_at", "out-of-range"),
        ] {
            let refused = scene.app.get(&scene.staff, &format!("/v1/insights/{list}{glue}{asked}")).await.problem();
            assert_eq!((refused.0, refused.2), (422, vec![(pointer.to_owned(), code.to_owned())]), "{list} {asked}");
        }
    }
    // The database says the same, whatever is asked of it: a partner whose totals alone are seen has no list, and the vendor's view no reader.
    let ids =
        scene.app.ask("SELECT p.vendor_id, p.id, o.id FROM todoku.partner p JOIN todoku.partner o USING (vendor_id) WHERE (p.external_id, o.external_id) = ('子', '隣')").await;
    let [vendor, below, beside] = [0, 1, 2].map(|i| ids[0][i].clone().unwrap());
    let query = format!(
        "BEGIN; SET LOCAL ROLE todoku_partner; SELECT set_config('app.vendor', '{vendor}', true), set_config('app.partner', '{below}', true),
           set_config('app.partners', '{{{below}}}', true), set_config('app.totals', '{{{below},{beside}}}', true);
         SELECT count(*), count(*) FILTER (WHERE audience <> 'shared' OR partner_id <> '{below}') FROM todoku.list_close; ROLLBACK"
    );
    // K-1 and K-2, on two days.
    assert_eq!(scene.app.ask(&query).await.pop().unwrap(), vec![Some("4".to_owned()), Some("0".to_owned())]);
    assert!(
        scene.app.count("SELECT count(*) FROM todoku.list_close WHERE audience = 'vendor' OR partner_id <> (SELECT id FROM todoku.partner WHERE external_id = '子')").await > 4
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_list_is_paged_at_its_point_in_time() {
    let scene = Scene::play().await;
    for (list, all) in [("at-risk?as_of=2026-11-23", vec!["K-4", "X-1", "K-1"]), ("divergences?as_of=2026-11-23", vec!["K-4", "K-3"])] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let reply = scene.app.get(&scene.staff, &format!("/v1/insights/{list}&limit=1{cursor}")).await;
            let page = reply.json();
            assert_eq!(page.get("unknown").is_some(), list.starts_with("at-risk") && cursor.is_empty(), "{list}: beside the first page alone");
            seen.extend(listed(&page).into_iter().map(str::to_owned));
            let Some(next) = page["next_cursor"].as_str() else { break };
            assert!(reply.header("link").contains("as_of=2026-11-23"), "{}", reply.header("link"));
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, all, "{list}");
        let elsewhere = format!("/v1/insights/{}{cursor}", list.replace("11-23", "11-22"));
        assert_eq!(scene.app.get(&scene.staff, &elsewhere).await.problem().1, "invalid-cursor", "a cursor is of its day");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_keeps_the_first_thousand_of_each_list() {
    let app = App::start().await;
    let (founded, staff) = app.found("株式会社カンリ").await;
    let (_, portal) = reseller(&app, &staff, "ひかり販売").await;
    customer(&app, &portal, "K-0", "関東", "製造業").await;
    app.settle().await;
    // 1,030 more of whom nobody has heard, worth 1 to 1,030. The least of them is also one whose sources disagree; the least 25 renew within 180 days, the next a day later.
    app.ask(
        "INSERT INTO todoku.customer SELECT r.* FROM todoku.customer c CROSS JOIN generate_series(1, 1030) AS n
           CROSS JOIN LATERAL jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid(), 'external_id', 'C-' || n)) AS r;
         INSERT INTO todoku.health_score SELECT r.* FROM todoku.health_score h JOIN todoku.customer c ON c.id <> h.customer_id
           CROSS JOIN LATERAL jsonb_populate_record(h, jsonb_build_object('customer_id', c.id, 'value_minor', substr(c.external_id, 3)::int)) AS r;
         UPDATE todoku.health_score SET sources = '[]', divergence = 30000, diverges_since = '2026-11-22', divergence_weight = 30000
           WHERE audience = 'vendor' AND customer_id = (SELECT id FROM todoku.customer WHERE external_id = 'C-1');
         UPDATE todoku.health_score SET renews_on = CASE value_minor WHEN 26 THEN DATE '2027-05-22' ELSE '2027-05-21' END WHERE value_minor BETWEEN 1 AND 26",
    )
    .await;
    let stood = app.get(&staff, "/v1/insights/at-risk").await.expect(200);
    let near: Vec<String> = (6..=25).rev().map(|n| format!("C-{n}")).collect();
    assert_eq!(listed(&stood["unknown"]), near);
    assert_eq!(stood["unknown"]["more"], true);
    let staff = next_day(&app, &founded).await;
    let told = app.get(&staff, "/v1/insights/at-risk?band=unknown&as_of=2026-11-22&limit=1000").await.expect(200);
    let values: Vec<i64> = told["data"].as_array().unwrap().iter().map(|row| row["value_minor"].as_i64().unwrap()).collect();
    assert_eq!(values, (31..=1030).rev().collect::<Vec<i64>>());
    assert_eq!(told.get("next_cursor"), None);
    let gaps = app.get(&staff, "/v1/insights/divergences?as_of=2026-11-22").await.expect(200);
    assert_eq!(listed(&gaps), ["C-1"], "kept for its gap, and by that on no list by value");
    let mut unnamed = stood.clone();
    unnamed["unknown"]["data"].as_array_mut().unwrap().iter_mut().for_each(|row| row["name"] = Value::Null);
    assert_eq!(app.get(&staff, "/v1/insights/at-risk?as_of=2026-11-22").await.expect(200), unnamed, "the unknown beside are those the day showed, whatever they are worth");
    // Beside those at risk as many as are shown and one, of whom `more` tells.
    assert_eq!(app.count("SELECT count(*) FROM todoku.list_close WHERE audience = 'shared'").await, 1021);
    assert_eq!(app.count("SELECT count(*) FROM todoku.list_close WHERE audience = 'vendor'").await, 1022);
}
