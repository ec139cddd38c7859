//! The commands of the binary: one file each where it takes more than a few lines.

mod demo;
pub mod import;
mod keys;
mod serve;
mod tenant;

use crate::boot;
use crate::config::{self, Config};
use crate::db::Clock;
use crate::{app, telemetry, worker};
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

pub use tenant::{Founded, found, mint_client};

/// Todoku (届く): partners report on the end customers they serve, the vendor sees health across all channels.
#[derive(Parser)]
#[command(name = "todoku", version, propagate_version = true)]
struct Cli {
    /// A settings file; config/default.toml documents every key. Environment variables TODOKU_<SECTION>__<KEY> win over it.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API, and run the worker beside it.
    Serve,
    /// Load a year of a believable vendor, if it is not there yet, and serve it.
    Demo {
        /// Remove the demo's data first.
        #[arg(long)]
        reset: bool,
    },
    /// Run the worker alone, on an outside PostgreSQL or beside a running `serve`.
    Work,
    /// Bring the database to the newest schema and apply the policies.
    Migrate,
    /// Create vendors.
    #[command(subcommand)]
    Vendor(tenant::VendorCommand),
    /// Create clients: credentials for systems.
    #[command(subcommand)]
    Client(tenant::ClientCommand),
    /// Look at and rotate the signing keys.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Send the rows of a file through the public API.
    Import(import::Import),
    /// Print the API document (OpenAPI 3.1).
    Openapi,
    /// Check the settings and print them, without secrets.
    CheckConfig,
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Runs the binary.
pub async fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("todoku: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Outcome {
    let config = config::load(cli.config.as_deref(), std::env::vars())?;
    match &cli.command {
        Command::Openapi => {
            println!("{}", app::document(&config.server.public_url).json);
            return Ok(());
        }
        Command::CheckConfig => {
            println!("{config:#?}");
            return Ok(());
        }
        Command::Import(import) => return import::import(import.clone()).await,
        _ => telemetry::start(&config.log),
    }
    match cli.command {
        Command::Serve => serve::serve(config).await,
        Command::Demo { reset } => demo::demo(config, reset).await,
        Command::Work => work(config).await,
        Command::Migrate if config.database.url.is_empty() => boot::boot(config, Clock::Live).await.map(drop),
        Command::Migrate => boot::migrate_outside(&config).await,
        Command::Vendor(command) => tenant::vendor(config, command).await,
        Command::Client(command) => tenant::client(config, command).await,
        Command::Keys(command) => keys::keys(config, command).await,
        Command::Openapi | Command::CheckConfig | Command::Import(_) => Ok(()),
    }
}

async fn work(config: Config) -> Outcome {
    let booted = boot::boot(config, Clock::Live).await?;
    let keeper = boot::Keeper::of(booted.cluster);
    tokio::select! {
        () = worker::work(&booted.state) => {}
        () = serve::stop_signal() => tracing::info!("stopping"),
    }
    booted.state.db.close();
    keeper.stop().await;
    Ok(())
}
