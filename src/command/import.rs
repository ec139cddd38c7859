//! `todoku import`: a general client of the public API. Rows of a CSV or NDJSON file go through it with progress, retries that
//! cannot apply anything twice, and a list of what was refused.

use super::Outcome;
use crate::kernel::hash::sha256;
use crate::state::base64url;
use clap::{Args, ValueEnum};
use futures_util::StreamExt;
use reqwest::{Client, StatusCode};
use serde_json::{Map, Value, json};
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// `POST /v1/customers`, one call each.
    Customers,
    /// `POST /v1/subscriptions`, one call each.
    Subscriptions,
    /// `POST /v1/status-reports/batch`.
    Reports,
    /// `POST /v1/observations/batch`.
    Observations,
}

/// What to import, and where to.
#[derive(Debug, Clone, Args)]
pub struct Import {
    /// What the rows are.
    #[arg(value_enum)]
    pub kind: Kind,
    /// A `.csv` file (UTF-8, with a header of field names; `observations.<measure>` for a report's values) or an `.ndjson` file with one
    /// object of the API per line.
    pub file: PathBuf,
    /// The API's address.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// The client's id.
    #[arg(long, env = "TODOKU_CLIENT_ID")]
    pub client_id: String,
    /// The client's secret.
    #[arg(long, env = "TODOKU_CLIENT_SECRET", hide_env_values = true)]
    pub client_secret: String,
    /// Check everything, change nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// What became of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the words of the API")]
pub struct Tally {
    pub created: usize,
    pub updated: usize,
    pub unchanged: usize,
    pub rejected: usize,
}

impl Tally {
    fn count(&mut self, outcome: &str) {
        match outcome {
            "created" => self.created += 1,
            "updated" => self.updated += 1,
            "unchanged" => self.unchanged += 1,
            _ => self.rejected += 1,
        }
    }

    fn sum(&self) -> usize {
        self.created + self.updated + self.unchanged + self.rejected
    }
}

/// Rows of one batch: well under the limits of the API.
const BATCH: usize = 2_000;
/// Single calls under way at once.
const AT_ONCE: usize = 4;
/// Tries of one call before it is given up.
const TRIES: u32 = 8;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// The command: prints refused rows as NDJSON on standard output, fails when there are any.
pub(super) async fn import(import: Import) -> Outcome {
    let rejected = &mut std::io::stdout().lock();
    let tally = run(&import, rejected).await?;
    if tally.rejected > 0 { Err(format!("{} row(s) were rejected", tally.rejected).into()) } else { Ok(()) }
}

/// Imports the file; refused rows are written to `rejected`, one JSON object each.
pub async fn run(import: &Import, rejected: &mut dyn Write) -> Fallible<Tally> {
    let rows = read(&import.file, import.kind)?;
    let caller = Caller::new(import)?;
    let mut tally = Tally::default();
    let report = |tally: &Tally, rejected: &mut dyn Write, refusal: Option<Value>| -> Fallible<()> {
        if let Some(refusal) = refusal {
            writeln!(rejected, "{refusal}")?;
        }
        eprint!("\r{} of {} rows: {} created, {} updated, {} unchanged, {} rejected", tally.sum(), rows.len(), tally.created, tally.updated, tally.unchanged, tally.rejected);
        Ok(())
    };
    match import.kind {
        Kind::Reports | Kind::Observations => {
            let member = if import.kind == Kind::Reports { "reports" } else { "observations" };
            let path = if import.kind == Kind::Reports { "/v1/status-reports/batch" } else { "/v1/observations/batch" };
            for (number, some) in rows.chunks(BATCH).enumerate() {
                let (status, answer) = caller.post(path, &json!({ member: some })).await?;
                let results = answer["results"].as_array().filter(|_| status.is_success()).ok_or_else(|| format!("{status}: {answer}"))?;
                for (i, result) in results.iter().enumerate() {
                    tally.count(result["outcome"].as_str().unwrap_or_default());
                    if !result["rejection"].is_null() {
                        report(&tally, rejected, Some(json!({ "row": number * BATCH + i + 1, "rejection": result["rejection"], "sent": some[i] })))?;
                    }
                }
                report(&tally, rejected, None)?;
            }
        }
        Kind::Customers | Kind::Subscriptions => {
            let path = if import.kind == Kind::Customers { "/v1/customers" } else { "/v1/subscriptions" };
            let caller = &caller;
            let mut answers = futures_util::stream::iter(rows.iter().enumerate().map(|(i, row)| async move { (i, caller.post(path, row).await) })).buffered(AT_ONCE);
            while let Some((i, answer)) = answers.next().await {
                let (status, answer) = answer?;
                match status {
                    StatusCode::CREATED => tally.count("created"),
                    StatusCode::OK => tally.count(if answer["version"] == 1 { "unchanged" } else { "updated" }),
                    _ => {
                        tally.count("rejected");
                        report(&tally, rejected, Some(json!({ "row": i + 1, "rejection": answer, "sent": rows[i] })))?;
                    }
                }
                if tally.sum() % 50 == 0 {
                    report(&tally, rejected, None)?;
                }
            }
            report(&tally, rejected, None)?;
        }
    }
    eprintln!();
    Ok(tally)
}

fn read(path: &Path, kind: Kind) -> Fallible<Vec<Value>> {
    let told = |cause: &dyn std::fmt::Display| format!("{}: {cause}", path.display());
    let file = std::fs::File::open(path).map_err(|e| told(&e))?;
    if path.extension().is_some_and(|extension| extension == "csv") {
        let mut reader = csv::Reader::from_reader(file);
        let header: Vec<String> = reader.headers().map_err(|e| told(&e))?.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned()).collect();
        return reader.records().map(|record| Ok(object(&header, &record.map_err(|e| told(&e))?, kind))).collect();
    }
    let lines = std::io::BufReader::new(file).lines().enumerate().filter(|(_, line)| line.as_ref().is_ok_and(|line| !line.trim().is_empty()));
    lines.map(|(i, line)| serde_json::from_str(&line?).map_err(|e| format!("{}, line {}: {e}", path.display(), i + 1).into())).collect()
}

