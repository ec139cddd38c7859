//! The isolation matrix, generated from the API document: every operation x every kind of caller x own, foreign and random
//! ids in every path, query and body slot. Foreign and random must be answered alike, to the byte; what only the vendor knows
//! must change nothing a partner sees. An operation without a recipe here, or a slot nobody fills, fails the run.

use crate::harness::Reply;
use crate::world::{Someone, World, client, text};
use chrono::Duration;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// An id that no world has.
fn random_id(kind: &str) -> String {
    let prefix = match kind {
        "partner" => "par",
        "customer" => "cus",
        "subscription" => "sub",
        "client" => "prn",
        "credential" => "crd",
        "status_report" => "rep",
        "scorecard" => "sco",
        "override" => "ovr",
        "outcome" => "out",
        "snapshot" => "snp",
        other => panic!("no prefix for {other}"),
    };
    format!("{prefix}_01m7zzzzzzf8x8x8x8x8x8x8x8")
}

/// A place in a request where an id stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Path(String),
    Query(String),
    /// A JSON pointer into the body.
    Body(String),
}

/// An operation as the document describes it.
struct Operation {
    id: String,
    method: String,
    path: String,
    vendor_only: bool,
    public: bool,
    slots: Vec<(Slot, String)>,
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => resolve(document, document.pointer(reference.trim_start_matches('#')).unwrap()),
        None => schema,
    }
}

/// Every property of a body that bears the mark of a reference, with its pointer.
fn marked(document: &Value, schema: &Value, at: &str, found: &mut Vec<(Slot, String)>) {
    let schema = resolve(document, schema);
    if let Some(kind) = schema.get("x-ref").and_then(Value::as_str) {
        found.push((Slot::Body(at.to_owned()), kind.to_owned()));
    }
    for variant in ["oneOf", "anyOf", "allOf"].iter().filter_map(|name| schema.get(*name)?.as_array()).flatten() {
        marked(document, variant, at, found);
    }
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        marked(document, property, &format!("{at}/{name}"), found);
    }
    if let Some(items) = schema.get("items") {
        marked(document, items, &format!("{at}/0"), found);
    }
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(name, _)| ["get", "post", "put", "patch", "delete"].contains(&name.as_str())) {
            let mut slots = Vec::new();
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let mut inner = Vec::new();
                marked(document, &parameter["schema"], "", &mut inner);
                let name = parameter["name"].as_str().unwrap().to_owned();
                for (_, kind) in inner {
                    slots.push((if parameter["in"] == "path" { Slot::Path(name.clone()) } else { Slot::Query(name.clone()) }, kind));
                }
            }
            for content in operation.pointer("/requestBody/content").and_then(Value::as_object).into_iter().flatten() {
                marked(document, &content.1["schema"], "", &mut slots);
            }
            all.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase(),
                path: path.clone(),
                vendor_only: operation["x-who"] == "vendor",
                public: operation["x-who"] == "public",
                slots,
            });
        }
    }
    all
}

/// A request that is right for the caller in hand.
struct Recipe {
    body: Option<Value>,
    if_match: bool,
}

