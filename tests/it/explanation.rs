//! The explanation down to what was said: its inputs make the figures they explain, and a partner's are nothing but what it may see.

use crate::harness::App;
use crate::world::{client, reseller, text};
use chrono::{Duration, NaiveDate};
use serde_json::{Value, json};

/// A vendor with one partner and one customer.
struct Scene {
    app: App,
    founded: todoku::command::Founded,
    staff: String,
    partner: String,
    portal: String,
    customer: String,
}

impl Scene {
    async fn set() -> Self {
        let app = App::start().await;
        let (founded, staff) = app.found("株式会社カンリ").await;
        let (partner, portal) = reseller(&app, &staff, "ひかり販売").await;
        let customer = text(&app.post(&portal, "/v1/customers", &json!({ "external_id": "K-1", "name": "青葉製作所", "state": "active" })).await.expect(201)["id"]);
        app.settle().await;
        // What was founded in one moment is there a moment later.
        app.clock.turn_to(app.clock.now() + Duration::seconds(1));
        Self { app, founded, staff, partner, portal, customer }
    }

    /// Moves the clock; whoever's token has run out signs in again.
    async fn later(&mut self, by: Duration) {
        self.app.clock.turn_to(self.app.clock.now() + by);
        if by > Duration::minutes(4) {
            self.staff = self.app.token(&self.founded.client.to_string(), &self.founded.secret).await;
            self.portal = client(&self.app, &self.staff, &self.partner, &[]).await.1;
        }
    }

    async fn report(&self, day: &str, values: &[(&str, i64)]) {
        let observations: Vec<Value> = values.iter().map(|(measure, value)| json!({ "measure": measure, "value": value })).collect();
        let body = json!({ "customer_external_id": "K-1", "period_end": day, "observations": observations });
        self.app.post(&self.portal, "/v1/status-reports", &body).await.expect(201);
    }

    async fn fact(&self, measure: &str, value: i64, observed_at: Option<&str>) {
        let mut fact = json!({ "customer_id": self.customer, "measure": measure, "value": value });
        if let Some(at) = observed_at {
            fact["observed_at"] = json!(at);
        }
        self.app.post(&self.staff, "/v1/observations", &fact).await.expect(201);
    }

    /// The explanation as text, for comparing bytes.
    async fn explained(&self, token: &str, query: &str) -> String {
        let reply = self.app.get(token, &format!("/v1/customers/{}/health/explanation{query}", self.customer)).await;
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.bytes));
        String::from_utf8(reply.bytes).unwrap()
    }

    /// The explanation, after its inputs were worked through to its figures by nothing but the rule that is published.
    async fn worked(&self, token: &str) -> Value {
        let explained: Value = serde_json::from_str(&self.explained(token, "").await).unwrap();
        let cards = self.app.get(&self.staff, "/v1/scorecards").await.expect(200);
        let card = of(&cards["data"], "id", explained["scorecard_id"].as_str().unwrap()).clone();
        let catalogue = self.app.get(&self.staff, "/v1/measures").await.expect(200);
        let reports = self.app.get(token, &format!("/v1/status-reports?customer={}", self.customer)).await.expect(200);
        let scored_for: NaiveDate = explained["scored_for"].as_str().unwrap().parse().unwrap();
        for measure in explained["measures"].as_array().unwrap() {
            let entry = of(&catalogue["data"], "key", measure["measure"].as_str().unwrap());
            assert_eq!(measure["unit"], entry["unit"]);
            let inputs = measure["inputs"].as_array().unwrap();
            if measure["points"].is_null() {
                assert_eq!((inputs.len(), &measure["inputs_more"]), (0, &json!(0)), "{measure}");
                continue;
            }
            let days: Vec<&str> = inputs.iter().map(|input| input["observed_on"].as_str().unwrap()).collect();
            assert!(days.is_sorted_by(|a, b| a >= b), "newest first: {days:?}");
            assert_eq!(json!(days[0]), measure["newest_on"]);
            let mass = |input: &Value| {
                let source = match (input["evidence"].as_str().unwrap(), entry["nature"].as_str().unwrap()) {
                    ("partner_declared", "figure") => "partner_figure",
                    ("partner_declared", _) => "partner_opinion",
                    _ => "vendor",
                };
                number(&card["source_weights"][source]) * (-number(&input["age_days"]) / number(&measure["half_life_days"])).exp2()
            };
            let all: f64 = inputs.iter().map(mass).sum();
            let mut mean = 0.0;
            for input in inputs {
                let on: NaiveDate = input["observed_on"].as_str().unwrap().parse().unwrap();
                assert_eq!(json!((scored_for - on).num_days()), input["age_days"]);
                assert!(number(&input["age_days"]) <= number(&measure["valid_days"]));
                assert!((mass(input) / all - number(&input["share"])).abs() <= 1e-6, "{input} of {all}");
                mean += mass(input) / all * input["points"].as_f64().unwrap_or(0.0);
                is_found_where_it_was_said(&reports["data"], input);
            }
            let shared_out: f64 = inputs.iter().map(|input| number(&input["share"]) * 1000.0).sum();
            assert!((shared_out - 1000.0).abs() < 1e-6, "{measure}");
            assert!((all.min(1.0) - number(&measure["evidence"])).abs() <= 0.001, "{measure}");
            if measure["curve"]["kind"] != "trend" {
                assert!((mean - number(&measure["points"])).abs() <= 0.001, "{mean}: {measure}");
            }
        }
        explained
    }
}

