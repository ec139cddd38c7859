//! Data-quality flags through the API: what stands out, who sees it, and that it ends.

use crate::harness::App;
use crate::house::micros;
use crate::world::{client, text};
use chrono::Duration;
use serde_json::{Value, json};

/// A vendor whose partners report.
struct Channel {
    app: App,
    founded: todoku::command::Founded,
    staff: String,
}

impl Channel {
    async fn begin() -> Self {
        let app = App::start().await;
        let (founded, staff) = app.found("株式会社カンリ").await;
        Self { app, founded, staff }
    }

    /// A partner with customers C-0, C-1 and so on.
    async fn partner(&self, name: &str, kind: &str, parent: Option<&str>, customers: usize) -> String {
        let partner = json!({ "external_id": name, "name": name, "kind": kind, "parent_id": parent, "parent_sees": "customers" });
        let partner = text(&self.app.post(&self.staff, "/v1/partners", &partner).await.expect(201)["id"]);
        let portal = self.portal(&partner).await;
        for n in 0..customers {
            self.app.post(&portal, "/v1/customers", &json!({ "external_id": format!("C-{n}"), "name": format!("お客様{n}") })).await.expect(201);
        }
        partner
    }

    async fn portal(&self, partner: &str) -> String {
        client(&self.app, &self.staff, partner, &[]).await.1
    }

    async fn report(&self, partner: &str, reports: Vec<Value>) {
        let count = reports.len();
        let answer = self.app.post(&self.portal(partner).await, "/v1/status-reports/batch", &json!({ "reports": reports })).await.expect(200);
        assert_eq!(answer["counts"]["created"], count, "{answer}");
    }

    /// Turns the clock and signs the vendor in again; tokens have run out.
    async fn turn(&mut self, days: i64) {
        self.app.clock.turn_to(self.app.clock.now() + Duration::days(days));
        self.staff = self.app.token(&self.founded.client.to_string(), &self.founded.secret).await;
    }

    async fn flags(&self, token: &str, partner: &str) -> Value {
        self.app.get(token, &format!("/v1/partners/{partner}/quality")).await.expect(200)["data"].clone()
    }

    async fn rows(&self) -> i64 {
        self.app.count("SELECT count(*) FROM todoku.quality_flag").await
    }
}

fn report(customer: usize, day: &str, value: usize) -> Value {
    json!({ "customer_external_id": format!("C-{customer}"), "period_end": day, "observations": [{ "measure": "csat", "value": value }] })
}

fn saying(mut report: Value, comment: &str) -> Value {
    report["comment"] = json!(comment);
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_out_is_told_quietly_and_ends() {
    let mut channel = Channel::begin().await;
    let top = channel.partner("top", "distributor", None, 0).await;
    let tens = channel.partner("tens", "reseller", Some(&top), 25).await;
    let same = channel.partner("same", "reseller", None, 1).await;
    let copy = channel.partner("copy", "reseller", None, 6).await;
    channel.report(&tens, (0..25).map(|n| report(n, "2026-11-20", 100)).collect()).await;
    channel.report(&same, (1..=11).map(|day| report(0, &format!("2026-11-{day:02}"), 60)).collect()).await;
    // Capitals and blanks make no other text.
    let words = ["Kanri は順調に使われています。", "kanri は順調に使われています。 "];
    channel.report(&copy, (0..6).map(|n| saying(report(n, "2026-11-20", 50 + n), words[n % 2])).collect()).await;
    let mut peers = Vec::new();
    for name in ["one", "two", "three", "four", "five"] {
        let peer = channel.partner(name, "reseller", None, 20).await;
        // A word as short as this is said of many.
        channel.report(&peer, (0..20).map(|n| saying(report(n, "2026-11-20", 30 + 2 * n), "順調です。")).collect()).await;
        peers.push(peer);
    }
    assert_eq!(channel.flags(&channel.staff, &tens).await, json!([]), "nothing is counted before the day has turned");
    channel.turn(1).await;
    channel.app.settle().await;

    for (partner, kind, n, customers) in [(&tens, "too_many_tops", 25, Value::Null), (&same, "no_change", 10, Value::Null), (&copy, "identical_texts", 6, json!(6))] {
        let told = channel.flags(&channel.staff, partner).await;
        assert_eq!(told.as_array().unwrap().len(), 1, "{told}");
        let mut told = told[0].clone();
        assert_eq!((&told["kind"], &told["found_on"], &told["n"], &told["count"], &told["share"]), (&json!(kind), &json!("2026-11-23"), &json!(n), &json!(n), &json!(1.0)));
        assert_eq!(told["customers"], customers, "{told}");
        // The partner sees the same, with what would improve it and without the figures of others.
        let own = channel.flags(&channel.portal(partner).await, partner).await[0].clone();
        assert!(own.get("peers").is_none() && !text(&own["advice"]).is_empty() && !text(&own["advice_ja"]).is_empty(), "{own}");
        told.as_object_mut().unwrap().remove("peers");
        assert_eq!(own, told);
    }
    assert_eq!(channel.flags(&channel.staff, &tens).await[0]["peers"], 0.0, "of five others");
    let (stranger, above) = (channel.portal(&peers[0]).await, channel.portal(&top).await);
    assert_eq!(channel.flags(&stranger, &peers[0]).await, json!([]));
    assert_eq!(channel.flags(&above, &top).await, json!([]));
    assert_eq!(channel.app.get(&above, &format!("/v1/partners/{tens}")).await.status, 200);
    for token in [&stranger, &above] {
        assert_eq!(channel.app.get(token, &format!("/v1/partners/{tens}/quality")).await.status, 404, "for the vendor and the partner itself alone");
    }
    assert_eq!(channel.rows().await, 3);
    channel.turn(1).await;
    channel.app.settle().await;
    assert_eq!(channel.rows().await, 3, "what is as it was is kept once");

    let known_at = micros(channel.app.clock.now());
    let then = channel.flags(&channel.staff, &tens).await;

    // Months later all report as others do.
    channel.turn(98).await;
    channel.app.settle().await;
    channel.report(&tens, (0..25).map(|n| report(n, "2027-03-01", 40 + 2 * n)).collect()).await;
    channel.report(&same, vec![report(0, "2027-02-01", 60), report(0, "2027-03-01", 55)]).await;
    channel.report(&copy, (0..6).map(|n| saying(report(n, "2027-03-01", 50), &format!("お客様{n}は順調に使っています。"))).collect()).await;
    channel.turn(1).await;
    channel.app.settle().await;
    for partner in [&tens, &same, &copy] {
        assert_eq!(channel.flags(&channel.staff, partner).await, json!([]));
    }
    assert_eq!(channel.rows().await, 6, "that a flag ended is kept as well");
    // What stood out then is still told of that day.
    for (asked, told) in [(format!("as_of=2026-11-24&known_at={known_at}"), then.clone()), ("as_of=2026-11-24".into(), then), ("as_of=2026-11-22".into(), json!([]))] {
        assert_eq!(channel.app.get(&channel.staff, &format!("/v1/partners/{tens}/quality?{asked}")).await.expect(200)["data"], told, "{asked}");
    }
}
