//! The documents name tests, files and commands that exist, and comments keep to their rules.

use std::{fs, path::Path, process::Command};

use raccord::web;

use crate::common::files_below;

/// All that is written in files of this kind in a directory, and below it.
fn sources(directory: &Path, kind: &str) -> String {
    let files = files_below(directory).into_iter().filter(|path| path.extension().is_some_and(|is| is == kind));
    files.map(|path| fs::read_to_string(path).expect("a source")).collect()
}

#[test]
fn every_test_that_a_document_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let code = sources(&root.join("src"), "rs") + &sources(&root.join("tests"), "rs");
    let read = |name: &str| fs::read_to_string(root.join(name)).expect("the document");
    let tables = [read("docs/security.md"), read("docs/reliability.md"), read("docs/accessibilite.md")].concat();
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
fn the_accessibility_document_judges_each_criterion_once_and_names_journeys_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/accessibilite.md")).expect("the document");
    let journeys = sources(&root.join("tests/browser/journeys"), "js");
    let is_sentence = |word: &&str| word.matches(' ').count() >= 4 && !word.contains(['|', '\n']);
    let names: Vec<&str> = text.split('`').skip(1).step_by(2).filter(is_sentence).collect();
    assert!(names.len() >= 4, "{names:?}");
    let missing: Vec<_> = names.iter().filter(|name| !journeys.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?}");

    // RGAA 4.1.2: how many criteria each theme has, 106 in all.
    let counts = [9, 2, 3, 13, 8, 2, 5, 10, 4, 14, 13, 11, 12];
    let wanted: Vec<String> =
        (1..).zip(counts).flat_map(|(theme, n)| (1..=n).map(move |i| format!("{theme}.{i}"))).collect();
    assert_eq!(wanted.len(), 106);
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split('|').map(str::trim).collect())
        .filter(|row: &Vec<_>| row.len() == 7)
        .collect();
    let judged: Vec<&str> = rows.iter().map(|row| row[1]).filter(|cell| cell.starts_with(char::is_numeric)).collect();
    assert_eq!(judged, wanted);
    for row in rows.iter().filter(|row| row[1].starts_with(char::is_numeric)) {
        let applies = match row[3] {
            "oui" => true,
            "non" => false,
            other => panic!("{}: {other}", row[1]),
        };
        assert_eq!(applies, row[5] != "—", "{}: what applies is shown by something", row[1]);
    }
}

#[test]
fn every_file_that_a_document_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for document in [
        "README.md",
        "docs/accessibilite.md",
        "SECURITY.md",
        "docs/architecture.md",
        "docs/cluster.md",
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

/// The paths between backticks, outside of examples of several lines. A pattern is no path.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let prose = text.split("```").step_by(2);
    let quoted = prose.flat_map(|part| part.split('`').skip(1).step_by(2));
    let first = quoted.filter_map(|words| words.split_whitespace().next());
    first.filter(|word| word.contains('/') && !word.contains(['…', '*', '{', '<', '$']))
}

#[test]
fn every_path_that_a_document_names_exists() {
    const ROOMS: [&str; 8] = ["src/", "tests/", "templates/", "docs/", "deploy/", "bin/", "static/", "migrations/"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = files_below(&root.join("docs")).into_iter().chain([root.join("README.md")]);
    let (mut count, mut missing) = (0, Vec::new());
    for document in documents.filter(|path| path.extension().is_some_and(|kind| kind == "md")) {
        let text = fs::read_to_string(&document).expect("the document");
        for path in paths(&text) {
            // The tables of architecture.md leave out `src/`, and what it says of tables `src/db/`.
            let places: &[&str] = match path {
                path if ROOMS.iter().any(|room| path.starts_with(room)) => &[""],
                path if Path::new(path).extension().is_some_and(|is| is == "rs") => &["src", "src/db"],
                _ => continue,
            };
            count += 1;
            if !places.iter().any(|place| root.join(place).join(path).exists()) {
                missing.push(format!("{}: {path}", document.display()));
            }
        }
    }
    assert!(count > 200, "{count} paths");
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_command_tells_its_use_and_does_nothing_else() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let commands: Vec<_> = fs::read_dir(root.join("bin")).expect("the commands").flatten().collect();
    assert!(commands.len() >= 10);
    for command in commands {
        let name = format!("bin/{}", command.file_name().to_string_lossy());
        for asked in ["--help", "-h"] {
            let told = Command::new(command.path()).arg(asked).output().expect("it starts");
            let text = String::from_utf8_lossy(&told.stdout).into_owned();
            assert!(told.status.success() && told.stderr.is_empty(), "{name}: {told:?}");
            assert!(text.contains(&name) && text.lines().count() < 20, "{name}: {text}");
            assert!(text.lines().all(|line| !line.starts_with('#') && !line.contains("set -")), "{name}: {text}");
        }
    }
}

/// Each `server` block, each `location` block within it, without comments.
fn blocks<'a>(text: &'a str, opening: &str) -> Vec<(&'a str, &'a str)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(opening) {
        let (name, body) = rest[at + opening.len()..].split_once('{').expect("a block");
        let mut depth = 1;
        let end = body.find(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            depth == 0
        });
        let (block, after) = body.split_at(end.expect("its end"));
        found.push((name.trim(), block));
        rest = after;
    }
    found
}