/// Whoever questions a figure finds the report it was said in.
fn is_found_where_it_was_said(reports: &Value, input: &Value) {
    if input["evidence"] != PARTNER {
        assert!(input.get("report_id").is_none() && input["received_at"].is_string(), "recorded by itself: {input}");
        return;
    }
    let report = of(reports, "id", input["report_id"].as_str().unwrap());
    assert_eq!(report["received_at"], input["received_at"]);
    assert!(reports.as_array().unwrap().iter().all(|other| other["replaces"] != report["id"]), "in the revision that counts: {report}");
    assert!(report["period_end"].as_str() >= input["observed_on"].as_str(), "a day that was not turned counts for the day before");
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

fn of<'a>(list: &'a Value, member: &str, is: &str) -> &'a Value {
    list.as_array().unwrap().iter().find(|item| item[member] == is).unwrap_or_else(|| panic!("no {is} in {list}"))
}

/// What is said to have been said of a measure: when, by whom, and what.
fn told<'a>(explained: &'a Value, measure: &str) -> Vec<(&'a str, &'a str, f64)> {
    let inputs = of(&explained["measures"], "measure", measure)["inputs"].as_array().unwrap();
    inputs.iter().map(|input| (input["observed_on"].as_str().unwrap(), input["evidence"].as_str().unwrap(), number(&input["value"]))).collect()
}

const PARTNER: &str = "partner_declared";
const VENDOR: &str = "vendor_observed";

