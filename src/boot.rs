//! From settings to a state that can serve: the cluster, the schema, the catalogue rules, the keys.

use crate::config::{Config, decode_master};
use crate::db::private::{self, Cluster, ClusterFault, Options};
use crate::db::{Clock, Db, Place, catalogue, migrate};
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::state::{Keys, State, new_master};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_postgres::config::Host;

/// A process that has booted. The cluster, if it owns one, is stopped when this is dropped.
pub struct Booted {
    /// What all share.
    pub state: Arc<State>,
    /// The private cluster, unless the database is an outside one.
    pub cluster: Option<Cluster>,
    /// Where the database is.
    pub place: Place,
}

/// Starts or joins the database, brings a private one to the newest schema, checks the rules, and derives the keys.
pub async fn boot(config: Config, clock: Clock) -> Result<Booted, Box<dyn std::error::Error>> {
    let (place, cluster) = database(&config).await?;
    let db = Db::new(&place, &config.database, clock)?;
    // Whoever joined a cluster of an older release brings it up as well: its owner may be one.
    let is_behind = async |cluster: &Cluster| migrate::is_behind(&cluster.superuser(private::DATABASE)).await.unwrap_or(false);
    let ours = match &cluster {
        Some(cluster) if cluster.is_owner() || is_behind(cluster).await => Some(cluster),
        _ => None,
    };
    if let Some(cluster) = ours {
        let admin = cluster.superuser("postgres");
        // A server that is taken over may be starting again, or stuck.
        patiently(STUCK, LOOK, async || migrate::prepare_server(&admin, &place, Some(private::DATABASE)).await).await?;
        migrate::bring_up(&cluster.superuser(private::DATABASE), &place, &db, chrono::Utc::now()).await?;
    } else {
        patiently(PATIENCE, LOOK, async || catalogue::check(&db).await).await?;
    }
    let master = match cluster.as_ref().filter(|_| config.secrets.master.is_empty()) {
        Some(cluster) => kept_master(cluster.dir())?,
        None => config.secrets.master.reveal().to_owned(),
    };
    let master = decode_master(&master).ok_or("secrets.master must be 32 bytes in base64")?;
    let state = State { keys: Keys::derive(&master)?, db, config, wake: tokio::sync::Notify::new() };
    Ok(Booted { state: Arc::new(state), cluster, place })
}

/// How long a start waits for a database that is not there: whoever owns it may just be starting it again.
const PATIENCE: Duration = Duration::from_secs(10);
/// And how long the owner waits for a server that lives and does not answer: nobody else can help.
const STUCK: Duration = Duration::from_secs(60);

/// Tries again, with pauses, while the database is not to be had.
async fn patiently<T>(patience: Duration, pause: Duration, mut attempt: impl AsyncFnMut() -> Result<T, Fault>) -> Result<T, Fault> {
    let begun = Instant::now();
    loop {
        match attempt().await {
            Err(fault) if fault.code == Code::DatabaseUnavailable && begun.elapsed() < patience => {
                tracing::info!(%fault, "the database is waited for");
                tokio::time::sleep(pause).await;
            }
            done => return done,
        }
    }
}

async fn database(config: &Config) -> Result<(Place, Option<Cluster>), Box<dyn std::error::Error>> {
    let settings = &config.database;
    if !settings.url.is_empty() {
        let base = outside("database.url", settings.url.reveal())?;
        return Ok((Place { base, role_prefix: settings.role_prefix.clone(), password: Some(settings.password.clone()) }, None));
    }
    let options = cluster_options(config);
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&options)).await??;
    let place = Place { base: cluster.parameters(private::DATABASE), role_prefix: settings.role_prefix.clone(), password: None };
    Ok((place, Some(cluster)))
}

/// The parameters of an outside database. Over a network the address says whether to encrypt: what is left out must not mean in clear.
fn outside(name: &str, url: &str) -> Result<tokio_postgres::Config, String> {
    let parameters: tokio_postgres::Config = url.parse().map_err(|_| format!("{name} is not a PostgreSQL URL; its sslmode may be require (which verifies) or disable"))?;
    let near = |host: &Host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback()),
        Host::Unix(_) => true,
    };
    let told = url.contains("sslmode=require") || url.contains("sslmode=disable");
    if told || parameters.get_hosts().iter().all(near) { Ok(parameters) } else { Err(format!("{name} must say sslmode=require or sslmode=disable")) }
}

fn cluster_options(config: &Config) -> Options {
    let given = |path: &Path| (!path.as_os_str().is_empty()).then(|| path.to_owned());
    Options { dir: given(&config.database.data_dir), bin: given(&config.database.bin_dir), settings: Vec::new() }
}

