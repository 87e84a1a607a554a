//! Dependencies point one way: ffi -> agent -> (protocol, transport). The compiler does not see layers; this does.

use std::{
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

/// The sanitizer that finds data races does not see std's locks, and a forked child can not use parking_lot's.
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
