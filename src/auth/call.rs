//! One extractor for every operation. It runs the checks in the one fixed order of SECURITY c.9 - guard, then body bytes,
//! path, query, body - so that an unauthorised body is never read and a status never depends on what exists.

use super::action::{Action, Permission, Permissions, Who};
use super::gate::Gate;
use super::principal::Caller;
use super::scope::Grant;
use super::tenancy::Standing;
use super::token;
use crate::db::{Turn, Tx};
use crate::http::body::{self, Faults, MAX_BODY};
use crate::http::etag::IfMatch;
use crate::http::json::{self, Node};
use crate::http::limit::{Class, Place};
use crate::http::page::Asked;
use crate::http::query::{Limit, Param};
use crate::http::room::{MAX_BATCH_BODY, Room};
use crate::http::trace::Trace;
use crate::http::unread::Unread;
use crate::http::{idempotency, query};
use crate::kernel::code::Code;
use crate::kernel::error::{Fault, FieldFault, MAX_FIELDS};
use crate::kernel::hash::sha256_of;
use crate::kernel::id::{CredentialId, CustomerId, OutcomeId, OverrideId, PartnerId, PrincipalId, RequestId, ScorecardId, SnapshotId, TypeId};
use crate::kernel::text::Broken;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest, dev, web};
use deserr::{Deserr, Map};
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};

/// What an operation reads from its query string beyond its own parameters.
pub trait Query: Deserr<Faults> + 'static {
    /// What the operation may be answered with.
    const ANSWERS: &'static [&'static str] = &["application/json"];
    /// The partner the vendor's staff act for, `?partner=`.
    fn acting(&self) -> Option<PartnerId> {
        None
    }
    /// Whether everything is to be undone at the end, `?dry_run=true`.
    fn dry_run(&self) -> bool {
        false
    }
}

impl Query for query::NoQuery {}

/// The ids in a path.
pub trait Ids: Sized + 'static {
    /// Reads them; `None` for any spelling that is not canonical.
    fn read(request: &HttpRequest) -> Option<Self>;
}

fn id<I: TypeId + std::str::FromStr>(request: &HttpRequest) -> Option<I> {
    request.match_info().get(&format!("{}_id", I::KIND))?.parse().ok()
}

impl Ids for () {
    fn read(_: &HttpRequest) -> Option<Self> {
        Some(())
    }
}

macro_rules! path_ids {
    ($($name:ty),*) => {$(
        impl Ids for $name {
            fn read(request: &HttpRequest) -> Option<Self> { id(request) }
        }
    )*};
}
path_ids!(PartnerId, CustomerId, OutcomeId, ScorecardId, SnapshotId);

impl Ids for (CustomerId, OverrideId) {
    fn read(request: &HttpRequest) -> Option<Self> {
        Some((id(request)?, id(request)?))
    }
}

impl Ids for (PartnerId, PrincipalId) {
    fn read(request: &HttpRequest) -> Option<Self> {
        Some((id(request)?, id(request)?))
    }
}

impl Ids for (PartnerId, PrincipalId, CredentialId) {
    fn read(request: &HttpRequest) -> Option<Self> {
        Some((id(request)?, id(request)?, id(request)?))
    }
}

/// The desk of whoever reads much and thinks long.
static STUDY: Semaphore = Semaphore::const_new(1);
/// How long one waits for it.
const STUDY_PATIENCE: Duration = Duration::from_secs(10);

/// The kind of body an operation reads.
pub trait Body: Sized + 'static {
    /// The media types, of which the first is documented; none for no body.
    const MEDIA: &'static [&'static str];
    /// The largest size.
    const LIMIT: usize;
    /// Whether it takes one of the caller's places for batches.
    const BATCH: bool = false;
    /// Reads it.
    fn read(bytes: &[u8]) -> Result<Self, Fault>;
}

/// No body.
pub struct NoBody;

impl Body for NoBody {
    const MEDIA: &'static [&'static str] = &[];
    const LIMIT: usize = 0;
    fn read(_: &[u8]) -> Result<Self, Fault> {
        Ok(Self)
    }
}

/// A JSON document.
pub struct Json<T>(pub T);

