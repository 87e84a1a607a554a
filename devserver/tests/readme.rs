//! Every line of a shell block in README.md does what it says.
mod common;

use std::fs;
use std::process::Command;

use common::*;

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
