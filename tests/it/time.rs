//! Both times: the past answers as it was known, day by day, with the same bytes for ever; and what moved between two points.

use crate::harness::{Dice, Reply};
use crate::house::{House, micros, points, sign_in_again};
use chrono::{Duration, NaiveDate};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn the_past_answers_with_the_same_bytes_for_ever() {
    let mut house = House::build().await;
    let case = json!([{ "external_id": "T-1", "severity": 1, "opened_on": "2026-11-01", "due_on": "2026-11-10" }]);
    house
        .report(
            "2026-11-20",
            json!({ "declared_band": "healthy", "observations": [{ "measure": "adoption", "value": 90 }, { "measure": "csat", "value": 80 }], "open_cases": case }),
        )
        .await;
    house.fact("seats_used", 30.0).await;
    house.set(json!({ "score": 33, "reason": "x", "expires_on": "2026-11-25" })).await.expect(201);
    house.app.settle().await;
    house.days_later(1).await;
    house.portal = sign_in_again(&house).await;
    house.app.settle().await;
    let known_at = house.app.clock.now();
    let mut told = Vec::new();
    for what in ["health", "health/explanation"] {
        told.push((what, house.ask(&house.staff, what).await.bytes, house.ask(&house.portal, what).await.bytes));
    }
    // Then everything changes: the report, the facts, the customer, the policy, the override.
    house.days_later(3).await;
    house.portal = sign_in_again(&house).await;
    let at = micros(known_at);
    let point = format!("as_of=2026-11-23&known_at={at}");
    let over_time = [
        format!("health/history?from=2026-11-22&{point}"),
        format!("health/change?since=2026-11-22&since_known_at={at}&{point}"),
        format!("health?{point}&bias=raw"),
        format!("health?{point}&view=shared"),
        format!("overrides?{point}"),
    ];
    let mut told_over_time = Vec::new();
    for path in over_time {
        let reply = house.ask(&house.staff, &path).await;
        assert_eq!(reply.status, 200, "{path}: {}", text_of(&reply));
        told_over_time.push((path, text_of(&reply)));
    }
    house.report("2026-11-20", json!({ "declared_band": "at_risk", "observations": [{ "measure": "adoption", "value": 5 }], "open_cases": [] })).await;
    house.fact("seats_used", 99.0).await;
    house.app.post(&house.portal, "/v1/customers", &json!({ "external_id": "K-1", "touch_model": "high", "segment": "医療" })).await.expect(200);
    house.activate(&json!({ "name": "Other", "measures": [{ "measure": "csat", "weight": 1 }] })).await;
    house.set(json!({ "score": 99, "reason": "x", "expires_on": "2026-12-25" })).await.expect(201);
    house.app.settle().await;
    for (what, staff, portal) in told {
        let path = format!("{what}?as_of=2026-11-23&known_at={at}");
        assert_eq!(text_of(&house.ask(&house.staff, &path).await), String::from_utf8(staff).unwrap(), "{path}");
        assert_eq!(text_of(&house.ask(&house.portal, &path).await), String::from_utf8(portal).unwrap(), "{path}");
    }
    for (path, then) in told_over_time {
        assert_eq!(text_of(&house.ask(&house.staff, &path).await), then, "{path}");
    }
    // The same day as it is known now: the report of that day says something else by now.
    let restated = house.health(&house.portal, "?as_of=2026-11-23").await;
    assert_eq!((&restated["scored_for"], &restated["adjustments"]), (&json!("2026-11-23"), &json!([])));
    for (query, parameter, code) in [
        ("?as_of=2027-01-01", "as_of", "in-the-future"),
        ("?as_of=2026-11-21", "as_of", "out-of-range"),
        ("?known_at=2026-11-01T00:00:00Z", "known_at", "out-of-range"),
        (&format!("?known_at={}", house.app.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)), "known_at", "in-the-future"),
    ] {
        let refused = house.ask(&house.portal, &format!("health{query}")).await.problem();
        assert_eq!((refused.0, refused.2), (422, vec![(parameter.to_owned(), code.to_owned())]), "{query}");
    }
}

