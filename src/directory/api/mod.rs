//! The directory over HTTP, one file per noun.

mod client;
mod credential;
mod customer;
mod partner;
mod subscription;

use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts the directory.
pub fn routes(config: &mut ServiceConfig) {
    partner::routes(config);
    client::routes(config);
    credential::routes(config);
    customer::routes(config);
    subscription::routes(config);
}
