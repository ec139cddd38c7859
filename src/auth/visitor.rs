//! Who asks, before it is looked at what for: an address, with a budget of its own (SECURITY c.6, c.9), and a caller that may have to come back later.

use super::gate::Gate;
use super::principal::turn_id;
use super::tenancy::Standing;
use super::token;
use crate::kernel::error::Fault;
use crate::kernel::id::TypeId;
use actix_http::Request;
use actix_web::HttpMessage;
use actix_web::http::header::{self, HeaderMap};
use std::net::{IpAddr, SocketAddr};

/// Takes a request out of its address's budget, whatever it asks for, and sends away whose turns at the database are hopelessly taken.
pub fn visit(request: &Request, gate: &Gate) -> Result<(), Fault> {
    address(request.headers(), request.peer_addr(), gate).map_or(Ok(()), |address| gate.limits.address(address))?;
    hope(request, gate)
}

/// In a flood most requests end here, before anything is made of them: what they take, time and room in the processor's caches, is taken from those that are served.
/// A caller is known here by a token that was verified a moment ago; whatever it asks for, the answer is the same, so it tells of nothing that exists. Whose token holds
/// no more is told that instead, behind the door.
fn hope(request: &Request, gate: &Gate) -> Result<(), Fault> {
    // What needs no turn is given without. A path with escapes is not looked into: it may be one of the API.
    if !request.path().starts_with("/v1/") && !request.path().contains('%') {
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
pub(super) fn address(headers: &HeaderMap, peer: Option<SocketAddr>, gate: &Gate) -> Option<IpAddr> {
    let trust = gate.state.config.server.trust_forwarded_for;
    // The proxy's own entry is the last of the last line, whatever lines the client sent before it.
    let forwarded = || headers.get_all("x-forwarded-for").last()?.to_str().ok()?.rsplit(',').next()?.trim().parse().ok();
    let address: IpAddr = trust.then(forwarded).flatten().or_else(|| peer.map(|address| address.ip()))?;
    Some(match address {
        // One household has a whole /64.
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_none() => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        other => other.to_canonical(),
    })
}
