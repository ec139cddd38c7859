//! `todoku demo`: a deterministic, believable vendor with a year behind it, loaded day by day through the flows under a
//! clock that is turned, the daily job included; then served.

mod cast;
mod year;

use super::Outcome;
use super::serve::{Front, serve_booted, stop_signal};
use crate::boot::{self, Booted};
use crate::config::Config;
use crate::db::{Clock, Db};
use crate::kernel::error::Fault;
use crate::state::{Keys, State};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

/// A way into the demo.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entrance {
    role: String,
    client_id: String,
    client_secret: String,
}

/// What the demo says of itself when it is ready; kept beside its data.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Guide {
    vendor: String,
    entrances: Vec<Entrance>,
    customer: String,
    partner: String,
}

const GUIDE: &str = "demo.json";

/// Loads the demo if it is not there, and serves.
pub async fn demo(config: Config, reset: bool) -> Outcome {
    if !config.database.url.is_empty() {
        return Err("the demo runs on the private cluster; leave database.url empty".into());
    }
    let front = Front::open(&config)?;
    if reset {
        boot::remove_cluster(&config)?;
    }
    let booted = boot::boot(config, Clock::Live).await?;
    let guide = match kept(&booted) {
        Some(guide) => guide,
        None => {
            let loaded = tokio::select! {
                loaded = load(&booted) => loaded?,
                // The cluster stops with what has booted; the next run begins the load anew.
                () = stop_signal() => return Err("stopped while loading".into()),
            };
            keep(&booted, &loaded)?;
            loaded
        }
    };
    let greeting = greet(&booted, &guide);
    serve_booted(booted, front, &greeting).await
}

fn path(booted: &Booted) -> Option<std::path::PathBuf> {
    booted.cluster.as_ref().map(|cluster| cluster.dir().join(GUIDE))
}

fn kept(booted: &Booted) -> Option<Guide> {
    serde_json::from_str(&std::fs::read_to_string(path(booted)?).ok()?).ok()
}

/// Written last and in one piece: a demo that was cut short is loaded anew.
fn keep(booted: &Booted, guide: &Guide) -> Result<(), Box<dyn std::error::Error>> {
    let path = path(booted).ok_or("the demo has no folder")?;
    let fresh = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(&serde_json::to_vec_pretty(guide)?)?;
    file.sync_all()?;
    std::fs::rename(fresh, path)?;
    Ok(())
}

/// Lives the year on a state of its own, whose clock is turned.
async fn load(booted: &Booted) -> Result<Guide, Fault> {
    let today = chrono::Utc::now();
    let clock = Clock::at(today - chrono::Duration::days(year::DAYS));
    let mut config = booted.state.config.clone();
    // A load that is cut short is begun anew, so nothing in it needs to wait for the disk. Its statements run thousands of times:
    // planning each anew for its values took a sixth of the time.
    let mut place = booted.place.clone();
    place.base.options("-c synchronous_commit=off -c plan_cache_mode=force_generic_plan");
    // Nothing else runs yet: more partners side by side than beside requests.
    config.database.pool_worker = config.database.pool_worker.max(5);
    let db = Db::new(&place, &config.database, clock)?;
    let master = boot::master_of(booted).ok_or_else(|| Fault::internal("no master secret"))?;
    let past = Arc::new(State { keys: Keys::derive(&master)?, db, config, wake: tokio::sync::Notify::new() });
    let guide = year::live(&past, today).await?;
    past.db.close();
    Ok(guide)
}

fn greet(booted: &Booted, guide: &Guide) -> String {
    let base = &booted.state.config.server.public_url;
    let ops = booted.state.config.server.ops_listen;
    let mut text = format!("\nTodoku (届く) serves {base}\n  API document   {base}/docs/\n  metrics        http://{ops}/metrics\n\nCredentials of {}:\n", guide.vendor);
    for entrance in &guide.entrances {
        text.push_str(&format!("  {:<12} client_id {}  client_secret {}\n", entrance.role, entrance.client_id, entrance.client_secret));
    }
    if let [staff, .., reseller] = guide.entrances.as_slice() {
        let token = |name: &str, who: &Entrance| {
            format!(
                "{name}=$(curl -s -u '{}:{}' -d grant_type=client_credentials {base}/oauth/token | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\n",
                who.client_id, who.client_secret
            )
        };
        text.push_str("\nCalls to paste into another terminal:\n\n");
        text.push_str(&token("STAFF", staff));
        text.push_str(&token("PARTNER", reseller));
        text.push_str(&format!("curl -s -H \"Authorization: Bearer $STAFF\" '{base}/v1/insights/channels?limit=3'\n"));
        text.push_str(&format!("curl -s -H \"Authorization: Bearer $STAFF\" '{base}/v1/insights/at-risk?limit=5'\n"));
        text.push_str(&format!("CARD=$(curl -s -H \"Authorization: Bearer $STAFF\" {base}/v1/scorecards | sed 's/.*\"id\":\"\\(sco_[^\"]*\\)\".*/\\1/')\n"));
        text.push_str(&format!("curl -s -H \"Authorization: Bearer $STAFF\" \"{base}/v1/scorecards/$CARD/backtest\"\n"));
        text.push_str(&format!("curl -s -H \"Authorization: Bearer $STAFF\" -H 'Content-Type: application/json' -d '{{}}' \"{base}/v1/scorecards/$CARD/calibrate\"\n"));
        text.push_str(&format!("curl -s -H \"Authorization: Bearer $PARTNER\" '{base}/v1/customers/{}/health/explanation'\n", guide.customer));
        let today = booted.state.clock().now().date_naive();
        text.push_str(&format!(
            "curl -s -H \"Authorization: Bearer $PARTNER\" -H 'Content-Type: application/json' '{base}/v1/status-reports' \\\n  -d '{{\"customer_id\":\"{}\",\"period_end\":\"{today}\",\"declared_band\":\"watch\",\"observations\":[{{\"measure\":\"adoption\",\"value\":61}}]}}'\n",
            guide.customer
        ));
    }
    text.push_str("\nCtrl-C stops everything; the data are kept.\n");
    text
}
