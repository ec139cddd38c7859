//! The Idempotency-Key: one effect, equal answers.

use crate::world::World;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn one_key_one_effect() {
    let world = World::make().await;
    let app = &world.app;
    let (near, stranger) = (world.of("near"), world.of("stranger"));
    let body = json!({ "external_id": "X-1", "name": "新しいお客様" });
    let key = [("idempotency-key", "k-1")];
    let first = app.post_with(&near.token, "/v1/customers", &body, &key).await;
    let again = app.post_with(&near.token, "/v1/customers", &body, &key).await;
    assert_eq!((first.status, &first.bytes, first.header("location"), first.header("etag")), (again.status, &again.bytes, again.header("location"), again.header("etag")));
    assert_eq!(first.status, 201);
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
    let other = app.post_with(&near.token, "/v1/customers", &json!({ "external_id": "X-1", "name": "別の名前" }), &key).await;
    assert_eq!((other.problem().0, other.problem().1), (422, "idempotency-key-reused".into()));
    // Another partner's key of the same spelling is another key.
    assert_eq!(app.post_with(&stranger.token, "/v1/customers", &body, &key).await.status, 201);
    // Scopes are checked before a replay.
    assert_eq!(app.post_with(&near.read_only, "/v1/customers", &body, &key).await.problem().1, "insufficient-scope");
    assert_eq!(app.count("SELECT count(*) FROM todoku.customer WHERE external_id = 'X-1'").await, 2);
    assert_eq!(
        app.count("SELECT count(*) FROM todoku.audit_entry WHERE operation = 'upsert_customer' AND subject_id IN (SELECT id FROM todoku.customer WHERE external_id = 'X-1')").await,
        2
    );
    // A refused request leaves its key free.
    let refused = app.post_with(&near.token, "/v1/customers", &json!({ "external_id": "X-2" }), &[("idempotency-key", "k-2")]).await;
    assert_eq!(refused.problem().2, [("/name".into(), "required".into())]);
    assert_eq!(app.post_with(&near.token, "/v1/customers", &json!({ "external_id": "X-2", "name": "x" }), &[("idempotency-key", "k-2")]).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_replayed_for_a_quarter_of_an_hour() {
    let world = World::make().await;
    let app = &world.app;
    let path = format!("/v1/partners/{}/clients", world.of("near").partner);
    let key = [("idempotency-key", "mint")];
    let first = app.post_with(&world.staff, &path, &json!({ "name": "portal" }), &key).await.expect(201);
    assert!(first["client_secret"].as_str().unwrap().starts_with("tdklk_"));
    assert_eq!(app.post_with(&world.staff, &path, &json!({ "name": "portal" }), &key).await.expect(201), first);
    let stored = app.ask("SELECT encode(body_sealed, 'escape') FROM todoku.idempotency").await;
    assert!(!format!("{stored:?}").contains("tdklk_"), "sealed at rest");
    app.ask("UPDATE todoku.idempotency SET secret_until = secret_until - interval '16 minutes'").await;
    let later = app.post_with(&world.staff, &path, &json!({ "name": "portal" }), &key).await.expect(201);
    assert_eq!((&later["id"], later.get("client_secret")), (&first["id"], None));
}
