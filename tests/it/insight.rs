//! Figures over many customers: roll-ups by group, the past of figures, who may see which groups.

use crate::harness::App;
use crate::world::{World, reseller, text};
use chrono::Duration;
use serde_json::{Value, json};

/// Customers by group, where two dimensions are asked for with a stroke between.
pub fn customers(told: &Value) -> Vec<(String, i64)> {
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let group = |row: &Value| row["group"].as_object().unwrap().values().map(word).collect::<Vec<_>>().join("|");
    told["data"].as_array().unwrap().iter().map(|row| (group(row), row["customers"].as_i64().unwrap())).collect()
}

pub fn rows(of: &[(&str, i64)]) -> Vec<(String, i64)> {
    of.iter().map(|(group, n)| ((*group).to_owned(), *n)).collect()
}

pub async fn roll_up(app: &App, token: &str, asked: &str) -> Value {
    app.get(token, &format!("/v1/insights/rollup?{asked}")).await.expect(200)
}

pub async fn customer(app: &App, portal: &str, id: &str, region: &str, segment: &str) {
    let body = json!({ "external_id": id, "name": format!("株式会社{id}"), "region": region, "segment": segment, "state": "active" });
    let status = app.post(portal, "/v1/customers", &body).await.status;
    assert!(status.is_success(), "{status}");
}

pub async fn subscription(app: &App, portal: &str, id: &str, customer: &str, product: &str, amount: i64) {
    let body = json!({ "external_id": id, "customer_external_id": customer, "product": product, "amount_minor": amount, "currency": "JPY", "period_months": 12, "starts_on": "2026-04-01" });
    app.post(portal, "/v1/subscriptions", &body).await.expect(201);
}

