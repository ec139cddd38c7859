//! Learning from outcomes through the API: recording them, calibrating a scorecard, looking back, the probability of a loss.

use crate::harness::App;
use crate::house::{micros, points};
use crate::world::{client, reseller, text};
use chrono::Duration;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const CUSTOMERS: usize = 320;

/// A vendor, a partner with customers reported on long ago, and what became of them.
struct Lesson {
    app: App,
    founded: todoku::command::Founded,
    staff: String,
    partner: String,
    portal: String,
    card: String,
}

/// Whether a customer is lost: the more probably the lower its satisfaction; adoption tells nothing.
fn lost(n: usize) -> bool {
    (n * 7919 + 13) % 100 < 90 - csat(n) * 85 / 100
}

fn csat(n: usize) -> usize {
    (n * 37) % 101
}

fn adoption(n: usize) -> usize {
    (n * 53 + 17) % 101
}

impl Lesson {
    async fn begin() -> Self {
        Self::reported_on(|_| &["2026-11-22"]).await
    }

    /// Every report of a customer says the same, of these days.
    async fn reported_on(days: impl Fn(usize) -> &'static [&'static str]) -> Self {
        let app = App::start().await;
        let (founded, staff) = app.found("株式会社カンリ").await;
        let (partner, portal) = reseller(&app, &staff, "ひかり販売").await;
        for n in 0..CUSTOMERS {
            let segment = if n % 2 == 0 { "中小企業" } else { "大企業" };
            app.post(&portal, "/v1/customers", &json!({ "external_id": format!("C-{n}"), "name": format!("お客様{n}"), "segment": segment })).await.expect(201);
        }
        let card = json!({ "name": "Hand", "measures": [{ "measure": "adoption", "weight": 3 }, { "measure": "csat", "weight": 1 }] });
        let card = text(&app.post(&staff, "/v1/scorecards", &card).await.expect(201)["id"]);
        app.post_with(&staff, &format!("/v1/scorecards/{card}/activate"), &Value::Null, &[("if-match", "*")]).await.expect(200);
        let report = |n: usize, day: &str| {
            json!({ "customer_external_id": format!("C-{n}"), "period_end": day,
            "observations": [{ "measure": "csat", "value": csat(n) }, { "measure": "adoption", "value": adoption(n) }] })
        };
        let reports: Vec<Value> = (0..CUSTOMERS).flat_map(|n| days(n).iter().map(move |day| report(n, day))).collect();
        assert_eq!(app.post(&portal, "/v1/status-reports/batch", &json!({ "reports": reports })).await.expect(200)["counts"]["created"], reports.len());
        app.settle().await;
        Self { app, founded, staff, partner, portal, card }
    }

    async fn later(&mut self, days: i64) {
        self.app.clock.turn_to(self.app.clock.now() + Duration::days(days));
        self.app.settle().await;
        self.staff = self.app.token(&self.founded.client.to_string(), &self.founded.secret).await;
        self.portal = client(&self.app, &self.staff, &self.partner, &[]).await.1;
    }

    /// The vendor records outcomes by the partner's ids.
    async fn tell(&self, kind: impl Fn(usize) -> &'static str) -> Value {
        self.tell_of(kind, |_| "2027-01-15").await
    }

    async fn tell_of(&self, kind: impl Fn(usize) -> &'static str, day: impl Fn(usize) -> &'static str) -> Value {
        let outcome = |n: usize| json!({ "customer_external_id": format!("C-{n}"), "kind": kind(n), "occurred_on": day(n) });
        let outcomes: Vec<Value> = (0..CUSTOMERS).map(outcome).collect();
        self.app.post(&self.staff, &format!("/v1/outcomes/batch?partner={}", self.partner), &json!({ "outcomes": outcomes })).await.expect(200)
    }

    async fn calibrate(&self) -> Value {
        self.app.post(&self.staff, &format!("/v1/scorecards/{}/calibrate", self.card), &json!({ "lead_days": 45 })).await.expect(201)
    }
}

/// What the hand weights foretold, counted by the definitions alone: every pair, the lowest tenth, everybody ever at risk.
struct LookedBack {
    auc: f64,
    lift: f64,
    false_share: f64,
    missed: usize,
}

