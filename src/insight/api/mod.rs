//! `/v1/insights` and `/v1/snapshots`.

mod backtest;
mod channel;
mod figures;
mod learning;
mod list;
mod peers;
mod probability;
mod rollup;
mod snapshot;
mod table;
mod totals;

use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts insight.
pub fn routes(config: &mut ServiceConfig) {
    channel::routes(config);
    rollup::routes(config);
    list::routes(config);
    peers::routes(config);
    snapshot::routes(config);
    learning::routes(config);
    backtest::routes(config);
    probability::routes(config);
}
