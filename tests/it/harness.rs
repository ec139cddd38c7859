//! One cluster for the whole run, one database per test, one server per test, and a client that speaks to it.

use actix_web::web;
use chrono::{DateTime, Utc};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use todoku::auth::{Gate, Permission};
use todoku::db::private::{Cluster, Options};
use todoku::db::{Clock, Db, Place, migrate};
use todoku::directory::NewVendor;
use todoku::ledger::Denials;
use todoku::state::{Keys, State};
use todoku::{app, command, config, worker};
use tokio::sync::OnceCell;

/// Where the clock stands when a test begins: a Sunday noon in Tokyo.
pub const NOON: &str = "2026-11-22T03:00:00Z";

/// The cluster of this run, with a migrated template to copy databases from.
pub struct Shared {
    pub cluster: Cluster,
    pub place: Place,
    _reaper: Child,
}

static SHARED: OnceCell<Shared> = OnceCell::const_new();
static COUNT: AtomicU32 = AtomicU32::new(0);

pub async fn shared() -> &'static Shared {
    SHARED.get_or_init(start).await
}

async fn start() -> Shared {
    // The cause of a 500 is in the log alone.
    let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::ERROR).with_writer(std::io::stderr).try_init();
    todoku::boot::allow_connections();
    let dir = std::env::temp_dir().join(format!("todoku-it-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    let settings = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=400"];
    let options = Options { dir: Some(dir.clone()), bin: std::env::var_os("TODOKU_DATABASE__BIN_DIR").map(Into::into), settings: settings.map(str::to_owned).to_vec() };
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&options)).await.unwrap().expect("PostgreSQL starts");
    // Nobody drops a static: a child that outlives us stops the cluster when our end of its pipe closes, however we end.
    let pid = cluster.postmaster().unwrap();
    let script = format!("read -r _; kill -INT {pid}; while kill -0 {pid} 2>/dev/null; do sleep 0.1; done; rm -rf '{}'", dir.display());
    let reaper = Command::new("sh").arg("-c").arg(script).stdin(Stdio::piped()).spawn().unwrap();
    let place = Place { base: cluster.parameters("todoku_template"), role_prefix: "todoku".into(), password: None };
    migrate::prepare_server(&cluster.superuser("postgres"), &place, Some("todoku_template")).await.unwrap();
    migrate::migrate(&cluster.superuser("todoku_template"), &place, noon(), false).await.unwrap();
    Shared { cluster, place, _reaper: reaper }
}

pub fn noon() -> DateTime<Utc> {
    NOON.parse().unwrap()
}

/// A database of one test's own.
pub async fn database() -> Place {
    let shared = shared().await;
    let name = format!("t{}", COUNT.fetch_add(1, Ordering::SeqCst));
    sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE todoku_template")).await;
    Place { base: shared.cluster.parameters(&name), ..shared.place.clone() }
}

/// The pools over it, as a process that starts has them.
pub fn db_at(place: &Place) -> Db {
    Db::new(place, &config::load(None, std::iter::empty()).unwrap().database, Clock::Live).unwrap()
}

/// Runs a script as the superuser, who sees everything.
pub async fn sql(database: &str, script: &str) -> Vec<Vec<Option<String>>> {
    let (client, connection) = shared().await.cluster.superuser(database).connect(tokio_postgres::NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    let messages = client.simple_query(script).await.unwrap();
    drop(client);
    let _ = driver.await;
    let rows = messages.into_iter().filter_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()),
        _ => None,
    });
    rows.collect()
}

/// A server of one test's own.
pub struct App {
    pub state: Arc<State>,
    pub gate: web::Data<Gate>,
    pub denials: web::Data<Denials>,
    pub clock: Clock,
    pub database: String,
    pub base: String,
    client: reqwest::Client,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub bytes: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.bytes));
        self.json()
    }

    /// A problem's code, with the pointers of its fields.
    pub fn problem(&self) -> (u16, String, Vec<(String, String)>) {
        let body = self.json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let fields = body["errors"].as_array().into_iter().flatten().map(|e| (text(&e["pointer"]), text(&e["code"]))).collect();
        (self.status.as_u16(), text(&body["code"]), fields)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Everything a caller sees, with what may differ between two equal requests taken out.
    pub fn masked(&self) -> String {
        let mut body = self.json();
        if let Some(members) = body.as_object_mut() {
            members.remove("request_id");
        }
        let body = if body.is_null() { String::from_utf8_lossy(&self.bytes).into_owned() } else { body.to_string() };
        let mut headers: Vec<String> = self
            .headers
            .iter()
            .filter(|(name, _)| !["date", "x-request-id", "ratelimit"].contains(&name.as_str()))
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or("?")))
            .collect();
        headers.sort();
        format!("{} {body}\n{}", self.status, headers.join("\n"))
    }
}

