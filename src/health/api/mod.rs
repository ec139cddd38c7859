//! Health over HTTP.

mod bias;
mod card;
mod explain;
mod health;
mod history;
mod input;
mod manual;
mod observation;
mod point;
mod quality;
mod report;
mod scorecard;

pub use health::{ByHand, SourceView};
pub use point::PointQuery;

use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts health, and the doors of intake that answer with it.
pub fn routes(config: &mut ServiceConfig) {
    // The router looks through them in order: the two asked for most come first.
    health::routes(config);
    report::routes(config);
    observation::routes(config);
    scorecard::routes(config);
    explain::routes(config);
    history::routes(config);
    manual::routes(config);
    bias::routes(config);
    quality::routes(config);
}
