//! A small house to look into: a vendor, a partner, one customer with a contract, and what is asked of them.

use crate::harness::{App, Reply};
use crate::world::{reseller, text};
use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde_json::{Value, json};

/// A vendor with one partner and one customer.
pub struct House {
    pub app: App,
    pub staff: String,
    pub founded: todoku::command::Founded,
    pub portal: String,
    pub customer: String,
}

impl House {
    pub async fn build() -> Self {
        let app = App::start().await;
        let (founded, staff) = app.found("株式会社カンリ").await;
        let (_, portal) = reseller(&app, &staff, "ひかり販売").await;
        let customer = json!({ "external_id": "K-1", "name": "青葉製作所", "state": "active", "segment": "製造業" });
        let customer = text(&app.post(&portal, "/v1/customers", &customer).await.expect(201)["id"]);
        let bought = json!({ "external_id": "S-1", "customer_external_id": "K-1", "product": "Kanri", "amount_minor": 1_200_000, "currency": "JPY", "period_months": 12,
            "starts_on": "2026-04-01", "renews_on": "2027-04-01" });
        app.post(&portal, "/v1/subscriptions", &bought).await.expect(201);
        app.settle().await;
        Self { app, staff, founded, portal, customer }
    }

    /// Signs everybody in again, some days later, when the day has turned.
    pub async fn days_later(&mut self, days: i64) {
        for _ in 0..days {
            self.app.clock.turn_to(self.app.clock.now() + Duration::days(1));
            self.app.settle().await;
        }
        self.staff = self.app.token(&self.founded.client.to_string(), &self.founded.secret).await;
    }

    pub async fn report(&self, day: &str, more: Value) -> Value {
        let mut body = json!({ "customer_external_id": "K-1", "period_end": day });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = self.app.post(&self.portal, "/v1/status-reports", &body).await.expect(201);
        self.app.settle().await;
        answer
    }

    pub async fn fact(&self, measure: &str, value: f64) {
        let fact = json!({ "customer_id": self.customer, "measure": measure, "value": value });
        self.app.post(&self.staff, "/v1/observations", &fact).await.expect(201);
        self.app.settle().await;
    }

    pub async fn ask(&self, token: &str, path: &str) -> Reply {
        self.app.get(token, &format!("/v1/customers/{}/{path}", self.customer)).await
    }

    pub async fn health(&self, token: &str, query: &str) -> Value {
        self.ask(token, &format!("health{query}")).await.expect(200)
    }

    pub async fn activate(&self, card: &Value) -> String {
        let id = text(&self.app.post(&self.staff, "/v1/scorecards", card).await.expect(201)["id"]);
        // Versions need moments in the order in which they came to be.
        self.app.clock.turn_to(self.app.clock.now() + Duration::seconds(1));
        self.app.post_with(&self.staff, &format!("/v1/scorecards/{id}/activate"), &json!(null), &[("if-match", "*")]).await.expect(200);
        self.app.settle().await;
        id
    }

    pub async fn set(&self, body: Value) -> Reply {
        self.app.post(&self.staff, &format!("/v1/customers/{}/overrides", self.customer), &body).await
    }
}

pub fn points(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// 50, the contributions and what adjusted the score make the score.
pub fn adds_up(explained: &Value) {
    let sum: f64 = explained["measures"].as_array().unwrap().iter().filter_map(|m| m["contribution"].as_f64()).sum();
    let moved: f64 = explained["adjustments"].as_array().unwrap().iter().map(|a| points(&a["to"]) - a["from"].as_f64().unwrap_or(50.0)).sum();
    assert!((50.0 + sum + moved - points(&explained["score"])).abs() < 1e-9, "{explained}");
    assert_eq!(explained["sum"], explained["score"]);
}

/// A moment as a query takes it, to the last digit.
pub fn micros(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Tokens run out; a new client of the same partner signs in.
pub async fn sign_in_again(house: &House) -> String {
    let partners = house.app.get(&house.staff, "/v1/partners").await.expect(200);
    let partner = partners["data"].as_array().unwrap().iter().find(|p| p["external_id"] == "ひかり販売").unwrap();
    crate::world::client(&house.app, &house.staff, partner["id"].as_str().unwrap(), &[]).await.1
}
