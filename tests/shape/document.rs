//! One document, three promises: it is what is committed, what is mounted, and what the table of authority says.

use serde_json::Value;
use std::fs;
use std::path::Path;
use todoku::{app, auth};

const BASE: &str = "http://127.0.0.1:8080";

fn document() -> Value {
    serde_json::from_str(&app::document(BASE).json).unwrap()
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let items = document["paths"].as_object().unwrap().iter();
    items.flat_map(|(path, item)| item.as_object().unwrap().iter().map(move |(method, operation)| (path.clone(), method.clone(), operation.clone()))).collect()
}

fn committed(name: &str, current: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("TODOKU_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, current).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == current, "{name} is not what the code says; run bin/test --bless and look at the difference");
}

#[test]
fn the_document_is_the_committed_one() {
    let text = format!("{}\n", app::document(BASE).json);
    committed("openapi/todoku.json", &text);
    assert_eq!(document()["openapi"].as_str().unwrap().split('.').take(2).collect::<Vec<_>>(), ["3", "1"]);
}

#[test]
fn authority_is_the_committed_one() {
    let mut lines: Vec<String> = auth::TABLE.iter().map(|rule| format!("{:<28} {:<20} {:?}", rule.id, rule.permission.as_str(), rule.who).trim_end().to_owned()).collect();
    lines.sort();
    committed("tests/golden/authority.txt", &format!("{}\n", lines.join("\n")));
}

#[test]
fn problems_are_the_committed_ones() {
    use todoku::kernel::code::Code;
    let lines: Vec<String> =
        Code::ALL.iter().map(|code| format!("{} {} | {} | {}", todoku::http::problem::status(*code).as_u16(), code.slug(), code.title(), code.title_ja())).collect();
    committed("tests/golden/problems.txt", &format!("{}\n", lines.join("\n")));
}

#[test]
fn every_operation_is_marked_secured_and_explained() {
    let document = document();
    let all = operations(&document);
    assert!(all.len() > 25);
    for (path, method, operation) in &all {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no id"));
        assert!(operation["summary"].as_str().is_some_and(|s| !s.is_empty()), "{id} has no summary");
        assert!(operation["tags"][0].is_string(), "{id} has no tag");
        let who = operation["x-who"].as_str().unwrap_or_else(|| panic!("{id} has no x-who"));
        if who == "public" {
            continue;
        }
        let rule = auth::rule(id).unwrap_or_else(|| panic!("{id} has no row in the table of authority"));
        assert_eq!(operation["x-scope"], rule.permission.as_str());
        assert_eq!(operation["security"][0]["oauth2"][0], rule.permission.as_str());
        for status in ["400", "401", "403", "429", "500", "503"] {
            let schema = operation.pointer(&format!("/responses/{status}/content/application~1problem+json/schema/$ref"));
            assert_eq!(schema, Some(&Value::from("#/components/schemas/Problem")), "{id} {status}");
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten().filter(|p| p["in"] == "path") {
            let reference = parameter["schema"]["$ref"].as_str().unwrap_or_else(|| panic!("{id}: {} is no id", parameter["name"]));
            let schema = document.pointer(reference.trim_start_matches('#')).unwrap();
            assert!(schema["x-ref"].is_string(), "{id}: {} has no x-ref", parameter["name"]);
        }
        // No path takes what these make.
        let is_taken_by_none = ["create_measure", "submit_observation", "set_currency_rate"].contains(&id);
        if operation["responses"]["201"].is_object() && !is_taken_by_none {
            assert!(operation["responses"]["201"]["links"].is_object(), "{id} has no links");
        }
    }
}

#[test]
fn nothing_is_mounted_beside_the_document() {
    // A bare route is served but silently missing from the document; only the viewer and its redirect may be.
    let app = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/app.rs")).unwrap();
    let serve = app.split("pub fn serve(").nth(1).unwrap().split("pub fn serve_ops").next().unwrap();
    assert_eq!(serve.matches("web::resource(").count(), 1, "only /docs is mounted outside the document");
    assert_eq!(serve.matches(".route(").count(), 0);
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 300);
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}