impl<T: Deserr<Faults> + 'static> Body for Json<T> {
    const MEDIA: &'static [&'static str] = &["application/json"];
    const LIMIT: usize = MAX_BODY;
    fn read(bytes: &[u8]) -> Result<Self, Fault> {
        body::decode(json::parse(bytes)?).map(Self).map_err(Fault::invalid)
    }
}

/// A JSON merge patch (RFC 7396).
pub struct Patch<T>(pub T);

impl<T: Deserr<Faults> + 'static> Body for Patch<T> {
    const MEDIA: &'static [&'static str] = &["application/merge-patch+json", "application/json"];
    const LIMIT: usize = MAX_BODY;
    fn read(bytes: &[u8]) -> Result<Self, Fault> {
        Json::read(bytes).map(|Json(patch)| Self(patch))
    }
}

/// Names the one member of a batch's body.
pub trait BatchOf: 'static {
    /// The member.
    const MEMBER: &'static str;
}

/// The rows of a batch, each still to be decoded on its own.
pub struct Batch<K> {
    /// The rows.
    pub rows: Vec<Node>,
    kind: std::marker::PhantomData<K>,
}

/// The most rows of a batch.
const MAX_ROWS: usize = 10_000;

impl<K: BatchOf> Body for Batch<K> {
    const MEDIA: &'static [&'static str] = &["application/json"];
    const LIMIT: usize = MAX_BATCH_BODY;
    const BATCH: bool = true;
    fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let Node::Object(mut members) = json::parse(bytes)? else {
            return Err(Fault::field("", Broken::WrongType));
        };
        let given = members.remove(K::MEMBER);
        let escaped = |key: &String| format!("/{}", body::escape(key));
        let mut faults: Vec<FieldFault> = members.keys().take(MAX_FIELDS).map(|key| FieldFault { pointer: escaped(key), code: Broken::UnknownField }).collect();
        let wrong = match given {
            None => Some(Broken::Required),
            Some(Node::List(rows)) if rows.len() > MAX_ROWS => Some(Broken::TooLong),
            Some(Node::List(rows)) if rows.is_empty() => Some(Broken::Empty),
            Some(Node::List(rows)) if faults.is_empty() => return Ok(Self { rows, kind: std::marker::PhantomData }),
            Some(Node::List(_)) => None,
            Some(_) => Some(Broken::WrongType),
        };
        faults.extend(wrong.map(|code| FieldFault { pointer: format!("/{}", K::MEMBER), code }));
        Err(Fault::invalid(faults))
    }
}

/// Who calls what, for those who watch over requests; in the extensions as soon as the caller is known.
#[derive(Debug, Clone)]
pub struct Called {
    /// Who.
    pub caller: Caller,
    /// The operation's id.
    pub operation: &'static str,
}

/// A request that has passed the guard and whose parts have been read.
pub struct Call<A: Action, P = (), Q = query::NoQuery, B = NoBody> {
    /// The ids in the path.
    pub path: P,
    /// The query.
    pub query: Q,
    /// The body.
    pub body: B,
    /// The door it came through.
    pub gate: web::Data<Gate>,
    /// Who calls.
    pub caller: Caller,
    /// The version the caller saw, where the operation demands it.
    pub if_match: IfMatch,
    /// The Idempotency-Key, if one was given.
    pub key: Option<String>,
    /// What this very request is: equal for a retry, different for another request.
    pub fingerprint: Vec<u8>,
    /// The template of the path.
    pub route: String,
    /// The method.
    pub method: String,
    /// The request's id.
    pub request_id: RequestId,
    url_path: String,
    query_string: String,
    scope: A::Scope,
    _places: Option<((Place, Room), Place)>,
}

impl<A: Action, P, Q: Query, B> Call<A, P, Q, B> {
    /// The authority of this call.
    pub fn scope(&self) -> A::Scope
    where
        A::Scope: Clone,
    {
        self.scope.clone()
    }

    /// One of the caller's turns at the database; given back when dropped.
    pub async fn turn(&self) -> Result<Turn, Fault> {
        self.gate.limits.turns.take(self.caller.turn_id()).await
    }

