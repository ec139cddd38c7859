//! What we are told, over HTTP: the catalogue of measures, and reports as they are kept.

mod measure;
mod report;

pub use measure::CurveBody;

use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts the catalogue, and the list of what is kept.
pub fn routes(config: &mut ServiceConfig) {
    measure::routes(config);
    report::routes(config);
}
