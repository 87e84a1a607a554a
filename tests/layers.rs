//! Dependencies point one way: ffi -> agent -> (protocol, transport). The compiler does not see
//! layers; this does. The development server's folders have a direction of their own, told in the
//! first lines of its `main.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A layer, and what no file of it may name.
const FORBIDDEN: [(&str, &[&str]); 4] = [
    (
        "protocol",
        &[
            "crate::agent",
            "crate::ffi",
            "crate::transport",
            "std::net",
            "std::fs",
            "std::env",
            "std::thread",
            "crate::locks",
            "libc::",
            "HashMap",
        ],
    ),
    (
        "transport",
        &[
            "crate::agent",
            "crate::ffi",
            "crate::protocol",
            "crate::proto::",
        ],
    ),
    ("agent", &["crate::ffi"]),
    ("ffi", &["crate::protocol", "crate::transport::http"]),
];

/// The development server's folders; each may use those before it.
const DEVSERVER: [&str; 6] = ["vocabulary", "world", "judge", "reply", "control", "serve"];

/// The sanitizer that finds data races does not see std's locks, and a forked child cannot use
/// parking_lot's.
const OTHER_LOCKS: [&str; 6] = ["Barrier", "Condvar", "Mutex", "Once", "RwLock", "mpsc"];

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("its entries can be read").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).expect("a source file is text");
            found.push((path, text));
        }
    }
    found
}

/// Lines of code, without comments, that hold one of the words.
fn lines_with(text: &str, words: &[&str]) -> Vec<String> {
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let named = |line: &&str| words.iter().any(|word| line.contains(word));
    text.lines()
        .filter(is_code)
        .filter(named)
        .map(str::to_owned)
        .collect()
}

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn no_layer_names_one_above_it() {
    for (layer, words) in FORBIDDEN {
        for (path, text) in sources(&source_root().join(layer)) {
            let lines = lines_with(&text, words);
            assert!(lines.is_empty(), "{}: {lines:?}", path.display());
        }
    }
}

/// What is imported from std's `sync`, whether alone or in braces.
fn imported_from_sync(text: &str) -> Vec<String> {
    let code: String = text.split_whitespace().collect();
    let after = code.split("sync::").skip(1);
    after
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(list) => list
                .split('}')
                .next()
                .unwrap_or_default()
                .split(',')
                .collect(),
            None => vec![
                rest.split([';', ',', '}', ':', '<'])
                    .next()
                    .unwrap_or_default(),
            ],
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_lock_is_of_crate_locks() {
    for (path, text) in sources(&source_root()) {
        assert!(!text.contains("parking_lot::"), "{}", path.display());
        let names = imported_from_sync(&text);
        let wrong: Vec<_> = names
            .iter()
            .filter(|name| OTHER_LOCKS.contains(&name.as_str()))
            .collect();
        assert!(wrong.is_empty(), "{}: {wrong:?}", path.display());
    }
}

/// Each file of the development server by its path in `use`, such as `world::state`.
fn devserver() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("devserver/src");
    let named = sources(&root).into_iter().map(|(path, text)| {
        let path = path
            .strip_prefix(&root)
            .expect("a source is below its root");
        let name = path.with_extension("").display().to_string();
        (name.replace('/', "::"), text)
    });
    named.collect()
}

/// The paths behind `crate::` in the code of a file.
fn used_paths(text: &str) -> BTreeSet<String> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let lines = lines_with(text, &["crate::"]);
    let paths = lines.iter().flat_map(|line| line.split("crate::").skip(1));
    let paths = paths.filter_map(|rest| rest.split(|c| !is_path(c)).next());
    paths.map(str::to_owned).collect()
}

/// The file that a path leads into.
fn file_of(files: &BTreeMap<String, String>, path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split("::").collect();
    let prefixes = (1..=parts.len()).rev().map(|many| parts[..many].join("::"));
    prefixes.into_iter().find(|name| files.contains_key(name))
}

/// Each file's name, and the names of those that it uses.
type Uses = BTreeMap<String, BTreeSet<String>>;

