//! Health in depth: limits and cases, purposes and criteria, three sources, overrides, simulation, bias.

use crate::house::{House, adds_up, micros, points, sign_in_again};
use crate::world::text;
use serde_json::{Value, json};
use todoku::auth::Permission;

#[tokio::test(flavor = "multi_thread")]
async fn an_overdue_case_caps_a_rosy_score_and_a_later_report_lifts_the_cap() {
    let house = House::build().await;
    let rosy = json!([{ "measure": "adoption", "value": 95 }, { "measure": "csat", "value": 90 }, { "measure": "sentiment", "value": 95 }]);
    let case = json!({ "external_id": "T-1", "severity": 1, "opened_on": "2026-11-01", "due_on": "2026-11-10", "cause": "出力が遅い" });
    let capped = house.report("2026-11-19", json!({ "observations": rosy, "open_cases": [case] })).await;
    assert_eq!((&capped["health"]["score"], &capped["health"]["band"]), (&json!(60.0), &json!("watch")));
    assert_eq!(capped["health"]["adjustments"][0]["limit"], "overdue_case");
    assert_eq!(capped["health"]["adjustments"][0]["because"]["case"]["severity"], 1, "{}", capped["health"]["adjustments"]);
    for token in [&house.portal, &house.staff] {
        adds_up(&house.ask(token, "health/explanation").await.expect(200));
    }
    // A report that says nothing of cases changes none; one that says there are none does.
    let silent = house.report("2026-11-20", json!({ "observations": [{ "measure": "csat", "value": 91 }] })).await;
    assert_eq!(silent["health"]["score"], 60.0);
    let closed = house.report("2026-11-21", json!({ "open_cases": [] })).await;
    assert!(points(&closed["health"]["score"]) > 90.0);
    assert_eq!(closed["health"]["adjustments"], json!([]));
    let intent = house.report("2026-11-22", json!({ "open_cases": [{ "external_id": "T-2", "severity": 3, "opened_on": "2026-11-22", "cause": "cancel_intent" }] })).await;
    assert_eq!((&intent["health"]["score"], &intent["health"]["band"]), (&json!(30.0), &json!("at_risk")));
    for (cases, pointer, code) in [
        (json!([{ "external_id": "T", "severity": 5, "opened_on": "2026-11-01" }]), "/open_cases/0/severity", "out-of-range"),
        (json!([{ "external_id": "T", "severity": 1, "opened_on": "2026-11-05", "due_on": "2026-11-01" }]), "/open_cases/0/due_on", "contradiction"),
        (json!([{ "external_id": "T", "severity": 1, "opened_on": "2026-11-22" }]), "/open_cases/0/opened_on", "contradiction"),
        (
            json!([{ "external_id": "T", "severity": 1, "opened_on": "2026-11-01" }, { "external_id": "T", "severity": 1, "opened_on": "2026-11-01" }]),
            "/open_cases/1/external_id",
            "duplicate",
        ),
    ] {
        let body = json!({ "customer_external_id": "K-1", "period_end": "2026-11-18", "open_cases": cases });
        let refused = house.app.post(&house.portal, "/v1/status-reports", &body).await.problem();
        assert_eq!((refused.0, refused.2), (422, vec![(pointer.to_owned(), code.to_owned())]));
    }
    let listed = house.app.get(&house.portal, "/v1/status-reports").await.expect(200);
    let first = listed["data"].as_array().unwrap().iter().find(|report| report["period_end"] == "2026-11-19").unwrap();
    assert_eq!(first["open_cases"][0]["external_id"], "T-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn purposes_stand_side_by_side_and_criteria_choose_the_scorecard() {
    let house = House::build().await;
    house.report("2026-11-22", json!({ "observations": [{ "measure": "adoption", "value": 80 }, { "measure": "seats_used", "value": 20 }] })).await;
    assert_eq!(house.health(&house.staff, "?purpose=growth").await["band"], "unknown", "nothing tells of growth yet");
    let growth = house.activate(&json!({ "name": "Growth", "purpose": "growth", "measures": [{ "measure": "seats_used", "weight": 1 }] })).await;
    for token in [&house.staff, &house.portal] {
        let health = house.health(token, "?purpose=growth").await;
        assert_eq!((&health["score"], &health["scorecard_id"], &health["purpose"]), (&json!(20.0), &json!(growth), &json!("growth")));
        assert_eq!(house.health(token, "").await["score"], 50.0);
    }
    let factories = json!({ "name": "Factories", "rank": 10, "criteria": { "segments": ["製造業"], "products": ["Kanri"] }, "measures": [{ "measure": "adoption", "weight": 1 }] });
    let factories = house.activate(&factories).await;
    assert_eq!(house.health(&house.portal, "").await["score"], 80.0);
    let view = house.app.get(&house.portal, "/v1/scorecards").await.expect(200);
    assert_eq!(view["data"].as_array().unwrap().len(), 3, "a partner sees all that are in force");
    // Another segment falls to the one for everybody; so does everyone when the special one is retired.
    let change = json!({ "external_id": "K-1", "segment": "医療" });
    house.app.post(&house.portal, "/v1/customers", &change).await.expect(200);
    house.app.settle().await;
    assert_eq!(house.health(&house.portal, "").await["score"], 50.0);
    house.app.post(&house.portal, "/v1/customers", &json!({ "external_id": "K-1", "segment": "製造業" })).await.expect(200);
    let retire = |id: String| {
        let house = &house;
        async move { house.app.post_with(&house.staff, &format!("/v1/scorecards/{id}/retire"), &json!(null), &[("if-match", "*")]).await }
    };
    retire(factories).await.expect(200);
    house.app.settle().await;
    assert_eq!(house.health(&house.portal, "").await["score"], 50.0);
    let starter = view["data"].as_array().unwrap().iter().find(|card| card["rank"] == 1000 && card["purpose"] == "churn").unwrap();
    assert_eq!(retire(text(&starter["id"])).await.problem().1, "state-conflict", "somebody has to be for everybody");
    // Figures over many customers are of churn alone.
    assert_eq!(house.app.get(&house.staff, "/v1/insights/channels").await.expect(200)["total"]["customers"], 1);
}

/// Each measure reads its value by a curve of its own kind, worked by hand; all said by the partner today, each weighs 0.8 and the score is their mean.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_curve_reads_values() {
    let house = House::build().await;
    let knots = json!([{ "at": 0, "points": 20 }, { "at": 10, "points": 60 }]);
    let curves = [
        ("contract_signed", json!({ "kind": "boolean" }), 1.0, 100.0),
        ("not_signed", json!({ "kind": "boolean" }), 0.0, 0.0),
        ("stage_reached", json!({ "kind": "step", "knots": knots }), 9.9, 20.0),
        ("hours", json!({ "kind": "piecewise", "knots": knots }), 5.0, 40.0),
        ("tickets", json!({ "kind": "linear_clamped", "zero": 10, "full": 0 }), 2.5, 75.0),
        ("depth", json!({ "kind": "linear_bounded", "zero": 0, "full": 10, "least": 20, "most": 80 }), 99.0, 80.0),
    ];
    for (key, curve, ..) in &curves {
        let measure = json!({ "key": key, "name_en": key, "name_ja": "尺度", "unit": "x", "nature": "figure", "curve": curve });
        house.app.post(&house.staff, "/v1/measures", &measure).await.expect(201);
    }
    let measures: Vec<Value> = curves.iter().map(|(key, ..)| json!({ "measure": key, "weight": 2 })).collect();
    house.activate(&json!({ "name": "Curves", "measures": measures })).await;
    let said: Vec<Value> = curves.iter().map(|(key, _, value, _)| json!({ "measure": key, "value": value })).collect();
    house.report("2026-11-22", json!({ "observations": said })).await;
    let explained = house.ask(&house.portal, "health/explanation").await.expect(200);
    for ((key, _, _, expected), measure) in curves.iter().zip(explained["measures"].as_array().unwrap()) {
        assert_eq!((&measure["measure"], &measure["points"]), (&json!(key), &json!(expected)));
    }
    assert_eq!((&explained["score"], &explained["coverage"]), (&json!(52.5), &json!(0.8)));
}

