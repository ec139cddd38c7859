//! PostgreSQL gone, slow and back: told with 503 and Retry-After, never a hang, nothing acknowledged lost, well again without a
//! restart. A proxy of our own stands between, because packet tools are absent from many kernels (DECISIONS 33).

use crate::attacks::bearer;
use crate::harness::{App, Reply, database};
use crate::world::{client, reseller};
use futures_util::FutureExt;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use todoku::db::Place;
use todoku::kernel::id::{PartnerId, TypeId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Everything goes through.
    Pass,
    /// Connections are cut and new ones refused.
    Cut,
    /// Connections are taken, and nothing moves.
    Stall,
    /// A COMMIT goes through and its connection is cut before the answer comes back.
    CutAtCommit,
}

struct Proxy {
    mode: watch::Sender<Mode>,
    dir: PathBuf,
}

impl Proxy {
    async fn before(place: &Place) -> (Self, Place) {
        let dir = std::env::temp_dir().join(format!("tdkp{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir(&dir).unwrap();
        let behind = match &place.base.get_hosts()[0] {
            tokio_postgres::config::Host::Unix(path) => path.join(".s.PGSQL.5432"),
            tokio_postgres::config::Host::Tcp(_) => panic!("the private cluster has a socket"),
        };
        let listener = UnixListener::bind(dir.join(".s.PGSQL.5432")).unwrap();
        let (mode, seen) = watch::channel(Mode::Pass);
        tokio::spawn(async move {
            while let Ok((front, _)) = listener.accept().await {
                if *seen.borrow() != Mode::Cut {
                    tokio::spawn(join(front, behind.clone(), seen.clone()));
                }
            }
        });
        let mut base = tokio_postgres::Config::new();
        base.host_path(&dir).port(5432).dbname(place.base.get_dbname().unwrap());
        (Self { mode, dir }, Place { base, ..place.clone() })
    }

    fn turn(&self, mode: Mode) {
        self.mode.send(mode).unwrap();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

async fn join(front: UnixStream, behind: PathBuf, mode: watch::Receiver<Mode>) {
    let Ok(back) = UnixStream::connect(behind).await else { return };
    let ((mut front_in, mut front_out), (mut back_in, mut back_out)) = (front.into_split(), back.into_split());
    let (one, other, mut cut) = (mode.clone(), mode.clone(), mode);
    tokio::select! {
        () = carry(&mut front_in, &mut back_out, one) => {}
        () = carry(&mut back_in, &mut front_out, other) => {}
        _ = cut.wait_for(|mode| *mode == Mode::Cut) => {}
    }
}

async fn carry(from: &mut (impl AsyncReadExt + Unpin), to: &mut (impl AsyncWriteExt + Unpin), mut mode: watch::Receiver<Mode>) {
    let mut bytes = [0; 16 * 1024];
    loop {
        let Ok(n @ 1..) = from.read(&mut bytes).await else { return };
        let Ok(mode) = mode.wait_for(|mode| *mode != Mode::Stall).await.map(|mode| *mode) else { return };
        if to.write_all(&bytes[..n]).await.is_err() || mode == Mode::CutAtCommit && bytes[..n].windows(7).any(|part| part == b"COMMIT\0") {
            return;
        }
    }
}

fn told_to_come_back(reply: &Reply) {
    let (status, code, _) = reply.problem();
    assert_eq!(status, 503, "{}", String::from_utf8_lossy(&reply.bytes));
    assert!(["database-unavailable", "overloaded", "outcome-unknown"].contains(&code.as_str()), "{code}");
    assert_eq!(reply.header("retry-after"), "1");
}

/// Tries until it is well again, as a client does; a hang fails the test.
async fn well_again(app: &App, token: &str) {
    for _ in 0..100 {
        if app.get(token, "/v1/customers").await.status == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not well after ten seconds")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_and_outlived() {
    let (proxy, place) = Proxy::before(&database().await).await;
    // As in life: a second or so of patience, not the suite's.
    let app = App::start_at(place, &[("TODOKU_DATABASE__POOL_WAIT_MS", "250")]).await;
    let (_, staff) = app.found("Vendor").await;
    let (_, portal) = reseller(&app, &staff, "R1").await;
    app.post(&portal, "/v1/customers", &json!({ "external_id": "K", "name": "K" })).await.expect(201);
    let report = |n: usize| json!({ "customer_external_id": "K", "external_id": format!("O{n}"), "period_end": "2026-11-20", "declared_band": "watch" });

    for (round, mode) in [Mode::Cut, Mode::Stall, Mode::Cut].into_iter().enumerate() {
        // Writers are under way when it happens; each insists with its key.
        let keys: Vec<String> = (0..6).map(|n| format!("outage-{round}-{n}")).collect();
        let writers = keys.iter().enumerate().map(async |(n, key)| -> Value {
            for _ in 0..200 {
                let reply = app.post_with(&portal, "/v1/status-reports", &report(round * 10 + n), &[("idempotency-key", key)]).await;
                match reply.status.as_u16() {
                    201 => return reply.json(),
                    409 => assert_eq!(reply.problem().1, "idempotency-in-progress"),
                    _ => told_to_come_back(&reply),
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            panic!("a writer never got through")
        });
        let outage = async {
            tokio::task::yield_now().await;
            proxy.turn(mode);
            for _ in 0..3 {
                let asked = tokio::time::timeout(Duration::from_secs(60), app.get(&portal, "/v1/customers"));
                told_to_come_back(&asked.await.expect("an answer, never a hang"));
            }
            proxy.turn(Mode::Pass);
            well_again(&app, &portal).await;
        };
        let (answers, ()) = futures_util::future::join(futures_util::future::join_all(writers), outage).await;
        // What was answered is there once, and a replay says the same.
        for (n, (key, answer)) in keys.iter().zip(answers).enumerate() {
            let replay = app.post_with(&portal, "/v1/status-reports", &report(round * 10 + n), &[("idempotency-key", key)]).await;
            assert_eq!(replay.header("idempotency-replayed"), "true", "{mode:?}");
            assert_eq!(replay.expect(201), answer);
        }
    }
    let rows = |table: &str| format!("SELECT count(*) FROM todoku.{table}");
    assert_eq!(app.count(&rows("status_report")).await, 18);
    assert_eq!(app.count(&rows("event WHERE type = 'status_report.accepted'")).await, 18);
    assert_eq!(app.count(&rows("audit_entry WHERE operation = 'submit_status_report' AND outcome = 'done'")).await, 18);
    app.settle().await;
    assert_eq!(app.count(&rows("health_score WHERE audience = 'vendor' AND band = 'unknown'")).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_an_answer_is_looked_up_by_its_key_or_told_to_be_unknown() {
    let (proxy, place) = Proxy::before(&database().await).await;
    let app = App::start_at(place, &[]).await;
    let (_, staff) = app.found("Vendor").await;
    let (_, portal) = reseller(&app, &staff, "R1").await;
    let customer = |n: usize| json!({ "external_id": format!("K{n}"), "name": "K" });
    proxy.turn(Mode::CutAtCommit);
    // With a key the answer is found: done once, and said to be.
    let keyed = app.post_with(&portal, "/v1/customers", &customer(1), &[("idempotency-key", "k-1")]).await;
    assert_eq!((keyed.status.as_u16(), keyed.header("idempotency-replayed")), (201, "true"));
    // Without one nobody can tell.
    let unknown = app.post(&portal, "/v1/customers", &customer(2)).await;
    assert_eq!((unknown.problem().0, unknown.problem().1.as_str(), unknown.header("retry-after")), (503, "outcome-unknown", "1"));
    proxy.turn(Mode::Pass);
    well_again(&app, &portal).await;
    // Sent again it is the same thing, whichever way it went.
    assert!([200, 201].contains(&app.post(&portal, "/v1/customers", &customer(2)).await.status.as_u16()));
    assert_eq!(app.post_with(&portal, "/v1/customers", &customer(1), &[("idempotency-key", "k-1")]).await.expect(201), keyed.json());
    assert_eq!(app.count("SELECT count(*) FROM todoku.customer WHERE external_id IN ('K1', 'K2')").await, 2);
    assert_eq!(app.count("SELECT count(*) FROM todoku.event WHERE type = 'customer.created'").await, 2);
}

/// One turn of a quarter of a second makes the pace: behind the next eight may wait, the ninth would wait for longer than anybody may.
#[tokio::test(flavor = "multi_thread")]
async fn whose_turns_are_hopelessly_taken_is_told_so_whatever_it_asks_and_nobody_else_is() {
    let app = App::start_with(&[("TODOKU_LIMITS__TRANSACTIONS_AT_ONCE", "1"), ("TODOKU_DATABASE__POOL_WAIT_MS", "250")]).await;
    let (_, staff) = app.found("Vendor").await;
    let (partner, portal) = reseller(&app, &staff, "R1").await;
    let (leaver, former) = client(&app, &staff, &partner, &[]).await;
    let (_, other) = reseller(&app, &staff, "R2").await;
    let (turns, caller) = (&app.gate.limits.turns, partner.parse::<PartnerId>().unwrap().uuid());
    let slow = turns.take(caller).await.unwrap();
    slow.used();
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(250) {
        tokio::task::yield_now().await;
    }
    drop(slow);
    let held = turns.take(caller).await.unwrap();
    let mut waiting: Vec<_> = (0..5).map(|_| Box::pin(turns.take(caller))).collect();
    assert!(waiting.iter_mut().all(|one| one.now_or_never().is_none()));

    told_to_come_back(&app.get(&portal, "/v1/customers").await);
    told_to_come_back(&app.post(&portal, "/v1/customers", &json!({ "external_id": "K", "name": "K" })).await);
    // It is known by its token, until the keys are read again each second: then one request has to verify it.
    let mut nowhere = Vec::new();
    while nowhere.len() < 10 && nowhere.last() != Some(&[503; 3]) {
        told_to_come_back(&app.get(&portal, "/v1/customers").await);
        let ask = async |path: &str| app.get(&portal, path).await.status.as_u16();
        nowhere.push([ask("/v1/nowhere").await, ask("/%76%31/nowhere").await, ask("/v1/customers/cus_x").await]);
    }
    assert_eq!(nowhere.last(), Some(&[503; 3]), "{nowhere:?}");
    // A problem like any other, on a connection that goes on, whatever came with the request.
    let (refused, missing) = (app.get(&portal, "/v1/customers").await, app.get(&other, "/v1/nowhere").await);
    let names =
        |reply: &Reply| reply.headers.keys().map(|name| name.as_str().to_owned()).filter(|name| !name.starts_with("ratelimit") && name != "retry-after").collect::<BTreeSet<_>>();
    assert_eq!(names(&refused), names(&missing));
    assert_eq!(refused.json()["request_id"], refused.header("x-request-id"));
    let (head, body) = (format!("Host: x\r\nAuthorization: Bearer {portal}\r\n"), "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n");
    let pipelined = format!("HEAD /v1/customers HTTP/1.1\r\n{head}\r\nPOST /v1/customers HTTP/1.1\r\n{head}{body}GET /v1/customers HTTP/1.1\r\n{head}Connection: close\r\n\r\n");
    let (mut line, mut answers) = (TcpStream::connect(app.base.trim_start_matches("http://")).await.unwrap(), String::new());
    line.write_all(pipelined.as_bytes()).await.unwrap();
    line.read_to_string(&mut answers).await.unwrap();
    assert_eq!((answers.matches("HTTP/1.1 503").count(), answers.matches("\"code\":\"overloaded\"").count()), (3, 2), "{answers}");
    // Nor is the answer to a HEAD that brings a body taken for one to what comes behind it: it has none.
    let with_body = format!("HEAD /v1/customers HTTP/1.1\r\n{head}Content-Length: 2\r\n\r\n{{}}GET /v1/customers HTTP/1.1\r\n{head}\r\n");
    let (mut line, mut one) = (TcpStream::connect(app.base.trim_start_matches("http://")).await.unwrap(), Vec::new());
    line.write_all(with_body.as_bytes()).await.unwrap();
    // A reset is an end as well.
    let _ = line.read_to_end(&mut one).await;
    let one = String::from_utf8(one).unwrap();
    let (first, behind) = one.split_once("\r\n\r\n").unwrap();
    assert!(first.starts_with("HTTP/1.1 503") && first.contains("connection: close") && (behind.is_empty() || behind.starts_with("HTTP/1.1 503")), "{one}");
    // Whoever has no standing any more is told that, and nothing of its former partner.
    told_to_come_back(&app.get(&former, "/v1/customers").await);
    let path = format!("/v1/partners/{partner}/clients/{leaver}");
    assert_eq!(app.send("DELETE", &path, &[("authorization", &bearer(&staff)), ("if-match", "*")], None).await.status, 204);
    assert_eq!(app.get(&former, "/v1/customers").await.status, 401);
    assert_eq!(app.get(&portal, "/openapi.json").await.status, 200, "what needs no turn");
    assert_eq!(app.get(&format!("{portal}x"), "/v1/customers").await.status, 401);
    assert_eq!((app.get(&other, "/v1/customers").await.status, app.get(&other, "/v1/nowhere").await.status.as_u16()), (StatusCode::OK, 404));
    assert_eq!(app.get(&staff, "/v1/customers").await.status, 200);

    drop((waiting, held));
    assert_eq!(app.get(&portal, "/v1/customers").await.expect(200)["data"], json!([]), "nothing was done");
}
