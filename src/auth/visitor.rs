//! Who asks, before it is looked at what for: an address, with a budget of its own (SECURITY c.6, c.9), and a caller that may have to come back later.

use super::gate::Gate;
use super::principal::turn_id;
use super::tenancy::Standing;
use super::token;
use crate::http::unread::Unread;
use crate::kernel::error::Fault;
use crate::kernel::id::TypeId;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, web};
use std::net::IpAddr;

/// The middleware at the door: takes each request out of its address's budget, whatever it asks for, and sends away whose turns at the database are hopelessly taken.
pub async fn visit(request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse<BoxBody>, Error> {
    let passes = |gate: &web::Data<Gate>| {
        address(request.request(), gate).map_or(Ok(()), |address| gate.limits.address(address))?;
        hope(request.request(), gate)
    };
    match request.app_data::<web::Data<Gate>>().map_or(Ok(()), passes) {
        Ok(()) => Ok(next.call(request).await?.map_into_boxed_body()),
        Err(fault) => {
            let (request, payload) = request.into_parts();
            Unread::refuse(&request, payload).await;
            Ok(ServiceResponse::from_err(fault, request))
        }
    }
}

/// In a flood most requests end here, before their route is looked for: what they take, time and room in the processor's caches, is taken from those that are served.
/// A caller is known here by a token that was verified a moment ago; whatever it asks for, the answer is the same, so it tells of nothing that exists. Whose token holds
/// no more is told that instead, behind the door.
fn hope(request: &HttpRequest, gate: &Gate) -> Result<(), Fault> {
    // As the router will read it, and before it has.
    if !request.match_info().unprocessed().starts_with("/v1/") {
        return Ok(());
    }
    let token = request.headers().get(header::AUTHORIZATION).and_then(token::borne);
    let Some(claims) = token.and_then(|token| gate.keyring().remembered(token)) else { return Ok(()) };
    let stands = || gate.tenancy.standing(claims.ven.uuid(), claims.par.map(TypeId::uuid), claims.sub.uuid(), Some(claims.cep));
    match gate.limits.turns.hope(turn_id(claims.ven, claims.par)) {
        Err(fault) if token::in_force(&claims, gate.state.clock().now()).is_ok() && matches!(stands(), Standing::Good(_)) => Err(fault),
        _ => Ok(()),
    }
}

/// The caller's address: the peer, or what the one trusted proxy says it saw.
pub(super) fn address(request: &HttpRequest, gate: &Gate) -> Option<IpAddr> {
    let trust = gate.state.config.server.trust_forwarded_for;
    // The proxy's own entry is the last of the last line, whatever lines the client sent before it.
    let forwarded = || request.headers().get_all("x-forwarded-for").last()?.to_str().ok()?.rsplit(',').next()?.trim().parse().ok();
    let address: IpAddr = trust.then(forwarded).flatten().or_else(|| request.peer_addr().map(|address| address.ip()))?;
    Some(match address {
        // One household has a whole /64.
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_none() => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        other => other.to_canonical(),
    })
}
