//! The one way a handler writes: claim the key, do the deed, audit it, remember the answer, commit. A handler cannot forget
//! any of it, because it only supplies the deed. And the watch over what is refused.

use super::answer::Answer;
use super::denial::{Denial, Denials};
use super::store::{self, Actor, Claim, ClaimFault, Slot};
use crate::auth::{Action, Body, Call, Called, Gate, Query, Tenant};
use crate::db::Tx;
use crate::http::trace::Trace;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::hash::sha256;
use crate::kernel::id::TypeId;
use crate::telemetry;
use actix_web::HttpMessage;
use actix_web::HttpResponse;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::web::Data;
use std::time::Duration;
use uuid::Uuid;

/// How long to look for the outcome of a commit whose connection was lost.
const TRUTH: Duration = Duration::from_secs(2);
const TRUTH_PAUSE: Duration = Duration::from_millis(250);

/// Rows of a batch refused because what they name is not there for the caller; beside the answer, for the watch.
struct RefusedRows(i32);

/// The middleware that notes what known callers are refused.
pub async fn watch(request: ServiceRequest, next: Next<impl MessageBody>) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let denials = request.app_data::<Data<Denials>>().cloned();
    let response = next.call(request).await?;
    let of_rows = || response.response().extensions().get::<RefusedRows>().map(|rows| (Code::ReferenceNotFound, rows.0));
    let refused = response.response().error().and_then(|error| error.as_error::<Fault>()).and_then(Denials::within).or_else(of_rows);
    if let (Some((code, times)), Some(denials), Some(gate)) = (refused, denials, response.request().app_data::<Data<Gate>>()) {
        let extensions = response.request().extensions();
        if let (Some(called), Some(trace)) = (extensions.get::<Called>(), extensions.get::<Trace>()) {
            let denial = Denial { caller: called.caller.clone(), operation: called.operation, code, request: trace.0, at: gate.state.clock().now(), times };
            if !denials.note(denial) {
                telemetry::refusals_lost(1);
            }
        }
    }
    Ok(response)
}

/// Runs `deed` in one transaction with its audit entries and its remembered answer.
pub async fn write<A, P, Q, B>(call: &Call<A, P, Q, B>, deed: impl AsyncFnOnce(&Tx<A::Scope>) -> Result<Answer, Fault>) -> Result<HttpResponse, Fault>
where
    A: Action,
    A::Scope: Clone,
    Q: Query,
    B: Body,
{
    let state = &call.gate.state;
    let actor =
        Actor { caller: call.caller.caller_id(), partner: call.caller.partner().map(TypeId::uuid), principal: call.caller.principal().uuid(), request: call.request_id.uuid() };
    let slot = call.key.as_deref().map(|key| Slot { actor: &actor, route: &call.route, method: &call.method, key });
    let _flight = match &slot {
        Some(slot) => Some(call.gate.limits.flight(flight_key(call.scope().vendor(), slot))?),
        None => None,
    };
    let turn = call.turn().await?;
    let db = state.db.patient_for(turn.left());
    let tx = if B::BATCH { db.begin_batch(call.scope()).await? } else { db.begin_write(call.scope()).await? };
    turn.used();
    let done = tx.in_time(perform(call, &tx, &actor, slot.as_ref(), deed)).await;
    let (answer, replayed) = match done {
        Ok(done) => done,
        Err(fault) => {
            tx.rollback().await;
            return Err(fault);
        }
    };
    if replayed || call.query.dry_run() {
        tx.rollback().await;
        return Ok(send(if replayed { answer } else { answer.undone() }, replayed));
    }
    match tx.commit().await {
        Ok(()) => {
            state.wake.notify_one();
            Ok(send(answer, false))
        }
        Err(fault) if fault.code == Code::OutcomeUnknown => match &slot {
            Some(slot) => truth(call, slot, fault).await,
            None => Err(fault),
        },
        Err(fault) => Err(fault),
    }
}

async fn perform<A, P, Q, B>(
    call: &Call<A, P, Q, B>,
    tx: &Tx<A::Scope>,
    actor: &Actor,
    slot: Option<&Slot<'_>>,
    deed: impl AsyncFnOnce(&Tx<A::Scope>) -> Result<Answer, Fault>,
) -> Result<(Answer, bool), Fault>
where
    A: Action,
    Q: Query,
    B: Body,
{
    let keys = &call.gate.state.keys;
    if let Some(slot) = slot {
        // However long a batch waits for rows, for its key it waits as any request does.
        if B::BATCH {
            tx.wait_as_a_write().await?;
        }
        match store::claim(tx, keys, slot, &call.fingerprint).await {
            Ok(Claim::First) if B::BATCH => tx.wait_as_a_batch().await?,
            Ok(Claim::First) => {}
            Ok(Claim::Answered(answer)) => return Ok((answer, true)),
            Ok(Claim::Other) => return Err(Fault::of(Code::IdempotencyKeyReused)),
            Err(ClaimFault::StillRunning) => return Err(Fault::of(Code::IdempotencyInProgress).after(1)),
            Err(ClaimFault::Other(fault)) => return Err(fault),
        }
    }
    let answer = deed(tx).await?;
    if !answer.subjects.is_empty() {
        store::audit(tx, actor, A::RULE.id, &answer.subjects).await?;
    }
    if let Some(slot) = slot {
        store::remember(tx, keys, slot, &answer).await?;
    }
    Ok((answer, false))
}

/// The connection was lost while committing: the remembered answer tells whether it happened.
async fn truth<A, P, Q, B>(call: &Call<A, P, Q, B>, slot: &Slot<'_>, unknown: Fault) -> Result<HttpResponse, Fault>
where
    A: Action,
    A::Scope: Clone,
    Q: Query,
{
    let looking = async {
        loop {
            if let Ok(tx) = call.gate.state.db.begin_read(call.scope()).await {
                match tx.look(async |tx| store::remembered(tx, &call.gate.state.keys, slot).await).await {
                    Ok(Some((fingerprint, answer))) if fingerprint == call.fingerprint => return send(answer, true),
                    // Nothing yet: the lost session may still be committing, so this proves nothing.
                    Ok(_) | Err(_) => {}
                }
            }
            tokio::time::sleep(TRUTH_PAUSE).await;
        }
    };
    tokio::time::timeout(TRUTH, looking).await.map_err(|_| unknown)
}

fn flight_key(vendor: Uuid, slot: &Slot<'_>) -> Uuid {
    let text = format!("{vendor}|{}|{}|{}|{}", slot.actor.caller, slot.method, slot.route, slot.key);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&sha256(text.as_bytes())[..16]);
    Uuid::from_bytes(bytes)
}

fn send(answer: Answer, replayed: bool) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK));
    for (name, value) in answer.headers {
        response.insert_header((name, value));
    }
    if replayed {
        response.insert_header(("Idempotency-Replayed", "true"));
    }
    let mut response = if answer.body.is_empty() { response.finish() } else { response.content_type("application/json").body(answer.body) };
    if answer.refused > 0 {
        response.extensions_mut().insert(RefusedRows(answer.refused));
    }
    response
}