#[tokio::test(flavor = "multi_thread")]
async fn a_score_is_explained_down_to_what_was_said() {
    let mut scene = Scene::set().await;
    scene.report("2026-10-23", &[("adoption", 40), ("csat", 60), ("sentiment", 70)]).await;
    scene.report("2026-11-20", &[("adoption", 99), ("csat", 80), ("support_load", 10)]).await;
    scene.report("2026-11-20", &[("adoption", 72), ("csat", 80)]).await;
    scene.fact("adoption", 51, Some("2026-11-12T03:00:00Z")).await;
    scene.fact("seats_used", 35, None).await;
    scene.app.settle().await;
    let full = scene.worked(&scene.staff).await;
    let own = scene.worked(&scene.portal).await;
    // The value that was corrected, and the one that was taken back, are among nobody's inputs.
    assert_eq!(told(&full, "adoption"), [("2026-11-20", PARTNER, 72.0), ("2026-11-12", VENDOR, 51.0), ("2026-10-23", PARTNER, 40.0)]);
    assert_eq!(told(&full, "seats_used"), [("2026-11-22", VENDOR, 35.0)]);
    assert_eq!(told(&full, "support_load"), []);
    assert_eq!(told(&own, "adoption"), [("2026-11-20", PARTNER, 72.0), ("2026-10-23", PARTNER, 40.0)]);
    let adoption = of(&own["measures"], "measure", "adoption");
    assert_eq!(adoption["curve"], json!({ "kind": "linear_clamped", "zero": 0.0, "full": 100.0 }));
    assert_eq!((&adoption["half_life_days"], &adoption["valid_days"], &adoption["inputs_more"]), (&json!(45), &json!(365), &json!(0)));
    assert_eq!((&adoption["inputs"][1]["points"], &adoption["inputs"][1]["age_days"]), (&json!(40.0), &json!(30)));

    // What only the vendor knows is among no partner's inputs, and the vendor sees of the shared view what the partner sees, to the byte.
    for measure in own["measures"].as_array().unwrap() {
        assert!(measure["inputs"].as_array().unwrap().iter().all(|input| input["evidence"] == PARTNER), "{measure}");
    }
    let (staff, portal) = (scene.explained(&scene.staff, "").await, scene.explained(&scene.portal, "").await);
    assert_eq!(scene.explained(&scene.staff, "?view=shared").await, portal);
    // What is kept is explained as what is replayed.
    assert_eq!(scene.explained(&scene.staff, "?as_of=2026-11-22").await, staff);
    assert_eq!(scene.explained(&scene.portal, "?as_of=2026-11-22").await, portal);

    // A fact that waits for its job is not in the score, so it is not among its inputs.
    scene.later(Duration::seconds(1)).await;
    scene.fact("csat", 5, None).await;
    assert_eq!(scene.explained(&scene.staff, "").await, staff);
    scene.app.settle().await;
    assert_eq!(told(&scene.worked(&scene.staff).await, "csat")[0], ("2026-11-22", VENDOR, 5.0));
    assert_eq!(scene.explained(&scene.portal, "").await, portal);
    // One of the very moment of the score cannot be told from those the score has seen: then all is worked out anew.
    scene.fact("seats_used", 10, None).await;
    let anew = scene.worked(&scene.staff).await;
    assert_eq!(told(&anew, "seats_used"), [("2026-11-22", VENDOR, 10.0)]);
    assert_eq!(anew["sum"], anew["score"]);
    assert_eq!(scene.explained(&scene.portal, "").await, portal);
    scene.app.settle().await;
    assert_eq!(scene.worked(&scene.staff).await, anew);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_was_not_turned_counts_for_the_day_before() {
    let mut scene = Scene::set().await;
    scene.report("2026-11-22", &[("adoption", 70), ("csat", 70)]).await;
    scene.app.settle().await;
    // Past midnight, and the worker sleeps.
    scene.later(Duration::days(1)).await;
    scene.report("2026-11-23", &[("adoption", 60), ("csat", 70)]).await;
    let kept = scene.worked(&scene.portal).await;
    assert_eq!(kept["scored_for"], "2026-11-22");
    assert_eq!(told(&kept, "adoption"), [("2026-11-22", PARTNER, 60.0), ("2026-11-22", PARTNER, 70.0)]);
    let csat = of(&kept["measures"], "measure", "csat")["inputs"].as_array().unwrap();
    assert!(csat.len() == 2 && csat[0]["report_id"] != csat[1]["report_id"], "who says the same again is told apart: {csat:?}");
    let adoption = of(&kept["measures"], "measure", "adoption");
    assert_eq!((&adoption["points"], &adoption["evidence"]), (&json!(65.0), &json!(1.0)));
    scene.app.settle().await;
    let turned = scene.worked(&scene.portal).await;
    assert_eq!(turned["scored_for"], "2026-11-23");
    assert_eq!(told(&turned, "adoption"), [("2026-11-23", PARTNER, 60.0), ("2026-11-22", PARTNER, 70.0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trend_shows_its_window_and_much_evidence_all_of_it() {
    let mut scene = Scene::set().await;
    let trend = json!({ "kind": "trend", "falling": -10.0, "rising": 10.0, "window_days": 90 });
    let measures = json!([{ "measure": "adoption", "weight": 1, "curve": trend, "half_life_days": 60, "valid_days": 200 }, { "measure": "csat", "weight": 1 }]);
    let card = text(&scene.app.post(&scene.staff, "/v1/scorecards", &json!({ "name": "Trend", "measures": measures })).await.expect(201)["id"]);
    scene.later(Duration::seconds(1)).await;
    scene.app.post_with(&scene.staff, &format!("/v1/scorecards/{card}/activate"), &json!(null), &[("if-match", "*")]).await.expect(200);
    scene.app.settle().await;
    let noon = scene.app.clock.now();
    let said = |measure: &str, days: i64, value: i64| json!({ "customer_id": scene.customer, "measure": measure, "value": value, "observed_at": noon - Duration::days(days) });
    let mut observations: Vec<Value> = [(0, 50), (30, 55), (60, 60), (91, 100)].iter().map(|(days, value)| said("adoption", *days, *value)).collect();
    observations.extend((0..60).map(|days| said("csat", days, days)));
    scene.app.post(&scene.portal, "/v1/observations/batch", &json!({ "observations": observations })).await.expect(200);
    scene.app.settle().await;
    let explained: Value = serde_json::from_str(&scene.explained(&scene.portal, "").await).unwrap();
    let adoption = of(&explained["measures"], "measure", "adoption");
    assert_eq!((&adoption["curve"], &adoption["half_life_days"], &adoption["valid_days"]), (&trend, &json!(60), &json!(200)));
    assert_eq!(adoption["points"], 25.0, "five points lost in thirty days");
    assert_eq!(told(&explained, "adoption").iter().map(|input| input.2).collect::<Vec<_>>(), [50.0, 55.0, 60.0]);
    assert!(adoption["inputs"].as_array().unwrap().iter().all(|input| input["points"].is_null()));
    let csat = of(&explained["measures"], "measure", "csat");
    let values: Vec<f64> = told(&explained, "csat").iter().map(|input| input.2).collect();
    assert_eq!((values, &csat["inputs_more"]), ((0..60).map(f64::from).collect::<Vec<_>>(), &json!(0)));
    let shown: f64 = csat["inputs"].as_array().unwrap().iter().map(|input| number(&input["share"])).sum();
    assert!((shown - 1.0).abs() < 1e-9, "{shown}");
}