impl App {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_at(database().await, settings).await
    }

    /// On a database reached through whatever stands at this place.
    pub async fn start_at(place: Place, settings: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let generous = [
            ("TODOKU_SERVER__PUBLIC_URL", base.as_str()),
            ("TODOKU_SERVER__THREADS", "2"),
            ("TODOKU_DATABASE__POOL_WAIT_MS", "5000"),
            ("TODOKU_LIMITS__READ_PER_SECOND", "1000000"),
            ("TODOKU_LIMITS__READ_BURST", "1000000"),
            ("TODOKU_LIMITS__WRITE_PER_SECOND", "1000000"),
            ("TODOKU_LIMITS__WRITE_BURST", "1000000"),
            ("TODOKU_LIMITS__TOKEN_PER_SECOND", "1000000"),
            ("TODOKU_LIMITS__TOKEN_BURST", "1000000"),
            ("TODOKU_LIMITS__ADDRESS_PER_SECOND", "1000000"),
            ("TODOKU_LIMITS__ADDRESS_BURST", "1000000"),
        ];
        // A test's own settings come over the suite's.
        let variables: BTreeMap<String, String> = generous.iter().chain(settings).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let config = config::load(None, variables.into_iter()).unwrap();
        let clock = Clock::at(noon());
        let db = Db::new(&place, &config.database, clock.clone()).unwrap();
        let state = Arc::new(State { keys: Keys::derive(&[42; 32]).unwrap(), db, config, wake: tokio::sync::Notify::new() });
        let gate = web::Data::new(Gate::open(state.clone()).await.unwrap());
        let fresh = gate.clone();
        tokio::spawn(async move { fresh.keep_fresh().await });
        let denials = web::Data::new(Denials::default());
        tokio::spawn(app::serve(gate.clone(), denials.clone(), app::document(&base), listener).unwrap());
        let database = place.base.get_dbname().unwrap().to_owned();
        Self { state, gate, denials, clock, database, base, client: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    /// Founds a vendor and signs its administrator in.
    pub async fn found(&self, name: &str) -> (command::Founded, String) {
        let new = NewVendor { name: name.parse().unwrap(), zone: "Asia/Tokyo".parse().unwrap(), currency: "JPY".parse().unwrap(), live: true };
        let founded = command::found(&self.state, &new).await.unwrap();
        self.gate.tenancy.refresh(&self.state.db).await.unwrap();
        let token = self.token(&founded.client.to_string(), &founded.secret).await;
        (founded, token)
    }

    /// Signs another member of the vendor's staff in.
    pub async fn colleague(&self, founded: &command::Founded) -> String {
        self.system(founded, Permission::FOR_STAFF).await
    }

    /// Signs a system of the vendor's in.
    pub async fn system(&self, founded: &command::Founded, scopes: &[Permission]) -> String {
        let (client, secret) = command::mint_client(&self.state, founded.vendor, None, "system".parse().unwrap(), scopes.to_vec()).await.unwrap();
        self.gate.tenancy.refresh(&self.state.db).await.unwrap();
        self.token(&client.to_string(), &secret).await
    }

    pub async fn token(&self, client: &str, secret: &str) -> String {
        let answer = self.client.post(format!("{}/oauth/token", self.base)).basic_auth(client, Some(secret)).form(&[("grant_type", "client_credentials")]).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        answer.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned()
    }

    /// Any request.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<Vec<u8>>) -> Reply {
        let mut request = self.client.request(Method::from_bytes(method.as_bytes()).unwrap(), format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let answer = request.send().await.unwrap();
        Reply { status: answer.status(), headers: answer.headers().clone(), bytes: answer.bytes().await.unwrap().to_vec() }
    }

    pub async fn get(&self, token: &str, path: &str) -> Reply {
        self.send("GET", path, &[("authorization", &format!("Bearer {token}"))], None).await
    }

    pub async fn post(&self, token: &str, path: &str, body: &Value) -> Reply {
        self.post_with(token, path, body, &[]).await
    }

    pub async fn post_with(&self, token: &str, path: &str, body: &Value, headers: &[(&str, &str)]) -> Reply {
        let bearer = format!("Bearer {token}");
        let mut all = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        all.extend(headers);
        self.send("POST", path, &all, Some(serde_json::to_vec(body).unwrap())).await
    }

    pub async fn patch(&self, token: &str, path: &str, etag: &str, body: &Value) -> Reply {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/merge-patch+json"), ("if-match", etag)];
        self.send("PATCH", path, &headers, Some(serde_json::to_vec(body).unwrap())).await
    }

    /// Lets the worker do everything that is due.
    pub async fn settle(&self) {
        worker::tick(&self.state).await.unwrap();
        worker::analyse_days(&self.state).await.unwrap();
        worker::run_due(&self.state).await.unwrap();
    }

    /// Writes down what was refused, as serve does each second.
    pub async fn write_denials(&self) {
        worker::write_denials(&self.state.db, &self.denials).await;
    }

    /// Asks the superuser.
    pub async fn ask(&self, query: &str) -> Vec<Vec<Option<String>>> {
        sql(&self.database, query).await
    }

    /// One number from the superuser.
    pub async fn count(&self, query: &str) -> i64 {
        self.ask(query).await[0][0].as_deref().unwrap().parse().unwrap()
    }
}

/// A small deterministic generator; the seed is in the message when it fails.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}
