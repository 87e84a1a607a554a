//! The host's own HTTP stack: a request is handed out and ended once, from any thread.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::locks::Mutex;
use bytes::Bytes;

use super::answer::{self, BodyError, Head, Plan};
use super::http::user_agent;
use super::quote::{MOST_SHOWN, Secrets, shown};
use super::vigil::{Cut, Step, Vigil};
use super::{Answer, FailKind, Failure, ReachedServer, Request, Settings, Traffic, Wake, Watch};

/// One request for the host to carry out. Ended by the first of `complete`, `fail`, its drop (as
/// not reached) and its deadline; whatever comes later changes nothing.
pub struct HostRequest {
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Bytes,
    deadline: Instant,
    end: Arc<End>,
}

/// The request has been ended before, or the exchange is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AlreadyEnded;

/// The transport that hands requests to the host. Used by one thread, the worker.
pub struct Host {
    settings: Settings,
    wake: Wake,
    watch: Arc<dyn Watch>,
    hand_out: Box<dyn Fn(HostRequest) + Send>,
    traffic: Arc<Traffic>,
}

/// What a gzip body begins with.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// What the worker waits for.
struct End {
    state: Mutex<State>,
    wake: Wake,
}

enum State {
    Open,
    Ended(Outcome),
    /// The outcome was taken, or nobody waits for one any more.
    Over,
}

enum Outcome {
    Complete {
        status: u16,
        headers: Vec<(String, Vec<u8>)>,
        body: Bytes,
    },
    Failed {
        reached: ReachedServer,
        text: String,
    },
}

impl HostRequest {
    pub fn method(&self) -> &str {
        "POST"
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// All headers to send, the library's own included.
    pub fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.headers
    }

    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// What is left of the time for the whole exchange.
    pub fn timeout(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The answer that the host's stack received, any status. A gzip body may be given as it came,
    /// with its `Content-Encoding`, or decoded.
    pub fn complete(
        &self,
        status: u16,
        headers: Vec<(String, Vec<u8>)>,
        body: Bytes,
    ) -> Result<(), AlreadyEnded> {
        self.end.with(Outcome::Complete {
            status,
            headers,
            body,
        })
    }

    /// `text` is shown in events and logs, cut to 256 bytes.
    pub fn fail(&self, reached: ReachedServer, text: &str) -> Result<(), AlreadyEnded> {
        self.end.with(Outcome::Failed {
            reached,
            text: text.to_owned(),
        })
    }
}

impl Drop for HostRequest {
    fn drop(&mut self) {
        let _ = self.fail(
            ReachedServer::No,
            "the host let the request go without ending it",
        );
    }
}

impl Host {
    /// `hand_out` gets each request on the worker thread and must not block (it puts it into the
    /// event queue).
    pub fn new(
        settings: Settings,
        wake: Wake,
        watch: Arc<dyn Watch>,
        hand_out: Box<dyn Fn(HostRequest) + Send>,
    ) -> Host {
        Host {
            settings,
            wake,
            watch,
            hand_out,
            traffic: Arc::default(),
        }
    }

    /// Blocks like [`Http::exchange`](super::http::Http::exchange), with the same rules for
    /// answers. A request given up or overdue may still be carried out by the host.
    pub fn exchange(&mut self, request: &Request<'_>) -> Result<Answer, Failure> {
        let result = self.ask(request);
        let secrets = Secrets::new(request.headers, &self.settings.proxies);
        result.map_err(|failure| secrets.in_failure(failure))
    }

    fn ask(&mut self, request: &Request<'_>) -> Result<Answer, Failure> {
        self.traffic.on_exchange();
        let limits = self.settings.limits;
        if let Some(refusal) = super::http::too_large(request, &limits) {
            return Err(refusal);
        }
        let mut vigil = Vigil::begin(self.wake.clone(), self.watch.clone(), limits.exchange)
            .map_err(|cut| failure_of(&cut, ReachedServer::No))?;
        vigil.enter(Step::HostStack, None);
        let state = Mutex::new(State::Open);
        let end = Arc::new(End {
            state,
            wake: self.wake.clone(),
        });
        (self.hand_out)(HostRequest {
            url: self.settings.endpoint.as_str().to_owned(),
            headers: self.headers(request),
            body: Bytes::copy_from_slice(request.body),
            deadline: vigil.whole_end(),
            end: end.clone(),
        });
        match end.await_outcome(&mut vigil) {
            Err(cut) => Err(failure_of(&cut, ReachedServer::Maybe)),
            Ok(Outcome::Failed { reached, text }) => {
                let text = format!("host transport: {}", shown(&text, MOST_SHOWN));
                Err(Failure::new(FailKind::Host, reached, text))
            }
            Ok(Outcome::Complete {
                status,
                headers,
                body,
            }) => {
                self.traffic
                    .on_moved(request.body.len() as u64, body.len() as u64);
                let answer = (status, &headers[..], body);
                judge(answer, limits.message, &mut vigil)
            }
        }
    }

