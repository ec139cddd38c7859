//! A small world: two vendors, a distributor with children it sees to different depths, and a stranger.

use crate::harness::{App, NOON};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use todoku::kernel::hash::{hex, sha256};
use todoku::kernel::id::{SnapshotId, TypeId, VendorId};
use uuid::Uuid;

/// A partner with a client and one of everything.
#[derive(Debug, Clone)]
pub struct Someone {
    pub partner: String,
    pub client: String,
    pub credential: String,
    pub token: String,
    pub read_only: String,
    pub customer: String,
    pub subscription: String,
    pub report: String,
    /// Told by the partner itself.
    pub outcome: String,
    /// Set by the vendor, and nothing a partner may know of.
    pub override_id: String,
    /// Published by its vendor, and no business of any partner.
    pub snapshot: String,
}

/// The world.
pub struct World {
    pub app: App,
    /// The vendor's token, and its direct partner.
    pub staff: String,
    /// The id and secret it came by.
    pub founder: (String, String),
    pub direct: String,
    pub scorecard: String,
    /// distributor > near (customers), far (totals), hidden (nothing); near > deep (customers); stranger beside them; and
    /// another vendor's partner.
    pub people: BTreeMap<&'static str, Someone>,
    pub other_staff: String,
}

impl World {
    pub async fn make() -> Self {
        let app = App::start().await;
        let (founded, staff) = app.found("株式会社カンリ").await;
        let (other, other_staff) = app.found("Other Vendor Inc.").await;
        let mut people = BTreeMap::new();
        people.insert("distributor", someone(&app, &staff, "distributor", "distributor", None, "customers").await);
        let top = people["distributor"].partner.clone();
        for (name, sees) in [("near", "customers"), ("far", "totals"), ("hidden", "nothing")] {
            people.insert(name, someone(&app, &staff, name, "reseller", Some(&top), sees).await);
        }
        let near = people["near"].partner.clone();
        people.insert("deep", someone(&app, &staff, "deep", "reseller", Some(&near), "customers").await);
        people.insert("stranger", someone(&app, &staff, "stranger", "reseller", None, "customers").await);
        people.insert("abroad", someone(&app, &other_staff, "abroad", "reseller", None, "customers").await);
        app.settle().await;
        let snapshots = [publish(&app, founded.vendor, 1).await, publish(&app, other.vendor, 2).await];
        people.iter_mut().for_each(|(name, someone)| someone.snapshot = snapshots[usize::from(*name == "abroad")].clone());
        let cards = app.get(&staff, "/v1/scorecards").await.expect(200);
        let scorecard = cards["data"][0]["id"].as_str().unwrap().to_owned();
        let founder = (founded.client.to_string(), founded.secret.clone());
        Self { app, staff, founder, direct: founded.direct.to_string(), scorecard, people, other_staff }
    }

    pub fn of(&self, name: &str) -> &Someone {
        &self.people[name]
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// A reseller without a parent, and its portal, signed in.
pub async fn reseller(app: &App, staff: &str, name: &str) -> (String, String) {
    let id = text(&app.post(staff, "/v1/partners", &json!({ "external_id": name, "name": name, "kind": "reseller" })).await.expect(201)["id"]);
    let (_, portal) = client(app, staff, &id, &[]).await;
    (id, portal)
}

/// A client of a partner, signed in.
pub async fn client(app: &App, staff: &str, partner: &str, scopes: &[&str]) -> (String, String) {
    let body = if scopes.is_empty() { json!({ "name": "portal" }) } else { json!({ "name": "portal", "scopes": scopes }) };
    let client = app.post(staff, &format!("/v1/partners/{partner}/clients"), &body).await.expect(201);
    let id = text(&client["id"]);
    let token = app.token(&id, client["client_secret"].as_str().unwrap()).await;
    (id, token)
}

/// A snapshot as if published: the clock stands, so no day has closed that one could be of.
async fn publish(app: &App, vendor: VendorId, n: u128) -> String {
    let (vendor, id) = (vendor.uuid(), SnapshotId::of(Uuid::from_u128(0x0199_5f00_0000_7000_8000_0000_0000_0000 + n)));
    let report = format!(r#"{{"number":1,"vendor":"{vendor}"}}"#);
    let statement = format!(
        "INSERT INTO todoku.snapshot (vendor_id, id, number, as_of, known_at, report, sha256, created_at, created_by)
         VALUES ('{vendor}', '{}', 1, '2026-11-21', '{NOON}', '{report}', '{}', '{NOON}', '{vendor}')",
        id.uuid(),
        hex(&sha256(report.as_bytes()))
    );
    app.ask(&statement).await;
    id.to_string()
}

async fn someone(app: &App, staff: &str, name: &str, kind: &str, parent: Option<&str>, sees: &str) -> Someone {
    let partner = json!({ "external_id": name, "name": format!("株式会社{name}"), "kind": kind, "parent_id": parent, "parent_sees": sees });
    let partner = text(&app.post(staff, "/v1/partners", &partner).await.expect(201)["id"]);
    let (client_id, token) = client(app, staff, &partner, &[]).await;
    let (_, read_only) = client(app, staff, &partner, &["customers:read", "health:read", "insights:read"]).await;
    // Everybody uses the same ids of their own: they must never meet.
    let customer = json!({ "external_id": "K-1", "name": format!("{name}のお客様"), "segment": "製造業" });
    let customer = text(&app.post(&token, "/v1/customers", &customer).await.expect(201)["id"]);
    let subscription = json!({ "external_id": "S-1", "customer_external_id": "K-1", "product": "Kanri", "amount_minor": 1_200_000, "currency": "JPY", "starts_on": "2026-04-01", "renews_on": "2027-04-01" });
    let subscription = text(&app.post(&token, "/v1/subscriptions", &subscription).await.expect(201)["id"]);
    let report = json!({ "customer_external_id": "K-1", "period_end": "2026-11-20", "declared_band": "healthy", "observations": [{ "measure": "adoption", "value": 80 }] });
    let report = text(&app.post(&token, "/v1/status-reports", &report).await.expect(201)["id"]);
    let outcome = json!({ "customer_external_id": "K-1", "kind": "expanded", "occurred_on": "2026-10-01" });
    let outcome = text(&app.post(&token, "/v1/outcomes", &outcome).await.expect(201)["id"]);
    let credentials = app.get(staff, &format!("/v1/partners/{partner}/clients/{client_id}/credentials")).await.expect(200);
    let credential = text(&credentials["data"][0]["id"]);
    let set = json!({ "score": 12.5, "reason": "電話で解約の話があった", "expires_on": "2027-03-31" });
    let override_id = text(&app.post(staff, &format!("/v1/customers/{customer}/overrides"), &set).await.expect(201)["id"]);
    Someone { partner, client: client_id, credential, token, read_only, customer, subscription, report, outcome, override_id, snapshot: String::new() }
}
