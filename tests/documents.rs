//! What the documents claim of the tests.

use std::{fs, path::Path};

fn sources(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).expect("a source"));
        }
    }
}

#[test]
fn every_test_that_a_document_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    sources(&root.join("src"), &mut code);
    sources(&root.join("tests"), &mut code);
    let read = |name: &str| fs::read_to_string(root.join(name)).expect("the document");
    let tables = [read("docs/security.md"), read("docs/reliability.md")].concat();
    // Between backticks, and long enough to be a sentence: the rest is code of another kind.
    let is_name = |word: &str| {
        word.matches('_').count() >= 3 && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let names: Vec<&str> = tables.split('`').skip(1).step_by(2).filter(|word| is_name(word)).collect();
    assert!(names.len() > 100, "{} names", names.len());
    let missing: Vec<_> = names.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_file_that_a_document_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for document in [
        "README.md",
        "SECURITY.md",
        "docs/architecture.md",
        "docs/operations.md",
        "docs/reliability.md",
        "docs/security.md",
        "docs/testing.md",
        "docs/threat-model.md",
    ] {
        let text = fs::read_to_string(root.join(document)).expect("the document");
        let place = root.join(document).parent().expect("its directory").to_owned();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        for link in links.filter(|link| !link.is_empty() && !link.contains("://")) {
            assert!(place.join(link).exists(), "{document}: {link}");
        }
    }
}
