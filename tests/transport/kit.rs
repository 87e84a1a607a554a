//! A client under test, and servers that do exactly what a test says.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use opamp::transport::http::Http;
use opamp::transport::tls::TlsSettings;
use opamp::transport::{
    Answer, Endpoint, Failure, Headers, Hop, Limits, Proxies, Redirects, Request, Resolver,
    Settings, Wake, Watch,
};

pub(crate) const UID: &str = "0190a5b2-7c3d-7e4f-8a9b-0c1d2e3f4a5b";
/// Far beyond any loaded machine: a test that waits so long has failed.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// The worker's end of the contract: goes on until told to stop.
#[derive(Default)]
pub(crate) struct Patience {
    pub(crate) is_over: AtomicBool,
    pub(crate) checks: AtomicUsize,
    /// Asked for at each check, once, from then on.
    pub(crate) ask_after: Option<Duration>,
    /// Gives up at this check.
    pub(crate) break_at: Option<usize>,
    pub(crate) hops: Mutex<Vec<Hop>>,
}

impl Watch for Patience {
    fn check(&self) -> ControlFlow<(), Option<Instant>> {
        let count = self.checks.fetch_add(1, SeqCst) + 1;
        if self.is_over.load(SeqCst) || self.break_at.is_some_and(|at| count >= at) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(self.ask_after.map(|after| Instant::now() + after))
    }

    fn on_redirect(&self, hop: Hop) {
        self.hops.lock().unwrap().push(hop);
    }
}

pub(crate) struct Rig {
    pub(crate) http: Http,
    pub(crate) wake: Wake,
    pub(crate) watch: Arc<Patience>,
    pub(crate) headers: Headers,
}

impl Rig {
    pub(crate) fn new(url: &str) -> Rig {
        Rig::with(settings(url))
    }

    pub(crate) fn with(settings: Settings) -> Rig {
        Rig::watched(settings, Patience::default(), Resolver::default())
    }

    pub(crate) fn watched(settings: Settings, watch: Patience, resolver: Resolver) -> Rig {
        let wake = Wake::new().unwrap();
        let watch = Arc::new(watch);
        let http = Http::with_resolver(settings, wake.clone(), watch.clone(), resolver);
        Rig {
            http,
            wake,
            watch,
            headers: Headers::default(),
        }
    }

    pub(crate) fn post(&mut self, body: &[u8]) -> Result<Answer, Failure> {
        self.http.exchange(&Request {
            headers: &self.headers,
            instance_uid: UID,
            body,
        })
    }

    /// The failure of one exchange.
    pub(crate) fn fail(&mut self) -> Failure {
        self.post(b"message")
            .expect_err("an answer where a failure was expected")
    }

    pub(crate) fn connections(&self) -> u64 {
        self.http.traffic().facts().connections
    }
}

pub(crate) fn settings(url: &str) -> Settings {
    Settings {
        endpoint: Endpoint::parse(url).unwrap(),
        trust: None,
        proxies: Proxies::default(),
        redirects: Redirects::default(),
        limits: Limits::default(),
        compress_above: None,
        user_agent_prefix: None,
        seed: 7,
    }
}

pub(crate) fn secure(url: &str, tls: &TlsSettings) -> Settings {
    Settings {
        trust: Some(tls.at_start().unwrap()),
        ..settings(url)
    }
}

/// A listener and a thread that plays a script on it; its panics fail the test.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(script: impl FnOnce(TcpListener) + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        Server {
            addr,
            thread: Some(thread::spawn(move || script(listener))),
        }
    }

    /// Each item answers one request of the one connection, as raw bytes.
    pub(crate) fn answering(answers: Vec<Vec<u8>>) -> Server {
        Server::start(move |listener| {
            let mut peer = listener.accept().unwrap().0;
            for answer in answers {
                Got::read(&mut peer).unwrap();
                let _ = peer.write_all(&answer);
            }
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1/opamp", self.addr)
    }

    /// Waits for the end of the script. Its sockets have no time-outs: with one, a call that a
    /// stopped process is in would end as interrupted.
    pub(crate) fn join(mut self) {
        let thread = self.thread.take().unwrap();
        let until = Instant::now() + 2 * LONG;
        while !thread.is_finished() {
            assert!(Instant::now() < until, "the server's script does not end");
            thread::park_timeout(Duration::from_millis(1));
        }
        thread.join().unwrap();
    }
}

/// One request as a server reads it.
pub(crate) struct Got {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn head(peer: &mut impl Read) -> io::Result<Got> {
        let mut all = Vec::new();
        let mut piece = [0; 16 * 1024];
        loop {
            let n = peer.read(&mut piece)?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            all.extend_from_slice(&piece[..n]);
            if let Some(end) = all.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = String::from_utf8(all[..end + 4].to_vec()).unwrap();
                return Ok(Got {
                    head,
                    body: all[end + 4..].to_vec(),
                });
            }
        }
    }

    pub(crate) fn read(peer: &mut impl Read) -> io::Result<Got> {
        let mut got = Got::head(peer)?;
        let length: usize = got.header("content-length").unwrap().parse().unwrap();
        let start = got.body.len();
        got.body.resize(length, 0);
        peer.read_exact(&mut got.body[start..])?;
        Ok(got)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} came {} times", all.len());
        all.first().copied()
    }

    fn all(&self, name: &str) -> Vec<&str> {
        let lines = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "));
        lines
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v)
            .collect()
    }
}

/// A whole answer with a length and the right content type.
pub(crate) fn ok(body: &[u8]) -> Vec<u8> {
    answer("200 OK", "Content-Type: application/x-protobuf\r\n", body)
}

pub(crate) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut all =
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n").into_bytes();
    all.extend_from_slice(body);
    all
}

pub(crate) fn chunked(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut all =
        format!("HTTP/1.1 {status}\r\n{headers}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.chunks(777) {
        all.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        all.extend_from_slice(chunk);
        all.extend_from_slice(b"\r\n");
    }
    all.extend_from_slice(b"0\r\n\r\n");
    all
}

pub(crate) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// A listener whose queue is full: a connect to it gets no answer at all.
pub(crate) struct BlackHole {
    pub(crate) listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    #[allow(unsafe_code)] // std has no way to choose the backlog
    pub(crate) fn new() -> BlackHole {
        use std::os::fd::AsRawFd;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // SAFETY: a listening socket of ours.
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
        let addr = listener.local_addr().unwrap();
        let fill = |_| TcpStream::connect_timeout(&addr, Duration::from_millis(300)).ok();
        let queue = (0..16).map_while(fill).collect::<Vec<_>>();
        assert!(queue.len() < 16, "the queue never filled");
        BlackHole {
            listener,
            _queue: queue,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }
}
