//! Who asks, before it shows who it is: an address, with a budget of its own (SECURITY c.6, c.9).

use super::gate::Gate;
use crate::http::unread::Unread;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, web};
use std::net::IpAddr;

/// The middleware that takes each request out of its address's budget, whatever it asks for.
pub async fn visit(request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse<BoxBody>, Error> {
    let paid = |gate: &web::Data<Gate>| address(request.request(), gate).map_or(Ok(()), |address| gate.limits.address(address));
    match request.app_data::<web::Data<Gate>>().map_or(Ok(()), paid) {
        Ok(()) => Ok(next.call(request).await?.map_into_boxed_body()),
        Err(fault) => {
            let (request, payload) = request.into_parts();
            Unread::refuse(&request, payload).await;
            Ok(ServiceResponse::from_err(fault, request))
        }
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
