//! What a server or a proxy sends, through the transports, over sockets.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use opamp::transport::http::Http;
use opamp::transport::proxy::Choice;
use opamp::transport::websocket::{News, WebSocket};
use opamp::transport::{
    Endpoint, Failure, Headers, Limits, Proxies, Proxy, Redirects, Request, Resolver, Settings,
    Wake, Watch,
};
use tungstenite::handshake::derive_accept_key;

use crate::parsers::check_words;

const UID: &str = "0190a5b2-7c3d-7e4f-8a9b-0c1d2e3f4a5b";
const LIMIT: usize = 64 * 1024;
/// Between the bytes that are sent at once and those that follow what the client says next.
const TURN: &[u8] = b"\xff\xfe";
const TURN_TIME: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

/// What is to be said to whoever connects.
type Script = Arc<Mutex<Vec<u8>>>;

struct Patient;

impl Watch for Patient {
    fn check(&self) -> ControlFlow<(), Option<Instant>> {
        ControlFlow::Continue(None)
    }
}

struct Rig {
    script: Script,
    http: Http,
    socket: WebSocket,
    headers: Arc<Headers>,
}

thread_local! {
    static UNIX: RefCell<Rig> = RefCell::new(unix());
    static PROXIED: RefCell<Vec<Rig>> = RefCell::new(proxied());
}

/// The answer to one POST.
pub(crate) fn answers(input: &[u8]) {
    UNIX.with_borrow_mut(|rig| rig.post(input));
}

/// The answer to an upgrade, and frames: a first odd byte stands for the right answer.
pub(crate) fn frames(input: &[u8]) {
    UNIX.with_borrow_mut(|rig| match input.split_first() {
        Some((first, frames)) if first & 1 == 1 => {
            let right = b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
                Sec-WebSocket-Accept: @\r\n\r\n";
            rig.talk(&[&right[..], frames].concat());
        }
        Some((_, answer)) => rig.talk(answer),
        None => {}
    });
}

/// The first byte chooses the proxy and what passes through it.
pub(crate) fn proxies(input: &[u8]) {
    let Some((first, script)) = input.split_first() else {
        return;
    };
    PROXIED.with_borrow_mut(|rigs| {
        let count = rigs.len();
        let rig = &mut rigs[usize::from(*first) % count];
        if first & 0x80 == 0 {
            rig.talk(script);
        } else {
            rig.post(script);
        }
    });
}

impl Rig {
    fn new(script: &Script, urls: [&str; 2], proxies: &Proxies) -> Rig {
        let mut headers = Headers::default();
        headers
            .set("Authorization", "Bearer canary-token-4f1d")
            .unwrap();
        let settings = urls.map(|url| settings(url, proxies.clone()));
        let [http, socket] = settings;
        let parts = || (Wake::new().unwrap(), Arc::new(Patient));
        let ((wake, watch), (other, patient)) = (parts(), parts());
        Rig {
            script: script.clone(),
            http: Http::with_resolver(http, wake, watch, Resolver::default()),
            socket: WebSocket::new(socket, other, patient, Resolver::default()),
            headers: Arc::new(headers),
        }
    }

    fn post(&mut self, script: &[u8]) {
        script.clone_into(&mut self.script.lock().unwrap());
        let request = Request {
            headers: &self.headers,
            instance_uid: UID,
            body: b"message",
        };
        match self.http.exchange(&request) {
            Ok(answer) => assert!(answer.body.len() <= LIMIT),
            Err(failure) => check(&failure),
        }
        self.http.forget();
    }

    fn talk(&mut self, script: &[u8]) {
        script.clone_into(&mut self.script.lock().unwrap());
        if let Err(failure) = self.socket.connect(&self.headers, UID) {
            return check(&failure);
        }
        self.socket.send(b"\0message".to_vec(), Some(7));
        // Each byte that came can be news, and so can what we do.
        for _ in 0..script.len() + 100 {
            match self.socket.rest(Some(LONG), &mut || false) {
                Some(News::Over(failure)) => return check(&failure),
                Some(News::Broken { code, failure }) => {
                    check(&failure);
                    self.socket.close(code);
                }
                Some(News::Message(bytes)) => assert!(bytes.len() <= LIMIT),
                Some(_) => {}
                None => panic!("the end of the connection is not seen"),
            }
        }
        panic!("a connection without end");
    }
}