/// How to call each operation. `n` makes what must be new, new.
fn recipe(id: &str, n: usize) -> Option<Recipe> {
    let with = |body| Some(Recipe { body: Some(body), if_match: false });
    let plain = Some(Recipe { body: None, if_match: false });
    match id {
        "list_partners"
        | "get_partner"
        | "list_clients"
        | "list_credentials"
        | "revoke_credential"
        | "list_customers"
        | "get_customer"
        | "list_subscriptions"
        | "list_measures"
        | "list_scorecards"
        | "get_scorecard"
        | "list_status_reports"
        | "get_customer_health"
        | "explain_customer_health"
        | "explain_customer_health_change"
        | "get_customer_health_history"
        | "list_overrides"
        | "get_partner_bias"
        | "get_partner_quality"
        | "get_churn_probability"
        | "list_calibrations"
        | "backtest_scorecard"
        | "approve_override"
        | "withdraw_override"
        | "list_outcomes"
        | "get_outcome"
        | "withdraw_outcome"
        | "simulate_scorecard"
        | "list_divergences"
        | "get_portfolio"
        | "get_roll_up"
        | "get_partner_peers"
        | "list_channels"
        | "list_at_risk"
        | "list_snapshots"
        | "get_snapshot"
        | "get_snapshot_report"
        | "revoke_client" => plain,
        "create_partner" => with(json!({ "external_id": format!("m{n}"), "name": "新しい代理店", "kind": "reseller" })),
        "update_partner" => Some(Recipe { body: Some(json!({ "tier": format!("t{n}") })), if_match: true }),
        "create_client" => with(json!({ "name": "portal" })),
        "add_credential" => with(json!({})),
        "set_currency_rate" => with(json!({ "currency": "USD", "valid_from": "2026-01-01", "rate": "150.25" })),
        "upsert_customer" => with(json!({ "external_id": format!("m{n}"), "name": "お客様" })),
        "update_customer" => Some(Recipe { body: Some(json!({ "region": format!("r{n}") })), if_match: true }),
        "upsert_subscription" => {
            with(json!({ "external_id": format!("m{n}"), "customer_external_id": "K-1", "product": "p", "amount_minor": 1, "currency": "JPY", "starts_on": "2026-01-01" }))
        }
        "create_measure" => with(json!({ "key": format!("m{n}"), "name_en": "x", "name_ja": "x", "unit": "x", "nature": "figure" })),
        "submit_observation" => with(json!({ "customer_external_id": "K-1", "measure": "csat", "value": n })),
        "submit_observation_batch" => with(json!({ "observations": [{ "customer_external_id": "K-1", "measure": "csat", "value": n }] })),
        "create_scorecard" => with(json!({ "name": "n", "measures": [{ "measure": "csat", "weight": 1 }] })),
        "activate_scorecard" | "retire_scorecard" => Some(Recipe { body: None, if_match: true }),
        "create_override" => with(json!({ "score": 20, "reason": "x", "expires_on": "2026-12-31" })),
        "record_outcome" => with(json!({ "customer_external_id": "K-1", "kind": "renewed", "occurred_on": "2026-11-01" })),
        "record_outcome_batch" => with(json!({ "outcomes": [{ "customer_external_id": "K-1", "kind": "expanded", "occurred_on": "2026-11-02" }] })),
        "calibrate_scorecard" | "create_snapshot" => with(json!({})),
        "set_divergence_owner" => with(json!({ "owner": format!("t{n}") })),
        "submit_status_report" => {
            with(json!({ "customer_external_id": "K-1", "period_end": "2026-11-01", "external_id": format!("m{n}"), "observations": [{ "measure": "csat", "value": n % 100 }] }))
        }
        "submit_status_report_batch" => with(json!({ "reports": [{ "customer_external_id": "K-1", "period_end": "2026-11-01", "external_id": format!("m{n}") }] })),
        _ => None,
    }
}

/// The ids of one person's things, by kind.
fn things(someone: &Someone, scorecard: &str) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("partner", someone.partner.clone()),
        ("customer", someone.customer.clone()),
        ("subscription", someone.subscription.clone()),
        ("client", someone.client.clone()),
        ("credential", someone.credential.clone()),
        ("status_report", someone.report.clone()),
        ("override", someone.override_id.clone()),
        ("outcome", someone.outcome.clone()),
        ("snapshot", someone.snapshot.clone()),
        ("scorecard", scorecard.to_owned()),
    ])
}

/// Puts `id` where the slot is; in a body the other ways of naming the same thing make room.
fn place(slot: &Slot, id: &str, body: &mut Option<Value>, path: &mut BTreeMap<String, String>, query: &mut Vec<(String, String)>) {
    match slot {
        Slot::Path(name) => drop(path.insert(name.clone(), id.to_owned())),
        Slot::Query(name) => query.push((name.clone(), id.to_owned())),
        Slot::Body(pointer) => {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let Some(Value::Object(members)) = body.as_mut().and_then(|body| body.pointer_mut(parent)) else { panic!("no place for {pointer}") };
            if name == "customer_id" {
                members.remove("customer_external_id");
            }
            members.insert(name.to_owned(), json!(id));
        }
    }
}

