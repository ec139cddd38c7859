//! `/v1/insights`.

mod channel;
mod learning;
mod list;

use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts insight.
pub fn routes(config: &mut ServiceConfig) {
    channel::routes(config);
    list::routes(config);
    learning::routes(config);
}
