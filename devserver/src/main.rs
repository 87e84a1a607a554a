//! A small OpAMP server to develop and test agents against. README.md shows what it can.
//!
//! Six folders, each of which may use those above it in this list and none below:
//! - `vocabulary`: the words of scripts, calls and the schema, and their text
//! - `world`: what the server knows and what it remembers
//! - `judge`: what a message or a connection shows of the conformance table
//! - `reply`: from a message and the rule that meets it to the steps of an answer
//! - `control`: the calls of the API, their conditions and expectations
//! - `serve`: ports, connections, TLS, HTTP and WebSocket; it answers control calls as well,
//!   on either port, and so stands below them
mod control;
mod judge;
mod parent;
mod reply;
mod serve;
mod vocabulary;
mod world;

use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::control::expect::{Judgement, List};
use crate::serve::listen::{self, Bound};
use crate::world::allowed_hosts::AllowedHosts;
use crate::world::faults::Script;
use crate::world::server::Server;
use crate::world::tls::Tls;

#[derive(Parser)]
#[command(
    version,
    about = "A small OpAMP server to develop and test agents against"
)]
struct Args {
    /// Address of both ports
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Port of OpAMP; 0 takes a free one
    #[arg(long, default_value_t = 4320)]
    port: u16,
    /// Port of the control API; 4321, or a free one with --port 0
    #[arg(long)]
    api_port: Option<u16>,
    /// Serve requests whose Host has this name, too (a container's, a proxy's); may be repeated
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Print one JSON line when ready, and end when the parent process does
    #[arg(long)]
    ready_json: bool,
    /// End when this process does; 0 for none
    #[arg(long, value_name = "PID")]
    parent_pid: Option<u32>,
    /// Take TLS, with certificates made in this folder
    #[arg(long, value_name = "DIR")]
    tls: Option<PathBuf>,
    /// Ask agents for a certificate of that folder's authority
    #[arg(long, requires = "tls")]
    client_auth: bool,
    /// Load a fault script
    #[arg(long, value_name = "FILE")]
    fault: Option<PathBuf>,
    /// Judge the expectations in this file, then end: status 0 when all came true, 1 when not
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// Write that judgement as JUnit XML
    #[arg(long, value_name = "FILE", requires = "expect")]
    junit: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime.and_then(|runtime| runtime.block_on(run(args))) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("opamp-devserver: {error}");
            ExitCode::from(2)
        }
    }
}

impl Args {
    /// The process with which the server ends, if with any.
    fn parent(&self) -> Option<u32> {
        match self.parent_pid {
            Some(pid) => (pid != 0).then_some(pid),
            None => self.ready_json.then(parent::parent).flatten(),
        }
    }
}

async fn run(args: Args) -> io::Result<ExitCode> {
    // Looked up before anybody is told that we are ready: who started us may end at once.
    let parent = args.parent();
    let api_port = args
        .api_port
        .unwrap_or(if args.port == 0 { 0 } else { 4321 });
    let opamp = Bound::new(SocketAddr::new(args.host, args.port))?;
    let control = Bound::new(SocketAddr::new(args.host, api_port))?;
    let tls = args.tls.as_ref().map(|folder| {
        Tls::new(folder, args.host, args.client_auth)
            .map_err(|error| explain(folder)(error.to_string()))
    });
    let server = Arc::new(Server::new(
        opamp.address()?,
        control.address()?,
        tls.transpose()?,
        AllowedHosts::new(args.host, args.allow_host),
    ));
    if let Some(file) = &args.fault {
        let script: Script = read(file)?;
        let checked = script.check(server.tls.as_ref());
        checked
            .and_then(|()| server.change(|state, _| state.faults.load(script)))
            .map_err(explain(file))?;
    }
    let list: Option<List> = args.expect.as_deref().map(read).transpose()?;
    if let (Some(list), Some(file)) = (&list, &args.expect) {
        list.check().map_err(explain(file))?;
    }
    // The schema is read here and not while the first agent waits.
    vocabulary::wire::agent_capabilities();
    let (opamp, control) = (opamp.listen()?, control.listen()?);
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    tell_ready(&server, args.ready_json)?;
    let judgement = tokio::select! {
        ended = listen::opamp(Arc::clone(&server), opamp) => {
            return ended.map(|()| ExitCode::SUCCESS);
        }
        ended = listen::control(Arc::clone(&server), control) => {
            return ended.map(|()| ExitCode::SUCCESS);
        }
        judgement = judged(&server, list.clone()) => Some(judgement),
        () = ended(parent) => None,
        _ = terminated.recv() => None,
        _ = interrupted.recv() => None,
    };
    let judgement = match (judgement, list) {
        (Some(judgement), _) => judgement,
        (None, Some(list)) => list.judge(&server, true).await,
        (None, None) => return Ok(ExitCode::SUCCESS),
    };
    tell(&judgement, args.junit.as_deref())
}

fn read<T: DeserializeOwned>(file: &Path) -> io::Result<T> {
    let text = fs::read(file).map_err(|error| explain(file)(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| explain(file)(error.to_string()))
}

fn explain(file: &Path) -> impl Fn(String) -> io::Error {
    let file = file.display().to_string();
    move |error| io::Error::other(format!("{file}: {error}"))
}

/// The judgement on the list, if there is one; else this never ends.
async fn judged(server: &Arc<Server>, list: Option<List>) -> Judgement {
    match list {
        Some(list) => list.judge(server, false).await,
        None => std::future::pending().await,
    }
}

/// Shows the judgement; it is the exit status too.
fn tell(judgement: &Judgement, junit: Option<&Path>) -> io::Result<ExitCode> {
    // Whoever started this may have closed the pipe; the status still tells.
    let _ = writeln!(io::stdout(), "{}", judgement.show());
    if let Some(file) = junit {
        fs::write(file, judgement.junit()).map_err(|error| explain(file)(error.to_string()))?;
    }
    Ok(if judgement.passed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn tell_ready(server: &Server, as_json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if as_json {
        let ready = json!({
            "endpoint": server.endpoint(),
            "endpoints": server.endpoints(),
            "api": server.api(),
            "port": server.address.port(),
            "pid": std::process::id(),
            "tls": server.tls.as_ref().map(|tls| &tls.files),
        });
        writeln!(out, "{ready}")?;
    } else {
        writeln!(out, "OpAMP endpoint  {}", server.endpoint())?;
        writeln!(out, "or WebSocket    {}", server.socket_endpoint())?;
        writeln!(out, "control API     {}", server.api())?;
        if let Some(tls) = &server.tls {
            let file = |name: &str| tls.files[name].as_str().unwrap_or_default().to_owned();
            writeln!(out, "an agent needs  --ca {}", file("ca"))?;
            writeln!(
                out,
                "and may have    --cert {} --key {}",
                file("cert"),
                file("key")
            )?;
        }
    }
    out.flush()
}

/// Waits for the end of the process that --parent-pid names, or that wanted the JSON line.
async fn ended(parent: Option<u32>) {
    match parent {
        // A process that is gone already ends the server too.
        Some(pid) => parent::ended(pid).await,
        None => std::future::pending().await,
    }
}
