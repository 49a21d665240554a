//! The layers of docs/architecture.md: which module may import which, without circles.
//!
//! Every path of the code that begins with `crate`, `super`, `self` or a child module is resolved
//! to the file it names, inside macros too. Tests inside the files do not count.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::LazyLock,
};

use regex::Regex;
use syn::{
    Attribute, Item, ItemMod, UseTree,
    visit::{self, Visit},
};

use crate::common::files_below;

/// The modules from the lowest layer up. Each imports layers below it, and itself.
///
/// Modules in one line do not import each other.
const FLOORS: [&[&str]; 12] = [
    &["domain", "embedded_postgres", "private_files", "process"],
    &["french", "settings", "secret_keys", "work_queue", "pdf"],
    &["db"],
    &["mail", "identity_provider"],
    &["web::paths", "web::shell"],
    &["web::edge"],
    &["web::identity", "web::api"],
    &["web::portal"],
    &["web"],
    &["server"],
    &["cli"],
    &["program"],
];

/// Modules above all layers, which may import any.
const ABOVE: [&str; 2] = ["main", "fuzzing"];

/// The journeys, which do not import one another.
const JOURNEYS: &str = "web::portal";

static PATH_IN_TOKENS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\w+(\s*::\s*\w+)+").expect("a pattern"));

/// A module's path below the crate, such as `web::edge::state`.
type Module = Vec<String>;

/// The imports of each module of `src`.
fn imports() -> BTreeMap<Module, BTreeSet<Module>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = files_below(&root);
    let sources: BTreeMap<Module, String> = files
        .iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("lib.rs"))
        .map(|path| {
            let relative = path.strip_prefix(&root).expect("below src").with_extension("");
            let mut module: Module =
                relative.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
            if module.last().is_some_and(|name| name == "mod") {
                module.pop();
            }
            (module, fs::read_to_string(path).expect("a source file"))
        })
        .filter(|(module, _)| !module.last().expect("a name").ends_with("tests"))
        .collect();
    let modules: BTreeSet<Module> = sources.keys().cloned().collect();
    let imports_of = |(module, source): (&Module, &String)| {
        let file = syn::parse_file(source).expect("sound Rust");
        let mut paths = Paths { module, modules: &modules, found: BTreeSet::new() };
        paths.visit_file(&file);
        paths.found.remove(module);
        (module.clone(), paths.found)
    };
    sources.iter().map(imports_of).collect()
}

/// Gathers the modules that a file names.
struct Paths<'a> {
    module: &'a Module,
    modules: &'a BTreeSet<Module>,
    found: BTreeSet<Module>,
}

impl Paths<'_> {
    fn name(&mut self, path: &[String]) {
        let (first, rest) = path.split_first().expect("a path has a segment");
        let mut whole = match first.as_str() {
            "crate" => Vec::new(),
            "self" => self.module.clone(),
            "super" => self.module[..self.module.len() - 1].to_vec(),
            child if self.modules.contains(&[self.module.as_slice(), &[child.to_owned()]].concat()) => {
                [self.module.as_slice(), &[child.to_owned()]].concat()
            }
            _ => return,
        };
        for name in rest {
            if name == "super" {
                whole.pop();
            } else {
                whole.push(name.clone());
            }
        }
        while !whole.is_empty() && !self.modules.contains(&whole) {
            whole.pop();
        }
        if !whole.is_empty() {
            self.found.insert(whole);
        }
    }

    fn walk(&mut self, tree: &UseTree, before: &mut Module) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.walk(&path.tree, before);
                before.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.walk(tree, before)),
            UseTree::Name(name) if name.ident == "self" => self.name(&before.clone()),
            UseTree::Name(name) => self.name(&[before.as_slice(), &[name.ident.to_string()]].concat()),
            UseTree::Rename(name) => self.name(&[before.as_slice(), &[name.ident.to_string()]].concat()),
            UseTree::Glob(_) => self.name(&before.clone()),
        }
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Ident>().is_ok_and(|word| word == "test")
    })
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Mod(ItemMod { attrs, .. }) if is_for_tests(attrs) => {}
            Item::Use(import) => self.walk(&import.tree, &mut Vec::new()),
            item => visit::visit_item(self, item),
        }
    }

    /// `pub(in …)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    /// A macro's arguments are tokens that `syn` does not parse: a path is names joined by `::`.
    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        for path in PATH_IN_TOKENS.find_iter(&call.tokens.to_string()) {
            let segments: Module = path.as_str().split("::").map(|name| name.trim().to_owned()).collect();
            self.name(&segments);
        }
        visit::visit_macro(self, call);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Module = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.name(&segments);
        }
        visit::visit_path(self, path);
    }
}

/// The layer of a module and the entry there that its path begins with; of several, the longest.
fn floor_of(module: &Module) -> Option<(usize, &'static str)> {
    let path = module.join("::");
    let rooms = FLOORS.iter().enumerate().flat_map(|(floor, rooms)| rooms.iter().map(move |room| (floor, *room)));
    rooms
        .filter(|(_, room)| path == **room || path.starts_with(&format!("{room}::")))
        .max_by_key(|(_, room)| room.len())
}

#[test]
fn arrows_only_go_down() {
    let mut wrong = Vec::new();
    for (module, imported) in imports() {
        if ABOVE.contains(&module[0].as_str()) {
            continue;
        }
        let from = floor_of(&module).unwrap_or_else(|| panic!("{} is in no room", module.join("::")));
        for other in imported {
            let to = floor_of(&other).unwrap_or_else(|| panic!("{} is in no room", other.join("::")));
            if to != from && to.0 >= from.0 {
                wrong.push(format!("{} → {}", module.join("::"), other.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "imports that do not go down:\n{}", wrong.join("\n"));
}

#[test]
fn no_file_imports_what_imports_it() {
    let imports = imports();
    let reach = |from: &Module| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(module) = open.pop() {
            for next in imports.get(&module).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        seen
    };
    let mut circles = Vec::new();
    for (module, imported) in &imports {
        for other in imported.iter().filter(|other| reach(other).contains(module)) {
            circles.push(format!("{} → {}", module.join("::"), other.join("::")));
        }
    }
    assert!(circles.is_empty(), "imports that close a circle:\n{}", circles.join("\n"));
}

#[test]
fn no_journey_imports_another() {
    let journey = |module: &Module| {
        let rest = module.join("::");
        let name = rest.strip_prefix(JOURNEYS)?.strip_prefix("::")?.split("::").next()?.to_owned();
        (name != "export").then_some(name)
    };
    let mut wrong = Vec::new();
    for (module, imported) in imports() {
        let Some(from) = journey(&module) else { continue };
        for other in imported {
            if journey(&other).is_some_and(|to| to != from) {
                wrong.push(format!("{} → {}", module.join("::"), other.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "journeys that import another:\n{}", wrong.join("\n"));
}

/// sqlx's own beginning leaves a transaction open where its request ends meanwhile. The program's
/// own connections, and a savepoint, are no pool's.
#[test]
fn a_pools_transactions_begin_in_one_place() {
    let begins = Regex::new(r"pool\s*\.\s*(try_)?begin").expect("a pattern");
    let files = files_below(Path::new("src")).into_iter().filter(|file| !file.ends_with("db/transaction.rs"));
    let found: Vec<_> = files.filter(|file| begins.is_match(&fs::read_to_string(file).unwrap_or_default())).collect();
    assert!(found.is_empty(), "db::transaction::begin: {found:?}");
}
