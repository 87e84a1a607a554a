//! Every line of a shell block in README.md does what it says.
mod common;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use common::*;
use serde_json::json;

#[test]
fn every_command_of_the_readme_works_as_written() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let folder = std::env::temp_dir().join(format!("devserver-readme-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    // An HTTP error shall be curl's error.
    fs::write(folder.join(".curlrc"), "fail\nshow-error\n").unwrap();
    let plain = Server::start(&[]);
    let tls = Server::start(&["--tls", folder.join("tls").to_str().unwrap()]);
    let mut agent = socket::Socket::open(&plain);
    agent.exchange(&description()).expect("an answer");
    let (mut commands, mut is_shell, mut section) = (0, false, "");
    for line in readme.lines() {
        section = line.strip_prefix("## ").unwrap_or(section);
        if line.starts_with("```") {
            is_shell = line == "```sh";
            continue;
        }
        if !is_shell {
            continue;
        }
        let server = if section == "TLS" { &tls } else { &plain };
        let api = server.ready["api"]
            .as_str()
            .unwrap()
            .trim_end_matches("/api");
        let command = line.replace("http://127.0.0.1:4321", api).replace(
            "http://127.0.0.1:4320/v1",
            &format!("http://127.0.0.1:{}/v1", server.port),
        );
        let out = Command::new("sh")
            .args(["-c", &command])
            .env("CURL_HOME", &folder)
            .output()
            .expect("a shell");
        let text = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{line}\n{text}");
        commands += 1;
    }
    assert!(commands > 40, "{commands} commands found");
    fs::remove_dir_all(folder).unwrap();
    assert_eq!(plain.problems(), [""; 0]);
}

/// What stands between backticks in the first column of a table, from the line that begins so to
/// the next empty line.
fn column(readme: &str, head: &str) -> BTreeSet<String> {
    let lines = readme.lines().skip_while(|line| !line.starts_with(head));
    let cells = lines
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| line.split('|').nth(1));
    let words = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    words.map(str::to_owned).collect()
}

#[test]
fn the_tables_of_the_readme_hold_every_key_of_a_script_and_no_other() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let server = Server::start(&[]);
    // A refusal names what is taken instead.
    for (head, script) in [
        ("| key of the script |", json!({"nonsense": 1})),
        ("| key of a rule |", json!({"rules": [{"nonsense": 1}]})),
        (
            "| key of `do` |",
            json!({"rules": [{"do": {"nonsense": 1}}]}),
        ),
    ] {
        let (status, answer) = server.call("POST", "/faults", Some(script));
        assert_eq!(status, 400, "{head}");
        let error = answer["error"].as_str().unwrap();
        let (_, taken) = error.split_once("expected one of ").expect(error);
        let taken: BTreeSet<String> = taken
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect();
        assert_eq!(column(&readme, head), taken, "{head}");
    }
}