fn looked_back() -> LookedBack {
    // 3 and 1; both said by the partner on one day, so each weighs the same, and fades at its own pace alone: 45 and 90 days.
    let health = |n: usize, age: f64| {
        let (a, c) = (3.0 * (-age / 45.0f64).exp2(), (-age / 90.0f64).exp2());
        (a * adoption(n) as f64 + c * csat(n) as f64) / (a + c)
    };
    // Asked 45 days before 2027-01-15: nine days after the report of 2026-11-22. In thousandths, as a score is.
    let asked: Vec<(i64, bool)> = (0..CUSTOMERS).map(|n| ((health(n, 9.0) * 1000.0).round() as i64, lost(n))).collect();
    let losses = asked.iter().filter(|(_, lost)| *lost).count();
    let pairs = asked.iter().filter(|(_, lost)| *lost).flat_map(|(low, _)| {
        asked.iter().filter(|(_, lost)| !lost).map(move |(high, _)| {
            if low < high {
                1.0
            } else if low == high {
                0.5
            } else {
                0.0
            }
        })
    });
    let auc = pairs.sum::<f64>() / (losses * (CUSTOMERS - losses)) as f64;
    let mut sorted = asked.clone();
    sorted.sort();
    let border = sorted[CUSTOMERS / 10 - 1].0;
    let share = |of: &dyn Fn(i64) -> bool| {
        let these: Vec<bool> = asked.iter().filter(|(h, _)| of(*h)).map(|(_, lost)| *lost).collect();
        (these.len() as f64, these.iter().filter(|lost| **lost).count() as f64)
    };
    let ((below, hits), (at, ties)) = (share(&|h| h < border), share(&|h| h == border));
    let tenth = (CUSTOMERS / 10) as f64;
    let lift = (hits + ties * (tenth - below) / at) / tenth / (losses as f64 / CUSTOMERS as f64);
    // Asked each week from 2026-11-27 on, the fifth day, and on each of the last six before 2027-01-15: an alarm is a score below 40 on any of these days, while enough is known of it.
    let raised = |n: usize| {
        (0..7)
            .map(|week| 5 + 7 * week)
            .chain(48..=53)
            .map(f64::from)
            .any(|age| health(n, age) < 39.999_5 && 0.8 * (3.0 * (-age / 45.0f64).exp2() + (-age / 90.0f64).exp2()) / 4.0 >= 0.15)
    };
    let raised: Vec<bool> = (0..CUSTOMERS).map(raised).collect();
    let alarms = raised.iter().filter(|raised| **raised).count();
    let fallen = (0..CUSTOMERS).filter(|n| raised[*n] && lost(*n)).count();
    LookedBack { auc, lift, false_share: (alarms - fallen) as f64 / alarms as f64, missed: losses - fallen }
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_teach_a_scorecard_and_foretell_losses() {
    let mut lesson = Lesson::begin().await;
    let path = format!("/v1/scorecards/{}", lesson.card);
    let none = lesson.app.post(&lesson.staff, &format!("{path}/calibrate"), &json!({})).await.problem();
    assert_eq!((none.0, none.2), (422, vec![(String::new(), "empty".to_owned())]), "nothing can be learned from nothing");
    assert_eq!(lesson.app.get(&lesson.staff, &format!("{path}/calibrations")).await.expect(200)["data"], json!([]));
    lesson.later(60).await;
    assert_eq!(lesson.tell(|n| if lost(n) { "churned" } else { "renewed" }).await["counts"], json!({ "created": 320, "updated": 0, "unchanged": 0, "rejected": 0 }));
    assert_eq!(lesson.tell(|n| if lost(n) { "churned" } else { "renewed" }).await["counts"]["unchanged"], 320, "the same twice is one");

    let learned = lesson.calibrate().await;
    assert_eq!((&learned["outcomes"], &learned["verdict"]), (&json!(320), &json!("accepted")), "{learned}");
    let weight = |key: &str| learned["measures"].as_array().unwrap().iter().find(|m| m["measure"] == key).unwrap()["weight"].as_f64().unwrap();
    assert!(weight("csat") > 3.0 && weight("adoption") < 1.0, "{learned}");
    assert!((weight("csat") + weight("adoption") - 4.0).abs() < 0.002);
    assert_eq!((&learned["weights_kept"], &learned["weights_reason"]), (&json!(false), &Value::Null));
    assert!(learned["figures"]["weights_gain_quantile"].as_f64().unwrap() > 0.0, "{learned}");
    assert_eq!(learned["unknown"], json!(0));
    let table = learned["figures"]["table"].as_array().unwrap();
    assert_eq!((table.len(), table.iter().map(|bin| bin["outcomes"].as_u64().unwrap()).sum::<u64>()), (10, 320));
    assert!(table.iter().all(|bin| bin["foretold"].as_f64().is_none_or(|p| (bin["from"].as_f64().unwrap()..=bin["to"].as_f64().unwrap()).contains(&p))), "{learned}");
    assert_eq!(learned["later"], Value::Null, "all of one day");
    assert_eq!(learned["silence"], Value::Null, "reported once, nobody knows what is usual");
    let auc = |which: &str| learned["figures"][which]["auc"].as_f64().unwrap();
    assert!(auc("calibrated") > auc("hand") + 0.1, "{learned}");
    assert_eq!(lesson.app.get(&lesson.staff, &format!("{path}/calibrations")).await.expect(200)["data"], json!([learned]));
    // Asked so long before that nothing had been said: that is told, and not taken for noise.
    let early = lesson.app.post(&lesson.staff, &format!("{path}/calibrate"), &json!({ "lead_days": 300 })).await.expect(201);
    assert_eq!((&early["verdict"], &early["reason"]["code"], &early["unknown"]), (&json!("refused"), &json!("nothing_known"), &json!(320)), "{early}");

    let back = lesson.app.get(&lesson.staff, &format!("{path}/backtest?lead_days=45")).await.expect(200);
    assert_eq!((&back["total"]["outcomes"], &back["total"]["unknown"]), (&json!(320), &json!(0)));
    // Each loss is named, with when it would have been flagged; those that were not are the missed.
    let (losses, of) = (back["losses"].as_array().unwrap(), |member: &str| back["total"][member].as_u64().unwrap() as usize);
    let flagged = losses.iter().filter(|loss| loss["first_flagged_on"].is_string()).count();
    assert!((2..=1000).contains(&of("lost")), "all of them are named");
    assert_eq!((losses.len(), flagged, losses.len() - flagged), (of("lost"), of("flagged") - of("false_alarms"), of("missed")), "{back}");
    for loss in losses {
        let (score, interval) = (loss["score"].as_f64().unwrap(), &loss["interval"]);
        assert!(interval["low"].as_f64().unwrap() <= score && score <= interval["high"].as_f64().unwrap() && loss["coverage"].as_f64().unwrap() > 0.15, "{loss}");
        assert_eq!(loss["partner_id"], json!(lesson.partner));
        let day = |member: &str| loss[member].as_str().map(|day| day.parse::<chrono::NaiveDate>().unwrap());
        assert_eq!(day("first_flagged_on").map(|first| json!((day("occurred_on").unwrap() - first).num_days())).unwrap_or(Value::Null), loss["lead_time_days"]);
    }
    assert_eq!((back["channels"].as_array().unwrap().len(), &back["channels"][0]["partner_id"]), (1, &json!(lesson.partner)));
    assert_eq!((&back["channels"][0]["own"], &back["channels"][0]["rolled_up"]), (&back["total"], &back["total"]));
    // Under a distributor without customers of its own, the same is its roll-up.
    let above = text(&lesson.app.post(&lesson.staff, "/v1/partners", &json!({ "external_id": "D", "name": "D", "kind": "distributor" })).await.expect(201)["id"]);
    lesson.app.patch(&lesson.staff, &format!("/v1/partners/{}", lesson.partner), "*", &json!({ "parent_id": above })).await.expect(200);
    let rolled = lesson.app.get(&lesson.staff, &format!("{path}/backtest?lead_days=45")).await.expect(200);
    let of = |id: &str| rolled["channels"].as_array().unwrap().iter().find(|c| c["partner_id"] == id).unwrap().clone();
    assert_eq!((&of(&above)["own"]["outcomes"], &of(&above)["rolled_up"]), (&json!(0), &back["total"]));
    assert_eq!((&of(&lesson.partner)["own"], rolled["total"] == back["total"]), (&back["total"], true));
    let told = back["total"]["table"].as_array().unwrap().iter().map(|row| row["outcomes"].as_u64().unwrap()).sum::<u64>();
    assert_eq!(told, 320);
    let foretold = &back["total"];
    let expected = looked_back();
    for (told, expected) in [("discrimination", expected.auc), ("top_decile_lift", expected.lift), ("false_alarm_share", expected.false_share)] {
        let told = if told == "discrimination" { &foretold[told]["auc"] } else { &foretold[told] };
        assert!((told.as_f64().unwrap() - expected).abs() <= 0.000_5, "{told}, not {expected}: {foretold}");
    }
    assert_eq!(foretold["missed"], json!(expected.missed));
    assert!(back["total"]["lead_time_days"].as_f64().unwrap() > 30.0, "{back}");

    let customers = lesson.app.get(&lesson.staff, "/v1/customers?limit=1000").await.expect(200);
    let mut probability = BTreeMap::new();
    for n in [0, 27] {
        let customer = customers["data"].as_array().unwrap().iter().find(|c| c["external_id"] == format!("C-{n}")).unwrap();
        let told = lesson.app.get(&lesson.staff, &format!("/v1/customers/{}/churn-probability", customer["id"].as_str().unwrap())).await.expect(200);
        assert_eq!(told["calibration_id"], learned["id"]);
        probability.insert(n, told["probability"].as_f64().unwrap());
    }
    // Learned once more and asked later: what was told then is told of then.
    let known_at = micros(lesson.app.clock.now());
    let customer = text(&customers["data"].as_array().unwrap().iter().find(|c| c["external_id"] == "C-27").unwrap()["id"]);
    let path = format!("/v1/customers/{customer}/churn-probability");
    let then = lesson.app.get(&lesson.staff, &path).await.bytes;
    lesson.later(1).await;
    let report = json!({ "customer_external_id": "C-27", "period_end": "2027-01-21", "observations": [{ "measure": "csat", "value": 3 }] });
    lesson.app.post(&lesson.portal, "/v1/status-reports", &report).await.expect(201);
    lesson.calibrate().await;
    lesson.app.settle().await;
    assert_ne!(lesson.app.get(&lesson.staff, &path).await.bytes, then);
    assert_eq!(lesson.app.get(&lesson.staff, &format!("{path}?as_of=2027-01-21&known_at={known_at}")).await.bytes, then);
    let before = lesson.app.get(&lesson.staff, &format!("{path}?as_of=2026-12-01")).await.expect(200);
    assert_eq!((&before["calibration_id"], &before["probability"], &before["on"]), (&Value::Null, &Value::Null, &json!("2026-12-01")), "nothing was learned by then");

    // C-0 said 0, C-27 said 90.
    assert!(probability[&0] > 0.6 && probability[&27] < 0.4, "{probability:?}");
}

/// All are reported on each 30 days, but of every second one nothing came any more in the last two months, and those are lost: of them 80 in 100,
/// of the others 14. When they are asked, on 2026-12-01, these were heard of 9 days ago, those 69: z = 2.3, silence 0.433.
#[tokio::test(flavor = "multi_thread")]
async fn silence_foretells_losses_beside_the_weights() {
    let silent = |n: usize| n % 2 == 1;
    let mut lesson = Lesson::reported_on(|n| if silent(n) { &["2026-07-25", "2026-08-24", "2026-09-23"] } else { &["2026-09-23", "2026-10-23", "2026-11-22"] }).await;
    lesson.later(60).await;
    let lost = |n: usize| (n * 7919 + 13) % 100 < if silent(n) { 80 } else { 15 };
    lesson.tell(|n| if lost(n) { "churned" } else { "renewed" }).await;
    let learned = lesson.calibrate().await;
    assert_ne!(learned["verdict"], "refused", "{learned}");
    let silence = &learned["silence"];
    assert_eq!((&silence["known"], &silence["blocked"], &silence["too_few"]), (&json!(CUSTOMERS), &json!(false), &json!(false)), "{learned}");
    assert!(silence["coefficient"].as_f64().unwrap() > 1.0, "{learned}");
    let measures = learned["measures"].as_array().unwrap().iter();
    let weights: BTreeMap<&str, f64> = measures.map(|m| (m["measure"].as_str().unwrap(), m["weight"].as_f64().unwrap())).collect();
    assert_eq!(weights.keys().copied().collect::<Vec<_>>(), ["adoption", "csat"], "it is no part of the weights");
    assert_eq!(weights.into_values().collect::<Vec<_>>(), [3.0, 1.0], "what silence gains says nothing for other weights");
    assert_eq!((&learned["weights_kept"], &learned["weights_reason"]["code"]), (&json!(true), &json!("weights_no_gain")), "{learned}");
    assert!(learned["figures"]["weights_gain_quantile"].as_f64().unwrap() <= 0.0 && learned["weights_reason"]["detail_ja"].as_str().unwrap().contains("手動の重み"));

    // C-1 and C-102 said the same; on 2027-01-21 of the one nothing was heard for 120 days, of the other for 60: z = 4 and 2.
    let customers = lesson.app.get(&lesson.staff, "/v1/customers?limit=1000").await.expect(200);
    let mut told = Vec::new();
    for n in [1, 102] {
        let customer = customers["data"].as_array().unwrap().iter().find(|c| c["external_id"] == format!("C-{n}")).unwrap();
        told.push(lesson.app.get(&lesson.staff, &format!("/v1/customers/{}/churn-probability", customer["id"].as_str().unwrap())).await.expect(200));
    }
    assert_eq!((csat(1), adoption(1)), (csat(102), adoption(102)));
    assert_eq!((&told[0]["on"], &told[0]["silence"], &told[1]["silence"]), (&json!("2027-01-21"), &json!(1.0), &json!(0.333)));
    let risk = |told: &Value| told["risk"].as_f64().unwrap();
    assert!(risk(&told[0]) > risk(&told[1]) + 0.3, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_is_refused_with_a_reason_and_nothing_changes() {
    let mut lesson = Lesson::begin().await;
    lesson.later(60).await;
    // Of every third a few days later.
    let kind = |n: usize| if (n * 7919) % 97 < 40 { "churned" } else { "renewed" };
    lesson.tell_of(kind, |n| if n % 3 == 2 { "2027-01-18" } else { "2027-01-15" }).await;
    let before = lesson.app.get(&lesson.staff, "/v1/scorecards").await.expect(200);
    let learned = lesson.calibrate().await;
    assert_eq!((&learned["verdict"], &learned["reason"]["code"]), (&json!("refused"), &json!("no_gain")), "{learned}");
    assert!(learned["reason"]["detail_ja"].as_str().unwrap().contains("改善が認められません"));
    let later = &learned["later"];
    assert_eq!((&later["until"], &later["customers"], &later["lost"]), (&json!("2027-01-15"), &json!(106), &json!(44)), "{learned}");
    assert!(later["gain_low"].as_f64().unwrap() <= later["gain_high"].as_f64().unwrap());
    assert_eq!((&learned["weights_kept"], &learned["weights_reason"]), (&json!(true), &Value::Null), "the reason of the refusal says it");
    for measure in learned["measures"].as_array().unwrap() {
        assert_eq!(measure["weight"], measure["hand_weight"], "{learned}");
    }
    assert_eq!(lesson.app.get(&lesson.staff, "/v1/scorecards").await.expect(200), before);
    let customer = text(&lesson.app.get(&lesson.staff, "/v1/customers?limit=1").await.expect(200)["data"][0]["id"]);
    let told = lesson.app.get(&lesson.staff, &format!("/v1/customers/{customer}/churn-probability")).await.expect(200);
    assert_eq!((&told["probability"], &told["calibration_id"]), (&Value::Null, &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_are_told_once_by_whom_they_concern() {
    let app = App::start().await;
    let (_, staff) = app.found("株式会社カンリ").await;
    let (partner, portal) = reseller(&app, &staff, "ひかり販売").await;
    let (_, other) = reseller(&app, &staff, "別の店").await;
    let customer = text(&app.post(&portal, "/v1/customers", &json!({ "external_id": "K-1", "name": "青葉" })).await.expect(201)["id"]);
    let renewed = json!({ "customer_external_id": "K-1", "kind": "renewed", "occurred_on": "2026-10-31" });
    let first = app.post(&portal, "/v1/outcomes", &renewed).await.expect(201);
    let again = app.post(&portal, "/v1/outcomes", &renewed).await.expect(200);
    assert_eq!((&first["id"], &again["outcome"]), (&again["id"], &json!("unchanged")));
    // The vendor's own word stands beside the partner's.
    let vendors = json!({ "customer_id": customer, "kind": "churned", "occurred_on": "2026-10-31" });
    app.post(&staff, "/v1/outcomes", &vendors).await.expect(201);
    for (token, body, path, status, pointer) in [
        (&portal, json!({ "customer_external_id": "K-1", "kind": "renewed", "occurred_on": "2026-11-24" }), "/v1/outcomes".to_owned(), 422, "/occurred_on"),
        (&portal, json!({ "customer_external_id": "K-1", "kind": "gone", "occurred_on": "2026-11-01" }), "/v1/outcomes".into(), 422, "/kind"),
        (&other, json!({ "customer_id": customer, "kind": "churned", "occurred_on": "2026-11-01" }), "/v1/outcomes".into(), 422, "/customer_id"),
        (&staff, json!({ "customer_external_id": "K-1", "kind": "churned", "occurred_on": "2026-11-01" }), "/v1/outcomes".into(), 422, "/customer_external_id"),
        (
            &staff,
            json!({ "customer_external_id": "K-1", "subscription_external_id": "S-9", "kind": "churned", "occurred_on": "2026-11-01" }),
            format!("/v1/outcomes?partner={partner}"),
            422,
            "/subscription_external_id",
        ),
    ] {
        let refused = app.post(token, &path, &body).await.problem();
        assert_eq!((refused.0, refused.2.first().map(|fault| fault.0.as_str())), (status, Some(pointer)), "{body}");
    }
    assert_eq!(app.count("SELECT count(*) FROM todoku.outcome").await, 2);
}

/// Once a month the calibration in use is checked by the outcomes of the last quarter that came after it (SCIENCE 2.5). In February all goes as it foretold; in
/// March whoever was foretold to stay is lost, and the other way round.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_learned_is_checked_each_month() {
    let mut lesson = Lesson::begin().await;
    lesson.later(60).await;
    lesson.tell(|n| if lost(n) { "churned" } else { "renewed" }).await;
    let learned = lesson.calibrate().await;
    assert_eq!((&learned["verdict"], &learned["checks"]), (&json!("accepted"), &json!([])));
    let path = format!("/v1/scorecards/{}/calibrations", lesson.card);
    let checks = async |lesson: &Lesson, times: &str| lesson.app.get(&lesson.staff, &format!("{path}{times}")).await.expect(200)["data"][0]["checks"].clone();
    let told = "SELECT count(*) FROM todoku.event WHERE type = 'calibration.weakened'";
    // By the end of December it was not yet learned; on the first of a month the days before are still being closed.
    lesson.later(11).await;
    assert_eq!(checks(&lesson, "").await, json!([]));
    // It was learned on 2027-01-21: what taught it does not check it.
    lesson.later(1).await;
    assert_eq!(checks(&lesson, "").await, json!([{ "closed_on": "2027-01-31", "outcomes": 0, "lost": 0, "auc": null, "is_below": false }]));
    lesson.later(10).await;
    lesson.tell_of(|n| if lost(n) { "churned" } else { "renewed" }, |_| "2027-02-10").await;
    lesson.later(20).await;
    let february = checks(&lesson, "").await;
    let losses = (0..CUSTOMERS).filter(|n| lost(*n)).count();
    assert_eq!(february.as_array().unwrap().len(), 2);
    assert_eq!(
        [&february[0]["closed_on"], &february[0]["outcomes"], &february[0]["lost"], &february[0]["is_below"]],
        [&json!("2027-02-28"), &json!(320), &json!(losses), &json!(false)]
    );
    assert!(february[0]["auc"].as_f64().unwrap() > 0.7, "{february}");
    lesson.later(3).await;
    assert_eq!((checks(&lesson, "").await, lesson.app.count(told).await), (february.clone(), 0), "once a month");
    lesson.later(10).await;
    lesson.tell_of(|n| if lost(n) { "renewed" } else { "churned" }, |_| "2027-03-10").await;
    let before = micros(lesson.app.clock.now());
    lesson.later(20).await;
    let march = checks(&lesson, "").await;
    let april = format!("as_of=2027-04-01&known_at={}", micros(lesson.app.clock.now() - Duration::seconds(61)));
    let asked = ["calibrations?", "backtest?lead_days=45&"].map(|read| format!("/v1/scorecards/{}/{read}", lesson.card));
    let bytes = async |lesson: &Lesson, path: String| {
        let reply = lesson.app.get(&lesson.staff, &path).await;
        assert_eq!(reply.status, 200, "{path}");
        String::from_utf8(reply.bytes).unwrap()
    };
    let then = [bytes(&lesson, format!("{}{april}", asked[0])).await, bytes(&lesson, format!("{}{april}", asked[1])).await];
    // Each customer's two: as foretold, and the other way round.
    assert_eq!([&march[0]["closed_on"], &march[0]["outcomes"], &march[0]["is_below"], &march[1]], [&json!("2027-03-31"), &json!(640), &json!(true), &february[0]], "{march}");
    assert_eq!(lesson.app.count(told).await, 1);
    assert_eq!(checks(&lesson, &format!("?known_at={before}")).await, february, "as it was known then");
    // A look back knows the outcomes of its time.
    let lost_then = async |times: &str| {
        let path = format!("/v1/scorecards/{}/backtest?lead_days=45{times}", lesson.card);
        let total = lesson.app.get(&lesson.staff, &path).await.expect(200)["total"].clone();
        (total["outcomes"].as_u64().unwrap() as usize, total["lost"].as_u64().unwrap() as usize)
    };
    // January's and February's fall into one quarter, of which the last counts.
    assert_eq!(lost_then("").await, (2 * CUSTOMERS, CUSTOMERS));
    assert_eq!(lost_then("&as_of=2027-03-09").await, (CUSTOMERS, losses));
    assert_eq!(lost_then("&known_at=2027-02-01T00:00:00Z").await, (CUSTOMERS, losses));
    // Learned and told anew: the same questions have the same answers.
    lesson.tell_of(|_| "churned", |_| "2027-03-15").await;
    lesson.calibrate().await;
    lesson.later(40).await;
    for (path, then) in asked.iter().zip(then) {
        assert_ne!(bytes(&lesson, path.clone()).await, then, "{path}");
        assert_eq!(bytes(&lesson, format!("{path}{april}")).await, then, "{path}");
    }
}

/// A scorecard with criteria is judged by the customers it is for, and what it taught speaks of them alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_scorecard_answers_for_those_it_is_for() {
    let mut lesson = Lesson::begin().await;
    let card = json!({ "name": "中小企業", "rank": 10, "criteria": { "segments": ["中小企業"] },
        "measures": [{ "measure": "adoption", "weight": 3 }, { "measure": "csat", "weight": 1 }] });
    let small = text(&lesson.app.post(&lesson.staff, "/v1/scorecards", &card).await.expect(201)["id"]);
    lesson.app.post_with(&lesson.staff, &format!("/v1/scorecards/{small}/activate"), &Value::Null, &[("if-match", "*")]).await.expect(200);
    lesson.later(60).await;
    lesson.tell(|n| if lost(n) { "churned" } else { "renewed" }).await;
    let even = |of: &dyn Fn(usize) -> bool| (0..CUSTOMERS).step_by(2).filter(|n| of(*n)).count();
    let back = lesson.app.get(&lesson.staff, &format!("/v1/scorecards/{small}/backtest?lead_days=45")).await.expect(200);
    assert_eq!((&back["total"]["outcomes"], &back["total"]["lost"], &back["not_applicable"]), (&json!(CUSTOMERS / 2), &json!(even(&lost)), &json!(CUSTOMERS / 2)));
    let alarms = &back["total"];
    assert_eq!(alarms["false_alarm_share"], json!((1000.0 * points(&alarms["false_alarms"]) / points(&alarms["flagged"])).round() / 1000.0), "{alarms}");
    assert!(points(&alarms["false_alarm_low"]) < points(&alarms["false_alarm_share"]) && points(&alarms["false_alarm_share"]) < points(&alarms["false_alarm_high"]));
    let hand = lesson.calibrate().await;
    lesson.later(1).await;
    let own = lesson.app.post(&lesson.staff, &format!("/v1/scorecards/{small}/calibrate"), &json!({ "lead_days": 45 })).await.expect(201);
    assert_eq!((&own["outcomes"], &hand["outcomes"]), (&json!(CUSTOMERS / 2), &json!(CUSTOMERS)));
    assert_ne!(own["verdict"], "refused", "{own}");
    assert_ne!(hand["verdict"], "refused", "{hand}");
    let customers = lesson.app.get(&lesson.staff, "/v1/customers?limit=1000").await.expect(200);
    for (n, calibration) in [(4, &own), (5, &hand)] {
        let customer = customers["data"].as_array().unwrap().iter().find(|c| c["external_id"] == format!("C-{n}")).unwrap();
        let told = lesson.app.get(&lesson.staff, &format!("/v1/customers/{}/churn-probability", customer["id"].as_str().unwrap())).await.expect(200);
        assert_eq!((&told["calibration_id"], &told["known_measures"], &told["measures"]), (&calibration["id"], &json!(2), &json!(2)), "C-{n}");
    }
    // Each is checked by those it is for.
    lesson.later(30).await;
    lesson.tell_of(|n| if lost(n) { "churned" } else { "renewed" }, |_| "2027-02-10").await;
    lesson.later(15).await;
    let checked = async |card: &str| {
        let told = lesson.app.get(&lesson.staff, &format!("/v1/scorecards/{card}/calibrations")).await.expect(200);
        (told["data"][0]["checks"][0]["closed_on"].clone(), told["data"][0]["checks"][0]["outcomes"].clone())
    };
    assert_eq!(checked(&small).await, (json!("2027-02-28"), json!(CUSTOMERS / 2)));
    assert_eq!(checked(&lesson.card).await, (json!("2027-02-28"), json!(CUSTOMERS)));
}

/// What a draft taught speaks for nobody before the draft is in force; what the scorecard before it taught goes on speaking, of whomever it scores.
#[tokio::test(flavor = "multi_thread")]
async fn calibrating_a_draft_changes_nobodys_probability() {
    let mut lesson = Lesson::begin().await;
    lesson.later(60).await;
    lesson.tell(|n| if lost(n) { "churned" } else { "renewed" }).await;
    let learned = lesson.calibrate().await;
    let one = text(&lesson.app.get(&lesson.portal, "/v1/customers?external_id=C-1").await.expect(200)["data"][0]["id"]);
    let told = async |lesson: &Lesson| lesson.app.get(&lesson.staff, &format!("/v1/customers/{one}/churn-probability")).await.expect(200);
    let before = told(&lesson).await;
    assert_eq!((&before["calibration_id"], before["probability"].is_number()), (&learned["id"], true));
    let draft = json!({ "name": "Draft", "measures": [{ "measure": "adoption", "weight": 3 }, { "measure": "csat", "weight": 1 }] });
    let draft = text(&lesson.app.post(&lesson.staff, "/v1/scorecards", &draft).await.expect(201)["id"]);
    lesson.app.clock.turn_to(lesson.app.clock.now() + Duration::seconds(1));
    let second = lesson.app.post(&lesson.staff, &format!("/v1/scorecards/{draft}/calibrate"), &json!({ "lead_days": 45 })).await.expect(201);
    assert_ne!(second["verdict"], "refused");
    assert_eq!(told(&lesson).await, before);
    // In force it scores the customer, and what it taught speaks.
    lesson.app.clock.turn_to(lesson.app.clock.now() + Duration::seconds(1));
    lesson.app.post_with(&lesson.staff, &format!("/v1/scorecards/{draft}/activate"), &Value::Null, &[("if-match", "*")]).await.expect(200);
    lesson.app.settle().await;
    assert_eq!(told(&lesson).await["calibration_id"], second["id"]);
    // Another in force that taught nothing yet: the last that did speaks, by its own measures, whichever scores the customer.
    let other = json!({ "name": "Other", "measures": [{ "measure": "seats_used", "weight": 1 }] });
    let other = text(&lesson.app.post(&lesson.staff, "/v1/scorecards", &other).await.expect(201)["id"]);
    lesson.app.clock.turn_to(lesson.app.clock.now() + Duration::seconds(1));
    lesson.app.post_with(&lesson.staff, &format!("/v1/scorecards/{other}/activate"), &Value::Null, &[("if-match", "*")]).await.expect(200);
    lesson.app.settle().await;
    let now = told(&lesson).await;
    assert_eq!((&now["calibration_id"], &now["scorecard_id"]), (&second["id"], &json!(draft)));
    assert_eq!(lesson.app.get(&lesson.staff, &format!("/v1/customers/{one}/health")).await.expect(200)["scorecard_id"], json!(other));
}