/// What an id that does not exist is answered with in a place: 404, in a list an empty page, or, in a body, 422 with that place.
#[track_caller]
fn is_not_there(reply: &Reply, slot: &Slot, what: &str) {
    let (status, code, fields) = reply.problem();
    match slot {
        Slot::Query(_) if status == 200 => {
            let told = reply.json();
            assert!(told["data"] == json!([]) || told["results"][0]["rejection"]["code"] == "reference-not-found", "{what}, {slot:?}: {told}");
        }
        // It narrows whose the names in the body are.
        Slot::Query(_) if status == 422 => assert_eq!((code.as_str(), fields.len()), ("reference-not-found", 1), "{what}, {slot:?}"),
        Slot::Path(_) | Slot::Query(_) => assert_eq!((status, code.as_str(), fields.len()), (404, "not-found", 0), "{what}, {slot:?}"),
        // A revision that is not the head, whosever it is (DECISIONS 20).
        Slot::Body(at) if at.ends_with("/replaces") => assert!(code == "state-conflict" || reply.json()["results"][0]["rejection"]["code"] == "state-conflict", "{what}"),
        // A row of a batch is refused by itself.
        Slot::Body(at) if status == 200 => {
            let row = &reply.json()["results"][0];
            assert_eq!(
                [&row["outcome"], &row["rejection"]["code"], &row["rejection"]["errors"][0]["pointer"]],
                [&json!("rejected"), &json!("reference-not-found"), &json!(at)],
                "{what}"
            );
        }
        Slot::Body(at) => assert_eq!((status, code.as_str(), fields.first().map(|(pointer, _)| pointer.as_str())), (422, "reference-not-found", Some(at.as_str())), "{what}"),
    }
}

/// Everything that is there of some partners, as one text: what nobody else may change. From every table that has a partner.
async fn belongings(world: &World, names: &[&str]) -> String {
    let tables = "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'partner_id'
        WHERE c.relnamespace::regnamespace::text IN ('todoku', 'ops') AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1";
    let tables: Vec<String> = world.app.ask(tables).await.into_iter().map(|row| row[0].clone().unwrap()).collect();
    assert!(tables.len() >= 25, "{tables:?}");
    let whose = format!("partner_id IN (SELECT id FROM todoku.partner WHERE external_id IN ('{}'))", names.join("', '"));
    let each = |table: &String| format!("SELECT '{table}' AS name, count(*) || md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) AS rows FROM {table} t WHERE {whose}");
    let all = tables.iter().map(each).collect::<Vec<_>>().join(" UNION ALL ");
    world.app.ask(&format!("SELECT string_agg(name || ' ' || rows, ', ' ORDER BY name) FROM ({all}) x")).await[0][0].clone().unwrap()
}

struct Prepared<'a> {
    world: &'a World,
    operation: &'a Operation,
    own: &'a BTreeMap<&'static str, String>,
}

