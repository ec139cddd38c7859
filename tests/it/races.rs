//! Races with a defined outcome: whoever comes at the same time, nothing is lost, doubled or half done.

use crate::harness::{App, Reply};
use crate::world::{client, reseller, text};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeSet;

struct Scene {
    app: App,
    staff: String,
    partner: String,
    portal: String,
    customer: String,
}

impl Scene {
    async fn make() -> Self {
        let app = App::start().await;
        let (_, staff) = app.found("Vendor").await;
        let (partner, portal) = reseller(&app, &staff, "R1").await;
        let customer = text(&app.post(&portal, "/v1/customers", &json!({ "external_id": "K", "name": "K" })).await.expect(201)["id"]);
        Self { app, staff, partner, portal, customer }
    }

    fn report(&self, value: usize) -> Value {
        json!({ "customer_id": self.customer, "external_id": "R", "period_end": "2026-11-20", "observations": [{ "measure": "adoption", "value": value }] })
    }

    /// Posts until the answer is final, as a portal does: 409 in progress and 503 mean "come back".
    async fn insist(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Reply {
        self.insist_as(&self.portal, path, body, headers).await
    }

    async fn insist_as(&self, token: &str, path: &str, body: &Value, headers: &[(&str, &str)]) -> Reply {
        for _ in 0..1_000 {
            let reply = self.app.post_with(token, path, body, headers).await;
            let busy = reply.status == 503 || reply.problem().1 == "idempotency-in-progress";
            if !busy {
                return reply;
            }
            assert_eq!(reply.header("retry-after"), "1");
            tokio::task::yield_now().await;
        }
        panic!("never answered")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_equal_requests_are_one() {
    let scene = Scene::make().await;
    let (body, key) = (scene.report(40), [("idempotency-key", "once")]);
    let storm = join_all((0..500).map(|_| scene.app.post_with(&scene.portal, "/v1/status-reports", &body, &key))).await;
    let mut replies = Vec::new();
    for reply in storm {
        // Whoever was told to come back comes back.
        let busy = reply.problem().1 == "idempotency-in-progress";
        replies.push(if busy { scene.insist("/v1/status-reports", &body, &key).await } else { reply });
    }
    let answers: BTreeSet<(u16, Vec<u8>)> = replies.iter().map(|reply| (reply.status.as_u16(), reply.bytes.clone())).collect();
    assert_eq!(answers.len(), 1, "one answer for all");
    assert_eq!(answers.first().unwrap().0, 201);
    assert_eq!(replies.iter().filter(|reply| reply.header("idempotency-replayed").is_empty()).count(), 1);
    for (what, rows) in [("status_report", 1), ("observation", 1), ("event WHERE type = 'status_report.accepted'", 1), ("audit_entry WHERE operation = 'submit_status_report'", 1)]
    {
        assert_eq!(scene.app.count(&format!("SELECT count(*) FROM todoku.{what}")).await, rows, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn revisions_at_once_are_a_chain() {
    let scene = Scene::make().await;
    let bodies: Vec<Value> = (0..20).map(|i| scene.report(i)).collect();
    let replies = join_all(bodies.iter().map(|body| scene.insist("/v1/status-reports", body, &[]))).await;
    let mut revisions: Vec<i64> = replies.into_iter().map(|reply| reply.expect(201)["revision"].as_i64().unwrap()).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=20).collect::<Vec<_>>());
    assert_eq!(scene.app.count("SELECT revision FROM todoku.status_report_head").await, 20);
    // The health is the head's, whoever came last.
    let head = scene.app.ask("SELECT o.value FROM todoku.status_report_head h JOIN todoku.observation o ON o.report_id = h.report_id").await;
    let explained = scene.app.get(&scene.portal, &format!("/v1/customers/{}/health/explanation", scene.customer)).await.expect(200);
    let adoption = explained["measures"].as_array().unwrap().iter().find(|m| m["measure"] == "adoption").unwrap();
    assert_eq!(adoption["points"].as_f64(), head[0][0].as_ref().unwrap().parse().ok());

    // Of those who replace the same revision one wins; the others learn that it is no longer the head.
    let head = text(&scene.app.post(&scene.portal, "/v1/status-reports", &scene.report(90)).await.expect(201)["id"]);
    let bodies: Vec<Value> = (50..60)
        .map(|i| {
            let mut body = scene.report(i);
            body["replaces"] = json!(head);
            body
        })
        .collect();
    let replies = join_all(bodies.iter().map(|body| scene.insist("/v1/status-reports", body, &[]))).await;
    let won = replies.iter().filter(|reply| reply.status == 201).count();
    let lost = replies.iter().filter(|reply| reply.problem().1 == "state-conflict").count();
    assert_eq!((won, lost), (1, 9));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_callers_upsert_one_customer() {
    let scene = Scene::make().await;
    let bodies: Vec<Value> = (0..10).map(|i| json!({ "external_id": "NEW", "name": format!("名前 {i}") })).collect();
    let mut callers = Vec::new();
    for _ in &bodies {
        callers.push(client(&scene.app, &scene.staff, &scene.partner, &[]).await.1);
    }
    let replies = join_all(callers.iter().zip(&bodies).map(|(token, body)| scene.insist_as(token, "/v1/customers", body, &[]))).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1);
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 9);
    let ids: BTreeSet<String> = replies.iter().map(|reply| text(&reply.json()["id"])).collect();
    assert_eq!(ids.len(), 1);
    let mut versions: Vec<i64> = replies.iter().map(|reply| reply.json()["version"].as_i64().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=10).collect::<Vec<_>>(), "each change is a version of its own");
    assert_eq!(
        scene
            .app
            .count("SELECT count(*) FROM todoku.customer_version v JOIN todoku.customer c USING (vendor_id, partner_id, id) WHERE c.external_id = 'NEW' AND v.known_to IS NULL")
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_revoked_in_flight_loses_nothing_that_was_acknowledged() {
    let scene = Scene::make().await;
    for (letter, whole_client) in [("F", true), ("G", false)] {
        revoke_in_flight(&scene, letter, whole_client).await;
    }
}

/// A client, or its only secret, is revoked while it reports under a letter.
async fn revoke_in_flight(scene: &Scene, letter: &str, whole_client: bool) {
    let (id, token) = client(&scene.app, &scene.staff, &scene.partner, &[]).await;
    let of_client = format!("/v1/partners/{}/clients/{id}", scene.partner);
    let secrets = scene.app.get(&scene.staff, &format!("{of_client}/credentials")).await.expect(200);
    let path = if whole_client { of_client } else { format!("{of_client}/credentials/{}", text(&secrets["data"][0]["id"])) };
    let reporting = async {
        let mut acknowledged = Vec::new();
        for i in 0.. {
            let body = json!({ "customer_id": scene.customer, "external_id": format!("{letter}{i}"), "period_end": "2026-11-20", "declared_band": "watch" });
            let reply = scene.app.post(&token, "/v1/status-reports", &body).await;
            match reply.status.as_u16() {
                201 => acknowledged.push(text(&reply.json()["external_id"])),
                401 => break,
                other => panic!("{other}"),
            }
        }
        acknowledged
    };
    let revoking = async {
        for _ in 0..5 {
            scene.app.get(&scene.staff, "/v1/partners").await.expect(200);
        }
        let bearer = format!("Bearer {}", scene.staff);
        assert_eq!(scene.app.send("DELETE", &path, &[("authorization", &bearer), ("if-match", "*")], None).await.status, 204);
    };
    let (acknowledged, ()) = futures_util::future::join(reporting, revoking).await;
    assert!(!acknowledged.is_empty());
    let kept: BTreeSet<String> =
        scene.app.ask(&format!("SELECT external_id FROM todoku.status_report WHERE external_id LIKE '{letter}%'")).await.into_iter().map(|row| row[0].clone().unwrap()).collect();
    assert_eq!(kept, acknowledged.into_iter().collect());
    for _ in 0..20 {
        assert_eq!(scene.app.get(&token, "/v1/customers").await.status, 401, "once refused, refused for good");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_moves_in_the_tree_while_reports_arrive() {
    let scene = Scene::make().await;
    let app = &scene.app;
    let mut tops = Vec::new();
    for name in ["T1", "T2"] {
        tops.push(text(&app.post(&scene.staff, "/v1/partners", &json!({ "external_id": name, "name": name, "kind": "distributor" })).await.expect(201)["id"]));
    }
    let bodies: Vec<Value> = (0..40).map(|i| scene.report(i)).collect();
    let reporting = join_all(bodies.iter().map(|body| scene.insist("/v1/status-reports", body, &[])));
    let moving = async {
        for i in 0..10 {
            app.patch(&scene.staff, &format!("/v1/partners/{}", scene.partner), "*", &json!({ "parent_id": tops[i % 2] })).await.expect(200);
        }
    };
    let (replies, ()) = futures_util::future::join(reporting, moving).await;
    replies.into_iter().for_each(|reply| drop(reply.expect(201)));
    app.settle().await;
    let channels = app.get(&scene.staff, "/v1/insights/channels").await.expect(200);
    let of = |id: &str| channels["data"].as_array().unwrap().iter().find(|c| c["partner_id"] == id).unwrap().clone();
    assert_eq!((&of(&tops[1])["rolled_up"]["customers"], &of(&tops[0])["rolled_up"]["customers"]), (&json!(1), &json!(0)), "all under the last parent, none under the one before");
    assert_eq!(of(&tops[1])["rolled_up"]["mean_health"], of(&scene.partner)["own"]["mean_health"]);
    assert_eq!(channels["total"]["customers"], 1);
}
