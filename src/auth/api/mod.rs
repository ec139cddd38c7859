//! Sign-in over HTTP: tokens, and what is public.

mod published;
mod token;

use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts sign-in and what is public.
pub fn routes(config: &mut ServiceConfig) {
    config.service(token::issue_token).service(published::jwks).service(published::metadata).service(published::explain_problem);
}

/// The ids of the operations that need no token.
pub fn public_routes() -> &'static [&'static str] {
    &["issue_token", "jwks", "authorization_server_metadata", "explain_problem", "openapi_document"]
}
