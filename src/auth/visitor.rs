//! Who asks, before it shows who it is: an address, with a budget of its own (SECURITY c.6, c.9).

use super::gate::Gate;
use crate::kernel::error::Fault;
use actix_web::{FromRequest, HttpRequest, dev, web};
use std::future::{Ready, ready};
use std::net::IpAddr;

/// Whoever asks for what needs no token; its address's budget pays for it.
pub struct Visitor;

impl FromRequest for Visitor {
    type Error = Fault;
    type Future = Ready<Result<Self, Fault>>;

    fn from_request(request: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        let gate = request.app_data::<web::Data<Gate>>().ok_or_else(|| Fault::internal("no gate"));
        ready(gate.and_then(|gate| visit(request, gate)).map(|_| Self))
    }
}

/// Takes a request out of its address's budget; the address.
pub(super) fn visit(request: &HttpRequest, gate: &Gate) -> Result<Option<IpAddr>, Fault> {
    let address = peer(request, gate.state.config.server.trust_forwarded_for);
    address.map_or(Ok(()), |address| gate.limits.address(address))?;
    Ok(address)
}

/// The caller's address: the peer, or what the one trusted proxy says it saw.
fn peer(request: &HttpRequest, trust: bool) -> Option<IpAddr> {
    // The proxy's own entry is the last of the last line, whatever lines the client sent before it.
    let forwarded = || request.headers().get_all("x-forwarded-for").last()?.to_str().ok()?.rsplit(',').next()?.trim().parse().ok();
    let address: IpAddr = trust.then(forwarded).flatten().or_else(|| request.peer_addr().map(|address| address.ip()))?;
    Some(match address {
        // One household has a whole /64.
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_none() => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        other => other.to_canonical(),
    })
}
