//! The README's calls, run as they stand; only the address is another.

use crate::harness::{App, noon};
use serde_json::Value;
use std::path::Path;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_five_calls_of_the_readme_work() {
    let app = App::start().await;
    let (founded, _) = app.found("株式会社カンリ").await;
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let after = readme.split("The first five calls").nth(1).unwrap();
    let script = after.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(script.matches("http://127.0.0.1:8080").count(), 5);
    // The suite's clock stands; the README's calendar is today's.
    let script = script.replace("http://127.0.0.1:8080", &app.base).replace("$(date +%F)", &noon().date_naive().to_string());
    // Each answer on a line of its own.
    let script = format!("set -e\n{}", script.replace("curl -s -H", "curl -s -w '\\n' -H"));
    let (id, secret) = (founded.client.to_string(), founded.secret.clone());
    let output = tokio::task::spawn_blocking(move || std::process::Command::new("bash").arg("-c").arg(script).env("ID", id).env("SECRET", secret).output().unwrap());
    let output = output.await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Value> = said.lines().filter(|line| !line.trim().is_empty()).map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    assert_eq!(answers.len(), 4, "{said} {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(answers[0]["name"], "株式会社青葉製作所");
    assert_eq!(answers[1]["amount_minor"], 1_200_000);
    assert_eq!(answers[2]["health"]["contributions"].as_array().map(Vec::len), Some(3), "{}", answers[2]);
    assert_eq!(answers[3]["total"]["customers"], 0, "the worker has not run");
}
