//! The examples of the API document are answers this server gave: a tour through every operation, compared with
//! `openapi/examples.json` (`bin/test --bless` writes it anew). What differs from run to run - ids, secrets, addresses - is
//! replaced by samples of the same form.

use crate::harness::App;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::path::Path;

struct Tour {
    app: App,
    staff: String,
    portal: String,
    ids: HashMap<String, String>,
    told: Map<String, Value>,
}

impl Tour {
    /// Makes a call as the vendor or as the partner, and keeps it as the operation's example.
    async fn call(&mut self, operation: &str, staff: bool, method: &str, path: &str, body: Option<Value>) -> Value {
        // Ids carry their moment: one second a call, so that lists have one order.
        self.app.clock.turn_to(self.app.clock.now() + chrono::Duration::seconds(1));
        let bearer = format!("Bearer {}", if staff { &self.staff } else { &self.portal });
        let media = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let headers = [("authorization", bearer.as_str()), ("content-type", media), ("if-match", "*")];
        let answer = self.app.send(method, path, &headers, body.as_ref().map(|body| serde_json::to_vec(body).unwrap())).await;
        assert!(answer.status.is_success(), "{operation}: {} {}", answer.status, String::from_utf8_lossy(&answer.bytes));
        self.keep(operation, body, answer.status.as_u16(), answer.json())
    }

    fn keep(&mut self, operation: &str, body: Option<Value>, status: u16, answer: Value) -> Value {
        let mut example = Map::new();
        if let Some(body) = body {
            example.insert("request".into(), self.sample("", body));
        }
        example.insert("status".into(), status.into());
        if !answer.is_null() {
            example.insert("response".into(), self.sample("", answer.clone()));
        }
        self.told.insert(operation.into(), example.into());
        answer
    }

    /// The same value with samples in the place of what differs from run to run.
    fn sample(&mut self, member: &str, value: Value) -> Value {
        match value {
            Value::Object(members) => members.into_iter().map(|(name, inner)| (name.clone(), self.sample(&name, inner))).collect(),
            // One or two are enough to show the form.
            Value::Array(items) => items.into_iter().take(if member == "measures" { 9 } else { 2 }).map(|inner| self.sample(member, inner)).collect(),
            Value::String(text) => match member {
                "access_token" => "eyJhbGciOiJFZERTQSIsImtpZCI6Ii4uLiIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiIuLi4ifQ.c2lnbmF0dXJl".into(),
                "client_secret" => "tdklc_0000000000000000_0000000000000000000000000000000000000000000example".into(),
                "kid" | "x" => "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".into(),
                "next_cursor" => "c2VhbGVk".into(),
                "sha256" => "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
                _ => self.ids.get(&text).cloned().unwrap_or_else(|| self.same_form(text)).into(),
            },
            other => other,
        }
    }