/// Every read of health and figures refuses a time that is yet to come, and one before there was anything; the document tells which they are.
#[tokio::test(flavor = "multi_thread")]
async fn no_read_tells_of_a_time_there_was_not() {
    let house = House::build().await;
    let first = async |path: &str| house.app.get(&house.staff, path).await.expect(200)["data"][0]["id"].as_str().unwrap().to_owned();
    let (partner, card) = (first("/v1/partners").await, first("/v1/scorecards").await);
    let document = house.app.get(&house.staff, "/openapi.json").await.expect(200);
    let mut reads = 0;
    for (template, item) in document["paths"].as_object().unwrap() {
        let names: Vec<&str> = item["get"]["parameters"].as_array().into_iter().flatten().filter_map(|parameter| parameter["name"].as_str()).collect();
        if !names.contains(&"as_of") {
            continue;
        }
        reads += 1;
        let path = template.replace("{customer_id}", &house.customer).replace("{partner_id}", &partner).replace("{scorecard_id}", &card);
        let needed: String = [("by", "by=region&"), ("since", "since=2026-11-22&")].iter().filter(|(name, _)| names.contains(name)).map(|(_, asked)| *asked).collect();
        for (times, parameter, code) in [
            ("as_of=2027-01-01", "as_of", "in-the-future"),
            ("as_of=2026-11-21", "as_of", "out-of-range"),
            ("known_at=2027-01-01T00:00:00Z", "known_at", "in-the-future"),
            ("known_at=2026-11-01T00:00:00Z", "known_at", "out-of-range"),
        ] {
            let refused = house.app.get(&house.staff, &format!("{path}?{needed}{times}")).await.problem();
            assert_eq!((refused.0, refused.2), (422, vec![(parameter.to_owned(), code.to_owned())]), "{path}?{needed}{times}");
        }
    }
    assert_eq!(reads, 16);
}