/// As many open files as the system lets us have: each connection is one, and the usual 1,024 are soon used up.
pub fn allow_connections() {
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, hard)) if soft < hard => {
            if let Err(cause) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
                tracing::warn!(%cause, soft, "the limit of open files stays as it is");
            }
        }
        _ => {}
    }
}

/// How often the private cluster is looked after.
const LOOK: Duration = Duration::from_millis(500);

/// Keeps the private cluster running, if there is one. Its server may be killed while we live; what was acknowledged is on disk, and requests are told
/// to come back.
pub struct Keeper {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Keeper {
    /// Looks after `cluster` from now on; after nothing if the database is an outside one.
    pub fn of(cluster: Option<Cluster>) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::spawn(keep(cluster, async { drop(stopped.await) })) }
    }

    /// Stops the cluster cleanly.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.task.await;
    }
}

async fn keep(cluster: Option<Cluster>, stop: impl Future<Output = ()>) {
    let Some(mut cluster) = cluster else { return stop.await };
    tokio::pin!(stop);
    while tokio::time::timeout(LOOK, &mut stop).await.is_err() {
        let looked_after = tokio::task::spawn_blocking(move || {
            if let Err(fault) = cluster.revive() {
                tracing::warn!(%fault, "the private cluster could not be started again yet");
            }
            cluster
        });
        match looked_after.await {
            Ok(same) => cluster = same,
            Err(_) => return,
        }
    }
    let _ = tokio::task::spawn_blocking(move || drop(cluster)).await;
}

/// Removes the private cluster with all its data.
pub fn remove_cluster(config: &Config) -> Result<(), ClusterFault> {
    Cluster::remove(&cluster_options(config))
}

/// Brings an outside database to the newest schema, as its administrator.
pub async fn migrate_outside(config: &Config) -> Result<(), Box<dyn std::error::Error>> {
    if config.database.admin_url.is_empty() {
        return Err("database.admin_url is required to migrate an outside database".into());
    }
    let admin = outside("database.admin_url", config.database.admin_url.reveal())?;
    let place = Place { base: admin.clone(), role_prefix: config.database.role_prefix.clone(), password: Some(config.database.password.clone()) };
    migrate::prepare_server(&admin, &place, None).await?;
    migrate::bring_up(&admin, &place, &Db::new(&place, &config.database, Clock::Live)?, chrono::Utc::now()).await?;
    Ok(())
}

/// The master secret of a booted process.
pub fn master_of(booted: &Booted) -> Option<[u8; 32]> {
    let configured = booted.state.config.secrets.master.reveal();
    let text = match booted.cluster.as_ref().filter(|_| configured.is_empty()) {
        Some(cluster) => kept_master(cluster.dir()).ok()?,
        None => configured.to_owned(),
    };
    decode_master(&text)
}

/// The master secret of a private cluster: made once, kept beside the data, readable by us alone.
fn kept_master(dir: &Path) -> Result<String, Fault> {
    let path = dir.join("master.key");
    let read = || std::fs::read_to_string(&path).map(|text| text.trim().to_owned());
    if let Ok(text) = read() {
        return Ok(text);
    }
    let fresh = new_master()?;
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(mut file) => {
            file.write_all(fresh.as_bytes()).and_then(|()| file.sync_all()).map_err(Fault::internal)?;
            Ok(fresh)
        }
        // Another process was faster.
        Err(_) => read().map_err(Fault::internal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_that_is_not_there_is_waited_for_and_one_that_is_wrong_is_not() {
        let starts = async |patience: Duration, answers: &[Code]| {
            let mut tries = 0;
            let attempt = async || {
                tries += 1;
                answers.get(tries - 1).map_or(Ok(()), |code| Err(Fault::of(*code)))
            };
            let outcome = patiently(patience, Duration::ZERO, attempt).await.map_err(|fault| fault.code);
            (outcome, tries)
        };
        let gone = Code::DatabaseUnavailable;
        assert_eq!(starts(PATIENCE, &[gone, gone]).await, (Ok(()), 3));
        assert_eq!(starts(PATIENCE, &[gone, Code::InternalError, gone]).await, (Err(Code::InternalError), 2));
        assert_eq!(starts(Duration::ZERO, &[gone, gone]).await, (Err(gone), 1));
    }

    #[test]
    fn over_a_network_the_address_says_whether_to_encrypt() {
        for good in ["postgres://localhost/t", "postgres://127.0.0.1:5433/t", "postgres://db.internal/t?sslmode=require", "postgres://db.internal/t?sslmode=disable"] {
            assert!(outside("database.url", good).is_ok(), "{good}");
        }
        for bad in
            ["postgres://db.internal/t", "postgres://10.0.0.1/t?sslmode=prefer", "postgres://localhost,db.internal/t", "postgres://db.internal/t?sslmode=verify-full", "mysql://x"]
        {
            assert!(outside("database.url", bad).is_err(), "{bad}");
        }
    }
}
