//! The whole application, the same for the binary and for the tests: routes, their document, and what answers when no
//! route does. Routes are mounted and documented in one act.

use crate::auth::{self, Gate, Permission, Who, visit};
use crate::http::spec::{self, Mark};
use crate::http::trace::{Base, trace, turned_away};
use crate::http::unread::Unread;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::ledger::{Denials, watch};
use crate::telemetry;
use crate::{directory, health, insight, intake, revenue};
use actix_http::Request;
use actix_service::apply_fn_factory;
use actix_web::dev::{Response, Server, Service, ServiceRequest, ServiceResponse, fn_service};
use actix_web::http::Method;
use actix_web::http::header::{self, CacheControl, CacheDirective, HeaderValue};
use actix_web::middleware::from_fn;
#[cfg(target_os = "linux")]
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, get, guard, web};
use futures_util::TryFutureExt;
use futures_util::future::Either;
#[cfg(target_os = "linux")]
use socket2::SockRef;
use std::any::Any;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{ClientCredentials, Flow, HttpAuthScheme, HttpBuilder, OAuth2, Scopes, SecurityScheme};
use utoipa_actix_web::AppExt;
use utoipa_actix_web::service_config::ServiceConfig;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Todoku",
        description = "Todoku (届く, \"it arrives\"): partners report on the end customers they serve, the vendor sees health across all channels.\n\n\
            代理店が最終顧客の状況を報告し、ベンダーが全チャネルのヘルスを把握するためのゲートウェイです。\n\n\
            Conventions: JSON in snake_case; moments in RFC 3339 UTC, days as YYYY-MM-DD in the vendor's calendar; errors as RFC 9457 problems with English and \
            Japanese titles; lists by sealed cursors; `Idempotency-Key` honoured on every write; `ETag` and `If-Match` where a change could overwrite another's; \
            `?dry_run=true` on every write.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact(name = "Todoku", url = "https://todoku.example")
    ),
    components(schemas(
        crate::http::problem::Problem, crate::http::problem::ProblemField, crate::kernel::id::RequestId,
        crate::kernel::id::PartnerId, crate::kernel::id::CustomerId, crate::kernel::id::SubscriptionId, crate::kernel::id::PrincipalId,
        crate::kernel::id::ScorecardId, crate::kernel::id::ReportId
    )),
    tags(
        (name = "Sign-in", description = "Access tokens and the keys that verify them."),
        (name = "Partners", description = "Those who sell or serve for the vendor, in their tree."),
        (name = "Clients", description = "Credentials of partners' systems."),
        (name = "Customers", description = "End customers, each as served by one partner."),
        (name = "Subscriptions", description = "What customers bought."),
        (name = "Measures", description = "The catalogue of what may be observed."),
        (name = "Observations", description = "Single dated values."),
        (name = "Scorecards", description = "The policy by which evidence becomes health."),
        (name = "Status reports", description = "Partners' dated statements about customers."),
        (name = "Health", description = "How customers are doing, and why."),
        (name = "Outcomes", description = "What became of customers."),
        (name = "Insights", description = "Figures over many customers."),
        (name = "Problems", description = "What errors mean."),
        (name = "Document", description = "This document.")
    )
)]
struct Base31;

