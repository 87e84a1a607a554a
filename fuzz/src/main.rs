//! Runs one target: over inputs that it makes up, or over files that are given.
//!
//! usage: `opamp-fuzz --list`
//!        `opamp-fuzz TARGET --seconds N --seed N --current FILE FOLDER`  
//!        `opamp-fuzz TARGET FILE...`                                      (plays these again)

mod boundary;
mod core;
mod coverage;
mod engine;
mod mutate;
mod net;
mod parsers;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use engine::{Campaign, Target};

const TARGETS: [Target; 10] = [
    Target::new("answers", net::answers),
    Target::new("boundary", boundary::calls),
    Target::new("certificates", parsers::certificates),
    Target::new("frames", net::frames),
    Target::new("gunzip", parsers::gunzip),
    Target::new("host", boundary::host),
    Target::new("messages", core::messages),
    Target::new("proxies", net::proxies),
    Target::new("quotes", parsers::quotes),
    Target::new("urls", parsers::urls),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    if name == "--list" {
        TARGETS
            .iter()
            .for_each(|target| println!("{}", target.name));
        return ExitCode::SUCCESS;
    }
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        eprintln!("no such target: {name}; --list names them");
        return ExitCode::from(2);
    };
    let (mut campaign, mut paths) = (Campaign::default(), Vec::new());
    let mut is_campaign = false;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_default();
        match argument.as_str() {
            "--seconds" => {
                campaign.time = Duration::from_secs(value().parse().expect("a number"));
                is_campaign = true;
            }
            "--seed" => campaign.seed = value().parse().expect("a number"),
            "--current" => campaign.current = Some(PathBuf::from(value())),
            path => paths.push(PathBuf::from(path)),
        }
    }
    if is_campaign {
        campaign.run(target, &paths);
    } else {
        engine::play(target, &paths);
    }
    ExitCode::SUCCESS
}