#[test]
fn the_example_for_nginx_writes_no_link_that_opens_something_into_a_log() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("deploy/nginx.conf")).expect("the example");
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    let servers = blocks(&text, "server ");
    assert_eq!(servers.len(), 2, "in clear, and by TLS");
    let secret: Vec<&str> = web::routes().into_iter().filter_map(|route| route.path.strip_suffix("{token}")).collect();
    assert!(secret.contains(&"/invitation/") && secret.contains(&"/calendrier/"), "{secret:?}");
    for (_, server) in servers {
        let is_silent = |block: &str| block.contains("access_log off;");
        if is_silent(server.split("location").next().expect("its beginning")) {
            continue;
        }
        let locations = blocks(server, "location ");
        for link in &secret {
            let block = locations.iter().find(|(name, _)| name == link).unwrap_or_else(|| panic!("{link} is logged"));
            // nginx logs a failing upstream at level `error`, with the request's first line.
            assert!(is_silent(block.1) && block.1.contains(" crit;"), "{link}: {}", block.1);
        }
    }
}

/// nginx's own share of downloads, by the pattern of its location.
#[test]
fn the_example_for_nginx_bounds_every_export() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("deploy/nginx.conf")).expect("the example");
    let bounded: Vec<_> = blocks(&text, "location ")
        .into_iter()
        .filter(|(_, block)| block.contains("zone=exports ") && block.contains("limit_conn exports_of_network "))
        .map(|(name, _)| regex::Regex::new(name.strip_prefix("~ ").expect("a pattern")).expect("a pattern"))
        .collect();
    let is_bounded = |path: &str| bounded.iter().any(|pattern| pattern.is_match(path));
    let routes: Vec<_> = web::routes().into_iter().map(|route| route.path.replace("{id}", "70")).collect();
    let is_export = |path: &str| {
        [".csv", ".ics"].iter().any(|kind| path.ends_with(kind))
            || ["/fiches", "/logiciel", "/logiciel-chiffre"].iter().any(|file| path.ends_with(file))
    };
    let exports: Vec<_> = routes.iter().filter(|path| is_export(path)).collect();
    assert_eq!(exports.len(), 6, "{exports:?}");
    for path in &routes {
        assert_eq!(is_bounded(path), is_export(path), "{path}");
    }
}