    pub fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }

    fn headers(&self, request: &Request<'_>) -> Vec<(String, Vec<u8>)> {
        let agent = user_agent(self.settings.user_agent_prefix.as_deref());
        let mut all = vec![
            ("User-Agent".to_owned(), agent.as_bytes().to_vec()),
            (
                "Content-Type".to_owned(),
                b"application/x-protobuf".to_vec(),
            ),
            (
                "OpAMP-Instance-UID".to_owned(),
                request.instance_uid.as_bytes().to_vec(),
            ),
        ];
        for (name, value) in request.headers.iter() {
            all.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            all.push((name.to_owned(), value.to_vec()));
        }
        all
    }
}

impl End {
    fn with(&self, outcome: Outcome) -> Result<(), AlreadyEnded> {
        let mut state = self.state.lock();
        if !matches!(*state, State::Open) {
            return Err(AlreadyEnded);
        }
        *state = State::Ended(outcome);
        drop(state);
        self.wake.wake();
        Ok(())
    }

    fn await_outcome(&self, vigil: &mut Vigil) -> Result<Outcome, Cut> {
        loop {
            let mut state = self.state.lock();
            if let State::Ended(_) = *state {
                if let State::Ended(outcome) = std::mem::replace(&mut *state, State::Over) {
                    return Ok(outcome);
                }
            }
            drop(state);
            if let Err(cut) = vigil.wait_any(&mut [], None) {
                *self.state.lock() = State::Over;
                return Err(cut);
            }
        }
    }
}

fn judge(
    (status, headers, body): (u16, &[(String, Vec<u8>)], Bytes),
    limit: usize,
    vigil: &mut Vigil,
) -> Result<Answer, Failure> {
    let text = |name: &str| {
        let found = headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    };
    let head = Head {
        status,
        content_type: text("content-type"),
        content_encoding: text("content-encoding"),
        // What counts is the body that was handed over.
        content_length: Some(body.len() as u64),
        retry_after: text("retry-after"),
    };
    match head.plan(limit) {
        // A stack that undid gzip may have left the header standing.
        Plan::Take { is_gzip } if is_gzip && body.starts_with(GZIP) => {
            let mut source = Watched {
                rest: &body,
                vigil,
                cut: None,
            };
            let undone = answer::read_gzip(&mut source, limit);
            match (undone, source.cut) {
                (Ok(body), _) => Ok(Answer { status, body }),
                (Err(_), Some(cut)) => Err(failure_of(&cut, ReachedServer::Maybe)),
                (Err(e), None) => Err(head.body_failure(e, limit)),
            }
        }
        Plan::Take { .. } if body.len() > limit => {
            Err(head.body_failure(BodyError::TooLarge, limit))
        }
        Plan::Take { .. } => Ok(Answer { status, body }),
        Plan::Show { kind, text } => head.shown(kind, text, body.into(), true),
        Plan::Leave { kind, text } => Err(head.failure(kind, text)),
    }
}

/// Bytes that lie there, with a look around between them: undoing gzip takes its time.
struct Watched<'a> {
    rest: &'a [u8],
    vigil: &'a mut Vigil,
    cut: Option<Cut>,
}

impl Read for Watched<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Err(cut) = self.vigil.look() {
            self.cut = Some(cut);
            return Err(io::ErrorKind::Other.into());
        }
        self.rest.read(out)
    }
}

fn failure_of(cut: &Cut, reached: ReachedServer) -> Failure {
    let (kind, text) = match cut {
        Cut::GivenUp => (FailKind::GivenUp, "given up".to_owned()),
        Cut::Timeout(step) => (FailKind::Timeout, format!("timeout: {}", step.overdue())),
        Cut::Closed(text) => (FailKind::Io, (*text).to_owned()),
        Cut::Tls(text) => (FailKind::Tls, text.clone()),
        Cut::Io(e) => (FailKind::Io, e.to_string()),
    };
    Failure::new(kind, reached, text)
}