    /// Reads in one read-only transaction.
    pub async fn read<T>(&self, look: impl AsyncFnOnce(&Tx<A::Scope>) -> Result<T, Fault>) -> Result<T, Fault>
    where
        A::Scope: Clone,
    {
        let turn = self.turn().await?;
        let tx = self.gate.state.db.patient_for(turn.left()).begin_read(self.scope()).await?.holding(turn);
        tx.in_time(look(&tx)).await
    }

    /// Reads much in one read-only transaction, one such study in this process at a time: they take whole cores.
    pub async fn study<T>(&self, look: impl AsyncFnOnce(&Tx<A::Scope>) -> Result<T, Fault>) -> Result<(T, SemaphorePermit<'static>), Fault>
    where
        A::Scope: Clone,
    {
        let desk = tokio::time::timeout(STUDY_PATIENCE, STUDY.acquire()).await;
        let desk = desk.map_err(|_| Fault::unavailable(Code::Overloaded, "another study is running"))?.map_err(Fault::internal)?;
        let turn = self.turn().await?;
        let seen = self.gate.state.db.patient_for(turn.left()).begin_study(self.scope()).await?.holding(turn).look(look).await?;
        Ok((seen, desk))
    }

    /// Refuses what is told to the vendor and to that partner alone, as if it were not there: the distributor above it must not know.
    pub fn is_told_of(&self, partner: PartnerId) -> Result<(), Fault> {
        if self.caller.partner().is_none_or(|own| own == partner) { Ok(()) } else { Err(Fault::of(Code::NotFound)) }
    }

    /// What page of a list is asked for. Its cursors are bound to the caller, the path and every other parameter.
    pub fn page<'a>(&'a self, limit: Option<&Param<Limit>>, cursor: Option<&'a str>) -> Asked<'a> {
        let mut filters: Vec<(String, String)> =
            url::form_urlencoded::parse(self.query_string.as_bytes()).into_owned().filter(|(name, _)| name != "limit" && name != "cursor").collect();
        filters.sort();
        let filters = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(filters).finish();
        let list = format!("{}|{}|{}|{filters}", self.url_path, self.caller.vendor(), self.caller.caller_id());
        let glue = if filters.is_empty() { "" } else { "?" };
        let link = format!("{}{}{glue}{filters}", self.gate.issuer(), self.url_path);
        Asked { list, link, limit: limit.map_or(Limit::default(), |limit| limit.0).0, cursor }
    }
}

impl<A, P, Q, B> FromRequest for Call<A, P, Q, B>
where
    A: Action,
    P: Ids,
    Q: Query,
    B: Body,
{
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Fault>>>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let admitted = admit(&request, &mut payload).await;
            match admitted {
                Ok(_) => Unread::keep(&request, payload),
                Err(_) => Unread::refuse(&request, payload).await,
            }
            admitted
        })
    }
}

/// A body that took longer has its sender looked at once more; a revocation bites within two seconds.
const SLOW_BODY: Duration = Duration::from_secs(1);

