//! Signing keys step on while tokens are issued and used: none is wrongly refused, none is signed by a key nobody could know.

use crate::harness::{App, database};
use chrono::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use todoku::auth;
use todoku::kernel::code::Code;

async fn published(app: &App) -> BTreeSet<String> {
    let keys = app.send("GET", "/.well-known/jwks.json", &[], None).await.expect(200);
    keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn kid(token: &str) -> String {
    use base64::Engine as _;
    let head = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<serde_json::Value>(&head).unwrap()["kid"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_and_no_token_is_refused() {
    // Two gateways of one name on one database; the second looks at the keys later than the first.
    let place = database().await;
    let app = Arc::new(App::start_at(place.clone(), &[]).await);
    let beside = Arc::new(App::start_at(place, &[("TODOKU_SERVER__PUBLIC_URL", &app.base)]).await);
    let (founded, _) = app.found("Vendor").await;
    beside.gate.tenancy.refresh(&beside.state.db).await.unwrap();
    let (client, secret) = (founded.client.to_string(), founded.secret.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..8)
        .map(|n| {
            let (app, beside, stop, client, secret) = (app.clone(), beside.clone(), stop.clone(), client.clone(), secret.clone());
            tokio::spawn(async move {
                let mut used = 0;
                while !stop.load(Ordering::Relaxed) {
                    let (here, there) = if n % 2 == 0 { (&app, &beside) } else { (&beside, &app) };
                    let token = here.token(&client, &secret).await;
                    for gateway in [here, there] {
                        assert_eq!(gateway.get(&token, "/v1/customers").await.status, 200);
                    }
                    used += 1;
                }
                used
            })
        })
        .collect();
    // Tokens live for minutes: a short while is as good as a long one.
    let known_after = Duration::seconds(1);
    let mut known_before = published(&app).await;
    for round in 0..30 {
        let old = app.token(&client, &secret).await;
        assert!(known_before.contains(&kid(&old)), "round {round}: signed by a key that was published before");
        auth::rotate(&app.state.db, &app.state.keys, known_after).await.unwrap();
        let again = auth::rotate(&app.state.db, &app.state.keys, known_after).await.unwrap_err();
        assert_eq!(again.code, Code::StateConflict, "round {round}: a key nobody may know yet does not sign");
        // This process has not looked yet: it goes on with what it knows.
        assert_eq!(app.get(&old, "/v1/customers").await.status, 200, "round {round}");
        known_before = published(&app).await;
        app.gate.refresh_keys().await.unwrap();
        let new = app.token(&client, &secret).await;
        if round > 0 {
            assert_ne!(kid(&old), kid(&new), "round {round}: the key that was next signs now");
            assert!(known_before.contains(&kid(&new)), "round {round}: and was published before it signed");
        }
        for token in [&old, &new] {
            assert_eq!(app.get(token, "/v1/customers").await.status, 200, "round {round}");
            assert_eq!(beside.get(token, "/v1/customers").await.status, 200, "round {round}: beside, which may not have looked");
            assert!(published(&app).await.contains(&kid(token)));
        }
        beside.gate.refresh_keys().await.unwrap();
        [&app, &beside].into_iter().for_each(|gateway| gateway.clock.turn_to(gateway.clock.now() + known_after));
        known_before.extend(published(&app).await);
    }
    stop.store(true, Ordering::Relaxed);
    for task in load {
        assert!(task.await.unwrap() > 0);
    }
    app.clock.turn_to(app.clock.now() + Duration::minutes(30));
    app.gate.refresh_keys().await.unwrap();
    assert_eq!(published(&app).await.len(), 2, "the active one and the next; what was passive long enough is gone");
}