fn text_of(reply: &Reply) -> String {
    String::from_utf8(reply.bytes.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn history_shows_each_day_as_it_was_known_and_bands_do_not_flicker() {
    let mut house = House::build().await;
    // One measure, one source: the score is the value.
    house.activate(&json!({ "name": "One", "measures": [{ "measure": "adoption", "weight": 1 }] })).await;
    for value in [70, 66, 64, 66, 69, 39, 42, 44] {
        house.portal = sign_in_again(&house).await;
        let today = house.app.clock.now().date_naive();
        house.report(&today.to_string(), json!({ "observations": [{ "measure": "adoption", "value": value }], "external_id": "R" })).await;
        house.days_later(1).await;
    }
    house.portal = sign_in_again(&house).await;
    for token in [&house.staff, &house.portal] {
        let history = house.ask(token, "health/history?from=2026-11-22").await.expect(200);
        let days: Vec<(&str, f64, &str)> =
            history["data"].as_array().unwrap().iter().map(|day| (day["on"].as_str().unwrap(), points(&day["score"]), day["band"].as_str().unwrap())).collect();
        assert_eq!(
            days,
            [
                ("2026-11-22", 70.0, "healthy"),
                ("2026-11-23", 66.0, "healthy"),
                ("2026-11-24", 64.0, "watch"),
                ("2026-11-25", 66.0, "watch"),
                ("2026-11-26", 69.0, "healthy"),
                ("2026-11-27", 39.0, "at_risk"),
                ("2026-11-28", 42.0, "at_risk"),
                ("2026-11-29", 44.0, "watch"),
                ("2026-11-30", 44.0, "watch"),
            ]
        );
        assert_eq!((&history["trend"]["days"], &history["trend"]["window_days"]), (&json!(9), &json!(8)));
        for (on, held_back) in [("25", json!({ "band": "healthy", "given_from": 68.0 })), ("26", Value::Null), ("28", json!({ "band": "watch", "given_from": 43.0 }))] {
            assert_eq!(house.health(token, &format!("?as_of=2026-11-{on}&known_at=2026-11-{on}T14:59:59Z")).await["held_back"], held_back, "{on}");
        }
        assert!(points(&history["trend"]["points_per_30_days"]) < 0.0);
    }
    let late = house.ask(&house.portal, &format!("health/history?from={}", NaiveDate::from_ymd_opt(2025, 1, 1).unwrap())).await.problem();
    assert_eq!((late.0, late.2), (422, vec![("from".to_owned(), "out-of-range".to_owned())]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_split_exactly() {
    let mut house = House::build().await;
    let before = micros(house.app.clock.now() + Duration::minutes(1));
    house.app.clock.turn_to(house.app.clock.now() + Duration::minutes(2));
    house.report("2026-11-22", json!({ "observations": [{ "measure": "adoption", "value": 80 }, { "measure": "csat", "value": 60 }] })).await;
    house.days_later(10).await;
    house.portal = sign_in_again(&house).await;
    let case = json!([{ "external_id": "T-1", "severity": 1, "opened_on": "2026-11-01", "due_on": "2026-11-10" }]);
    house.report("2026-12-01", json!({ "observations": [{ "measure": "adoption", "value": 70 }, { "measure": "sentiment", "value": 90 }], "open_cases": case })).await;
    house
        .activate(&json!({ "name": "Other", "measures": [{ "measure": "adoption", "weight": 3 }, { "measure": "csat", "weight": 1 }, { "measure": "sentiment", "weight": 2 }] }))
        .await;
    let change = house.ask(&house.portal, "health/change?since=2026-11-22").await.expect(200);
    let sum = |member: &str| change[member].as_array().unwrap().iter().map(|line| points(&line["points"])).sum::<f64>();
    assert!((sum("lines") + sum("adjusted") - points(&change["total"])).abs() < 1e-9, "{change}");
    assert!((sum("causes") - sum("lines")).abs() < 1e-9);
    assert!((points(&change["after"]["score"]) - points(&change["before"]["score"]) - points(&change["total"])).abs() < 1e-9);
    let causes: Vec<&str> = change["causes"].as_array().unwrap().iter().map(|line| line["cause"].as_str().unwrap()).collect();
    assert_eq!(causes, ["fading", "value", "weight", "newly_known", "policy"]);
    assert_eq!(change["adjusted"][0]["limit"], "overdue_case");
    assert_eq!(house.ask(&house.portal, "health/change").await.problem().0, 400, "since is required");
    // The customer was here before anything was known of it: what became known is counted from the middle of the scale.
    let known = house.ask(&house.portal, &format!("health/change?since=2026-11-22&since_known_at={before}")).await.expect(200);
    assert_eq!((&known["before"]["score"], known["causes"].as_array().unwrap().len()), (&Value::Null, 1), "{known}");
    assert_eq!(known["causes"][0]["cause"], "newly_known");
    assert!((points(&known["total"]) - (points(&known["after"]["score"]) - 50.0)).abs() < 1e-9, "{known}");
    let nothing = house.ask(&house.portal, "health/change?since=2026-12-02&as_of=2026-12-02").await.expect(200);
    assert_eq!((&nothing["total"], &nothing["lines"]), (&json!(0.0), &json!([])));
}

/// Of a customer that came later nothing was known; of one that no scorecard was for nothing was asked, and is not any more when it is retired.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_split_from_before_there_was_anything() {
    let mut house = House::build().await;
    house.report("2026-11-22", json!({ "observations": [{ "measure": "adoption", "value": 80 }, { "measure": "csat", "value": 60 }] })).await;
    house.days_later(2).await;
    house.portal = sign_in_again(&house).await;
    let later = json!({ "external_id": "K-2", "name": "後から来た" });
    house.customer = crate::world::text(&house.app.post(&house.portal, "/v1/customers", &later).await.expect(201)["id"]);
    let body = json!({ "customer_external_id": "K-2", "period_end": "2026-11-24", "observations": [{ "measure": "adoption", "value": 90 }, { "measure": "csat", "value": 90 }] });
    house.app.post(&house.portal, "/v1/status-reports", &body).await.expect(201);
    let growth = house.activate(&json!({ "name": "Growth", "purpose": "growth", "measures": [{ "measure": "adoption", "weight": 1 }] })).await;
    let told = async |query: &str, causes: Value| {
        let change = house.ask(&house.portal, &format!("health/change?{query}")).await.expect(200);
        let sum = |member: &str| change[member].as_array().unwrap().iter().map(|line| points(&line["points"])).sum::<f64>();
        assert!(change["total"].is_number(), "{change}");
        assert!((sum("lines") + sum("adjusted") - points(&change["total"])).abs() < 1e-9, "{change}");
        let of = |side: &str| change[side]["score"].as_f64().unwrap_or(50.0);
        assert!((of("after") - of("before") - points(&change["total"])).abs() < 1e-9, "{change}");
        assert_eq!(change["causes"], causes, "{query}");
    };
    told("since=2026-11-22", json!([{ "cause": "newly_known", "points": 40.0 }])).await;
    told("since=2026-11-22&purpose=growth", json!([{ "cause": "newly_known", "points": 40.0 }])).await;
    house.days_later(1).await;
    house.portal = sign_in_again(&house).await;
    house.app.post_with(&house.staff, &format!("/v1/scorecards/{growth}/retire"), &json!(null), &[("if-match", "*")]).await.expect(200);
    house.app.settle().await;
    house.days_later(1).await;
    house.portal = sign_in_again(&house).await;
    let told = async |query: &str, causes: Value| {
        let change = house.ask(&house.portal, &format!("health/change?{query}")).await.expect(200);
        assert_eq!(change["causes"], causes, "{query}");
    };
    told("since=2026-11-24&as_of=2026-11-26&purpose=growth", json!([{ "cause": "policy", "points": -40.0 }])).await;
    // The first customer was here before there was a scorecard for growth.
    let first = house.app.get(&house.portal, "/v1/customers").await.expect(200)["data"].as_array().unwrap().iter().find(|c| c["external_id"] == "K-1").unwrap().clone();
    house.customer = crate::world::text(&first["id"]);
    let change = house.ask(&house.portal, "health/change?since=2026-11-22&as_of=2026-11-24&purpose=growth").await.expect(200);
    assert_eq!((&change["before"]["score"], &change["causes"][0]["cause"]), (&Value::Null, &json!("policy")), "{change}");
    assert_eq!(points(&change["total"]), points(&change["after"]["score"]) - 50.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portfolio_shows_each_day_as_it_closed() {
    let mut house = House::build().await;
    house.report("2026-11-22", json!({ "observations": [{ "measure": "adoption", "value": 80 }, { "measure": "csat", "value": 80 }] })).await;
    house.app.post(&house.portal, "/v1/customers", &json!({ "external_id": "K-2", "name": "silent" })).await.expect(201);
    house.app.settle().await;
    house.days_later(2).await;
    house.portal = sign_in_again(&house).await;
    house.report("2026-11-24", json!({ "observations": [{ "measure": "adoption", "value": 20 }, { "measure": "csat", "value": 20 }] })).await;
    for token in [&house.staff, &house.portal] {
        let told = house.app.get(token, "/v1/insights/portfolio").await.expect(200);
        let days: Vec<(&str, f64, i64)> =
            told["data"].as_array().unwrap().iter().map(|day| (day["on"].as_str().unwrap(), points(&day["mean_health"]), day["customers"].as_i64().unwrap())).collect();
        assert_eq!(days, [("2026-11-22", 80.0, 2), ("2026-11-23", 80.0, 2)]);
        assert!(told["data"].as_array().unwrap().iter().all(|day| day["partners"] == 1), "of the one partner there is");
        // One of two is unknown: it may be anywhere.
        assert_eq!(told["data"][0]["mean_health_bounds"], json!({ "low": 40.0, "high": 90.0 }));
        assert!(points(&told["total"]["mean_health"]) < 60.0);
        assert_eq!(told["scored_for"], "2026-11-24");
        assert_eq!(house.app.get(token, "/v1/insights/portfolio?as_of=2026-11-22").await.expect(200)["scored_for"], "2026-11-22");
        assert_eq!(house.app.get(token, "/v1/insights/portfolio?as_of=2026-12-01").await.problem().2, vec![("as_of".to_owned(), "in-the-future".to_owned())]);
        assert_eq!(house.app.get(token, "/v1/insights/portfolio?from=2026-01-01").await.problem().2, vec![("from".to_owned(), "out-of-range".to_owned())]);
    }
}

/// Something happens: a report of some day, new or corrected, with or without cases; a fact; another segment or cadence; a policy; a score set by hand.
async fn something_happens(house: &House, dice: &mut Dice) {
    // Versions need moments in the order in which they came to be.
    house.app.clock.turn_to(house.app.clock.now() + Duration::seconds(1));
    let today = house.app.clock.now().date_naive();
    let measure = |dice: &mut Dice| ["adoption", "csat", "sentiment", "seats_used", "support_load"][dice.roll(5) as usize];
    match dice.roll(10) {
        0..5 => {
            let day = today - Duration::days(dice.roll(4) as i64);
            let mut body = json!({ "customer_external_id": "K-1", "period_end": day, "observations": [{ "measure": measure(dice), "value": dice.roll(101) }] });
            if dice.roll(2) == 0 {
                body["declared_band"] = json!(["healthy", "watch", "at_risk"][dice.roll(3) as usize]);
            }
            if dice.roll(3) == 0 {
                body["open_cases"] = json!([{ "external_id": "T", "severity": 1 + dice.roll(3), "opened_on": "2026-11-01", "due_on": today - Duration::days(1) }]);
            }
            assert!(house.app.post(&house.portal, "/v1/status-reports", &body).await.status.is_success());
        }
        5..7 => {
            let fact = json!({ "customer_id": house.customer, "measure": measure(dice), "value": dice.roll(101) });
            assert!(house.app.post(&house.staff, "/v1/observations", &fact).await.status.is_success());
        }
        7 => {
            let (segment, touch_model) = (["製造業", "医療"][dice.roll(2) as usize], ["high", "low", "tech"][dice.roll(3) as usize]);
            let change = json!({ "external_id": "K-1", "segment": segment, "touch_model": touch_model });
            assert!(house.app.post(&house.portal, "/v1/customers", &change).await.status.is_success());
        }
        8 => {
            let weights: Vec<Value> = ["adoption", "csat", "sentiment", "seats_used"].map(|key| json!({ "measure": key, "weight": 1 + dice.roll(9) })).to_vec();
            let card = json!({ "name": "x", "measures": weights, "rank": 1000, "criteria": {} });
            let card = if dice.roll(2) == 0 { card } else { json!({ "name": "x", "measures": card["measures"], "rank": 1, "criteria": { "segments": ["医療"] } }) };
            house.activate(&card).await;
        }
        _ => {
            let until = today + Duration::days(dice.roll(3) as i64 + 1);
            assert_eq!(house.set(json!({ "score": dice.roll(101), "reason": "x", "expires_on": until })).await.status, 201);
        }
    }
    house.app.settle().await;
}

/// Whatever happens, what is kept is what a replay makes of the same point, and the same question is answered alike for ever.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_the_past_answers_alike() {
    for seed in [3, 20_261_129, 0x9e37_79b9_7f4a_7c15] {
        let (mut dice, mut house, mut told) = (Dice(seed), House::build().await, Vec::new());
        for _ in 0..8 {
            house.days_later(1).await;
            house.portal = sign_in_again(&house).await;
            for _ in 0..1 + dice.roll(4) {
                something_happens(&house, &mut dice).await;
            }
            house.app.clock.turn_to(house.app.clock.now() + Duration::minutes(2));
            let (day, known_at) = (house.app.clock.now().date_naive(), micros(house.app.clock.now() - Duration::seconds(61)));
            let point = format!("as_of={day}&known_at={known_at}");
            for what in ["health", "health/explanation"] {
                for is_staff in [true, false] {
                    let token = if is_staff { &house.staff } else { &house.portal };
                    let (kept, path) = (house.ask(token, what).await, format!("{what}?{point}"));
                    let replayed = house.ask(token, &path).await;
                    assert_eq!((kept.status.as_u16(), text_of(&replayed)), (200, text_of(&kept)), "seed {seed}, {path}");
                    told.push((is_staff, path, text_of(&kept)));
                }
            }
            for path in
                [format!("health?{point}&bias=raw"), format!("health/history?from=2026-11-22&{point}"), format!("health/change?since=2026-11-22&since_known_at={known_at}&{point}")]
            {
                told.push((true, path.clone(), text_of(&house.ask(&house.staff, &path).await)));
            }
        }
        house.portal = sign_in_again(&house).await;
        for (is_staff, path, then) in &told {
            let token = if *is_staff { &house.staff } else { &house.portal };
            assert_eq!(&text_of(&house.ask(token, path).await), then, "seed {seed}, {path}");
        }
        assert_eq!(told.len(), 8 * 7);
    }
}
