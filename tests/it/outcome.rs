//! Reading outcomes and taking them back: who sees which and in which order, who may take one back, and that what was taken back teaches no more.

use crate::harness::App;
use crate::world::{World, reseller, text};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The days of a list, in its order.
fn days(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|outcome| outcome["occurred_on"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_are_listed_newest_day_first() {
    let app = App::start().await;
    let (_, staff) = app.found("株式会社カンリ").await;
    let (partner, portal) = reseller(&app, &staff, "ひかり販売").await;
    let mut customers = Vec::new();
    for name in ["K-1", "K-2"] {
        customers.push(text(&app.post(&portal, "/v1/customers", &json!({ "external_id": name, "name": "青葉" })).await.expect(201)["id"]));
    }
    let subscription = json!({ "external_id": "S-1", "customer_external_id": "K-1", "product": "Kanri", "amount_minor": 1, "currency": "JPY", "starts_on": "2026-01-01" });
    let subscription = text(&app.post(&portal, "/v1/subscriptions", &subscription).await.expect(201)["id"]);
    for (customer, kind, day) in [("K-2", "expanded", "2026-10-01"), ("K-2", "expanded", "2026-11-01"), ("K-2", "contracted", "2026-09-01")] {
        app.post(&portal, "/v1/outcomes", &json!({ "customer_external_id": customer, "kind": kind, "occurred_on": day })).await.expect(201);
    }
    let renewed = json!({ "customer_external_id": "K-1", "subscription_external_id": "S-1", "kind": "renewed", "occurred_on": "2026-11-01", "reason": "条件据え置き" });
    let told = app.post(&portal, "/v1/outcomes", &renewed).await;
    let id = text(&told.json()["id"]);
    assert_eq!(told.header("location"), format!("{}/v1/outcomes/{id}", app.base));
    let one = app.get(&portal, &format!("/v1/outcomes/{id}")).await.expect(200);
    let expected = json!({ "id": id, "partner_id": partner, "customer_id": customers[0], "subscription_id": subscription, "kind": "renewed", "occurred_on": "2026-11-01",
        "reason": "条件据え置き", "recorded_by": "partner", "recorded_at": one["recorded_at"], "withdrawn_at": null });
    assert_eq!(one, expected);

    // Two pages make the list: each outcome once, those of one day in order of id.
    let whole = app.get(&portal, "/v1/outcomes").await.expect(200);
    assert_eq!(days(&whole), ["2026-11-01", "2026-11-01", "2026-10-01", "2026-09-01"]);
    let first = app.get(&portal, "/v1/outcomes?limit=1").await;
    assert!(first.header("link").contains("rel=\"next\""));
    let rest = app.get(&portal, &format!("/v1/outcomes?limit=10&cursor={}", text(&first.json()["next_cursor"]))).await.expect(200);
    let pages: Vec<Value> = [first.json(), rest.clone()].iter().flat_map(|page| page["data"].as_array().unwrap().clone()).collect();
    assert_eq!((json!(pages), &rest["next_cursor"]), (whole["data"].clone(), &Value::Null));
    assert_eq!(pages.iter().map(|outcome| text(&outcome["id"])).collect::<BTreeSet<_>>().len(), 4);

    let narrowed = [
        (format!("customer={}", customers[0]), vec!["2026-11-01"]),
        ("kind=expanded".into(), vec!["2026-11-01", "2026-10-01"]),
        (format!("kind=renewed&customer={}", customers[1]), vec![]),
        ("from=2026-10-01".into(), vec!["2026-11-01", "2026-11-01", "2026-10-01"]),
        ("to=2026-10-01".into(), vec!["2026-10-01", "2026-09-01"]),
        ("from=2026-10-01&to=2026-10-01".into(), vec!["2026-10-01"]),
    ];
    for (filter, expected) in narrowed {
        assert_eq!(days(&app.get(&portal, &format!("/v1/outcomes?{filter}")).await.expect(200)), expected, "{filter}");
    }
    for (filter, parameter) in [("kind=gone", "kind"), ("from=2026-13-01", "from"), ("from=2026-10-02&to=2026-10-01", "to"), ("customer=K-1", "customer")] {
        let refused = app.get(&portal, &format!("/v1/outcomes?{filter}")).await.problem();
        assert_eq!((refused.0, refused.1.as_str(), refused.2[0].0.as_str()), (400, "invalid-parameter", parameter), "{filter}");
    }

    // The vendor sees what both told; what it told itself, the partner does not see.
    let lost = json!({ "customer_id": customers[1], "kind": "churned", "occurred_on": "2026-11-20" });
    let lost = text(&app.post(&staff, "/v1/outcomes", &lost).await.expect(201)["id"]);
    let all = app.get(&staff, "/v1/outcomes").await.expect(200);
    assert_eq!((days(&all).len(), &all["data"][0]["id"], &all["data"][0]["recorded_by"]), (5, &json!(lost), &json!("vendor")));
    assert_eq!(app.get(&portal, "/v1/outcomes").await.expect(200), whole);
    assert_eq!(app.get(&portal, &format!("/v1/outcomes/{lost}")).await.problem().0, 404);
    assert_eq!(app.get(&staff, &format!("/v1/outcomes/{id}")).await.expect(200), one);
    // What is written out goes before what stands for an id.
    let batch = app.get(&portal, "/v1/outcomes/batch").await;
    assert_eq!((batch.problem().1.as_str(), batch.header("allow")), ("method-not-allowed", "POST"));
    assert_eq!(app.get(&portal, "/v1/outcomes/out_1").await.problem().0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_told_an_outcome_takes_it_back() {
    let world = World::make().await;
    let (app, near, none) = (&world.app, world.of("near"), Value::Null);
    let one = format!("/v1/outcomes/{}", near.outcome);
    let path = format!("{one}/withdraw");
    // The distributor above and the vendor see it, and do not speak for its partner.
    for token in [&world.of("distributor").token, &world.staff] {
        let refused = app.post(token, &path, &none).await.problem();
        assert_eq!((refused.0, refused.1.as_str()), (403, "read-only-here"));
    }
    assert_eq!(app.post(&world.of("stranger").token, &path, &none).await.problem().0, 404);
    let before = app.get(&near.token, &one).await.expect(200);
    assert!(app.post(&near.token, &format!("{path}?dry_run=true"), &none).await.expect(200)["withdrawn_at"].is_string());
    assert_eq!(app.get(&near.token, &one).await.expect(200), before, "undone");

    let back = app.post(&near.token, &path, &none).await.expect(200);
    let mut expected = before.clone();
    expected["withdrawn_at"] = back["withdrawn_at"].clone();
    assert!(back["withdrawn_at"].is_string() && back == expected, "{back}");
    assert_eq!(app.get(&near.token, &one).await.expect(200), back);
    let twice = app.post(&near.token, &path, &none).await.problem();
    assert_eq!((twice.0, twice.1.as_str()), (409, "state-conflict"));
    assert_eq!(app.count("SELECT count(*) FROM todoku.event WHERE type = 'outcome.withdrawn' AND partner_id IS NOT NULL").await, 1);
    assert_eq!(app.count("SELECT count(*) FROM todoku.audit_entry WHERE operation = 'withdraw_outcome' AND outcome = 'done'").await, 1);

    // Told again it is another one, and again the same twice is one.
    let same = json!({ "customer_external_id": "K-1", "kind": before["kind"], "occurred_on": before["occurred_on"] });
    let anew = app.post(&near.token, "/v1/outcomes", &same).await.expect(201);
    assert_ne!(text(&anew["id"]), near.outcome);
    assert_eq!(app.post(&near.token, "/v1/outcomes", &same).await.expect(200)["id"], anew["id"]);
    let listed = app.get(&near.token, &format!("/v1/outcomes?customer={}", near.customer)).await.expect(200);
    assert_eq!(listed["data"].as_array().unwrap().iter().filter(|outcome| outcome["withdrawn_at"].is_null()).count(), 1);
    assert_eq!(days(&listed).len(), 2);

    // What the vendor told is the vendor's to take back, and no partner learns of it.
    let lost = json!({ "customer_id": near.customer, "kind": "churned", "occurred_on": "2026-11-01" });
    let lost = text(&app.post(&world.staff, "/v1/outcomes", &lost).await.expect(201)["id"]);
    assert_eq!(app.post(&near.token, &format!("/v1/outcomes/{lost}/withdraw"), &none).await.problem().0, 404);
    app.post(&world.staff, &format!("/v1/outcomes/{lost}/withdraw"), &none).await.expect(200);
    assert_eq!(app.get(&near.token, &format!("/v1/outcomes?customer={}", near.customer)).await.expect(200), listed);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_teaches_no_more() {
    let app = App::start().await;
    let (_, staff) = app.found("株式会社カンリ").await;
    let (_, portal) = reseller(&app, &staff, "ひかり販売").await;
    let customer = text(&app.post(&portal, "/v1/customers", &json!({ "external_id": "K-1", "name": "青葉" })).await.expect(201)["id"]);
    let card = format!("/v1/scorecards/{}", text(&app.get(&staff, "/v1/scorecards").await.expect(200)["data"][0]["id"]));
    let partners = json!({ "customer_external_id": "K-1", "kind": "renewed", "occurred_on": "2026-10-31" });
    let partners = text(&app.post(&portal, "/v1/outcomes", &partners).await.expect(201)["id"]);
    let vendors = json!({ "customer_id": customer, "kind": "churned", "occurred_on": "2026-10-31" });
    let vendors = text(&app.post(&staff, "/v1/outcomes", &vendors).await.expect(201)["id"]);
    let lost = async || app.get(&staff, &format!("{card}/backtest")).await.expect(200)["total"]["lost"].clone();
    assert_eq!(lost().await, 1, "of one day the vendor's word counts");
    app.post(&staff, &format!("/v1/outcomes/{vendors}/withdraw"), &Value::Null).await.expect(200);
    assert_eq!(lost().await, 0, "the partner's word is left");
    let learned = app.post(&staff, &format!("{card}/calibrate"), &json!({})).await.expect(201);
    assert_eq!((&learned["outcomes"], &learned["reason"]["code"]), (&json!(1), &json!("too_few")));
    app.post(&portal, &format!("/v1/outcomes/{partners}/withdraw"), &Value::Null).await.expect(200);
    let nothing = app.post(&staff, &format!("{card}/calibrate"), &json!({})).await.problem();
    assert_eq!((nothing.0, nothing.2), (422, vec![(String::new(), "empty".to_owned())]), "nothing is left to learn from");
}