fn check(failure: &Failure) {
    check_words(&failure.text);
    assert!(failure.text.len() < 1000, "{}", failure.text);
    let bare = failure.text.to_ascii_lowercase();
    assert!(!bare.contains("canary"), "a secret is told: {bare}");
}

fn settings(url: &str, proxies: Proxies) -> Settings {
    Settings {
        endpoint: Endpoint::parse(url).unwrap(),
        trust: None,
        proxies,
        redirects: Redirects {
            limit: 3,
            allowed: Vec::new(),
        },
        limits: Limits {
            message: LIMIT,
            close: Duration::from_millis(50),
            ..Limits::default()
        },
        compress_above: Some(4),
        user_agent_prefix: None,
        seed: 7,
    }
}

fn unix() -> Rig {
    let folder = std::env::temp_dir().join(format!("opamp-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("socket");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let script = Script::default();
    let said = script.clone();
    thread::spawn(move || {
        for peer in listener.incoming() {
            let mut peer = peer.unwrap();
            peer.set_read_timeout(Some(TURN_TIME)).unwrap();
            let _ = serve(&mut peer, &said, UnixStream::shutdown);
        }
    });
    let path = path.to_str().unwrap().replace('/', "%2F");
    let urls = [
        format!("http+unix://{path}/x"),
        format!("ws+unix://{path}/x"),
    ];
    Rig::new(&script, [&urls[0], &urls[1]], &Proxies::default())
}

fn proxied() -> Vec<Rig> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap();
    let script = Script::default();
    let said = script.clone();
    thread::spawn(move || {
        for peer in listener.incoming() {
            let mut peer = peer.unwrap();
            peer.set_nodelay(true).unwrap();
            peer.set_read_timeout(Some(TURN_TIME)).unwrap();
            let _ = serve(&mut peer, &said, TcpStream::shutdown);
        }
    });
    let kinds = [
        "http://",
        "socks5h://",
        "socks5://me:canary-word@",
        "http://me:canary-word@",
    ];
    let rig = |kind: &str| {
        let proxy = Proxy::parse(&format!("{kind}{place}")).unwrap();
        let proxies = Proxies {
            choice: Choice::Given(proxy),
            ..Proxies::default()
        };
        Rig::new(
            &script,
            ["http://192.0.2.1/x", "ws://192.0.2.1/x"],
            &proxies,
        )
    };
    kinds.map(rig).into()
}

/// Says each part of the script once the client has said something, then listens to its end.
fn serve<S: Read + Write>(
    peer: &mut S,
    script: &Script,
    shutdown: fn(&S, Shutdown) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let script = script.lock().unwrap().clone();
    let mut heard = [0; 8192];
    let mut rest = &script[..];
    let mut is_over = false;
    while !is_over {
        // Whoever waits for us while we wait for it has heard the end of the script.
        let Ok(n) = peer.read(&mut heard) else {
            break;
        };
        if n == 0 {
            return Ok(());
        }
        let turn = rest.windows(2).position(|pair| pair == TURN);
        let (part, after) = match turn {
            Some(at) => (&rest[..at], &rest[at + 2..]),
            None => (rest, &rest[rest.len()..]),
        };
        is_over = turn.is_none();
        peer.write_all(&answered(part, &heard[..n]))?;
        rest = after;
    }
    shutdown(peer, Shutdown::Write)?;
    while peer.read(&mut heard)? > 0 {}
    Ok(())
}

/// With the accept key that this request wants in place of the sign for it.
fn answered(part: &[u8], request: &[u8]) -> Vec<u8> {
    const SIGN: &[u8] = b"Accept: @";
    let head = String::from_utf8_lossy(request);
    let key = head.split("sec-websocket-key: ").nth(1);
    let key = key.and_then(|rest| rest.split('\r').next());
    let at = part.windows(SIGN.len()).position(|found| found == SIGN);
    match (key, at) {
        (Some(key), Some(at)) => {
            let (before, behind) = part.split_at(at + SIGN.len() - 1);
            [
                before,
                derive_accept_key(key.as_bytes()).as_bytes(),
                &behind[1..],
            ]
            .concat()
        }
        _ => part.to_vec(),
    }
}
