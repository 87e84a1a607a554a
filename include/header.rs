//! Makes opamp.h: the manual, the options of the table of defaults, and what cbindgen reads in
//! src/ffi. Part of build.rs.
use std::{fs, path::Path};

mod defaults {
    #![allow(dead_code, unreachable_pub)]
    include!("../src/agent/defaults.rs");
}

mod reason {
    #![allow(dead_code, unreachable_pub)]
    include!("../src/agent/reason.rs");
}

/// The order of the header.
const FILES: [&str; 19] = [
    "status",
    "convert",
    "version",
    "log",
    "constants",
    "client",
    "client/way",
    "client/report",
    "client/exchange",
    "attributes",
    "array",
    "config_map",
    "error",
    "callbacks",
    "agent",
    "event",
    "message",
    "request",
    "snapshot",
];

pub(crate) fn write(out: &Path) {
    println!("cargo::rerun-if-changed=src/ffi");
    println!("cargo::rerun-if-changed=src/agent/defaults.rs");
    println!("cargo::rerun-if-changed=src/agent/reason.rs");
    println!("cargo::rerun-if-changed=include");
    println!("cargo::rerun-if-changed=cbindgen.toml");
    let mut config =
        cbindgen::Config::from_file("cbindgen.toml").expect("cbindgen.toml is well-formed");
    config.header = Some(manual());
    config.after_includes = Some(options());
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in FILES {
        builder = builder.with_src(format!("src/ffi/{file}.rs"));
    }
    let mut text = Vec::new();
    builder
        .generate()
        .expect("cbindgen reads src/ffi")
        .write(&mut text);
    let text = String::from_utf8(text).expect("a header is UTF-8");
    fs::write(out.join("opamp.h"), polish(&text)).expect("OUT_DIR can be written");
}

fn manual() -> String {
    let manual = fs::read_to_string("include/manual.txt").expect("include/manual.txt is there");
    let mut comment = String::from("/*\n");
    for line in manual
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
        .replace("@DEFAULTS@", &table())
        .lines()
    {
        comment.push_str(format!(" * {line}").trim_end());
        comment.push('\n');
    }
    assert_eq!(
        comment.matches("*/").count() + comment.matches("/*").count(),
        1,
        "no comment in the manual"
    );
    comment + " */"
}

fn table() -> String {
    let mut table = row(
        "(heartbeat interval)",
        defaults::INTERVAL_MS,
        (defaults::INTERVAL_MIN_MS, defaults::INTERVAL_MAX_MS),
        "time between heartbeats; over HTTP, polls",
    );
    for option in defaults::TABLE {
        table += &row(
            option.name,
            option.default,
            (option.min, option.max),
            option.what,
        );
    }
    table.truncate(table.trim_end().len());
    table
}

fn row(name: &str, default: u64, (min, max): (u64, u64), what: &str) -> String {
    let range = format!("{min} .. {max}");
    let mut row = format!("  {name:<22} {default:>8}  {range:<18}");
    // Words that are too many for the line go on below.
    let (indent, mut length) = (row.len(), row.len());
    for word in what.split(' ') {
        if length + 1 + word.len() > 96 {
            row += &format!("\n{:indent$}", "");
            length = indent;
        }
        row += &format!(" {word}");
        length += 1 + word.len();
    }
    row + "\n"
}

/// For `#if`, so not in opamp.ffi.h, whose readers have no preprocessor: there is opamp_version.
fn version() -> String {
    let part = |name: &str| -> u32 { name.parse().expect("a version has numbers") };
    let number = part(env!("CARGO_PKG_VERSION_MAJOR")) << 16
        | part(env!("CARGO_PKG_VERSION_MINOR")) << 8
        | part(env!("CARGO_PKG_VERSION_PATCH"));
    format!(
        "\n/**\n \
         * The version of this header for `#if`: 0x010203 is 1.2.3. Not in opamp.ffi.h;\n \
         * opamp_version has that of the library.\n */\n\
         #define OPAMP_VERSION_NUM 0x{number:06x}\n"
    )
}

fn options() -> String {
    let mut text = version();
    text += &String::from(
        "\n/** What opamp_client_set_option sets; defaults and ranges stand at the top. */\n\
         enum opamp_option {\n",
    );
    for row in defaults::TABLE {
        text += &format!(
            "  /**\n   * {}\n   */\n  OPAMP_OPTION_{} = {},\n",
            row.what, row.name, row.id
        );
    }
    text.truncate(text.trim_end_matches(",\n").len());
    text += "\n};\n\n\
             /** Why a call failed: what opamp_error_reason returns. Later releases may add some. */\n\
             enum opamp_error_reason_code {\n";
    for (number, name, what) in reason::TABLE {
        let name = name.to_str().expect("names are ASCII").to_uppercase();
        text += &format!("  /**\n   * {what}\n   */\n  OPAMP_REASON_{name} = {number},\n");
    }
    text.truncate(text.trim_end_matches(",\n").len());
    text + "\n};"
}

/// What cbindgen can not be told: enumerations stay tags (their names are those of functions too),
/// handles go without `struct`, and the initialiser stands behind its struct.
fn polish(text: &str) -> String {
    let mut lines = String::new();
    let mut closing = None;
    for line in text.lines() {
        if let Some(name) = line
            .strip_prefix("typedef enum ")
            .and_then(|rest| rest.strip_suffix(" {"))
        {
            closing = Some(format!("}} {name};"));
            lines += &format!("enum {name} {{\n");
        } else if closing.as_deref() == Some(line) {
            closing = None;
            lines += "};\n";
        } else if line.starts_with("typedef struct ") {
            lines += &format!("{line}\n");
        } else {
            lines += &format!("{}\n", line.replace("struct opamp_", "opamp_"));
        }
        if line == "} opamp_callbacks;" {
            lines += &initialiser(text);
        }
    }
    short_comments(&lines)
}

/// A comment of one line goes on one line.
fn short_comments(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        lines.push(line.to_owned());
        let [.., open, said, close] = lines.as_slice() else {
            continue;
        };
        let is_short = open.trim() == "/**" && close.trim() == "*/";
        if let (true, Some(said)) = (is_short, said.trim().strip_prefix("* ")) {
            let short = format!("{} {said} */", open);
            lines.truncate(lines.len() - 3);
            lines.push(short);
        }
    }
    lines.join("\n") + "\n"
}

fn initialiser(text: &str) -> String {
    let slots = text
        .lines()
        .filter(|line| line.starts_with("  void (*on_"))
        .count();
    format!(
        "\n/**\n \
         * No callbacks yet:\n \
         * `opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT; callbacks.on_message = ..;`\n \
         */\n\
         #define OPAMP_CALLBACKS_INIT \\\n  {{ sizeof(opamp_callbacks){} }}\n",
        ", NULL".repeat(slots)
    )
}
