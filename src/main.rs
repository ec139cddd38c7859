//! The binary; its commands are in `todoku::command`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    todoku::command::main().await
}
