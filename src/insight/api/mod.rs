//! `/v1/insights`.

mod channel;
mod figures;
mod learning;
mod list;
mod rollup;

use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts insight.
pub fn routes(config: &mut ServiceConfig) {
    channel::routes(config);
    rollup::routes(config);
    list::routes(config);
    learning::routes(config);
}