async fn admit<A: Action, P: Ids, Q: Query, B: Body>(request: &HttpRequest, payload: &mut dev::Payload) -> Result<Call<A, P, Q, B>, Fault> {
    let gate = request.app_data::<web::Data<Gate>>().cloned().ok_or_else(|| Fault::internal("no gate"))?;
    let rule = A::RULE;
    let caller = authenticate(request, &gate, rule.id)?;
    if !caller.may(rule.permission) || rule.who == Who::Vendor && caller.partner().is_some() {
        return Err(Fault::of(Code::InsufficientScope));
    }
    let class = if rule.writes { Class::Write } else { Class::Read };
    let budget = gate.limits.request(caller.caller_id(), class)?;
    request.extensions_mut().insert(budget);
    let mut place = if B::BATCH { Some(gate.limits.batch(caller.caller_id())?) } else { None };
    if !B::MEDIA.is_empty() {
        B::MEDIA.iter().map(|media| body::check_media_type(request, media)).find(Result::is_ok).unwrap_or(Err(Fault::of(Code::UnsupportedMediaType)))?;
    }
    check_accept(request, Q::ANSWERS)?;
    let begun = Instant::now();
    let bytes = if B::MEDIA.is_empty() { web::Bytes::new() } else { body::read(request, payload, B::LIMIT, place.as_mut().map(|(_, room)| room)).await? };
    // Who was revoked, suspended or timed out while a slow body came does not get in.
    let caller = if begun.elapsed() < SLOW_BODY { caller } else { authenticate(request, &gate, rule.id)? };
    let key = if rule.writes { idempotency::key(request.headers())? } else { None };
    let if_match = if rule.if_match { IfMatch::required(request)? } else { IfMatch::Any };
    let path = P::read(request).ok_or(Fault::of(Code::NotFound))?;
    let asked: Q = query::parse(request.query_string())?;
    let scope = A::Scope::grant(&caller, &gate.tenancy, asked.acting())?;
    let method = request.method().as_str().to_owned();
    let media = request.headers().get(header::CONTENT_TYPE).map(|value| value.as_bytes()).unwrap_or_default();
    let fingerprint = sha256_of(&[method.as_bytes(), request.path().as_bytes(), request.query_string().as_bytes(), media, &bytes]);
    // Behind the body: who lets it come by the byte holds none of the places all share.
    let places = place.map(|own| Ok::<_, Fault>((own, gate.limits.any_batch()?))).transpose()?;
    let body = B::read(&bytes)?;
    let request_id = request.extensions().get::<Trace>().map(|trace| trace.0).ok_or_else(|| Fault::internal("no request id"))?;
    let route = request.match_pattern().unwrap_or_default();
    let (url_path, query_string) = (request.path().to_owned(), request.query_string().to_owned());
    Ok(Call { path, query: asked, body, gate, caller, if_match, key, fingerprint, route, method, request_id, url_path, query_string, scope, _places: places })
}

/// The caller behind the token; noted beside the request even if it is suspended.
fn authenticate(request: &HttpRequest, gate: &Gate, operation: &'static str) -> Result<Caller, Fault> {
    let mut given = request.headers().get_all(header::AUTHORIZATION);
    let refused = |cause: &str| Fault { cause: Some(cause.to_owned()), ..Fault::of(Code::Unauthenticated) };
    let Some(value) = given.next() else { return Err(Fault::of(Code::Unauthenticated)) };
    if given.next().is_some() {
        return Err(Fault::of(Code::MalformedRequest));
    }
    let token = token::borne(value).ok_or_else(|| refused("not a bearer token"))?;
    gate.check_fresh()?;
    let claims = token::verify(&gate.keyring(), gate.issuer(), token, gate.state.clock().now()).map_err(refused)?;
    let standing = gate.tenancy.standing(claims.ven.uuid(), claims.par.map(TypeId::uuid), claims.sub.uuid(), Some(claims.cep));
    let (granted, suspended) = match standing {
        Standing::Gone => return Err(refused("the principal is gone or of another epoch")),
        Standing::Suspended => (Permissions::default(), true),
        Standing::Good(granted) => (granted, false),
    };
    // A scope taken away from the client takes effect at once, whatever the token says.
    let permissions = Permissions::named(claims.scope.split(' ')).within(granted);
    let is_survey = granted.has(Permission::SurveysWrite);
    let caller = Caller { vendor: claims.ven, partner: claims.par, principal: claims.sub, permissions, is_survey };
    request.extensions_mut().insert(Called { caller: caller.clone(), operation });
    if suspended { Err(Fault::of(Code::TenantSuspended)) } else { Ok(caller) }
}

fn check_accept(request: &HttpRequest, answers: &[&str]) -> Result<(), Fault> {
    let mut given = request.headers().get_all(header::ACCEPT).peekable();
    if given.peek().is_none() {
        return Ok(());
    }
    let acceptable = given.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        let refused = parts.any(|p| matches!(p, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        let fits = |media: &&str| essence.eq_ignore_ascii_case(media) || media.split_once('/').is_some_and(|(kind, _)| essence.eq_ignore_ascii_case(&format!("{kind}/*")));
        !refused && (essence == "*/*" || answers.iter().any(fits))
    });
    if acceptable { Ok(()) } else { Err(Fault::of(Code::NotAcceptable)) }
}