impl Prepared<'_> {
    /// Calls the operation with its own ids, but `id` in `slot`.
    async fn call(&self, token: Option<&str>, slot: Option<(&Slot, &str)>, n: usize) -> Reply {
        let Recipe { mut body, if_match } = recipe(&self.operation.id, n).unwrap_or_else(|| panic!("no recipe for {}", self.operation.id));
        let (mut path, mut query) = (BTreeMap::new(), Vec::new());
        for (s, kind) in self.operation.slots.iter().filter(|(s, _)| matches!(s, Slot::Path(_))) {
            place(s, &self.own[kind.as_str()], &mut body, &mut path, &mut query);
        }
        if let Some((slot, id)) = slot {
            place(slot, id, &mut body, &mut path, &mut query);
        }
        let mut url = self.operation.path.clone();
        for (name, id) in path {
            url = url.replace(&format!("{{{name}}}"), &id);
        }
        if self.operation.id == "explain_customer_health_change" {
            query.push(("since".into(), "2026-11-22".into()));
        }
        if self.operation.id == "get_roll_up" {
            query.push(("by".into(), "channel".into()));
        }
        let query: Vec<String> = query.into_iter().map(|(name, id)| format!("{name}={id}")).collect();
        if !query.is_empty() {
            url = format!("{url}?{}", query.join("&"));
        }
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut headers = vec![("content-type", "application/json")];
        if let Some(bearer) = &bearer {
            headers.push(("authorization", bearer));
        }
        if if_match {
            headers.push(("if-match", "*"));
        }
        self.world.app.send(&self.operation.method, &url, &headers, body.map(|body| serde_json::to_vec(&body).unwrap())).await
    }
}