    fn same_form(&mut self, text: String) -> String {
        let base = &self.app.base;
        if text.contains(base.as_str()) {
            return text.replace(base.as_str(), "https://todoku.example");
        }
        let is_id = text.split_once('_').is_some_and(|(prefix, rest)| prefix.len() == 3 && rest.len() == 26 && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        if !is_id {
            return text;
        }
        let sample = format!("{}_01kakw0e00e008000000000{:03}", &text[..3], self.ids.len() + 1);
        self.ids.insert(text, sample.clone());
        sample
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_the_document_are_true() {
    let app = App::start().await;
    let (founded, staff) = app.found("株式会社カンリ").await;
    let mut tour = Tour { app, staff, portal: String::new(), ids: HashMap::new(), told: Map::new() };
    let text = |value: &Value| value.as_str().unwrap().to_owned();

    for (operation, path) in
        [("jwks", "/.well-known/jwks.json"), ("authorization_server_metadata", "/.well-known/oauth-authorization-server"), ("explain_problem", "/problems/validation-failed")]
    {
        let answer = tour.app.send("GET", path, &[], None).await;
        tour.keep(operation, None, answer.status.as_u16(), answer.json());
    }
    let (client, secret) = (founded.client.to_string(), founded.secret.clone());
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let basic = format!("Basic {}", base64(&format!("{client}:{secret}")));
    let answer = tour.app.send("POST", "/oauth/token", &[form[0], ("authorization", &basic)], Some(b"grant_type=client_credentials".to_vec())).await;
    tour.keep("issue_token", Some(json!({ "grant_type": "client_credentials" })), answer.status.as_u16(), answer.json());

    tour.call("list_measures", true, "GET", "/v1/measures", None).await;
    let measure = json!({ "key": "training_done", "name_en": "Training done", "name_ja": "研修の進み", "unit": "%", "nature": "figure", "half_life_days": 45,
        "curve": { "kind": "linear_clamped", "zero": 0, "full": 100 } });
    tour.call("create_measure", true, "POST", "/v1/measures", Some(measure)).await;
    let partner = json!({ "external_id": "R-01", "name": "株式会社ひかり販売", "kind": "reseller", "parent_sees": "customers", "tier": "gold" });
    let partner = text(&tour.call("create_partner", true, "POST", "/v1/partners", Some(partner)).await["id"]);
    tour.call("list_partners", true, "GET", "/v1/partners?limit=2", None).await;
    tour.call("get_partner", true, "GET", &format!("/v1/partners/{partner}"), None).await;
    tour.call("update_partner", true, "PATCH", &format!("/v1/partners/{partner}"), Some(json!({ "tier": "platinum" }))).await;
    let client = json!({ "name": "portal" });
    let client = tour.call("create_client", true, "POST", &format!("/v1/partners/{partner}/clients"), Some(client)).await;
    tour.portal = tour.app.token(&text(&client["id"]), client["client_secret"].as_str().unwrap()).await;
    let credentials = format!("/v1/partners/{partner}/clients/{}/credentials", text(&client["id"]));
    let key = json!({ "jwk": { "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" } });
    let key = text(&tour.call("add_credential", true, "POST", &credentials, Some(key)).await["id"]);
    tour.call("list_credentials", true, "GET", &credentials, None).await;
    tour.call("revoke_credential", true, "DELETE", &format!("{credentials}/{key}"), None).await;
    tour.portal = tour.app.token(&text(&client["id"]), client["client_secret"].as_str().unwrap()).await;
    tour.call("list_clients", true, "GET", &format!("/v1/partners/{partner}/clients"), None).await;

    let customer = json!({ "external_id": "K-0042", "name": "株式会社青葉製作所", "corporate_number": "1180301018771", "touch_model": "high", "segment": "製造業", "region": "東北", "business_model": "subscription" });
    let customer = text(&tour.call("upsert_customer", false, "POST", "/v1/customers", Some(customer)).await["id"]);
    tour.call("list_customers", false, "GET", "/v1/customers?limit=2", None).await;
    tour.call("get_customer", false, "GET", &format!("/v1/customers/{customer}"), None).await;
    tour.call("update_customer", false, "PATCH", &format!("/v1/customers/{customer}"), Some(json!({ "state": "active" }))).await;
    let subscription = json!({ "external_id": "S-7", "customer_external_id": "K-0042", "product": "Kanri Cloud", "seats": 20, "amount_minor": 100_000, "currency": "JPY",
        "period_months": 1, "starts_on": "2026-04-01", "renews_on": "2027-04-01", "vendor_ref": "KC-9" });
    tour.call("upsert_subscription", false, "POST", "/v1/subscriptions", Some(subscription)).await;
    tour.call("list_subscriptions", false, "GET", "/v1/subscriptions?limit=2", None).await;
    let report = json!({ "customer_external_id": "K-0042", "period_start": "2026-10-21", "period_end": "2026-11-20", "declared_band": "at_risk",
        "comment": "工場長が交代。\n利用が落ちている。", "observations": [{ "measure": "adoption", "value": 81 }, { "measure": "csat", "value": 75 }],
        "open_cases": [{ "external_id": "T-88", "severity": 1, "opened_on": "2026-11-02", "due_on": "2026-11-09", "cause": "出力が遅い" }] });
    tour.call("submit_status_report", false, "POST", "/v1/status-reports", Some(report)).await;
    let batch = json!({ "reports": [
        { "customer_external_id": "K-0042", "external_id": "2026-W46", "period_end": "2026-11-15", "observations": [{ "measure": "sentiment", "value": 40 }] },
        { "customer_external_id": "K-9999", "period_end": "2026-11-15", "declared_band": "healthy" }] });
    tour.call("submit_status_report_batch", false, "POST", "/v1/status-reports/batch", Some(batch)).await;
    tour.call("list_status_reports", false, "GET", "/v1/status-reports?limit=2", None).await;
    let seen = json!({ "subscription_vendor_ref": "KC-9", "measure": "seats_used", "value": 40, "observed_at": "2026-11-21T00:00:00Z" });
    tour.call("submit_observation", true, "POST", "/v1/observations", Some(seen)).await;
    let batch = json!({ "observations": [{ "subscription_vendor_ref": "KC-9", "measure": "seats_used", "value": 42, "observed_at": "2026-11-22T00:00:00Z" }] });
    tour.call("submit_observation_batch", true, "POST", "/v1/observations/batch", Some(batch)).await;
    tour.app.settle().await;

    tour.call("get_customer_health", false, "GET", &format!("/v1/customers/{customer}/health"), None).await;
    tour.call("explain_customer_health", false, "GET", &format!("/v1/customers/{customer}/health/explanation"), None).await;
    tour.call("get_customer_health_history", false, "GET", &format!("/v1/customers/{customer}/health/history"), None).await;
    tour.call("explain_customer_health_change", false, "GET", &format!("/v1/customers/{customer}/health/change?since=2026-11-22"), None).await;
    tour.call("get_partner_bias", true, "GET", &format!("/v1/partners/{partner}/bias"), None).await;
    tour.call("get_partner_peers", true, "GET", &format!("/v1/partners/{partner}/peers"), None).await;
    tour.call("get_partner_quality", true, "GET", &format!("/v1/partners/{partner}/quality"), None).await;
    tour.call("set_divergence_owner", true, "PUT", &format!("/v1/customers/{customer}/divergence-owner"), Some(json!({ "owner": "東日本チーム" }))).await;
    tour.call("list_divergences", true, "GET", "/v1/insights/divergences?limit=2", None).await;
    let set = json!({ "score": 25, "reason": "決裁者が交代し、見直しを告げられた。", "evidence_link": "https://crm.example.jp/notes/812", "expires_on": "2027-01-31" });
    let overrides = format!("/v1/customers/{customer}/overrides");
    let set = text(&tour.call("create_override", true, "POST", &overrides, Some(set)).await["id"]);
    tour.call("list_overrides", true, "GET", &overrides, None).await;
    tour.call("withdraw_override", true, "POST", &format!("{overrides}/{set}/withdraw"), None).await;
    let growth = json!({ "name": "Growth", "purpose": "growth", "measures": [{ "measure": "csat", "weight": 1 }], "override_approval_from_minor": 100_000 });
    let growth = text(&tour.app.post(&tour.staff, "/v1/scorecards", &growth).await.expect(201)["id"]);
    tour.app.post_with(&tour.staff, &format!("/v1/scorecards/{growth}/activate"), &Value::Null, &[("if-match", "*")]).await.expect(200);
    tour.app.settle().await;
    let asks = json!({ "purpose": "growth", "score": 80, "reason": "増席を約束", "expires_on": "2027-01-31" });
    let asks = text(&tour.app.post(&tour.staff, &overrides, &asks).await.expect(201)["id"]);
    let author = std::mem::replace(&mut tour.staff, tour.app.colleague(&founded).await);
    tour.call("approve_override", true, "POST", &format!("{overrides}/{asks}/approve"), None).await;
    tour.staff = author;
    tour.call("get_portfolio", true, "GET", "/v1/insights/portfolio", None).await;
    tour.call("get_roll_up", true, "GET", "/v1/insights/rollup?by=region&cross=segment&limit=2", None).await;
    tour.call("list_channels", true, "GET", "/v1/insights/channels?limit=2", None).await;
    tour.call("list_at_risk", true, "GET", "/v1/insights/at-risk?limit=2", None).await;
    tour.call("set_currency_rate", true, "POST", "/v1/currency-rates", Some(json!({ "currency": "USD", "valid_from": "2026-11-01", "rate": "150.25" }))).await;
    let cards = tour.call("list_scorecards", true, "GET", "/v1/scorecards", None).await;
    let mut card = json!({ "name": "Churn 2027" });
    for member in ["measures", "bands", "source_weights", "coverage_floor"] {
        if let Some(value) = cards["data"][0].get(member) {
            card[member] = value.clone();
        }
    }
    let card = text(&tour.call("create_scorecard", true, "POST", "/v1/scorecards", Some(card)).await["id"]);
    let outcome = json!({ "customer_external_id": "K-0042", "subscription_external_id": "S-7", "kind": "renewed", "occurred_on": "2026-11-20", "reason": "条件据え置き" });
    let outcome = text(&tour.call("record_outcome", false, "POST", "/v1/outcomes", Some(outcome)).await["id"]);
    let outcomes = json!({ "outcomes": [{ "customer_id": customer, "kind": "expanded", "occurred_on": "2026-11-21" }] });
    tour.call("record_outcome_batch", true, "POST", "/v1/outcomes/batch", Some(outcomes)).await;
    tour.call("list_outcomes", true, "GET", "/v1/outcomes?limit=2", None).await;
    tour.call("get_outcome", false, "GET", &format!("/v1/outcomes/{outcome}"), None).await;
    tour.call("get_churn_probability", true, "GET", &format!("/v1/customers/{customer}/churn-probability"), None).await;
    tour.call("calibrate_scorecard", true, "POST", &format!("/v1/scorecards/{card}/calibrate"), Some(json!({ "lead_days": 30 }))).await;
    tour.call("list_calibrations", true, "GET", &format!("/v1/scorecards/{card}/calibrations"), None).await;
    tour.call("backtest_scorecard", true, "GET", &format!("/v1/scorecards/{card}/backtest?lead_days=30"), None).await;
    // Behind what is learned from it.
    tour.call("withdraw_outcome", false, "POST", &format!("/v1/outcomes/{outcome}/withdraw"), None).await;
    tour.call("simulate_scorecard", true, "POST", &format!("/v1/scorecards/{card}/simulate"), None).await;
    tour.call("activate_scorecard", true, "POST", &format!("/v1/scorecards/{card}/activate"), None).await;
    let onboarding = json!({ "name": "Onboarding", "purpose": "onboarding", "rank": 10, "criteria": { "stages": ["onboarding"] }, "measures": [
        { "measure": "training_done", "weight": 2, "group": "start", "missing": "floor" }, { "measure": "seats_used", "weight": 1, "group": "start" }, { "measure": "sentiment", "weight": 1 }],
        "groups": [{ "key": "start", "name_en": "Getting started", "name_ja": "立ち上がり", "weight": 3 }],
        "limits": [{ "key": "cold", "when": { "kind": "latest", "measure": "sentiment", "at_most": 20, "within_days": 60 }, "at_most": 40 }],
        "override_approval_from_minor": 1_000_000 });
    let onboarding = text(&tour.app.post(&tour.staff, "/v1/scorecards", &onboarding).await.expect(201)["id"]);
    let match_any = [("authorization", format!("Bearer {}", tour.staff)), ("if-match", "*".to_owned())];
    let match_any: Vec<(&str, &str)> = match_any.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(tour.app.send("POST", &format!("/v1/scorecards/{onboarding}/activate"), &match_any, None).await.status, 200);
    tour.call("get_scorecard", true, "GET", &format!("/v1/scorecards/{card}"), None).await;
    tour.call("retire_scorecard", true, "POST", &format!("/v1/scorecards/{onboarding}/retire"), None).await;
    tour.call("revoke_client", true, "DELETE", &format!("/v1/partners/{partner}/clients/{}", text(&client["id"])), None).await;

    // A snapshot is of a day that has closed: it is told on the next one, and what closes is settled a minute later.
    tour.app.clock.turn_to(tour.app.clock.now() + chrono::Duration::days(1));
    tour.app.settle().await;
    tour.app.clock.turn_to(tour.app.clock.now() + chrono::Duration::seconds(90));
    tour.staff = tour.app.token(&founded.client.to_string(), &founded.secret).await;
    let snapshot = text(&tour.call("create_snapshot", true, "POST", "/v1/snapshots", Some(json!({ "title": "2026年11月" }))).await["id"]);
    tour.call("list_snapshots", true, "GET", "/v1/snapshots?limit=2", None).await;
    tour.call("get_snapshot", true, "GET", &format!("/v1/snapshots/{snapshot}"), None).await;
    tour.call("get_snapshot_report", true, "GET", &format!("/v1/snapshots/{snapshot}/report"), None).await;

    let document: Value = serde_json::from_str(&todoku::app::document("https://todoku.example").json).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values().filter_map(|operation| operation["operationId"].as_str()) {
            assert!(tour.told.contains_key(operation) || operation == "openapi_document", "{path}: the tour passes {operation} by");
        }
    }
    let told = serde_json::to_string_pretty(&Value::Object(tour.told)).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/examples.json");
    if std::env::var_os("TODOKU_BLESS").is_some() {
        std::fs::write(&path, &told).unwrap();
    }
    same_lines(&std::fs::read_to_string(&path).unwrap(), &told);
}

#[track_caller]
fn same_lines(kept: &str, told: &str) {
    for (i, (kept, told)) in kept.lines().zip(told.lines()).enumerate() {
        assert_eq!(kept, told, "openapi/examples.json, line {}", i + 1);
    }
    assert_eq!(kept.lines().count(), told.lines().count());
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