pub async fn report(app: &App, portal: &str, customer: &str, day: &str, value: i64) {
    let observations = json!([{ "measure": "adoption", "value": value }, { "measure": "csat", "value": value }]);
    app.post(portal, "/v1/status-reports", &json!({ "customer_external_id": customer, "period_end": day, "observations": observations })).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_stands_in_one_group_of_each_dimension_and_moves_when_it_is_told() {
    let app = App::start().await;
    let (_, staff) = app.found("株式会社カンリ").await;
    let (_, portal) = reseller(&app, &staff, "ひかり販売").await;
    for (id, region, segment) in [("K-1", "関東", "製造業"), ("K-2", "関東", "小売業"), ("K-3", "関西", "製造業")] {
        customer(&app, &portal, id, region, segment).await;
    }
    app.post(&portal, "/v1/customers", &json!({ "external_id": "K-4", "name": "どこでもない" })).await.expect(201);
    subscription(&app, &portal, "S-1", "K-1", "Kanri", 100_000).await;
    subscription(&app, &portal, "S-2", "K-1", "Kaikei", 300_000).await;
    subscription(&app, &portal, "S-3", "K-2", "Kanri", 900_000).await;
    app.settle().await;
    for (id, value) in [("K-1", 90), ("K-2", 50)] {
        report(&app, &portal, id, "2026-11-22", value).await;
    }
    // With what is not folded yet, and without.
    for _ in 0..2 {
        let regions = roll_up(&app, &portal, "by=region").await;
        assert_eq!(customers(&regions), rows(&[("-", 1), ("関東", 2), ("関西", 1)]));
        assert_eq!(regions["total"]["customers"], 4);
        // 90 with a value of 400,000 and 50 with 900,000; the quantiles name who is there.
        assert_eq!((&regions["data"][1]["mean_health"], &regions["data"][1]["value_weighted_health"]), (&json!(70.0), &json!(62.308)));
        assert_eq!(regions["data"][1]["health_quantiles"], json!({ "p10": 50, "p25": 50, "median": 50, "p75": 90, "p90": 90 }));
        assert_eq!(regions["data"][2]["health_quantiles"], json!(null));
        assert_eq!(customers(&roll_up(&app, &portal, "by=segment&cross=region").await), rows(&[("-|-", 1), ("関東|小売業", 1), ("関東|製造業", 1), ("関西|製造業", 1)]));
        assert_eq!(customers(&roll_up(&app, &portal, "by=product").await), rows(&[("-", 2), ("Kaikei", 1), ("Kanri", 1)]));
        assert_eq!(customers(&roll_up(&app, &portal, "by=touch_model&cross=stage").await), rows(&[("active|low", 4)]));
        app.settle().await;
    }
    customer(&app, &portal, "K-2", "九州", "小売業").await;
    app.settle().await;
    assert_eq!(customers(&roll_up(&app, &staff, "by=region").await), rows(&[("-", 1), ("九州", 1), ("関東", 1), ("関西", 1)]));
    // Page by page it is the same.
    let first = roll_up(&app, &staff, "by=region&limit=3").await;
    let rest = roll_up(&app, &staff, &format!("by=region&limit=3&cursor={}", text(&first["next_cursor"]))).await;
    assert_eq!([customers(&first), customers(&rest)].concat(), customers(&roll_up(&app, &staff, "by=region").await));
    for (asked, pointer, code) in [
        ("by=region&cross=region", "cross", "duplicate"),
        ("by=colour", "by", "malformed"),
        ("cross=region", "by", "required"),
        ("by=region&as_of=2026-12-31", "as_of", "in-the-future"),
        ("by=region&as_of=2026-01-01", "as_of", "out-of-range"),
        ("by=region&known_at=2026-11-22T12:00:00Z", "known_at", "in-the-future"),
    ] {
        let (_, _, faults) = app.get(&staff, &format!("/v1/insights/rollup?{asked}")).await.problem();
        assert_eq!(faults, vec![(pointer.to_owned(), code.to_owned())], "{asked}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_of_figures_stays_what_it_was() {
    let app = App::start().await;
    let (founded, mut staff) = app.found("株式会社カンリ").await;
    let (above, _) = reseller(&app, &staff, "親").await;
    let (below, portal) = reseller(&app, &staff, "子").await;
    let below_it = json!({ "parent_id": above, "parent_sees": "customers" });
    app.patch(&staff, &format!("/v1/partners/{below}"), "*", &below_it).await.expect(200);
    customer(&app, &portal, "K-1", "関東", "製造業").await;
    subscription(&app, &portal, "S-1", "K-1", "Kanri", 100_000).await;
    report(&app, &portal, "K-1", "2026-11-22", 80).await;
    app.settle().await;
    for _ in 0..2 {
        app.clock.turn_to(app.clock.now() + Duration::days(1));
        app.settle().await;
    }
    staff = app.token(&founded.client.to_string(), &founded.secret).await;
    let then = app.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    app.clock.turn_to(app.clock.now() + Duration::seconds(90));
    let asked: Vec<String> =
        ["channels?", "portfolio?", "rollup?by=region&", "rollup?by=channel&cross=segment&", "rollup?by=product&cross=stage&", "rollup?by=partner&cross=channel&"]
            .iter()
            .flat_map(|view| {
                [format!("/v1/insights/{view}as_of=2026-11-23"), format!("/v1/insights/{view}as_of=2026-11-24&known_at={then}"), format!("/v1/insights/{view}known_at={then}")]
            })
            .collect();
    let mut before = Vec::new();
    for path in &asked {
        before.push(app.get(&staff, path).await.masked());
    }
    for view in ["portfolio?", "rollup?by=product&cross=stage&"] {
        let told = app.get(&staff, &format!("/v1/insights/{view}as_of=2026-11-23")).await.expect(200);
        assert_eq!((&told["total"]["customers"], &told["total"]["mean_health"]), (&json!(1), &json!(80.0)), "{view}");
    }
    let in_channels = app.get(&staff, "/v1/insights/rollup?by=channel&cross=partner&as_of=2026-11-23").await.expect(200);
    let mut expected = [&above, &below].map(|channel| json!({ "channel": channel, "partner": below }));
    expected.sort_by_key(|group| text(&group["channel"]));
    assert_eq!(in_channels["data"].as_array().unwrap().iter().map(|row| row["group"].clone()).collect::<Vec<_>>(), expected);
    let channels = app.get(&staff, "/v1/insights/channels?as_of=2026-11-23").await.expect(200);
    let by_name = |told: &Value, name: &str| told["data"].as_array().unwrap().iter().find(|c| c["external_id"] == name).unwrap().clone();
    assert_eq!((&by_name(&channels, "親")["rolled_up"]["customers"], &by_name(&channels, "親")["rolled_up_for"]), (&json!(1), &json!("2026-11-23")));
    // Everything changes: figures, groups, the tree, and a partner more.
    let portal = crate::world::client(&app, &staff, &below, &[]).await.1;
    customer(&app, &portal, "K-1", "九州", "小売業").await;
    customer(&app, &portal, "K-2", "九州", "小売業").await;
    report(&app, &portal, "K-1", "2026-11-24", 5).await;
    app.patch(&staff, &format!("/v1/partners/{below}"), "*", &json!({ "parent_id": null })).await.expect(200);
    reseller(&app, &staff, "新").await;
    app.settle().await;
    app.clock.turn_to(app.clock.now() + Duration::days(1));
    app.settle().await;
    staff = app.token(&founded.client.to_string(), &founded.secret).await;
    for (path, before) in asked.iter().zip(&before) {
        assert_eq!(&app.get(&staff, path).await.masked(), before, "{path}");
    }
    let now = app.get(&staff, "/v1/insights/channels").await.expect(200);
    assert_eq!((&by_name(&now, "親")["rolled_up"]["customers"], &now["total"]["customers"]), (&json!(0), &json!(2)));
    assert_eq!(customers(&roll_up(&app, &staff, "by=region&as_of=2026-11-25").await), rows(&[("九州", 2)]));
    assert_eq!(customers(&roll_up(&app, &staff, "by=region&as_of=2026-11-23").await), rows(&[("関東", 1)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_seen_where_customers_are_and_totals_where_totals_are() {
    let world = World::make().await;
    let segments = roll_up(&world.app, &world.of("distributor").token, "by=segment").await;
    // Its own, near's and deep's; far lets it see totals alone, hidden nothing.
    assert_eq!(customers(&segments), rows(&[("製造業", 3)]));
    let partners = roll_up(&world.app, &world.of("distributor").token, "by=partner").await;
    assert_eq!((partners["data"].as_array().unwrap().len(), &partners["total"]["customers"]), (3, &json!(3)));
    assert_eq!(world.app.get(&world.of("distributor").token, "/v1/insights/portfolio").await.expect(200)["total"]["customers"], 3);
    let far = customers(&roll_up(&world.app, &world.of("distributor").token, "by=partner&cross=segment").await);
    assert!(!far.iter().any(|(group, _)| group.contains(&world.of("far").partner)), "{far:?}");
    for name in ["far", "hidden", "stranger"] {
        assert_eq!(customers(&roll_up(&world.app, &world.of(name).token, "by=segment").await), rows(&[("製造業", 1)]), "{name}");
    }
    // The database says the same, whatever is asked of it.
    let ids = world
        .app
        .ask("SELECT p.vendor_id, p.id, f.id FROM todoku.partner p JOIN todoku.partner f USING (vendor_id) WHERE (p.external_id, f.external_id) = ('distributor', 'far')")
        .await;
    let [vendor, distributor, far] = [0, 1, 2].map(|i| ids[0][i].clone().unwrap());
    let query = format!(
        "BEGIN; SET LOCAL ROLE todoku_partner; SELECT set_config('app.vendor', '{vendor}', true), set_config('app.partner', '{distributor}', true),
           set_config('app.partners', '{{{distributor}}}', true), set_config('app.totals', '{{{distributor},{far}}}', true);
         SELECT count(*), (SELECT count(*) FROM todoku.cell WHERE partner_id = '{distributor}') FROM todoku.cell WHERE partner_id = '{far}'; ROLLBACK"
    );
    let seen = world.app.ask(&query).await.pop().unwrap();
    assert!(seen[0].as_deref() == Some("0") && seen[1].as_deref() != Some("0"), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_are_told_by_month_and_never_of_few() {
    let app = App::start().await;
    let (founded, staff) = app.found("株式会社カンリ").await;
    let (above, _) = reseller(&app, &staff, "上位").await;
    let mut below = Vec::new();
    for (name, customers) in [("大", 6), ("中", 3), ("小", 2)] {
        let (id, portal) = reseller(&app, &staff, name).await;
        app.patch(&staff, &format!("/v1/partners/{id}"), "*", &json!({ "parent_id": above, "parent_sees": "totals" })).await.expect(200);
        for n in 0..customers {
            customer(&app, &portal, &format!("K-{n}"), "関東", "製造業").await;
            report(&app, &portal, &format!("K-{n}"), "2026-11-22", if name == "大" { 80 } else { 40 }).await;
        }
        below.push(id);
    }
    app.settle().await;
    let staff = async || app.token(&founded.client.to_string(), &founded.secret).await;
    let ask = async |times: &str| {
        let (_, portal) = crate::world::client(&app, &staff().await, &above, &[]).await;
        app.get(&portal, &format!("/v1/insights/channels{times}")).await.expect(200)
    };
    let link = async |partner: usize, sees: &str| {
        app.patch(&staff().await, &format!("/v1/partners/{}", below[partner]), "*", &json!({ "parent_sees": sees })).await.expect(200);
    };
    let told = |answer: &Value| -> Vec<(Vec<usize>, i64, Option<f64>)> {
        let who = |id: &Value| below.iter().position(|one| id == one).unwrap();
        let row = |row: &Value| {
            // Partners made at one moment have ids in any order.
            let mut members: Vec<usize> = row["partner_ids"].as_array().unwrap().iter().map(who).collect();
            members.sort_unstable();
            (members, row["customers"].as_i64().unwrap(), row["mean_health"].as_f64())
        };
        answer["totals"]["data"].as_array().unwrap().iter().map(row).collect()
    };
    let before = ask("").await;
    assert_eq!((told(&before), &before["totals"]["closed_on"]), (vec![], &Value::Null), "no month has closed yet");
    assert_eq!((before["data"].as_array().unwrap().len(), &before["total"]["customers"]), (1, &json!(0)), "itself alone");
    for day in 23..33 {
        app.clock.turn_to(app.clock.now() + Duration::days(1));
        app.settle().await;
        // On the first day of a month its closes are being made; the second is day 32 of November.
        assert_eq!(ask("").await["totals"]["closed_on"], if day < 32 { Value::Null } else { json!("2026-11-30") }, "day {day}");
    }
    let known_at = app.clock.now();
    let month = ask("").await;
    let whole = vec![(vec![0], 6, Some(80.0)), (vec![1, 2], 5, Some(40.0))];
    assert_eq!(told(&month), whole, "three and two are five");
    assert!(month["totals"]["rule"].as_str().unwrap().contains("fewer than 5") && month["totals"]["rule_ja"].as_str().unwrap().contains("5 社未満"));
    // One customer more is not told before the month ends; and the same question is answered alike for ever.
    let (_, portal) = crate::world::client(&app, &staff().await, &below[0], &[]).await;
    customer(&app, &portal, "K-9", "関東", "製造業").await;
    report(&app, &portal, "K-9", "2026-11-22", 0).await;
    app.clock.turn_to(known_at + Duration::minutes(2));
    app.settle().await;
    for times in ["".to_owned(), "?as_of=2026-12-02".to_owned(), format!("?as_of=2026-12-02&known_at={}", crate::house::micros(known_at))] {
        assert_eq!(ask(&times).await["totals"], month["totals"], "{times}");
    }
    assert_eq!(told(&ask("?as_of=2026-11-29").await), vec![]);
    // The parts of a month are never made anew: whoever of several shows more or less takes the others' total along, and nobody is left to be had by subtraction.
    for sees in ["nothing", "customers"] {
        link(2, sees).await;
        assert_eq!(told(&ask("").await), whole[..1], "{sees}");
        link(2, "totals").await;
        assert_eq!(told(&ask("").await), whole, "as before");
    }
    let (late, portal) = reseller(&app, &staff().await, "新").await;
    customer(&app, &portal, "K-1", "関東", "製造業").await;
    app.patch(&staff().await, &format!("/v1/partners/{late}"), "*", &json!({ "parent_id": above, "parent_sees": "totals" })).await.expect(200);
    app.settle().await;
    assert_eq!(told(&ask("").await), whole, "one that came later is in none of them");
    // The partner's login reads nobody else's, nor anybody's closes.
    let ids = app.ask("SELECT vendor_id, id, parent_id FROM todoku.partner WHERE external_id = '大'").await;
    let [vendor, big, above] = [0, 1, 2].map(|i| ids[0][i].clone().unwrap());
    let query = format!(
        "BEGIN; SET LOCAL ROLE todoku_partner; SELECT set_config('app.vendor', '{vendor}', true), set_config('app.partner', '{big}', true),
           set_config('app.partners', '{{{big}}}', true), set_config('app.totals', '{{{big},{above}}}', true);
         SELECT (SELECT count(*) FROM todoku.month_total), (SELECT count(*) FROM todoku.cell_close WHERE partner_id <> '{big}'); ROLLBACK"
    );
    assert_eq!(app.ask(&query).await.pop().unwrap(), vec![Some("0".to_owned()); 2]);
    assert_eq!(app.count("SELECT count(*) FROM todoku.month_total").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_knows_its_place_and_nobody_elses() {
    let app = App::start().await;
    let (founded, staff) = app.found("株式会社カンリ").await;
    let mut partners = Vec::new();
    // Seven partners of four customers in one segment, from 20 to 80; the first has a fifth customer nobody else has the like of.
    for n in 0..7 {
        let (id, portal) = reseller(&app, &staff, &format!("代理店{n}")).await;
        for k in 0..4 {
            customer(&app, &portal, &format!("K-{k}"), "関東", "製造業").await;
            report(&app, &portal, &format!("K-{k}"), "2026-11-22", 20 + 10 * n).await;
        }
        partners.push((id, portal));
    }
    customer(&app, &partners[0].1, "K-9", "関東", "宇宙").await;
    // What the vendor knows beside it moves its own view, and no place.
    let known = text(&app.get(&partners[3].1, "/v1/customers?limit=1").await.expect(200)["data"][0]["id"]);
    app.post(&staff, "/v1/observations", &json!({ "customer_id": known, "measure": "adoption", "value": 0 })).await.expect(201);
    let (above, _) = reseller(&app, &staff, "上位").await;
    app.settle().await;
    for _ in 0..10 {
        app.clock.turn_to(app.clock.now() + Duration::days(1));
        app.settle().await;
    }
    let staff = app.token(&founded.client.to_string(), &founded.secret).await;
    let path = |n: usize| format!("/v1/partners/{}/peers", partners[n].0);
    let place = |told: &Value, dimension: Option<&str>| {
        let group = told["data"].as_array().unwrap().iter().find(|group| group["by"].as_str() == dimension).unwrap().clone();
        (group["others"].clone(), group["places"][0]["value"].clone(), group["places"][0]["percentile"].clone())
    };
    let third = app.get(&staff, &path(3)).await.expect(200);
    assert_eq!(third["closed_on"], "2026-11-30");
    let channels = app.get(&staff, "/v1/insights/channels").await.expect(200);
    let seen = channels["data"].as_array().unwrap().iter().find(|channel| channel["partner_id"] == partners[3].0.as_str()).unwrap();
    assert!(seen["own"]["mean_health"].as_f64().unwrap() < 49.0, "{seen}");
    assert_eq!(place(&third, None), (json!(false), json!(50.0), json!(50)));
    // One customer alone in a segment is put together with the only large segment: neither it nor the rest is told by itself.
    assert_eq!(place(&third, Some("segment")), (json!(true), json!(50.0), json!(50)));
    let best = app.get(&staff, &path(6)).await.expect(200);
    assert_eq!(place(&best, None), (json!(false), json!(80.0), json!(100)));
    // In time like five of six, better than one that was never heard of K-9: (1 + 5/2) / 6.
    assert_eq!(
        best["data"][0]["places"][3],
        json!({ "figure": "report_rate", "value": 1.0, "interval": { "low": 0.51, "high": 1.0 }, "percentile": 60, "percentile_interval": { "low": 0, "high": 100 }, "standing": "no_difference_shown" })
    );
    let portal = crate::world::client(&app, &staff, &partners[3].0, &[]).await.1;
    assert_eq!(app.get(&portal, &path(3)).await.expect(200), third, "the partner sees what the vendor sees");
    assert_eq!(app.get(&portal, &path(2)).await.problem().0, 404);
    // A distributor over one of them sees its customers, but not its place.
    app.patch(&staff, &format!("/v1/partners/{}", partners[2].0), "*", &json!({ "parent_id": above, "parent_sees": "customers" })).await.expect(200);
    let distributor = crate::world::client(&app, &staff, &above, &[]).await.1;
    assert_eq!(app.get(&distributor, &format!("/v1/partners/{}", partners[2].0)).await.status, 200);
    assert_eq!(app.get(&distributor, &path(2)).await.problem().0, 404);
    let before = app.get(&staff, &format!("{}?as_of=2026-11-29", path(3))).await.expect(200);
    assert_eq!((&before["closed_on"], &before["data"]), (&json!(null), &json!([])));
    // Another month closes, in which the best fell: the same question has the same answer.
    let asked = format!("{}?as_of=2026-12-01&known_at={}", path(6), crate::house::micros(app.clock.now() - Duration::seconds(61)));
    let then = app.get(&staff, &asked).await.bytes;
    let portal = crate::world::client(&app, &staff, &partners[6].0, &[]).await.1;
    for k in 0..4 {
        report(&app, &portal, &format!("K-{k}"), "2026-12-02", 5).await;
    }
    for _ in 0..31 {
        app.clock.turn_to(app.clock.now() + Duration::days(1));
        app.settle().await;
    }
    let staff = app.token(&founded.client.to_string(), &founded.secret).await;
    let last = app.get(&staff, &path(6)).await.expect(200);
    assert_eq!(last["closed_on"], "2026-12-31");
    assert_ne!(place(&last, None), place(&best, None));
    assert_eq!(String::from_utf8(app.get(&staff, &asked).await.bytes), String::from_utf8(then));
}
