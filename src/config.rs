//! Typed, layered settings. `config/default.toml` is both the documentation and the list of known keys: a later layer may
//! only change a key that stands there, to a value of the same type. Every fault is reported at once; secrets never print.

use base64::Engine;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

const DEFAULT: &str = include_str!("../config/default.toml");
const ENVIRONMENT: &str = "TODOKU_";

/// A value that must not be printed.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The value itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "(not set)" } else { "(set)" })
    }
}

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, serde::Deserialize)]
        #[allow(missing_docs, reason = "config/default.toml documents every key")]
        pub struct $name { $(pub $field: $type),* }
    )*};
}

settings! {
    /// The HTTP side.
    Server { listen: SocketAddr, ops_listen: SocketAddr, public_url: String, threads: usize, stop_seconds: u64, trust_forwarded_for: bool }
    /// Where PostgreSQL is and how many connections to keep.
    Database {
        url: Secret, admin_url: Secret, role_prefix: String, password: Secret, data_dir: PathBuf, bin_dir: PathBuf,
        pool_partner: usize, pool_staff: usize, pool_worker: usize, pool_auth: usize, pool_queue: usize, pool_wait_ms: u64,
    }
    /// Keys of the house.
    Secrets { master: Secret }
    /// Rates and sizes.
    Limits {
        read_per_second: u32, read_burst: u32, write_per_second: u32, write_burst: u32, batches_at_once: u32, batches_of_all: u32, transactions_at_once: u32,
        token_per_second: u32, token_burst: u32, address_per_second: u32, address_burst: u32,
    }
    /// The worker.
    Worker { enabled: bool, poll_ms: u64, gather_ms: u64 }
    /// Logs.
    Log { format: String, level: String }
    /// All settings.
    Config { server: Server, database: Database, secrets: Secrets, limits: Limits, worker: Worker, log: Log }
}

/// Everything wrong with the settings, one line each.
#[derive(Debug)]
pub struct ConfigFaults(Vec<String>);

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the configuration has {} fault(s):", self.0.len())?;
        self.0.iter().try_for_each(|fault| writeln!(f, "  - {fault}"))
    }
}

impl std::error::Error for ConfigFaults {}

