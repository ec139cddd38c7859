//! How a client proves who it is, and changes over: two secrets or keys at a time, the older for at most seven days.

use crate::harness::{App, noon};
use crate::world::{World, client, text};
use chrono::Duration;
use serde_json::{Value, json};
use todoku::kernel::id::{PrincipalId, TypeId};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn opens(app: &App, client: &str, secret: &str) -> bool {
    use base64::Engine as _;
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{client}:{secret}")));
    let reply = app.send("POST", "/oauth/token", &[FORM, ("authorization", &basic)], Some(b"grant_type=client_credentials".to_vec())).await;
    assert!([200, 401].contains(&reply.status.as_u16()), "{}", reply.masked());
    reply.status == 200
}

/// Their secrets are looked up together: two of each of ten clients, one with its first secret, one with its second, and beside them those that must not pass.
/// Some go away before they are answered.
#[tokio::test(flavor = "multi_thread")]
async fn who_signs_in_beside_others_gets_their_own_answer() {
    let world = World::make().await;
    let (app, near) = (&world.app, world.of("near"));
    let path = format!("/v1/partners/{}/clients", near.partner);
    let mut proofs: Vec<(String, String, bool)> = Vec::new();
    for n in 0..10 {
        let made = app.post(&world.staff, &path, &json!({ "name": format!("portal {n}") })).await.expect(201);
        let (id, first) = (text(&made["id"]), text(&made["client_secret"]));
        let second = text(&app.post(&world.staff, &format!("{path}/{id}/credentials"), &json!({})).await.expect(201)["client_secret"]);
        proofs.push((id.clone(), first, true));
        proofs.push((id, second, true));
    }
    // The secret of another, one that was never minted, one that has ended, and a client nobody knows.
    let minted = todoku::auth::mint(true).unwrap().secret;
    let ended = app.post(&world.staff, &path, &json!({ "name": "ended" })).await.expect(201);
    app.post(&world.staff, &format!("{path}/{}/credentials", text(&ended["id"])), &json!({ "overlap_days": 0 })).await.expect(201);
    proofs.push((proofs[0].0.clone(), proofs[2].1.clone(), false));
    proofs.push((proofs[0].0.clone(), minted, false));
    proofs.push((text(&ended["id"]), text(&ended["client_secret"]), false));
    proofs.push((PrincipalId::of(uuid::Uuid::from_u128(7)).to_string(), proofs[0].1.clone(), false));
    app.gate.tenancy.refresh(&app.state.db).await.unwrap();
    for _ in 0..5 {
        let gone = futures_util::future::join_all(proofs.iter().map(|(id, secret, _)| tokio::time::timeout(std::time::Duration::from_micros(500), opens(app, id, secret))));
        let (_, told) = futures_util::future::join(gone, futures_util::future::join_all(proofs.iter().map(|(id, secret, _)| opens(app, id, secret)))).await;
        assert_eq!(told, proofs.iter().map(|proof| proof.2).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_changes_its_secret_without_a_refused_request() {
    let world = World::make().await;
    let (app, near) = (&world.app, world.of("near"));
    let path = format!("/v1/partners/{}/clients", near.partner);
    let made = app.post(&world.staff, &path, &json!({ "name": "portal" })).await.expect(201);
    let (id, first) = (text(&made["id"]), text(&made["client_secret"]));
    let path = format!("{path}/{id}/credentials");
    let add = async |body: Value| text(&app.post(&world.staff, &path, &body).await.expect(201)["client_secret"]);

    let second = add(json!({})).await;
    assert!(opens(app, &id, &first).await && opens(app, &id, &second).await);
    // A third ends the first at once; the second has its days.
    let third = add(json!({ "overlap_days": 2 })).await;
    assert!(!opens(app, &id, &first).await && opens(app, &id, &second).await && opens(app, &id, &third).await);
    app.clock.turn_to(noon() + Duration::days(2) - Duration::seconds(1));
    assert!(opens(app, &id, &second).await);
    app.clock.turn_to(noon() + Duration::days(2));
    app.gate.tenancy.refresh(&app.state.db).await.unwrap();
    assert!(!opens(app, &id, &second).await && opens(app, &id, &third).await);
    let staff = app.token(&world.founder.0, &world.founder.1).await;
    // Without overlap the one before is out.
    let fourth = text(&app.post(&staff, &path, &json!({ "overlap_days": 0 })).await.expect(201)["client_secret"]);
    assert!(!opens(app, &id, &third).await && opens(app, &id, &fourth).await);

    // None of a list's members is a secret.
    let listed = app.get(&staff, &path).await;
    assert!([&first, &second, &third, &fourth].iter().all(|secret| !String::from_utf8_lossy(&listed.bytes).contains(secret.as_str())));
    let listed = listed.expect(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 4);
    // One revoked: the tokens it may have got are void, another opens again.
    let token = app.token(&id, &fourth).await;
    let fifth = text(&app.post(&staff, &path, &json!({})).await.expect(201)["client_secret"]);
    let bearer = format!("Bearer {staff}");
    let gone = app.send("DELETE", &format!("{path}/{}", text(&listed["data"][3]["id"])), &[("authorization", &bearer)], None).await;
    assert_eq!(gone.status, 204);
    assert_eq!(app.get(&token, "/v1/customers").await.problem().0, 401);
    assert!(!opens(app, &id, &fourth).await && opens(app, &id, &fifth).await);
    assert_eq!(app.count("SELECT count(*) FROM todoku.event WHERE type = 'client.credential_added'").await, 4);
    assert_eq!(app.count("SELECT count(*) FROM todoku.audit_entry WHERE operation IN ('add_credential', 'revoke_credential') AND outcome = 'done'").await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_added_at_once_leave_two_in_force() {
    let world = World::make().await;
    let (app, near) = (&world.app, world.of("near"));
    let (id, _) = client(app, &world.staff, &near.partner, &[]).await;
    let path = format!("/v1/partners/{}/clients/{id}/credentials", near.partner);
    let added = futures_util::future::join_all((0..10).map(async |_| text(&app.post(&world.staff, &path, &json!({})).await.expect(201)["client_secret"]))).await;
    let mut in_force = 0;
    for secret in &added {
        in_force += u32::from(opens(app, &id, secret).await);
    }
    assert_eq!(in_force, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_ends_however_many_keys_came_after_it() {
    let world = World::make().await;
    let (app, near) = (&world.app, world.of("near"));
    let made = app.post(&world.staff, &format!("/v1/partners/{}/clients", near.partner), &json!({ "name": "portal" })).await.expect(201);
    let (id, first) = (text(&made["id"]), text(&made["client_secret"]));
    let path = format!("/v1/partners/{}/clients/{id}/credentials", near.partner);
    // A hundred and twenty keys of the past, as the superuser can write them.
    let keys = format!(
        "INSERT INTO auth.credential (id, kind, vendor_id, principal_id, created_at, not_after, public_key)
         SELECT gen_random_uuid(), 'public_key', vendor_id, principal_id, created_at + n * interval '1 minute', created_at, public_key
         FROM generate_series(1, 120) n, (SELECT vendor_id, principal_id, created_at, '{{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"x\"}}' AS public_key
           FROM auth.credential WHERE principal_id = '{}') c",
        id.parse::<PrincipalId>().unwrap().uuid()
    );
    app.ask(&keys).await;
    let second = text(&app.post(&world.staff, &path, &json!({ "overlap_days": 0 })).await.expect(201)["client_secret"]);
    assert!(!opens(app, &id, &first).await && opens(app, &id, &second).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_credentials_name_their_places() {
    let world = World::make().await;
    let (app, near) = (&world.app, world.of("near"));
    let path = format!("/v1/partners/{}/clients/{}/credentials", near.partner, near.client);
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let before = app.count("SELECT count(*) FROM auth.credential").await;
    for (body, pointer, code) in [
        (json!({ "overlap_days": 8 }), "/overlap_days", "out-of-range"),
        (json!({ "overlap_days": -1 }), "/overlap_days", "out-of-range"),
        (json!({ "jwk": { "kty": "RSA", "crv": "Ed25519", "x": x } }), "/jwk/kty", "not-in-set"),
        (json!({ "jwk": { "kty": "EC", "crv": "P-384", "x": x, "y": x } }), "/jwk/crv", "not-in-set"),
        (json!({ "jwk": { "kty": "EC", "crv": "P-256", "x": x } }), "/jwk/y", "required"),
        (json!({ "jwk": { "kty": "EC", "crv": "P-256", "x": x, "y": x } }), "/jwk/x", "malformed"),
        (json!({ "jwk": { "kty": "OKP", "crv": "Ed25519", "x": "AAAA" } }), "/jwk/x", "malformed"),
        (json!({ "jwk": { "kty": "OKP", "crv": "Ed25519", "x": x, "alg": "RS256" } }), "/jwk/alg", "contradiction"),
        // Anybody can sign under a point of small order.
        (json!({ "jwk": { "kty": "OKP", "crv": "Ed25519", "x": "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" } }), "/jwk/x", "malformed"),
        // The private half has no business here.
        (json!({ "jwk": { "kty": "OKP", "crv": "Ed25519", "x": x, "d": x } }), "/jwk/d", "unknown-field"),
    ] {
        let (status, _, fields) = app.post(&world.staff, &path, &body).await.problem();
        assert_eq!((status, fields), (422, vec![(pointer.to_owned(), code.to_owned())]), "{body}");
    }
    assert_eq!(app.count("SELECT count(*) FROM auth.credential").await, before);
    let key = json!({ "jwk": { "kty": "OKP", "crv": "Ed25519", "x": x } });
    app.post(&world.staff, &path, &key).await.expect(201);
    assert_eq!(app.post(&world.staff, &path, &key).await.problem().1, "already-exists");
    // What a dry run would have made opens nothing, and is not shown.
    let undone = app.post(&world.staff, &format!("{path}?dry_run=true"), &json!({})).await.expect(201);
    assert_eq!((undone.get("client_secret"), undone["kind"].as_str()), (None, Some("client_secret")));
    // Another client may have the same key: nobody learns of it.
    let elsewhere = world.of("abroad");
    app.post(&world.other_staff, &format!("/v1/partners/{}/clients/{}/credentials", elsewhere.partner, elsewhere.client), &key).await.expect(201);
    let bearer = format!("Bearer {}", world.staff);
    app.send("DELETE", path.trim_end_matches("/credentials"), &[("authorization", &bearer)], None).await;
    assert_eq!(app.post(&world.staff, &path, &json!({})).await.problem().1, "state-conflict");
}