/// Adoption is known today at 80 and weighs 0.8; satisfaction was 20 thirty days ago, one half-life, and counts for 10 days.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_taken_as_the_scorecard_says() {
    let house = House::build().await;
    house.report("2026-10-23", json!({ "observations": [{ "measure": "csat", "value": 20 }] })).await;
    house.report("2026-11-22", json!({ "observations": [{ "measure": "adoption", "value": 80 }] })).await;
    // 0.8 * 80 and 1 * 50; 0.8 * 80 and 1 * 0; 0.8 * 80 and 0.4 * 20.
    for (missing, score) in [("exclude", 80.0), ("neutral", 63.333), ("floor", 35.556), ("last_value", 60.0)] {
        let csat = json!({ "measure": "csat", "weight": 1, "missing": missing, "half_life_days": 30, "valid_days": 10 });
        house.activate(&json!({ "name": missing, "measures": [{ "measure": "adoption", "weight": 1 }, csat] })).await;
        let explained = house.ask(&house.portal, "health/explanation").await.expect(200);
        assert_eq!((&explained["score"], &explained["coverage"]), (&json!(score), &json!(0.4)), "{missing}");
        let assumed = if missing == "exclude" { Value::Null } else { json!(missing) };
        assert_eq!(explained["measures"][1].get("assumed").unwrap_or(&Value::Null), &assumed);
        adds_up(&explained);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_criterion_chooses() {
    let house = House::build().await;
    house.report("2026-11-22", json!({ "observations": [{ "measure": "adoption", "value": 80 }, { "measure": "csat", "value": 20 }] })).await;
    let mut given = json!({ "external_id": "K-1" });
    for (rank, (criterion, word, member, other)) in [
        ("segments", "製造業", "segment", "医療"),
        ("touch_models", "tech", "touch_model", "high"),
        ("stages", "onboarding", "state", "active"),
        ("business_models", "従量課金", "business_model", "定額"),
    ]
    .into_iter()
    .enumerate()
    {
        given[member] = json!(other);
        house.app.post(&house.portal, "/v1/customers", &given).await.expect(200);
        let card = json!({ "name": criterion, "rank": rank + 1, "criteria": { criterion: [word] }, "measures": [{ "measure": "csat", "weight": 1 }] });
        let card = house.activate(&card).await;
        assert_eq!(house.health(&house.portal, "").await["score"], 50.0, "{criterion}: another {member}");
        given[member] = json!(word);
        house.app.post(&house.portal, "/v1/customers", &given).await.expect(200);
        house.app.settle().await;
        let chosen = house.health(&house.portal, "").await;
        assert_eq!((&chosen["score"], &chosen["scorecard_id"]), (&json!(20.0), &json!(card)), "{criterion}");
        given[member] = json!(other);
        house.app.post(&house.portal, "/v1/customers", &given).await.expect(200);
        house.app.settle().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scorecard_that_was_active_never_changes() {
    let house = House::build().await;
    let first = house.activate(&json!({ "name": "First", "measures": [{ "measure": "csat", "weight": 1 }] })).await;
    let activate = async |id: &str| house.app.post_with(&house.staff, &format!("/v1/scorecards/{id}/activate"), &json!(null), &[("if-match", "*")]).await;
    assert_eq!(activate(&first).await.problem().1, "state-conflict", "it is in force");
    house.activate(&json!({ "name": "Second", "measures": [{ "measure": "adoption", "weight": 1 }] })).await;
    assert_eq!(activate(&first).await.problem().1, "state-conflict", "it was retired");
    for method in ["PUT", "PATCH", "DELETE"] {
        let bearer = format!("Bearer {}", house.staff);
        let reply = house.app.send(method, &format!("/v1/scorecards/{first}"), &[("authorization", &bearer), ("content-type", "application/json")], Some(b"{}".to_vec())).await;
        assert!([404, 405].contains(&reply.status.as_u16()), "{method}: {}", reply.status);
    }
    // Nor may any login that serves: of a scorecard it may change where it stands and nothing else.
    let granted = "SELECT count(*) FROM pg_attribute a CROSS JOIN pg_roles r WHERE a.attrelid = 'todoku.scorecard'::regclass AND a.attnum > 0 AND r.rolname LIKE 'todoku\\_%'
        AND r.rolname <> 'todoku_owner' AND has_column_privilege(r.rolname, a.attrelid, a.attname, 'UPDATE')";
    assert_eq!(house.app.count(granted).await, 3, "state, version, updated_at; to the staff's login");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scorecard_that_cannot_be_is_refused_with_every_place() {
    let house = House::build().await;
    let measures = json!([{ "measure": "csat", "weight": 1, "group": "b" }]);
    let group = |key: &str, parent: Option<&str>| json!({ "key": key, "name_en": "G", "name_ja": "群", "weight": 1, "parent": parent });
    for (change, at, code) in [
        (json!({ "groups": [group("a", Some("b")), group("b", Some("a"))] }), "/groups/0/parent", "circular"),
        (json!({ "groups": [] }), "/measures/0/group", "reference-not-found"),
        (json!({ "groups": [group("b", None)], "bands": { "watch_from": 70, "healthy_from": 60 } }), "/bands/healthy_from", "contradiction"),
        (json!({ "measures": [{ "measure": "nothing", "weight": 1 }] }), "/measures/0/measure", "reference-not-found"),
        (json!({ "measures": [{ "measure": "csat", "weight": -1 }] }), "/measures/0/weight", "out-of-range"),
        (
            json!({ "measures": [{ "measure": "csat", "weight": 1, "curve": { "kind": "linear_bounded", "zero": 0, "full": 1, "least": 9, "most": 1 } }] }),
            "/measures/0/curve/most",
            "contradiction",
        ),
        (
            json!({ "measures": [{ "measure": "csat", "weight": 1, "curve": { "kind": "step", "knots": [{ "at": 1, "points": 1 }, { "at": 1, "points": 2 }] } }] }),
            "/measures/0/curve/knots/1/at",
            "contradiction",
        ),
        (json!({ "measures": [{ "measure": "csat", "weight": 1, "missing": "guess" }] }), "/measures/0/missing", "not-in-set"),
        (
            json!({ "groups": [group("b", None)], "limits": [{ "key": "x", "when": { "kind": "overdue_case", "severity": 1 }, "at_most": 1, "at_least": 1 }] }),
            "/limits/0/at_most",
            "one-of",
        ),
        (json!({ "groups": [group("b", None)], "criteria": { "segments": ["x"] } }), "/criteria", "contradiction"),
        (json!({ "groups": [group("b", None)], "hysteresis": 99 }), "/hysteresis", "out-of-range"),
        (json!({ "measures": (0..4000).map(|i| json!({ "measure": format!("m{i}"), "weight": 1 })).collect::<Vec<_>>() }), "/measures", "too-long"),
    ] {
        let mut card = json!({ "name": "x", "measures": measures });
        card.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = house.app.post(&house.staff, "/v1/scorecards", &card).await.problem();
        assert_eq!((refused.0, refused.2.first()), (422, Some(&(at.to_owned(), code.to_owned()))));
    }
    let many: Vec<Value> = (0..10_000).map(|i| json!({ "measure": format!("m{i}"), "weight": 1 })).collect();
    let refused = house.app.post(&house.staff, "/v1/scorecards", &json!({ "name": "x", "measures": many })).await.problem();
    assert_eq!((refused.0, refused.2), (413, vec![(String::new(), "too-long".to_owned())]), "longer than any body may be");
    for number in ["NaN", "Infinity", "1e999"] {
        let body = format!(r#"{{"name":"x","measures":[{{"measure":"csat","weight":{number}}}]}}"#);
        let bearer = format!("Bearer {}", house.staff);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let refused = house.app.send("POST", "/v1/scorecards", &headers, Some(body.into_bytes())).await.problem();
        assert_eq!((refused.0, refused.2), (400, vec![("/measures/0/weight".to_owned(), "malformed".to_owned())]), "{number}");
    }
    assert_eq!(house.app.count("SELECT count(*) FROM todoku.scorecard").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_disagree_are_listed_by_gap_and_value() {
    let mut house = House::build().await;
    house.report("2026-11-20", json!({ "declared_band": "healthy", "observations": [{ "measure": "adoption", "value": 92 }] })).await;
    assert_eq!(house.app.get(&house.staff, "/v1/insights/divergences").await.expect(200)["data"], json!([]), "one source alone cannot disagree");
    house.fact("seats_used", 20.0).await;
    house.days_later(2).await;
    let listed = house.app.get(&house.staff, "/v1/insights/divergences").await.expect(200);
    let gap = &listed["data"][0];
    assert_eq!((&gap["since"], &gap["age_days"], &gap["owner"]), (&json!("2026-11-22"), &json!(2), &Value::Null));
    assert_eq!(gap["sources"][1]["score"], 20.0);
    assert_eq!((&gap["no_difference_shown"], &gap["set_by_hand"], &gap["value_unconverted"]), (&json!(false), &Value::Null, &json!(false)), "{gap}");
    assert_eq!(gap["sources"][2], json!({ "evidence": "customer_voiced", "score": null, "interval": null, "coverage": 0.0 }));
    let seen = house.health(&house.staff, "").await;
    assert_eq!((&gap["score"], &gap["interval"], &gap["coverage"]), (&seen["score"], &seen["interval"], &seen["coverage"]));
    assert!(gap["interval"].is_object());
    assert!((points(&gap["divergence"]) - (points(&gap["sources"][0]["score"]) - 20.0)).abs() < 1e-9);
    let path = format!("/v1/customers/{}/divergence-owner", house.customer);
    let bearer = format!("Bearer {}", house.staff);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    assert_eq!(house.app.send("PUT", &path, &headers, Some(br#"{"owner":"east"}"#.to_vec())).await.status, 204);
    assert_eq!(house.app.get(&house.staff, "/v1/insights/divergences").await.expect(200)["data"][0]["owner"], "east");
    let seen = house.health(&house.staff, "").await;
    assert_eq!((&seen["divergence"], &seen["no_difference_shown"]), (&gap["divergence"], &json!(false)));
    // What a person sets stands beside what the evidence says, in the list and as the day closes.
    let computed = json!({ "computed": seen["score"], "interval": seen["interval"] });
    house.set(json!({ "score": 20, "reason": "x", "expires_on": "2026-11-24" })).await.expect(201);
    house.app.settle().await;
    let set = house.app.get(&house.staff, "/v1/insights/divergences").await.expect(200);
    assert_eq!((&set["data"][0]["score"], &set["data"][0]["interval"], &set["data"][0]["set_by_hand"]), (&json!(20.0), &Value::Null, &computed));
    house.days_later(1).await;
    let closed = house.app.get(&house.staff, "/v1/insights/divergences?as_of=2026-11-24").await.expect(200);
    assert_eq!((&closed["data"][0]["score"], &closed["data"][0]["set_by_hand"]), (&json!(20.0), &computed), "as the day closed");
    // A partner sees one source, and nothing of a gap.
    house.portal = sign_in_again(&house).await;
    let shared = house.health(&house.portal, "").await;
    assert!(shared.get("divergence").is_none() && shared.get("sources").is_none(), "{shared}");
    assert_eq!(house.app.get(&house.portal, "/v1/insights/divergences").await.problem().1, "insufficient-scope");
    // What agrees again is listed no more.
    for measure in ["seats_used", "csat", "support_load"] {
        house.fact(measure, 96.0).await;
    }
    assert_eq!(house.app.get(&house.staff, "/v1/insights/divergences").await.expect(200)["data"], json!([]));
    // The third source speaks: what a survey tool submits is the customer's own word, of the same moment beside the vendor's.
    let before = house.health(&house.portal, "").await;
    let survey = house.app.system(&house.founded, &[Permission::ObservationsWrite, Permission::SurveysWrite]).await;
    for (measure, value) in [("csat", 40.0), ("seats_used", 60.0), ("effort", 2.0)] {
        house.app.post(&survey, "/v1/observations", &json!({ "customer_id": house.customer, "measure": measure, "value": value })).await.expect(201);
    }
    assert_eq!(house.app.get(&survey, &format!("/v1/customers/{}/health", house.customer)).await.problem().1, "insufficient-scope");
    // The credential decides, whatever its token asks for; and no partner's client may have it.
    let clients = format!("/v1/partners/{}/clients", text(&house.app.get(&house.portal, "/v1/partners").await.expect(200)["data"][0]["id"]));
    let refused = house.app.post(&house.staff, &clients, &json!({ "name": "x", "scopes": ["observations:write", "surveys:write"] })).await.problem();
    assert_eq!((refused.0, refused.2), (422, vec![("/scopes/1".to_owned(), "not-in-set".to_owned())]));
    house.app.settle().await;
    let heard = house.health(&house.staff, "").await;
    let voiced = &heard["sources"][2];
    assert!(voiced["evidence"] == "customer_voiced" && voiced["score"].is_number() && voiced["interval"].is_object() && points(&voiced["coverage"]) > 0.0, "{heard}");
    assert_eq!(heard["adjustments"][0]["because"]["value"]["evidence"], "customer_voiced", "an effort of 2 caps the score");
    assert_eq!(house.app.count("SELECT count(*) FROM todoku.observation WHERE evidence = 'customer_voiced' AND audience = 'vendor'").await, 3);
    assert_eq!(house.health(&house.portal, "").await, before, "nothing of it is the partner's to see");
    house.days_later(1).await;
    house.fact("effort", 6.0).await;
    assert_eq!(house.health(&house.staff, "").await["adjustments"][0]["because"], heard["adjustments"][0]["because"], "what others say later does not outdo it");
}

/// 66 closed as healthy; coming from at risk it would have to reach 68.
#[tokio::test(flavor = "multi_thread")]
async fn a_score_set_by_hand_leaves_no_trace_in_the_bands_that_follow() {
    let mut house = House::build().await;
    house.report("2026-11-20", json!({ "observations": [{ "measure": "adoption", "value": 66 }, { "measure": "csat", "value": 66 }] })).await;
    house.days_later(1).await;
    house.set(json!({ "score": 20, "reason": "決裁者が交代", "evidence_link": "https://crm.example.jp/1", "expires_on": "2026-11-24" })).await.expect(201);
    house.days_later(1).await;
    let while_set = house.health(&house.staff, "").await;
    assert_eq!((&while_set["score"], &while_set["band"]), (&json!(20.0), &json!("at_risk")));
    house.days_later(2).await;
    let after = house.health(&house.staff, "").await;
    assert_eq!((&after["score"], &after["band"]), (&json!(66.0), &json!("healthy")));
    let replayed = house.health(&house.staff, "?as_of=2026-11-25").await;
    assert_eq!((&replayed["score"], &replayed["band"]), (&json!(66.0), &json!("healthy")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_stands_beside_the_score_until_its_last_day() {
    let mut house = House::build().await;
    house.report("2026-11-20", json!({ "observations": [{ "measure": "adoption", "value": 85 }, { "measure": "csat", "value": 85 }] })).await;
    let before = house.ask(&house.portal, "health").await.masked();
    let computed = json!({ "computed": 85.0, "interval": house.health(&house.staff, "").await["interval"] });
    assert!(points(&computed["interval"]["low"]) < 85.0 && 85.0 < points(&computed["interval"]["high"]), "{computed}");
    let set = house.set(json!({ "score": 20, "reason": "決裁者が交代", "evidence_link": "https://crm.example.jp/1", "expires_on": "2026-11-23" })).await.expect(201);
    house.app.settle().await;
    let seen = house.ask(&house.staff, "health/explanation").await.expect(200);
    assert_eq!((&seen["score"], &seen["band"], &seen["interval"]), (&json!(20.0), &json!("at_risk"), &Value::Null));
    assert_eq!((&seen["adjustments"][0]["override_id"], &seen["adjustments"][0]["from"]), (&set["id"], &json!(85.0)));
    assert_eq!(seen["set_by_hand"], computed, "where it lay stands beside it");
    adds_up(&seen);
    let listed = house.app.get(&house.staff, "/v1/insights/at-risk").await.expect(200);
    assert_eq!((&listed["data"][0]["score"], &listed["data"][0]["set_by_hand"]), (&json!(20.0), &computed));
    assert_eq!(house.ask(&house.portal, "health").await.masked(), before, "no partner learns of it");
    house.days_later(2).await;
    let closed = house.app.get(&house.staff, "/v1/insights/at-risk?as_of=2026-11-22").await.expect(200);
    assert_eq!((&closed["data"][0]["score"], &closed["data"][0]["set_by_hand"]), (&json!(20.0), &computed), "as the day closed");
    assert_eq!(house.health(&house.staff, "?as_of=2026-11-22").await["set_by_hand"], computed, "as it is replayed");
    let days = house.ask(&house.staff, "health/history").await.expect(200);
    let by_day: Vec<(&Value, &Value)> = days["data"].as_array().unwrap().iter().map(|day| (&day["score"], &day["set_by_hand"])).collect();
    assert_eq!((by_day.len(), by_day[0], by_day[2]), (3, (&json!(20.0), &computed), (&json!(85.0), &Value::Null)), "{days}");
    assert_eq!((by_day[1].0, &by_day[1].1["computed"]), (&json!(20.0), &json!(85.0)), "{days}");
    assert!(points(&by_day[1].1["interval"]["low"]) < points(&computed["interval"]["low"]), "a day later less is sure: {days}");
    assert_eq!(days["trend"]["days"], 1, "what a person set makes no trend");
    assert_eq!(house.health(&house.staff, "").await["score"], 85.0);
    let listed = house.ask(&house.staff, "overrides").await.expect(200);
    // On its first day it counted, and nobody knew better.
    let then = house.ask(&house.staff, "overrides?as_of=2026-11-22").await.expect(200);
    assert_eq!((&then["data"][0]["id"], &then["data"][0]["state"]), (&set["id"], &json!("in_force")));
    assert_eq!((&listed["data"][0]["state"], &listed["data"][0]["reason"]), (&json!("expired"), &json!("決裁者が交代")));
    for (body, pointer, code) in [
        (json!({ "score": 20, "reason": "x" }), "/expires_on", "required"),
        (json!({ "score": 20, "reason": "x", "expires_on": "2026-11-23" }), "/expires_on", "out-of-range"),
        (json!({ "score": 20, "reason": "x", "expires_on": "2028-11-23" }), "/expires_on", "out-of-range"),
        (json!({ "score": 100.5, "reason": "x", "expires_on": "2026-12-01" }), "/score", "out-of-range"),
        (json!({ "score": 20, "reason": " ", "expires_on": "2026-12-01" }), "/reason", "empty"),
        (json!({ "score": 20, "reason": "x", "evidence_link": "javascript:alert(1)", "expires_on": "2026-12-01" }), "/evidence_link", "malformed"),
    ] {
        let refused = house.set(body).await.problem();
        assert_eq!((refused.0, refused.2), (422, vec![(pointer.to_owned(), code.to_owned())]));
    }
    assert_eq!(house.app.count("SELECT count(*) FROM todoku.health_override").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn above_a_value_a_second_person_approves() {
    let house = House::build().await;
    house.report("2026-11-20", json!({ "observations": [{ "measure": "adoption", "value": 85 }] })).await;
    house.activate(&json!({ "name": "Careful", "measures": [{ "measure": "adoption", "weight": 1 }], "override_approval_from_minor": 1_000_000 })).await;
    let waiting = house.set(json!({ "score": 20, "reason": "x", "expires_on": "2026-12-31" })).await.expect(201);
    house.app.settle().await;
    assert_eq!((&waiting["state"], &house.health(&house.staff, "").await["score"]), (&json!("pending"), &json!(85.0)));
    let path = format!("/v1/customers/{}/overrides/{}", house.customer, waiting["id"].as_str().unwrap());
    assert_eq!(house.app.post(&house.staff, &format!("{path}/approve"), &json!(null)).await.problem().1, "state-conflict", "not one's own");
    let second = house.app.colleague(&house.founded).await;
    let approved = house.app.post(&second, &format!("{path}/approve"), &json!(null)).await.expect(200);
    house.app.settle().await;
    assert_eq!((&approved["state"], &house.health(&house.staff, "").await["score"]), (&json!("in_force"), &json!(20.0)));
    assert_eq!(house.app.post(&second, &format!("{path}/approve"), &json!(null)).await.problem().1, "state-conflict", "once");
    assert_eq!(house.app.post(&house.staff, &format!("{path}/withdraw"), &json!(null)).await.expect(200)["state"], "withdrawn");
    house.app.settle().await;
    assert_eq!(house.health(&house.staff, "").await["score"], 85.0);
    let partners_view = house.app.get(&house.portal, "/v1/scorecards").await.expect(200);
    assert!(!partners_view.to_string().contains("override"), "{partners_view}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_shows_what_it_would_change_and_changes_nothing() {
    let house = House::build().await;
    house.report("2026-11-20", json!({ "observations": [{ "measure": "adoption", "value": 90 }, { "measure": "csat", "value": 20 }] })).await;
    let draft = json!({ "name": "Draft", "measures": [{ "measure": "csat", "weight": 1 }] });
    let draft = text(&house.app.post(&house.staff, "/v1/scorecards", &draft).await.expect(201)["id"]);
    let before = house.health(&house.staff, "").await;
    let rows = "SELECT (SELECT count(*) FROM todoku.event) + (SELECT count(*) FROM ops.job) + (SELECT count(*) FROM todoku.audit_entry)";
    let written = house.app.count(rows).await;
    let shown = house.app.post(&house.staff, &format!("/v1/scorecards/{draft}/simulate"), &json!(null)).await.expect(200);
    assert_eq!((&shown["customers"], &shown["changed"]), (&json!(1), &json!(1)));
    assert_eq!(shown["bands"], json!([{ "from": "watch", "to": "at_risk", "customers": 1, "value_minor": 1_200_000 }]));
    assert_eq!((&shown["movers"][0]["before"]["score"], &shown["movers"][0]["after"]["score"]), (&before["score"], &json!(20.0)));
    for (member, known) in [("band", "watch"), ("interval", ""), ("coverage", "")] {
        let shown = &shown["movers"][0]["before"][member];
        assert!(*shown == before[member] && (known.is_empty() || shown == known), "{member}: {shown}");
    }
    assert_eq!(house.health(&house.staff, "").await, before);
    assert_eq!(house.app.count(rows).await, written, "nothing is written");
}

/// Five partners with a dozen customers each, all alike in what the vendor sees; one speaks 20 points higher than the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_rosy_reporter_is_found_out_and_told() {
    let mut house = House::build().await;
    let top = json!({ "external_id": "top", "name": "一次店", "kind": "distributor" });
    let top = text(&house.app.post(&house.staff, "/v1/partners", &top).await.expect(201)["id"]);
    let (_, above) = crate::world::client(&house.app, &house.staff, &top, &[]).await;
    let mut partners = Vec::new();
    let survey = house.app.system(&house.founded, &[Permission::ObservationsWrite, Permission::SurveysWrite]).await;
    for (name, rosy) in [("sober", 0), ("plain", 0), ("rosy", 20), ("calm", 0), ("even", 0)] {
        let partner = json!({ "external_id": name, "name": name, "kind": "reseller", "parent_id": top, "parent_sees": "customers" });
        let partner = text(&house.app.post(&house.staff, "/v1/partners", &partner).await.expect(201)["id"]);
        let (client, portal) = crate::world::client(&house.app, &house.staff, &partner, &[]).await;
        let mut reports = Vec::new();
        let mut facts = Vec::new();
        for n in 0..12 {
            let customer = json!({ "external_id": format!("C-{n}"), "name": format!("お客様{n}") });
            let id = text(&house.app.post(&portal, "/v1/customers", &customer).await.expect(201)["id"]);
            let truth = 30 + 3 * n;
            // What is judged wavers by two points around the truth, and what is added to it.
            reports.push(json!({ "customer_external_id": format!("C-{n}"), "period_end": "2026-11-21", "observations": [{ "measure": "sentiment", "value": truth + rosy + 4 * (n % 2) - 2 }] }));
            facts.push(json!({ "customer_id": id, "measure": "seats_used", "value": truth }));
        }
        house.app.post(&portal, "/v1/status-reports/batch", &json!({ "reports": reports })).await.expect(200);
        // What the vendor's surveys hear anchors as what it observes.
        let speaker = if rosy > 0 { &survey } else { &house.staff };
        house.app.post(speaker, "/v1/observations/batch", &json!({ "observations": facts })).await.expect(200);
        partners.push((partner, client, portal));
    }
    let customers = house.app.get(&partners[2].2, "/v1/customers").await.expect(200);
    let customer = text(&customers["data"][0]["id"]);
    house.app.settle().await;
    let shared = house.app.get(&partners[2].2, &format!("/v1/customers/{customer}/health")).await.expect(200);
    let before = house.app.get(&house.staff, &format!("/v1/customers/{customer}/health")).await.expect(200);
    for (partner, _, portal) in &partners {
        assert_eq!(house.app.get(portal, &format!("/v1/partners/{partner}/bias")).await.expect(200)["data"], json!([]), "nothing is known on the first day");
    }
    house.days_later(1).await;
    let told = house.app.get(&house.staff, &format!("/v1/partners/{}/bias", partners[2].0)).await.expect(200)["data"][0].clone();
    assert_eq!((&told["measure"], &told["n"]), (&json!("sentiment"), &json!(12)));
    // Against the mean of five, one of which speaks 20 higher: + 16, hardly shrunk because the rest hardly wavers.
    assert!((points(&told["raw"]) - 16.0).abs() < 0.01, "{told}");
    assert!(points(&told["bias"]) > 15.0 && points(&told["bias"]) < points(&told["raw"]), "{told}");
    let portal = crate::world::client(&house.app, &house.staff, &partners[2].0, &[]).await.1;
    let own = house.app.get(&portal, &format!("/v1/partners/{}/bias", partners[2].0)).await.expect(200);
    assert_eq!(own["data"], json!([]), "a partner is told by the month");
    assert_eq!(house.app.get(&above, &format!("/v1/partners/{}/bias", partners[2].0)).await.status.as_u16(), 401, "its token has run out");
    let above = crate::world::client(&house.app, &house.staff, &top, &[]).await.1;
    assert_eq!(house.app.get(&above, &format!("/v1/partners/{}", partners[2].0)).await.status, 200);
    assert_eq!(house.app.get(&above, &format!("/v1/partners/{}/bias", partners[2].0)).await.status, 404, "not for the distributor above");
    // Taken off in the vendor's view, shown as such, and nowhere else.
    let explained = house.app.get(&house.staff, &format!("/v1/customers/{customer}/health/explanation")).await.expect(200);
    let sentiment = explained["measures"].as_array().unwrap().iter().find(|m| m["measure"] == "sentiment").unwrap();
    assert_eq!(sentiment["bias"], told["bias"]);
    let said = &sentiment["inputs"][0];
    assert!((points(&said["value"]) - points(&told["bias"]) - points(&said["points"])).abs() < 0.001, "the value as it was said, the points as they count: {said}");
    assert!(points(&explained["score"]) < points(&before["score"]) - 3.0);
    let raw = house.app.get(&house.staff, &format!("/v1/customers/{customer}/health?bias=raw")).await.expect(200);
    assert!((points(&raw["score"]) - points(&before["score"])).abs() < 1.0, "{raw} {before}");
    let portal = crate::world::client(&house.app, &house.staff, &partners[2].0, &[]).await.1;
    let now = house.app.get(&portal, &format!("/v1/customers/{customer}/health")).await.expect(200);
    assert_eq!(now["score"], shared["score"]);

    // What was estimated then stays as it was, whatever is estimated since.
    let known_at = micros(house.app.clock.now());
    let path = format!("/v1/partners/{}/bias", partners[2].0);
    let then = house.app.get(&house.staff, &path).await.bytes;
    let sober = (0..12).map(|n| json!({ "customer_external_id": format!("C-{n}"), "period_end": "2026-11-23", "observations": [{ "measure": "sentiment", "value": 10 + n }] }));
    house.app.post(&portal, "/v1/status-reports/batch", &json!({ "reports": sober.collect::<Vec<_>>() })).await.expect(200);
    house.days_later(1).await;
    assert_ne!(house.app.get(&house.staff, &path).await.bytes, then);
    let asked = [format!("{path}?as_of=2026-11-23&known_at={known_at}"), format!("{path}?known_at={known_at}")];
    for asked in asked {
        assert_eq!(house.app.get(&house.staff, &asked).await.bytes, then, "{asked}");
    }
    assert_eq!(house.app.get(&house.staff, &format!("{path}?as_of=2026-11-22")).await.expect(200)["data"], json!([]), "nothing was known on the first day");
    let ahead = house.app.get(&house.staff, &format!("{path}?as_of=2027-11-22")).await.problem();
    assert_eq!((ahead.0, ahead.2), (422, vec![("as_of".to_owned(), "in-the-future".to_owned())]));

    // When the month has ended each is told its own.
    house.days_later(8).await;
    for (i, (partner, client, _)) in partners.iter().enumerate() {
        let portal = crate::world::client(&house.app, &house.staff, partner, &[]).await.1;
        let path = format!("/v1/partners/{partner}/bias");
        let (own, told) = (house.app.get(&portal, &path).await.expect(200), house.app.get(&house.staff, &format!("{path}?as_of=2026-11-30")).await.expect(200));
        let (own, told) = (&own["data"][0], &told["data"][0]);
        assert_eq!(points(&own["bias"]), points(&told["bias"]).round(), "{client}: in whole points");
        assert_eq!((&own["n"], &own["shrink"]), (&json!(10), &json!((points(&told["shrink"]) * 10.0).round() / 10.0)));
        let within = house.app.get(&portal, &format!("{path}?as_of=2026-12-01&known_at={known_at}")).await.expect(200);
        assert_eq!(within["data"], json!([]), "no day within a month is told by what was known then");
        let other = &partners[(i + 1) % 5].0;
        assert_eq!(house.app.get(&portal, &format!("/v1/partners/{other}/bias")).await.status, 404);
    }
}

/// Four facts of weight 1 each, today. `use` weighs 3 of 4: half of it `depth` (m0 and m1), half m2; m3 weighs 1. So .75, .75, 1.5 and 1 of 4:
/// (.75 * 80 + .75 * 60 + 1.5 * 40 + 20) / 4 = 46.25. m4 is a partner's figure, 0.8 of evidence where 0.9 is asked: as if it had not been said.
#[tokio::test(flavor = "multi_thread")]
async fn groups_lie_within_groups_and_limits_apply_in_their_order() {
    let mut house = House::build().await;
    for n in 0..5 {
        let measure = json!({ "key": format!("m{n}"), "name_en": "m", "name_ja": "m", "unit": "%", "nature": "figure" });
        house.app.post(&house.staff, "/v1/measures", &measure).await.expect(201);
    }
    let group = |key: &str, parent: Option<&str>, weight: f64| json!({ "key": key, "name_en": key, "name_ja": key, "weight": weight, "parent": parent });
    let measure = |n: usize, group: Option<&str>| json!({ "measure": format!("m{n}"), "weight": 1, "group": group });
    let least = json!({ "measure": "m4", "weight": 1, "minimum_evidence": 0.9 });
    let latest = |key: &str, measure: &str, at_most: f64| json!({ "kind": "latest", "measure": measure, key: at_most, "within_days": 30 });
    let limits = json!([
        { "key": "promised", "when": latest("at_most", "m3", 25.0), "at_least": 55 },
        { "key": "slow", "when": latest("at_least", "m2", 30.0), "at_most": 50 },
        { "key": "never", "when": latest("at_least", "m2", 90.0), "at_most": 1 }
    ]);
    let card = json!({ "name": "Nested", "groups": [group("depth", Some("use"), 1.0), group("use", None, 3.0)], "limits": limits,
        "measures": [measure(0, Some("depth")), measure(1, Some("depth")), measure(2, Some("use")), measure(3, None), least] });
    house.activate(&card).await;
    for (n, value) in [80.0, 60.0, 40.0, 20.0].into_iter().enumerate() {
        house.fact(&format!("m{n}"), value).await;
    }
    house.report("2026-11-22", json!({ "observations": [{ "measure": "m4", "value": 100 }] })).await;
    let told = house.ask(&house.staff, "health/explanation").await.expect(200);
    adds_up(&told);
    assert_eq!((&told["score"], &told["coverage"]), (&json!(50.0), &json!(0.8)), "{told}");
    let steps: Vec<(&str, f64, f64)> =
        told["adjustments"].as_array().unwrap().iter().map(|step| (step["limit"].as_str().unwrap(), points(&step["from"]), points(&step["to"]))).collect();
    assert_eq!(steps, [("promised", 46.25, 55.0), ("slow", 55.0, 50.0)]);
    let groups: Vec<(&str, f64, f64)> =
        told["groups"].as_array().unwrap().iter().map(|group| (group["group"].as_str().unwrap(), points(&group["weight"]), points(&group["contribution"]))).collect();
    // 7.5 of the depth: .75 * 30 / 4 and .75 * 10 / 4; of the whole use 1.5 * -10 / 4 less.
    let share = groups[1].1 / 3.0;
    assert_eq!(groups, [("depth", 1.5 * share, 7.5), ("use", 3.0 * share, 3.75)]);
    house.portal = sign_in_again(&house).await;
    let shared = house.ask(&house.portal, "health/explanation").await.expect(200);
    assert_eq!((&shared["score"], &shared["band"]), (&Value::Null, &json!("unknown")), "the partner said too little of one measure");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_effort_caps_a_rosy_score_until_it_gets_easier() {
    let mut house = House::build().await;
    house.activate(&json!({ "name": "One", "measures": [{ "measure": "csat", "weight": 1, "half_life_days": 3650 }] })).await;
    let rosy = json!([{ "measure": "csat", "value": 95 }, { "measure": "effort", "value": 3 }]);
    let capped = house.report("2026-11-20", json!({ "observations": rosy })).await;
    assert_eq!((&capped["health"]["score"], &capped["health"]["adjustments"][0]["limit"]), (&json!(55.0), &json!("high_effort")), "{capped}");
    adds_up(&house.ask(&house.staff, "health/explanation").await.expect(200));
    let easier = house.report("2026-11-21", json!({ "observations": [{ "measure": "effort", "value": 4 }] })).await;
    assert_eq!((&easier["health"]["score"], &easier["health"]["adjustments"]), (&json!(95.0), &json!([])), "{easier}");
    // Of an old one nothing is left.
    house.report("2026-11-22", json!({ "observations": [{ "measure": "effort", "value": 1 }] })).await;
    assert_eq!(house.health(&house.staff, "").await["score"], 55.0);
    house.app.clock.turn_to(house.app.clock.now() + chrono::Duration::days(89));
    house.days_later(1).await;
    assert_eq!(house.health(&house.staff, "").await["adjustments"][0]["limit"], "high_effort", "ninety days on");
    house.days_later(1).await;
    assert_eq!(house.health(&house.staff, "").await["adjustments"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_may_be_of_any_size_and_limits_of_any_number() {
    let house = House::build().await;
    let closing = json!({ "key": "closing", "when": { "kind": "latest", "measure": "csat", "at_least": 80, "within_days": 30 }, "at_most": 84 });
    let limits: Vec<Value> =
        (0..500).map(|n| json!({ "key": format!("case_{n}"), "when": { "kind": "overdue_case", "severity": 1 }, "at_most": n % 100 })).chain([closing]).collect();
    house.report("2026-11-22", json!({ "observations": [{ "measure": "csat", "value": 80 }, { "measure": "effort", "value": 7 }] })).await;
    for size in [1e-100, 1.0, 3e99] {
        let measures = json!([{ "measure": "csat", "weight": 3.0 * size }, { "measure": "effort", "weight": size }]);
        house.activate(&json!({ "name": format!("{size:e}"), "measures": measures, "limits": limits })).await;
        let told = house.ask(&house.staff, "health/explanation").await.expect(200);
        adds_up(&told);
        let capped = &told["adjustments"][0];
        assert_eq!((points(&capped["from"]), points(&capped["to"]), told["adjustments"].as_array().unwrap().len()), (85.0, 84.0, 1), "{size}: {told}");
        assert!((points(&told["measures"][1]["weight"]) / size - 1.0).abs() < 1e-12, "{size}: {told}");
    }
}
