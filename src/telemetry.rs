//! Logs and metrics: their formats and names. Logs carry ids, codes and durations; never bodies, query strings or names.

use crate::config::Log;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, TextEncoder};
use std::sync::LazyLock;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

struct Metrics {
    registry: Registry,
    requests: HistogramVec,
    problems: IntCounterVec,
    job_runs: HistogramVec,
    jobs: IntCounterVec,
    refusals_lost: IntCounter,
}

#[expect(clippy::expect_used, reason = "names and labels are constants; a wrong one fails the first test")]
static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    let registry = Registry::new();
    let buckets = vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
    let requests = HistogramOpts::new("todoku_http_request_seconds", "Time to answer a request.").buckets(buckets.clone());
    let requests = HistogramVec::new(requests, &["method", "route", "status"]).expect("constant");
    let problems = IntCounterVec::new(Opts::new("todoku_problems_total", "Problems answered, by code."), &["code"]).expect("constant");
    let job_runs = HistogramOpts::new("todoku_job_run_seconds", "Time to run one partner's jobs together.").buckets(buckets);
    let job_runs = HistogramVec::new(job_runs, &["kind", "outcome"]).expect("constant");
    let jobs = IntCounterVec::new(Opts::new("todoku_jobs_total", "Jobs, by the kind of the first of their run."), &["kind", "outcome"]).expect("constant");
    let refusals_lost = IntCounter::new("todoku_refusals_lost_total", "Refusals that could not be kept for the audit.").expect("constant");
    registry.register(Box::new(requests.clone())).expect("constant");
    registry.register(Box::new(problems.clone())).expect("constant");
    registry.register(Box::new(job_runs.clone())).expect("constant");
    registry.register(Box::new(jobs.clone())).expect("constant");
    registry.register(Box::new(refusals_lost.clone())).expect("constant");
    Metrics { registry, requests, problems, job_runs, jobs, refusals_lost }
});

/// Sets up logging for a process; called once by `main`.
pub fn start(log: &Log) {
    let filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_span_events(FmtSpan::NONE).with_writer(std::io::stderr);
    if log.format == "json" {
        builder.json().init();
    } else {
        builder.init();
    }
}

/// Counts an answered request. `route` is the template, never the path.
pub fn request(method: &str, route: &str, status: u16, seconds: f64) {
    METRICS.requests.with_label_values(&[method, route, &status.to_string()]).observe(seconds);
}

/// Counts a problem by its code.
pub fn problem(code: &str) {
    METRICS.problems.with_label_values(&[code]).inc();
}

/// Counts jobs that ran together, under the kind of the first.
pub fn jobs(kind: &str, outcome: &str, count: usize, seconds: f64) {
    METRICS.job_runs.with_label_values(&[kind, outcome]).observe(seconds);
    METRICS.jobs.with_label_values(&[kind, outcome]).inc_by(count as u64);
}

/// Counts refusals that could not be kept for the audit.
pub fn refusals_lost(count: u64) {
    METRICS.refusals_lost.inc_by(count);
}

/// The metrics page.
pub fn metrics() -> String {
    TextEncoder::new().encode_to_string(&METRICS.registry.gather()).unwrap_or_default()
}
