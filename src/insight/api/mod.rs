//! `/v1/insights`.

mod channel;
mod figures;
mod learning;
mod list;
mod peers;
mod rollup;

use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts insight.
pub fn routes(config: &mut ServiceConfig) {
    channel::routes(config);
    rollup::routes(config);
    list::routes(config);
    peers::routes(config);
    learning::routes(config);
}