/// Reads the default, the file if given, and the environment, and checks the whole.
pub fn load(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Config, ConfigFaults> {
    let mut faults = Vec::new();
    let mut settings: Table = DEFAULT.parse().map_err(|e| ConfigFaults(vec![format!("the embedded default: {e}")]))?;
    if let Some(path) = file {
        match std::fs::read_to_string(path).map_err(|e| e.to_string()).and_then(|text| text.parse().map_err(|e: toml::de::Error| e.message().to_owned())) {
            Ok(layer) => merge(&mut settings, layer, &path.display().to_string(), &mut faults),
            Err(cause) => faults.push(format!("{}: {cause}", path.display())),
        }
    }
    // Sorted, so that faults come in the same order each time.
    let mut variables: Vec<_> = environment.filter(|(name, _)| name.starts_with(ENVIRONMENT)).collect();
    variables.sort();
    for (name, text) in variables {
        set_variable(&mut settings, &name, text, &mut faults);
    }
    if !faults.is_empty() {
        return Err(ConfigFaults(faults));
    }
    let config: Config = settings.try_into().map_err(|e: toml::de::Error| ConfigFaults(vec![e.message().to_owned()]))?;
    check(&config, &mut faults);
    if faults.is_empty() { Ok(config) } else { Err(ConfigFaults(faults)) }
}

/// 32 bytes from base64; `None` for anything else.
pub fn decode_master(text: &str) -> Option<[u8; 32]> {
    base64::engine::general_purpose::STANDARD.decode(text).ok()?.try_into().ok()
}

fn merge(settings: &mut Table, layer: Table, origin: &str, faults: &mut Vec<String>) {
    for (section, value) in layer {
        let (Some(Value::Table(known)), Value::Table(given)) = (settings.get_mut(&section), value) else {
            faults.push(format!("{origin}: [{section}] is not a known section"));
            continue;
        };
        for (key, value) in given {
            match known.get_mut(&key) {
                None => faults.push(format!("{origin}: {section}.{key} is not a known key")),
                Some(old) if old.type_str() != value.type_str() => {
                    faults.push(format!("{origin}: {section}.{key} must be a {}, not a {}", old.type_str(), value.type_str()));
                }
                Some(old) => *old = value,
            }
        }
    }
}

fn set_variable(settings: &mut Table, name: &str, text: String, faults: &mut Vec<String>) {
    let path = name[ENVIRONMENT.len()..].to_ascii_lowercase();
    let target = path.split_once("__").and_then(|(section, key)| settings.get_mut(section)?.get_mut(key));
    let Some(old) = target else {
        faults.push(format!("{name} does not name a known key"));
        return;
    };
    let new = match old {
        Value::Integer(_) => text.parse().ok().map(Value::Integer),
        Value::Boolean(_) => text.parse().ok().map(Value::Boolean),
        _ => Some(Value::String(text)),
    };
    match new {
        Some(value) => *old = value,
        None => faults.push(format!("{name} must be a {}", old.type_str())),
    }
}

fn check(config: &Config, faults: &mut Vec<String>) {
    let mut demand = |holds: bool, fault: &str| {
        if !holds {
            faults.push(fault.to_owned());
        }
    };
    let url = url::Url::parse(&config.server.public_url);
    let loopback = |host: &str| host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    demand(
        url.as_ref().is_ok_and(|u| u.scheme() == "https" || u.scheme() == "http" && u.host_str().is_some_and(loopback)),
        "server.public_url must be an https URL (http only on loopback)",
    );
    demand(!config.server.public_url.ends_with('/'), "server.public_url must not end with /");
    let prefix = &config.database.role_prefix;
    demand(
        !prefix.is_empty() && prefix.len() <= 32 && prefix.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit()),
        "database.role_prefix must be 1-32 of a-z, 0-9 and _",
    );
    let db = &config.database;
    demand([db.pool_partner, db.pool_staff, db.pool_worker, db.pool_auth].iter().all(|n| (1..=1000).contains(n)), "database.pool_* must be 1-1000");
    demand(db.url.is_empty() || !config.secrets.master.is_empty(), "secrets.master is required with database.url");
    demand(db.url.is_empty() || !db.password.is_empty(), "database.password is required with database.url");
    let master = decode_master(config.secrets.master.reveal());
    demand(config.secrets.master.is_empty() || master.is_some(), "secrets.master must be 32 bytes in base64");
    let l = &config.limits;
    let rates = [
        l.read_per_second,
        l.read_burst,
        l.write_per_second,
        l.write_burst,
        l.batches_at_once,
        l.batches_of_all,
        l.transactions_at_once,
        l.token_per_second,
        l.token_burst,
        l.address_per_second,
        l.address_burst,
    ];
    demand(rates.iter().all(|n| *n >= 1), "limits.* must be at least 1");
    demand(config.worker.poll_ms >= 10, "worker.poll_ms must be at least 10");
    demand(config.worker.gather_ms <= 60_000, "worker.gather_ms must be at most 60000");
    demand(["text", "json"].contains(&config.log.format.as_str()), "log.format must be text or json");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Config, ConfigFaults> {
        load(None, variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn the_default_stands() {
        let config = with(&[("HOME", "/root")]).unwrap();
        assert_eq!(config.server.listen.port(), 8080);
    }

    #[test]
    fn every_fault_is_named_and_no_secret_is() {
        let fault = with(&[("TODOKU_SERVER__LISTEM", "x"), ("TODOKU_WORKER__ENABLED", "perhaps"), ("TODOKU_NONSENSE", "1"), ("TODOKU_SECRETS__MASTER", "hunter2")])
            .unwrap_err()
            .to_string();
        for part in ["TODOKU_SERVER__LISTEM", "TODOKU_WORKER__ENABLED must be a boolean", "TODOKU_NONSENSE"] {
            assert!(fault.contains(part), "{fault}");
        }
        let second = with(&[("TODOKU_SECRETS__MASTER", "hunter2"), ("TODOKU_LOG__FORMAT", "xml"), ("TODOKU_SERVER__PUBLIC_URL", "http://example.com")]).unwrap_err().to_string();
        assert!(second.contains("secrets.master must be") && second.contains("log.format") && second.contains("public_url"), "{second}");
        assert!(!second.contains("hunter2"));
        let config = with(&[("TODOKU_DATABASE__PASSWORD", "hunter2")]).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn a_file_may_only_change_known_keys() {
        let dir = std::env::temp_dir().join(format!("todoku-config-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("x.toml");
        std::fs::write(&path, "[server]\nlisten = \"127.0.0.1:1\"\ncolour = 1\nthreads = \"two\"\n[kitchen]\nsink = 1\n").unwrap();
        let fault = load(Some(&path), std::iter::empty()).unwrap_err().to_string();
        for part in ["server.colour", "server.threads must be a integer", "[kitchen]"] {
            assert!(fault.contains(part), "{fault}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
