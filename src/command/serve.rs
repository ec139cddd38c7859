//! `todoku serve`.

use super::Outcome;
use crate::auth::Gate;
use crate::boot;
use crate::config::Config;
use crate::db::Clock;
use crate::{app, worker};
use actix_web::web;
use std::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Serves until a signal, then finishes what runs and stops cleanly.
pub async fn serve(config: Config) -> Outcome {
    // Bound first: an address in use is told before anything is started.
    let listener = bind(config.server.listen)?;
    let ops_listener = bind(config.server.ops_listen)?;
    let booted = boot::boot(config, Clock::Live).await?;
    let state = booted.state.clone();
    let gate = web::Data::new(Gate::open(state.clone()).await?);
    let server = app::serve(gate.clone(), listener)?;
    let ops = app::serve_ops(gate.clone(), ops_listener)?;
    let (handle, ops_handle) = (server.handle(), ops.handle());
    let (server, ops) = (tokio::spawn(server), tokio::spawn(ops));
    let fresh = tokio::spawn({
        let gate = gate.clone();
        async move { gate.keep_fresh().await }
    });
    let working = state.config.worker.enabled.then(|| {
        let state = state.clone();
        tokio::spawn(async move { worker::work(&state).await })
    });
    tracing::info!(api = %state.config.server.listen, ops = %state.config.server.ops_listen, "ready");
    println!("todoku serves {}", state.config.server.public_url);
    stop_signal().await;
    tracing::info!("stopping");
    // New connections are refused, running requests finish; then the worker, whose job in hand is undone and its lease runs out.
    handle.stop(true).await;
    ops_handle.stop(false).await;
    if let Some(working) = working {
        working.abort();
        let _ = working.await;
    }
    fresh.abort();
    let _ = (server.await, ops.await);
    state.db.close();
    let cluster = booted.cluster;
    tokio::task::spawn_blocking(move || drop(cluster)).await?;
    tracing::info!("stopped");
    Ok(())
}

fn bind(address: std::net::SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).map_err(|cause| format!("cannot listen on {address}: {cause}"))
}

/// Ends when the process is asked to stop.
pub async fn stop_signal() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