#[test]
fn no_log_of_the_example_for_nginx_holds_a_path_that_could_be_a_link() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("deploy/nginx.conf")).expect("the example");
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    let directives = |name: &str| -> Vec<String> {
        let all = text.split([';', '{', '}']).map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
        all.filter_map(|part| Some(part.strip_prefix(name)?.trim().to_owned())).collect()
    };
    // One format, for every location: of the request it has the method and the judged path alone.
    let formats = directives("log_format ");
    let [format] = formats.as_slice() else { panic!("{formats:?}") };
    for variable in format.split('$').skip(1) {
        let name: String = variable.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let harmless = [
            "remote_addr",
            "time_local",
            "request_method",
            "raccord_path",
            "server_protocol",
            "status",
            "body_bytes_sent",
            "request_time",
            "http_user_agent",
        ];
        assert!(harmless.contains(&name.as_str()), "{name}");
    }
    let name = format.split(' ').next().expect("its name");
    let logs = directives("access_log ");
    assert!(logs.len() >= 4 && logs.iter().all(|log| log == "off" || log.ends_with(&format!(" {name}"))), "{logs:?}");
    assert!(directives("error_log ").iter().all(|log| log.ends_with(" crit")));
    for (_, server) in blocks(&text, "server ") {
        let beginning = server.split("location").next().expect("its beginning");
        assert!(beginning.contains("access_log ") && beginning.contains("error_log "), "{beginning}");
    }
    // What the map lets through holds no token, in any place.
    let pattern = text.split("\"~").nth(1).and_then(|rest| rest.split('"').next()).expect("the pattern of the map");
    let logged = regex::Regex::new(pattern).expect("a pattern");
    let token = "AixbgTZV9sc54kboQEgrEe69eXE1J5P2B6HKPAb8T44";
    for path in ["/", "/activites", "/structures/7/utilisateurs-techniques/nouveau", "/static/fa10/style.css"] {
        assert!(logged.is_match(path), "{path}");
    }
    for path in [
        format!("/invitation/{token}"),
        format!("/Invitation/{token}"),
        format!("//calendrier//{token}"),
        format!("/{token}"),
        format!("/x/{token}/y"),
        format!("/%69nvitation/{token}"),
        format!("/a;{token}"),
    ] {
        assert!(!logged.is_match(&path), "{path}");
    }
}

/// The comment lines of the code: file, number of the line, text.
fn comments() -> Vec<(String, usize, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_foreign = |path: &Path| path.iter().any(|part| part == "node_modules" || part == "target");
    let is_code = |path: &Path| path.extension().is_some_and(|kind| kind == "rs" || kind == "js");
    let files = ["src", "tests", "benches"].into_iter().flat_map(|room| files_below(&root.join(room)));
    let mut comments = Vec::new();
    for path in files.filter(|path| is_code(path) && !is_foreign(path.strip_prefix(root).expect("below the root"))) {
        let text = fs::read_to_string(&path).expect("a source");
        let name = path.strip_prefix(root).expect("below the root").display().to_string();
        let opens = |line: &str| ["//", "/**", "* "].iter().any(|start| line.trim_start().starts_with(start));
        let lines = (1..).zip(text.lines()).filter(|(_, line)| opens(line));
        comments.extend(lines.map(|(number, line)| (name.clone(), number, line.to_owned())));
    }
    assert!(comments.len() > 1_000, "{} comment lines", comments.len());
    comments
}

/// A single word cannot be wrapped.
fn is_long(line: &str) -> bool {
    line.chars().count() > 100 && line.split_whitespace().count() > 2
}

#[test]
fn comments_have_at_most_100_columns() {
    let long: Vec<_> = comments().into_iter().filter(|(_, _, line)| is_long(line)).collect();
    assert!(long.is_empty(), "{long:#?}");
}

/// Tables and examples aside, which cannot be wrapped either.
#[test]
fn sentences_of_documents_have_at_most_100_columns() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = ["README.md", "CHANGELOG.md", "SECURITY.md"].map(|name| root.join(name)).into_iter();
    let documents: Vec<_> = documents.chain(files_below(&root.join("docs"))).collect();
    let mut long = Vec::new();
    for path in documents.iter().filter(|path| path.extension().is_some_and(|is| is == "md")) {
        let mut example = false;
        for line in fs::read_to_string(path).expect("a document").lines() {
            example ^= line.trim_start().starts_with("```");
            if !example && !line.trim_start().starts_with('|') && is_long(line) {
                long.push(format!("{}: {line}", path.display()));
            }
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

/// Comments name the person, the visitor or the caller instead.
#[test]
fn comments_name_people_plainly() {
    const UNCLEAR: &str =
        " somebody someone nobody anybody anyone everybody everyone she her hers herself he him his himself ";
    let is_unclear = |line: &str| {
        let mut words = line.split(|c: char| !c.is_alphanumeric());
        words.any(|word| UNCLEAR.contains(&format!(" {} ", word.to_lowercase())))
    };
    let unclear: Vec<_> = comments().into_iter().filter(|(_, _, line)| is_unclear(line)).collect();
    assert!(unclear.is_empty(), "{unclear:#?}");
}
