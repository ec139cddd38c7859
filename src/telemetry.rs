//! Logs and metrics: their formats and names. Logs carry ids, codes and durations; never bodies, query strings or names.

use crate::config::Log;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};
use std::sync::LazyLock;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

struct Metrics {
    registry: Registry,
    requests: HistogramVec,
    problems: IntCounterVec,
    jobs: HistogramVec,
}

#[expect(clippy::expect_used, reason = "names and labels are constants; a wrong one fails the first test")]
static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    let registry = Registry::new();
    let buckets = vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
    let requests = HistogramOpts::new("todoku_http_request_seconds", "Time to answer a request.").buckets(buckets.clone());
    let requests = HistogramVec::new(requests, &["method", "route", "status"]).expect("constant");
    let problems = IntCounterVec::new(Opts::new("todoku_problems_total", "Problems answered, by code."), &["code"]).expect("constant");
    let jobs = HistogramOpts::new("todoku_job_seconds", "Time to run a job.").buckets(buckets);
    let jobs = HistogramVec::new(jobs, &["kind", "outcome"]).expect("constant");
    registry.register(Box::new(requests.clone())).expect("constant");
    registry.register(Box::new(problems.clone())).expect("constant");
    registry.register(Box::new(jobs.clone())).expect("constant");
    Metrics { registry, requests, problems, jobs }
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

/// Counts a job run.
pub fn job(kind: &str, outcome: &str, seconds: f64) {
    METRICS.jobs.with_label_values(&[kind, outcome]).observe(seconds);
}

/// The metrics page.
pub fn metrics() -> String {
    TextEncoder::new().encode_to_string(&METRICS.registry.gather()).unwrap_or_default()
}