/// What is left when files that use none of the rest, or that none of the rest uses, go.
fn circles(mut uses: Uses) -> Uses {
    loop {
        let left = uses.clone();
        let is_used = |file: &String| left.values().any(|used| used.contains(file));
        uses.retain(|file, used| {
            used.retain(|file| left.contains_key(file));
            !used.is_empty() && is_used(file)
        });
        if uses.len() == left.len() {
            return uses;
        }
    }
}

#[test]
fn no_folder_of_the_development_server_names_one_after_it() {
    let place = |path: &str| {
        let folder = path.split("::").next().unwrap_or_default();
        DEVSERVER.iter().position(|name| *name == folder)
    };
    for (name, text) in devserver() {
        let own = place(&name);
        assert!(
            own.is_some() || matches!(name.as_str(), "main" | "parent"),
            "{name} stands in none of {DEVSERVER:?}"
        );
        for path in used_paths(&text).iter().filter(|_| own.is_some()) {
            assert!(place(path) <= own, "{name} uses {path}");
        }
    }
}

#[test]
fn no_two_files_of_the_development_server_use_each_other() {
    let files = devserver();
    let mut uses = BTreeMap::new();
    for (name, text) in &files {
        let used: BTreeSet<String> = used_paths(text)
            .iter()
            .map(|path| {
                let file = file_of(&files, path);
                file.unwrap_or_else(|| panic!("{name} uses {path}, which names no file"))
            })
            .filter(|file| file != name)
            .collect();
        uses.insert(name.clone(), used);
    }
    let circles = circles(uses);
    assert!(circles.is_empty(), "files use each other: {circles:#?}");
}

/// Each file of the protocol core but `mod.rs`, by its name, without its tests.
fn core() -> BTreeMap<String, String> {
    let root = source_root().join("protocol");
    let named = sources(&root).into_iter().filter_map(|(path, text)| {
        let name = path.strip_prefix(&root).expect("below").with_extension("");
        let name = name.display().to_string();
        let code = text.split("#[cfg(test)]\nmod").next().unwrap_or_default();
        let is_code = name != "mod" && !name.contains('/');
        // Every line but comments.
        is_code.then(|| (name, lines_with(code, &[""]).join("\n")))
    });
    named.collect()
}

/// The methods of `Core` that a file defines.
fn methods_of_core(text: &str) -> BTreeSet<String> {
    let blocks = text.split("\nimpl Core {").skip(1);
    let blocks = blocks.filter_map(|block| block.split("\n}").next());
    let lines = blocks.flat_map(|block| block.lines());
    let names = lines.filter_map(|line| {
        let at = line
            .strip_prefix("    ")
            .filter(|rest| !rest.starts_with(' '))?;
        let name = at.split_once("fn ")?.1.split(['(', '<']).next()?;
        Some(name.to_owned())
    });
    names.collect()
}

#[test]
fn no_two_files_of_the_core_use_each_other() {
    let files = core();
    assert!(files.contains_key("core") && files.contains_key("drive"));
    let methods: BTreeMap<_, _> = files
        .iter()
        .map(|(name, text)| (name, methods_of_core(text)))
        .collect();
    assert!(methods.values().map(BTreeSet::len).sum::<usize>() > 50);
    let mut uses = Uses::new();
    for (name, text) in &files {
        let code: String = text.split_whitespace().collect();
        let imports = |other: &String| {
            let (alone, listed) = (format!("super::{other}"), format!("{other}::"));
            let list = code.split("usesuper::{").skip(1);
            code.contains(&format!("{alone}::"))
                || list
                    .map(|rest| rest.split("};").next().unwrap_or_default())
                    .any(|list| {
                        list.split(',')
                            .any(|item| item == *other || item.starts_with(&listed))
                    })
        };
        let calls = |other: &String| {
            let mut names = methods[other].iter();
            names.any(|method| code.contains(&format!("self.{method}(")))
        };
        let used = files.keys().filter(|other| *other != name);
        let used = used.filter(|other| imports(other) || calls(other));
        uses.insert(name.clone(), used.cloned().collect());
    }
    let circles = circles(uses);
    assert!(circles.is_empty(), "files use each other: {circles:#?}");
}