/// What each caller must not see, and may see only.
const HIDDEN_FROM: &[(&str, &[&str])] = &[
    ("distributor", &["hidden", "stranger", "abroad"]),
    ("near", &["distributor", "far", "hidden", "stranger", "abroad"]),
    ("far", &["distributor", "near", "deep", "stranger", "abroad"]),
    ("hidden", &["distributor", "near", "stranger", "abroad"]),
    ("deep", &["distributor", "near", "far", "stranger", "abroad"]),
    ("stranger", &["distributor", "near", "deep", "abroad"]),
    ("abroad", &["distributor", "stranger"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn foreign_and_random_ids_are_answered_alike() {
    let world = World::make().await;
    let document: Value = world.app.send("GET", "/openapi.json", &[], None).await.json();
    let operations = operations(&document);
    let revoked = {
        let (id, token) = client(&world.app, &world.staff, &world.of("near").partner, &[]).await;
        let path = format!("/v1/partners/{}/clients/{id}", world.of("near").partner);
        world.app.send("DELETE", &path, &[("authorization", &format!("Bearer {}", world.staff))], None).await;
        token
    };
    let forged = {
        let token = world.of("near").token.clone();
        let parts: Vec<&str> = token.split('.').collect();
        format!("{}.{}.{}", parts[0], parts[1], parts[2].chars().rev().collect::<String>())
    };
    let mut cases = 0;
    let mut covered = BTreeSet::new();
    let mut n = 0;
    // A scorecard is a vendor's, the same for all its partners.
    let elsewhere = text(&world.app.get(&world.other_staff, "/v1/scorecards").await.expect(200)["data"][0]["id"]);
    let card = |name: &str| if name == "abroad" { &elsewhere } else { &world.scorecard };
    for operation in operations.iter().filter(|operation| !operation.public) {
        let near = things(world.of("near"), &world.scorecard);
        let prepared = Prepared { world: &world, operation, own: &near };
        // Those who are nobody learn nothing, whatever they ask for.
        let mut answers = BTreeSet::new();
        for token in [None, Some("garbage"), Some(forged.as_str()), Some(revoked.as_str())] {
            for slot in std::iter::once(None).chain(operation.slots.iter().map(Some)) {
                let random = slot.map(|(_, kind)| random_id(kind));
                let reply = prepared.call(token, slot.zip(random.as_ref()).map(|((slot, _), id)| (slot, id.as_str())), n).await;
                assert_eq!(reply.problem().0, 401, "{} {token:?}", operation.id);
                answers.insert(reply.problem().1);
                cases += 1;
            }
        }
        assert_eq!(answers.len(), 1);
        // A token without the scope is refused before anything is looked up.
        let writes = !matches!(operation.method.as_str(), "GET");
        for (caller, hidden) in HIDDEN_FROM {
            let someone = world.of(caller);
            let own = things(someone, card(caller));
            let prepared = Prepared { world: &world, operation, own: &own };
            if writes || operation.vendor_only {
                let reply = prepared.call(Some(&someone.read_only), None, n).await;
                assert_eq!(reply.problem().1, "insufficient-scope", "{} {caller}", operation.id);
            }
            if operation.vendor_only {
                for slot in &operation.slots {
                    for id in hidden.iter().map(|name| things(world.of(name), card(name))[slot.1.as_str()].clone()).chain([random_id(&slot.1)]) {
                        assert_eq!(prepared.call(Some(&someone.token), Some((&slot.0, &id)), n).await.problem().1, "insufficient-scope");
                        cases += 1;
                    }
                }
                covered.insert(operation.id.clone());
                continue;
            }
            n += 1;
            let own_reply = prepared.call(Some(&someone.token), None, n).await;
            let untouched = belongings(&world, hidden).await;
            assert!(own_reply.status.is_success(), "{} as {caller} with its own: {}", operation.id, own_reply.masked());
            covered.insert(operation.id.clone());
            for (slot, kind) in &operation.slots {
                n += 1;
                let random = prepared.call(Some(&someone.token), Some((slot, &random_id(kind))), n).await;
                is_not_there(&random, slot, &format!("{} as {caller}", operation.id));
                for name in hidden.iter().filter(|name| kind != "scorecard" || card(name) != card(caller)) {
                    let foreign_id = &things(world.of(name), card(name))[kind.as_str()];
                    let foreign = prepared.call(Some(&someone.token), Some((slot, foreign_id)), n).await;
                    let (a, b) = (foreign.masked().replace(foreign_id, "ID"), random.masked().replace(&random_id(kind), "ID"));
                    assert_eq!(a, b, "{} as {caller}, {slot:?} = {name}'s", operation.id);
                    cases += 1;
                }
            }
            assert_eq!(belongings(&world, hidden).await, untouched, "{} as {caller} changed what is others'", operation.id);
        }
        // The vendor's own people, against another vendor's things.
        n += 1;
        let own = things(world.of("near"), &world.scorecard);
        let prepared = Prepared { world: &world, operation, own: &own };
        if operation.id == "activate_scorecard" {
            let draft = world.app.post(&world.staff, "/v1/scorecards", &json!({ "name": "d", "measures": [{ "measure": "csat", "weight": 1 }] })).await.expect(201);
            let path = format!("/v1/scorecards/{}/activate", draft["id"].as_str().unwrap());
            let bearer = format!("Bearer {}", world.staff);
            let reply = world.app.send("POST", &path, &[("authorization", bearer.as_str()), ("if-match", "*")], None).await;
            assert_eq!(reply.status, 200);
        } else if !matches!(
            operation.id.as_str(),
            "update_customer"
                | "upsert_subscription"
                | "submit_status_report"
                | "submit_status_report_batch"
                | "submit_observation"
                | "submit_observation_batch"
                | "revoke_client"
                | "revoke_credential"
                | "retire_scorecard"
                | "record_outcome"
                | "record_outcome_batch"
                | "withdraw_outcome"
                | "calibrate_scorecard"
                | "create_snapshot"
                | "approve_override"
        ) {
            let reply = prepared.call(Some(&world.staff), None, n).await;
            assert!(reply.status.is_success(), "{} as staff: {}", operation.id, reply.masked());
        }
        let (abroad, untouched) = (things(world.of("abroad"), &elsewhere), belongings(&world, &["abroad"]).await);
        for (slot, kind) in &operation.slots {
            n += 1;
            let random = prepared.call(Some(&world.staff), Some((slot, &random_id(kind))), n).await;
            // The recipes are partners'; of the vendor's own people what is in a path is known for certain.
            if matches!(slot, Slot::Path(_)) {
                is_not_there(&random, slot, &format!("{} as staff", operation.id));
            }
            let foreign = prepared.call(Some(&world.staff), Some((slot, &abroad[kind.as_str()])), n).await;
            assert_eq!(foreign.masked().replace(&abroad[kind.as_str()], "ID"), random.masked().replace(&random_id(kind), "ID"), "{} as staff, {slot:?}", operation.id);
            cases += 1;
        }
        assert_eq!(belongings(&world, &["abroad"]).await, untouched, "{} as staff changed what is another vendor's", operation.id);
        let untouched = belongings(&world, &["near"]).await;
        for (slot, kind) in &operation.slots {
            n += 1;
            let foreign = prepared.call(Some(&world.other_staff), Some((slot, &own[kind.as_str()])), n).await;
            let random = prepared.call(Some(&world.other_staff), Some((slot, &random_id(kind))), n).await;
            let (a, b) = (foreign.masked().replace(&own[kind.as_str()], "ID"), random.masked().replace(&random_id(kind), "ID"));
            assert_eq!(a, b, "{} as other staff, {slot:?}", operation.id);
            cases += 1;
        }
        assert_eq!(belongings(&world, &["near"]).await, untouched, "{} as other staff changed what is another vendor's", operation.id);
    }
    let documented: BTreeSet<String> = operations.iter().filter(|o| !o.public).map(|o| o.id.clone()).collect();
    let table: BTreeSet<String> = todoku::auth::TABLE.iter().map(|rule| rule.id.to_owned()).collect();
    assert_eq!(covered, documented, "every documented operation is covered");
    assert_eq!(table, documented, "every row of the table of authority is documented");
    assert!(cases > 800, "only {cases} cases");
    // Nobody's things were touched by anybody else: every row still belongs to who made it.
    let strays =
        "SELECT count(*) FROM todoku.audit_entry a JOIN todoku.principal p ON p.id = a.actor_id WHERE p.partner_id IS NOT NULL AND a.partner_id IS DISTINCT FROM p.partner_id";
    assert_eq!(world.app.count(strays).await, 0);
    let foreign_writes = "SELECT count(*) FROM todoku.status_report r JOIN todoku.principal p ON p.id = r.reported_by WHERE p.partner_id <> r.partner_id";
    assert_eq!(world.app.count(foreign_writes).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_belong_to_their_caller_and_their_list() {
    let world = World::make().await;
    let app = &world.app;
    let near = world.of("near");
    for i in 0..3 {
        app.post(&near.token, "/v1/customers", &json!({ "external_id": format!("p{i}"), "name": "x" })).await.expect(201);
    }
    let page = app.get(&near.token, "/v1/customers?limit=2").await;
    assert!(page.header("link").contains("rel=\"next\""));
    let cursor = page.json()["next_cursor"].as_str().unwrap().to_owned();
    let rest = app.get(&near.token, &format!("/v1/customers?limit=100&cursor={cursor}")).await.expect(200);
    assert_eq!(rest["data"].as_array().unwrap().len(), 3, "two of its own and deep's one");
    for (token, path) in
        [(&world.of("stranger").token, "/v1/customers"), (&near.token, "/v1/subscriptions"), (&near.token, "/v1/customers?state=active"), (&world.staff, "/v1/customers")]
    {
        let glue = if path.contains('?') { '&' } else { '?' };
        assert_eq!(app.get(token, &format!("{path}{glue}cursor={cursor}")).await.problem().1, "invalid-cursor", "{path}");
    }
    let mut bent = cursor.into_bytes();
    bent[5] = if bent[5] == b'A' { b'B' } else { b'A' };
    assert_eq!(app.get(&near.token, &format!("/v1/customers?cursor={}", String::from_utf8(bent).unwrap())).await.problem().1, "invalid-cursor");
}

/// Every list a partner may read and every single thing, as bytes.
async fn everything(world: &World, someone: &Someone) -> Vec<String> {
    let mut seen = Vec::new();
    let customer = &someone.customer;
    for path in [
        "/v1/partners".to_owned(),
        format!("/v1/partners/{}", someone.partner),
        "/v1/customers?limit=1000".into(),
        format!("/v1/customers/{customer}"),
        "/v1/subscriptions".into(),
        "/v1/measures".into(),
        "/v1/scorecards".into(),
        "/v1/status-reports".into(),
        "/v1/outcomes".into(),
        format!("/v1/outcomes?customer={customer}&to=2026-11-22"),
        format!("/v1/outcomes/{}", someone.outcome),
        format!("/v1/customers/{customer}/health"),
        format!("/v1/customers/{customer}/health/explanation"),
        format!("/v1/customers/{customer}/health/history"),
        format!("/v1/partners/{}/bias", someone.partner),
        format!("/v1/partners/{}/peers", someone.partner),
        format!("/v1/partners/{}/quality", someone.partner),
        format!("/v1/customers/{customer}/health/change?since=2026-11-22"),
        format!("/v1/customers/{customer}/health?as_of=2026-11-22"),
        "/v1/insights/channels".into(),
        "/v1/insights/portfolio".into(),
        "/v1/insights/rollup?by=region".into(),
        "/v1/insights/rollup?by=channel&cross=stage&as_of=2026-11-22".into(),
        "/v1/insights/rollup?by=partner&cross=channel".into(),
        "/v1/insights/at-risk".into(),
        "/v1/insights/at-risk?band=unknown".into(),
        "/v1/insights/at-risk?as_of=2026-11-22".into(),
    ] {
        let reply = world.app.get(&someone.token, &path).await;
        assert_eq!(reply.status, 200, "{path}");
        seen.push(reply.masked());
    }
    seen
}

/// The partners of the first vendor.
fn at_home(world: &World) -> impl Iterator<Item = (&'static str, &Someone)> {
    world.people.iter().map(|(name, someone)| (*name, someone)).filter(|(name, _)| *name != "abroad")
}

/// The vendor's systems see of each customer what is worse than what its partner says.
async fn vendor_observes(world: &World) {
    for (_, someone) in at_home(world) {
        for (measure, value) in [("adoption", 1), ("seats_used", 0), ("csat", 3), ("support_load", 5)] {
            let fact = json!({ "customer_id": someone.customer, "measure": measure, "value": value });
            world.app.post(&world.staff, "/v1/observations", &fact).await.expect(201);
        }
    }
    assert!(world.app.count("SELECT count(*) FROM todoku.observation WHERE audience = 'vendor'").await >= 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_vendor_knows_changes_no_byte_a_partner_sees() {
    let world = World::make().await;
    let mut before = BTreeMap::new();
    for (name, someone) in &world.people {
        before.insert(*name, everything(&world, someone).await);
    }
    vendor_observes(&world).await;
    for (_, someone) in at_home(&world) {
        let set = json!({ "score": 3, "reason": "secret", "expires_on": "2027-01-31" });
        world.app.post(&world.staff, &format!("/v1/customers/{}/overrides", someone.customer), &set).await.expect(201);
        let lost = json!({ "customer_id": someone.customer, "kind": "churned", "occurred_on": "2026-11-10", "reason": "secret" });
        world.app.post(&world.staff, "/v1/outcomes", &lost).await.expect(201);
    }
    world.app.settle().await;
    let lowered = "SELECT count(*) FROM todoku.health_score v JOIN todoku.health_score s USING (vendor_id, partner_id, customer_id) WHERE v.audience = 'vendor' AND s.audience = 'shared' AND v.score < s.score";
    assert!(world.app.count(lowered).await >= 6 || world.app.count("SELECT count(*) FROM todoku.health_score WHERE audience = 'vendor' AND band = 'at_risk'").await >= 6);
    for (name, someone) in &world.people {
        assert_eq!(everything(&world, someone).await, before[name], "{name}");
    }
    // The tables of what only the vendor may see are closed to a partner, not just filtered.
    let shared = crate::harness::shared().await;
    let mut parameters = shared.cluster.parameters(&world.app.database);
    parameters.user("todoku_partner");
    let (client, connection) = parameters.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for table in ["customer_locator", "principal", "agreement", "partner_version", "event", "audit_entry", "calibration", "snapshot"] {
        let error = client.simple_query(&format!("SELECT 1 FROM todoku.{table}")).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501", "{table}");
    }
}

/// How partners report is counted once, when a day has turned: two worlds live the same days, and in the second the vendor knows more.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_vendor_knows_is_no_part_of_how_partners_report() {
    let mut told = Vec::new();
    for knows_more in [false, true] {
        let world = World::make().await;
        let app = &world.app;
        for (name, someone) in at_home(&world) {
            // One says each day that all is at its best; the other five are those it is compared with.
            let report = |day: usize| {
                let value = if name == "near" { 100 } else { 2 * day };
                json!({ "customer_external_id": "K-1", "period_end": format!("2026-10-{day:02}"), "observations": [{ "measure": "csat", "value": value }] })
            };
            let reports: Vec<Value> = (1..=20).map(report).collect();
            assert_eq!(app.post(&someone.token, "/v1/status-reports/batch", &json!({ "reports": reports })).await.expect(200)["counts"]["created"], 20);
        }
        if knows_more {
            vendor_observes(&world).await;
        }
        app.clock.turn_to(app.clock.now() + Duration::days(1));
        app.settle().await;
        let staff = app.token(&world.founder.0, &world.founder.1).await;
        let mut answers = BTreeMap::new();
        for (name, someone) in at_home(&world) {
            let (_, portal) = client(app, &staff, &someone.partner, &[]).await;
            let reply = app.get(&portal, &format!("/v1/partners/{}/quality", someone.partner)).await;
            answers.insert(name, reply.masked().replace(&someone.partner, "ID"));
        }
        told.push(answers);
    }
    for kind in ["too_many_tops", "no_change"] {
        assert!(told[0]["near"].contains(&format!("\"kind\":\"{kind}\"")), "{}", told[0]["near"]);
    }
    assert_eq!(told[1], told[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sees_exactly_its_tree() {
    let world = World::make().await;
    let app = &world.app;
    for (name, customers, totals) in [
        ("distributor", vec!["deep", "distributor", "near"], true),
        ("near", vec!["deep", "near"], false),
        ("far", vec!["far"], false),
        ("hidden", vec!["hidden"], false),
        ("deep", vec!["deep"], false),
        ("stranger", vec!["stranger"], false),
        ("abroad", vec!["abroad"], false),
    ] {
        let someone = world.of(name);
        let listed = app.get(&someone.token, "/v1/customers").await.expect(200);
        let mut seen: Vec<&str> = listed["data"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap().trim_end_matches("のお客様")).collect();
        seen.sort_unstable();
        assert_eq!(seen, customers, "{name}");
        let outcomes = app.get(&someone.token, "/v1/outcomes").await.expect(200);
        assert_eq!(outcomes["data"].as_array().unwrap().len(), customers.len(), "{name}: one of each customer it sees");
        let channels = app.get(&someone.token, "/v1/insights/channels").await.expect(200);
        assert_eq!(channels["data"].as_array().unwrap().len(), customers.len(), "{name}");
        assert_eq!(channels["total"]["customers"], customers.len(), "{name}");
        // Whose totals alone are shown is told of by month, and nobody of a single customer.
        let none: &[Value] = &[];
        assert_eq!(channels.pointer("/totals/data").map(|data| data.as_array().unwrap().as_slice()), totals.then_some(none), "{name}");
    }
    let all = app.get(&world.staff, "/v1/customers").await.expect(200);
    assert_eq!(all["data"].as_array().unwrap().len(), 6);
    let parent = app.get(&world.of("near").token, &format!("/v1/partners/{}", world.of("near").partner)).await.expect(200);
    assert_eq!(parent["parent_id"], json!(null), "the partner above is not visible from below");
    let direct = json!({ "external_id": "D-1", "name": "直販のお客様" });
    assert_eq!(app.post(&world.staff, "/v1/customers", &direct).await.expect(201)["partner_id"], world.direct);
    let elsewhere = app.post(&world.staff, &format!("/v1/customers?partner={}", world.of("near").partner), &direct).await;
    assert_eq!(elsewhere.problem().1, "read-only-here");
}
