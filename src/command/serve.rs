//! `todoku serve`.

use super::Outcome;
use crate::app::{self, Document};
use crate::auth::Gate;
use crate::boot::{self, Booted};
use crate::config::Config;
use crate::db::Clock;
use crate::ledger::Denials;
use crate::worker;
use actix_web::web;
use std::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

/// What a process shows outside, before anything is started: its two addresses, so that one in use is told at once, and the API document, which is
/// made while the database starts.
pub struct Front {
    api: TcpListener,
    ops: TcpListener,
    document: JoinHandle<Document>,
}

impl Front {
    /// Binds the addresses and begins the document.
    pub fn open(config: &Config) -> Result<Self, String> {
        let (api, ops) = (bind(config.server.listen)?, bind(config.server.ops_listen)?);
        let base = config.server.public_url.clone();
        Ok(Self { api, ops, document: tokio::task::spawn_blocking(move || app::document(&base)) })
    }
}

/// Serves until a signal, then finishes what runs and stops cleanly.
pub async fn serve(config: Config) -> Outcome {
    let front = Front::open(&config)?;
    let booted = boot::boot(config, Clock::Live).await?;
    let greeting = format!("todoku serves {}", booted.state.config.server.public_url);
    serve_booted(booted, front, &greeting).await
}

/// The same for a process that has booted; `greeting` is printed when it is ready.
pub async fn serve_booted(booted: Booted, front: Front, greeting: &str) -> Outcome {
    boot::allow_connections();
    let state = booted.state.clone();
    let gate = web::Data::new(Gate::open(state.clone()).await?);
    let denials = web::Data::new(Denials::default());
    let server = app::serve(gate.clone(), denials.clone(), front.document.await?, front.api)?;
    let ops = app::serve_ops(gate.clone(), front.ops)?;
    let (handle, ops_handle) = (server.handle(), ops.handle());
    let (server, ops) = (tokio::spawn(server), tokio::spawn(ops));
    let fresh = tokio::spawn({
        let gate = gate.clone();
        async move { gate.keep_fresh().await }
    });
    let keeper = boot::Keeper::of(booted.cluster);
    let (stop_witness, stopped) = tokio::sync::oneshot::channel::<()>();
    let witness = tokio::spawn({
        let (state, denials) = (state.clone(), denials.clone());
        async move { worker::witness(&state.db, &denials, async { drop(stopped.await) }).await }
    });
    let working = state.config.worker.enabled.then(|| {
        let state = state.clone();
        tokio::spawn(async move { worker::work(&state).await })
    });
    tracing::info!(api = %state.config.server.listen, ops = %state.config.server.ops_listen, "ready");
    println!("{greeting}");
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
    drop(stop_witness);
    let _ = witness.await;
    let _ = (server.await, ops.await);
    state.db.close();
    keeper.stop().await;
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