/// The finished document, as served.
#[derive(Debug, Clone)]
pub struct Document {
    /// As JSON.
    pub json: Arc<str>,
    /// The same, to be sent without a copy for each request.
    bytes: web::Bytes,
    /// Templates and methods, for 404 and 405.
    routes: Arc<Vec<(Vec<String>, Vec<&'static str>)>>,
}

/// Mounts every route. The router looks through them in this order, twice for each request: those asked for most come first.
fn routes(config: &mut ServiceConfig) {
    health::routes(config);
    auth::routes(config);
    directory::routes(config);
    intake::routes(config);
    revenue::routes(config);
    insight::routes(config);
    config.service(openapi_document);
}

/// The API document, OpenAPI 3.1, for a server at `base`.
pub fn document(base: &str) -> Document {
    let (_, mut document) = App::new().into_utoipa_app().openapi(Base31::openapi()).configure(routes).split_for_parts();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    document.servers = Some(vec![utoipa::openapi::Server::new(base)]);
    let scopes = Scopes::from_iter(Permission::ALL.iter().map(|permission| (permission.as_str(), permission.says())));
    let components = document.components.get_or_insert_default();
    let flow = Flow::ClientCredentials(ClientCredentials::new(format!("{base}/oauth/token"), scopes));
    components.add_security_scheme("oauth2", SecurityScheme::OAuth2(OAuth2::new([flow])));
    components.add_security_scheme("client_basic", SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Basic).build()));
    spec::finish(&mut document, base, mark);
    let routes = templates(&document);
    // Through a value, whose members are sorted: extensions are kept in a hash map, and the same code must give the same bytes.
    let mut value = serde_json::to_value(&document).unwrap_or_default();
    spec::close_bodies(&mut value);
    spec::name_items(&mut value);
    let json = serde_json::to_string_pretty(&value).unwrap_or_default();
    Document { bytes: web::Bytes::from(json.clone()), json: json.into(), routes: Arc::new(routes) }
}

/// What the table of authority says of an operation.
fn mark(id: &str) -> Option<Mark> {
    if auth::public_routes().contains(&id) {
        return Some(Mark { scope: None, who: "public", writes: false, if_match: false });
    }
    let rule = auth::rule(id)?;
    let who = match rule.who {
        Who::Any => "any",
        Who::Vendor => "vendor",
    };
    Some(Mark { scope: Some(rule.permission.as_str()), who, writes: rule.writes, if_match: rule.if_match })
}

fn templates(document: &OpenApi) -> Vec<(Vec<String>, Vec<&'static str>)> {
    let each = |(path, item): (&String, &utoipa::openapi::PathItem)| {
        let methods = [("GET", &item.get), ("HEAD", &item.get), ("POST", &item.post), ("PUT", &item.put), ("PATCH", &item.patch), ("DELETE", &item.delete)];
        (path.split('/').map(str::to_owned).collect(), methods.into_iter().filter(|(_, op)| op.is_some()).map(|(name, _)| name).collect())
    };
    // What shows the document is not part of it.
    let shown = [&["", "docs"][..], &["", "docs", ""], &["", "docs", "{file}"]].map(|segments| (segments.iter().map(|s| s.to_string()).collect(), vec!["GET"]));
    document.paths.paths.iter().map(each).chain(shown).collect()
}

/// The API document
///
/// OpenAPI 3.1, made from the routes the server has.
#[utoipa::path(operation_id = "openapi_document", tag = "Document", security(()), responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")))]
#[get("/openapi.json")]
async fn openapi_document(document: web::Data<Document>) -> HttpResponse {
    let cache = CacheControl(vec![CacheDirective::Public, CacheDirective::MaxAge(300)]);
    HttpResponse::Ok().insert_header(cache).content_type("application/json").body(document.bytes.clone())
}

/// No route took it: an unknown path is 404; a known one with another method is 405 and says which there are; a browser asking for a page of another
/// origin is told no, because no origin is listed.
async fn no_route(request: ServiceRequest) -> Result<ServiceResponse, actix_web::Error> {
    let segments: Vec<&str> = request.path().split('/').collect();
    let fits = |template: &[String]| template.len() == segments.len() && template.iter().zip(&segments).all(|(t, s)| t == s || t.starts_with('{') && !s.is_empty());
    let document = request.app_data::<web::Data<Document>>().cloned();
    let fitting: Vec<_> = document.iter().flat_map(|d| d.routes.iter()).filter(|(template, _)| fits(template)).collect();
    // A path that is written out goes before one with an id in that place: no id is spelled `batch`.
    let methods: Vec<&'static str> = match fitting.iter().find(|(template, _)| template.iter().zip(&segments).all(|(t, s)| t == s)) {
        Some((_, methods)) => methods.clone(),
        None => fitting.iter().flat_map(|(_, methods)| methods.clone()).collect(),
    };
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ORIGIN) && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let fault = Fault::of(match methods.is_empty() {
        true => Code::NotFound,
        false if is_preflight => Code::OriginNotAllowed,
        false => Code::MethodNotAllowed,
    });
    let (request, payload) = request.into_parts();
    Unread::keep(&request, payload);
    let mut response = ServiceResponse::from_err(fault, request);
    if let (false, Ok(allow)) = (methods.is_empty(), HeaderValue::from_str(&methods.join(", "))) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    Ok(response)
}

