//! ARCHITECTURE 2 and 3, read from the sources: the order of the modules in lib.rs is the import order, and a file's name
//! says what it may use.

use std::fs;
use std::path::{Path, PathBuf};

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    assert!(found.len() > 60, "only {} sources", found.len());
    found.into_iter().map(|(path, text)| (path.strip_prefix(&root).unwrap().to_owned(), text)).collect()
}

fn order() -> Vec<String> {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';').map(str::to_owned)).collect()
}

/// The module a file belongs to.
fn area(path: &Path) -> String {
    path.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The code of a file: without comments, and without its unit tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Every `crate::<module>` a piece of code names, with what follows.
fn named(code: &str) -> Vec<(String, String)> {
    code.match_indices("crate::")
        .map(|(at, _)| {
            let rest: String = code[at + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect();
            let (module, inner) = rest.split_once("::").unwrap_or((&rest, ""));
            (module.to_owned(), inner.to_owned())
        })
        .collect()
}

/// What actix-web is made of is as much of HTTP as it is.
const ACTIX: &[&str] = &["actix_web", "actix_http", "actix_service"];

#[test]
fn modules_import_only_what_stands_before_them() {
    let order = order();
    assert!(order.len() > 12);
    let place = |module: &str| order.iter().position(|m| m == module);
    let mut looked_at = 0;
    for (path, text) in sources() {
        let here = area(&path);
        let Some(own) = place(&here) else { continue };
        for (module, _) in named(&code(&text)) {
            if let Some(other) = place(&module) {
                looked_at += 1;
                assert!(other <= own, "{} names crate::{module}, which stands after {here}", path.display());
            }
        }
    }
    assert!(looked_at > 200, "only {looked_at} imports");
}

#[test]
fn areas_are_entered_by_their_face() {
    let areas = ["ledger", "directory", "intake", "health", "revenue", "insight"];
    for (path, text) in sources() {
        for (module, inner) in named(&code(&text)) {
            if areas.contains(&module.as_str()) && area(&path) != module {
                let first = inner.split("::").next().unwrap_or_default();
                let inside = ["store", "api", "flow"].contains(&first);
                assert!(!inside, "{} reaches into crate::{module}::{inner}", path.display());
            }
        }
    }
}

#[test]
fn a_files_name_is_its_permission() {
    let areas = ["ledger", "directory", "intake", "health", "revenue", "insight"];
    let uses = |code: &str, library: &str| code.contains(&format!("use {library}::")) || code.contains(&format!(" {library}::")) || code.contains(&format!("({library}::"));
    let mut looked_at = 0;
    for (path, text) in sources() {
        let (code, here) = (code(&text), area(&path));
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let inside = |folder: &str| path.components().any(|part| part.as_os_str() == folder);
        let forbid = |libraries: &[&str]| {
            for library in libraries.iter().flat_map(|library| if *library == "actix_web" { ACTIX } else { std::slice::from_ref(library) }) {
                assert!(!uses(&code, library), "{} uses {library}", path.display());
            }
        };
        if here == "kernel" {
            forbid(&["actix_web", "utoipa", "diesel", "reqwest", "tokio", "diesel_async"]);
            continue;
        }
        if !areas.contains(&here.as_str()) {
            if !["db", "auth"].contains(&here.as_str()) {
                forbid(&["diesel", "diesel_async"]);
            }
            continue;
        }
        looked_at += 1;
        match name.as_str() {
            _ if name == "store.rs" || inside("store") => forbid(&["actix_web", "reqwest", "utoipa"]),
            _ if name == "api.rs" || inside("api") => forbid(&["diesel", "diesel_async", "reqwest"]),
            _ if name == "flow.rs" || inside("flow") => forbid(&["actix_web", "diesel", "diesel_async", "reqwest", "utoipa"]),
            "job.rs" => forbid(&["actix_web", "utoipa", "diesel"]),
            "mod.rs" => {}
            _ => {
                forbid(&["actix_web", "utoipa", "diesel", "diesel_async", "reqwest", "tokio"]);
                assert!(!code.contains("Utc::now") && !code.contains("SystemTime") && !code.contains("now_v7"), "{} reads a clock", path.display());
            }
        }
    }
    assert!(looked_at > 25);
}

#[test]
fn scopes_are_made_in_one_place() {
    for (path, text) in sources() {
        let code = code(&text);
        if path != Path::new("auth/scope.rs") {
            assert!(!code.contains("impl Scope for"), "{} makes a scope", path.display());
        }
        // The operator's and the worker's scopes are for the machine, never for a handler.
        let outside = ["command", "worker"].contains(&area(&path).as_str()) || path == Path::new("auth/scope.rs");
        for maker in ["StaffScope::operator", "WorkerScope::for_job", "ScheduleScope::for_vendor", "AnalystScope::for_vendor", "WitnessScope::of"] {
            assert!(outside || !code.contains(maker), "{} uses {maker}", path.display());
        }
        assert!(!code.contains("sql_query") || path == Path::new("db/sql.rs"), "{} builds SQL of its own", path.display());
    }
}

#[test]
fn every_file_says_what_belongs_in_it() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{} does not open with //!", path.display());
    }
}

#[test]
fn every_kind_of_event_is_in_the_catalogue() {
    let mut used = std::collections::BTreeSet::new();
    for (path, text) in sources() {
        if path == Path::new("ledger/event.rs") {
            continue;
        }
        for part in code(&text).split('"').skip(1).step_by(2) {
            let word = |w: &str| !w.is_empty() && w.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            if part.split_once('.').is_some_and(|(noun, verb)| {
                word(noun) && word(verb) && verb.len() > 2 && !["health", "secrets", "server", "database", "log", "worker", "limits", "app"].contains(&noun)
            }) {
                used.insert(part.to_owned());
            }
        }
    }
    let golden = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/events.txt")).unwrap();
    let golden: std::collections::BTreeSet<String> = golden.lines().map(str::to_owned).collect();
    let known: std::collections::BTreeSet<String> = todoku::ledger::Event::KINDS.iter().map(|kind| (*kind).to_owned()).collect();
    assert_eq!(known, golden);
    let unused: Vec<_> = known.difference(&used).collect();
    assert!(unused.is_empty(), "never recorded: {unused:?}");
}