/// A row of CSV as the object the API reads: empty cells are left out, numbers are numbers where the API wants them.
fn object(header: &[String], record: &csv::StringRecord, kind: Kind) -> Value {
    let number = |text: &str| serde_json::from_str::<serde_json::Number>(text.trim()).map_or_else(|_| json!(text), Value::Number);
    let mut members = Map::new();
    let mut observations = Vec::new();
    for (name, cell) in header.iter().zip(record).filter(|(_, cell)| !cell.is_empty()) {
        if let Some(measure) = name.strip_prefix("observations.") {
            observations.push(json!({ "measure": measure, "value": number(cell) }));
        } else {
            let numeric = ["seats", "amount_minor", "period_months", "value"].contains(&name.as_str());
            members.insert(name.clone(), if numeric { number(cell) } else { json!(cell) });
        }
    }
    if kind == Kind::Reports && !observations.is_empty() {
        members.insert("observations".into(), Value::Array(observations));
    }
    Value::Object(members)
}

struct Caller<'a> {
    import: &'a Import,
    client: Client,
    token: tokio::sync::Mutex<Option<String>>,
}

impl<'a> Caller<'a> {
    fn new(import: &'a Import) -> Fallible<Self> {
        let client = Client::builder().timeout(Duration::from_secs(60)).build()?;
        Ok(Self { import, client, token: tokio::sync::Mutex::new(None) })
    }

    async fn token(&self, refused: Option<&str>) -> Fallible<String> {
        let mut held = self.token.lock().await;
        if let Some(token) = held.as_ref().filter(|token| Some(token.as_str()) != refused) {
            return Ok(token.clone());
        }
        let request = self.client.post(format!("{}/oauth/token", self.import.url)).basic_auth(&self.import.client_id, Some(&self.import.client_secret));
        let answer = request.form(&[("grant_type", "client_credentials")]).send().await?;
        let status = answer.status();
        let body: Value = answer.json().await?;
        let token = body["access_token"].as_str().ok_or_else(|| format!("no token ({status}): {body}"))?.to_owned();
        *held = Some(token.clone());
        Ok(token)
    }

    /// Posts until the API has answered: a key made of the content makes every retry the same request.
    async fn post(&self, path: &str, body: &Value) -> Fallible<(StatusCode, Value)> {
        let bytes = serde_json::to_vec(body)?;
        let key = base64url(&sha256(&[path.as_bytes(), b"\n", &bytes].concat()));
        let mut token = self.token(None).await?;
        let mut last = String::new();
        for attempt in 0..TRIES {
            let mut request = self.client.post(format!("{}{path}", self.import.url)).bearer_auth(&token).header("content-type", "application/json").body(bytes.clone());
            request = if self.import.dry_run { request.query(&[("dry_run", "true")]) } else { request.header("idempotency-key", &key) };
            let pause = match request.send().await {
                Ok(answer) => {
                    let status = answer.status();
                    let wait = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
                    let answer: Value = answer.json().await.unwrap_or(Value::Null);
                    match status {
                        StatusCode::UNAUTHORIZED => token = self.token(Some(&token)).await?,
                        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {}
                        StatusCode::CONFLICT if answer["code"] == "idempotency-in-progress" => {}
                        _ => return Ok((status, answer)),
                    }
                    last = format!("{status}: {answer}");
                    wait.unwrap_or(1)
                }
                Err(error) => {
                    last = error.to_string();
                    1 << attempt.min(4)
                }
            };
            tokio::time::sleep(Duration::from_secs(pause)).await;
        }
        Err(format!("given up after {TRIES} tries: {last}").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_csv_is_an_object_of_the_api() {
        let header: Vec<String> = ["customer_external_id", "period_end", "comment", "observations.adoption", "observations.csat"].map(str::to_owned).to_vec();
        let record = csv::StringRecord::from(vec!["K-1", "2026-10-31", "", "72.5", "高い"]);
        let expected = json!({ "customer_external_id": "K-1", "period_end": "2026-10-31",
            "observations": [{ "measure": "adoption", "value": 72.5 }, { "measure": "csat", "value": "高い" }] });
        assert_eq!(object(&header, &record, Kind::Reports), expected, "what is no number is sent as it is, for the API to refuse");
    }
}