/// `/docs` without its slash.
async fn to_docs() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish()
}

/// Who asks and does not read the answer holds its memory: after so long without a sign of reading the connection ends.
#[cfg(target_os = "linux")]
const READ_PATIENCE: Duration = Duration::from_secs(20);

/// Lets the system end a connection whose other side reads nothing any more; the server itself would wait for as long as it takes.
#[cfg_attr(not(target_os = "linux"), expect(unused_variables, reason = "other systems do not tell"))]
fn end_unheard(connection: &dyn Any) {
    #[cfg(target_os = "linux")]
    if let Some(Err(cause)) = connection.downcast_ref::<TcpStream>().map(|stream| SockRef::from(stream).set_tcp_user_timeout(Some(READ_PATIENCE))) {
        tracing::debug!(%cause, "a connection without a limit of reading");
    }
}

/// Serves the API on a bound listener until the server is stopped.
pub fn serve(gate: web::Data<Gate>, denials: web::Data<Denials>, document: Document, listener: TcpListener) -> std::io::Result<Server> {
    let settings = gate.state.config.server.clone();
    let document = web::Data::new(document);
    let base = web::Data::new(Base(settings.public_url.clone()));
    // The private cluster does most of the work, on the same cores: more threads than half of them would only take turns with it.
    let share = if gate.state.config.database.url.is_empty() { 2 } else { 1 };
    let threads = if settings.threads == 0 { std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(share)) } else { settings.threads };
    let server = HttpServer::new(move || {
        let viewer = utoipa_swagger_ui::SwaggerUi::new("/docs/{_:.*}").config(utoipa_swagger_ui::Config::from("/openapi.json"));
        let app = App::new().wrap(from_fn(watch)).wrap(from_fn(trace)).app_data(gate.clone()).app_data(denials.clone()).app_data(document.clone()).app_data(base.clone());
        let (app, _) = app.into_utoipa_app().configure(routes).split_for_parts();
        let app = app.service(web::resource("/docs").guard(guard::Get()).to(to_docs)).service(viewer).default_service(fn_service(no_route));
        // Before actix-web makes anything of a request: in a flood what a refusal takes is taken from those that are served.
        let (gate, base) = (gate.clone(), base.clone());
        apply_fn_factory(app, move |request: Request, app: &_| match visit(&request, &gate) {
            Ok(()) => Either::Left(app.call(request).map_ok(Response::from)),
            Err(fault) => {
                let base = base.clone();
                Either::Right(async move { Ok(turned_away(request, fault, &base).await) })
            }
        })
    })
    .on_connect(|connection, _| end_unheard(connection))
    .workers(threads)
    .client_request_timeout(Duration::from_secs(5))
    .shutdown_timeout(settings.stop_seconds)
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(server)
}

/// Whether the process is alive.
async fn healthy() -> HttpResponse {
    HttpResponse::Ok().body("ok\n")
}

/// Whether it can serve: tenants and keys are known and the database answers.
async fn ready(gate: web::Data<Gate>) -> HttpResponse {
    let answers = async {
        gate.check_fresh()?;
        gate.state.db.begin_write(auth::SystemScope::auth()).await?.rollback().await;
        Ok::<(), Fault>(())
    };
    match answers.await {
        Ok(()) => HttpResponse::Ok().body("ready\n"),
        Err(fault) => HttpResponse::ServiceUnavailable().body(format!("{}\n", fault.code.slug())),
    }
}

async fn metrics(_: HttpRequest) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(telemetry::metrics())
}

/// Serves /healthz, /readyz and /metrics, apart from the API.
pub fn serve_ops(gate: web::Data<Gate>, listener: TcpListener) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(gate.clone())
            .service(web::resource("/healthz").get(healthy))
            .service(web::resource("/readyz").get(ready))
            .service(web::resource("/metrics").get(metrics))
    });
    Ok(server.workers(1).disable_signals().listen(listener)?.run())
}
