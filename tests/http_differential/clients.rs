//! Both clients, one loopback server that says the same bytes to each, and what each makes of them.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use opamp::transport::http::Http;
use opamp::transport::{
    Endpoint, FailKind, Headers, Limits, Proxies, Redirects, Request, Settings, Wake, Watch,
};

const UID: &str = "0190a5b2-7c3d-7e4f-8a9b-0c1d2e3f4a5b";
const BODY: &[u8] = b"message";
/// For a test that hangs: the end of each response ends every wait.
const NET: Duration = Duration::from_secs(20);

/// What a client makes of a response.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Nothing, and why.
    Refused(String),
    Response(u16, Body),
}

#[derive(Debug)]
pub(crate) enum Body {
    Whole(Vec<u8>),
    /// It begins, and then is no HTTP, or ends early.
    Broken(String),
    /// Ours shows no more than an excerpt of a body that is no message.
    Unseen,
}

impl Outcome {
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, Outcome::Refused(_))
    }

    /// Of ours, with one of ureq's.
    pub(crate) fn agrees_with(&self, theirs: &Outcome) -> bool {
        match (self, theirs) {
            (Outcome::Refused(_), Outcome::Refused(_)) => true,
            (Outcome::Refused(_), Outcome::Response(_, Body::Broken(_))) => true,
            (Outcome::Response(status, Body::Unseen), Outcome::Response(other, _)) => {
                status == other
            }
            (
                Outcome::Response(status, Body::Whole(body)),
                Outcome::Response(other, Body::Whole(theirs)),
            ) => (status, body) == (other, theirs),
            _ => false,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Refused(why) => write!(f, "refused, {why}"),
            Outcome::Response(status, Body::Whole(body)) => {
                write!(f, "{status} with \"{}\"", body.escape_ascii())
            }
            Outcome::Response(status, Body::Broken(why)) => write!(f, "{status}, but {why}"),
            Outcome::Response(status, Body::Unseen) => write!(f, "{status}"),
        }
    }
}

struct Patient;

impl Watch for Patient {
    fn check(&self) -> ControlFlow<(), Option<Instant>> {
        ControlFlow::Continue(None)
    }
}

pub(crate) struct Clients {
    url: String,
    say: Sender<Vec<u8>>,
    ours: Mutex<Http>,
    ureq: ureq::Agent,
}

impl Clients {
    pub(crate) fn new() -> Clients {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/opamp", listener.local_addr().unwrap());
        let (say, said) = mpsc::channel();
        // Ends with the channel.
        thread::spawn(move || serve(&listener, &said));
        Clients {
            ours: Mutex::new(ours(&url)),
            ureq: ureq(),
            url,
            say,
        }
    }

    pub(crate) fn ours(&self, response: &[u8]) -> Outcome {
        self.say.send(response.to_vec()).unwrap();
        let mut http = self.ours.lock().unwrap();
        let result = http.exchange(&Request {
            headers: &Headers::default(),
            instance_uid: UID,
            body: BODY,
        });
        // The server waits for the end of each connection.
        http.forget();
        match result {
            Ok(answer) => Outcome::Response(answer.status, Body::Whole(answer.body.to_vec())),
            Err(failure) => match (failure.kind, failure.status) {
                (FailKind::Status | FailKind::Decode, Some(status)) => {
                    Outcome::Response(status, Body::Unseen)
                }
                (FailKind::Timeout, _) => panic!("ours hangs: {failure}"),
                _ => Outcome::Refused(failure.text.to_string()),
            },
        }
    }

    pub(crate) fn ureq(&self, response: &[u8]) -> Outcome {
        self.say.send(response.to_vec()).unwrap();
        let request = self.ureq.post(&self.url);
        let request = request.header("content-type", "application/x-protobuf");
        match request.send(BODY) {
            Err(ureq::Error::Timeout(step)) => panic!("ureq hangs in {step}"),
            Err(e) => Outcome::Refused(e.to_string()),
            Ok(mut response) => {
                let status = response.status().as_u16();
                let body = response
                    .body_mut()
                    .with_config()
                    .limit(u64::MAX)
                    .read_to_vec();
                let body = body.map_or_else(|e| Body::Broken(e.to_string()), Body::Whole);
                Outcome::Response(status, body)
            }
        }
    }
}

fn ours(url: &str) -> Http {
    let settings = Settings {
        endpoint: Endpoint::parse(url).unwrap(),
        trust: None,
        proxies: Proxies::default(),
        redirects: Redirects::default(),
        limits: Limits {
            first_byte: NET,
            exchange: NET,
            ..Limits::default()
        },
        compress_above: None,
        user_agent_prefix: None,
        seed: 7,
    };
    Http::new(settings, Wake::new().unwrap(), Arc::new(Patient))
}

/// Every status is a response, none is followed, and no connection is kept. Its bound on a head is
/// out of the way: it also counts what has come behind the head, and so depends on time.
fn ureq() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(0)
        .max_response_header_size(1024 * 1024)
        .input_buffer_size(96 * 1024)
        .output_buffer_size(4096)
        // With one on looking up names, too, it would make a thread for each.
        .timeout_recv_response(Some(NET))
        .timeout_recv_body(Some(NET));
    config.build().new_agent()
}

/// One connection for each response: hears the request, says the bytes, ends its side.
fn serve(listener: &TcpListener, said: &Receiver<Vec<u8>>) {
    for response in said {
        let mut peer = listener.accept().unwrap().0;
        peer.set_nodelay(true).unwrap();
        peer.set_read_timeout(Some(NET)).unwrap();
        peer.set_write_timeout(Some(NET)).unwrap();
        // Who has heard enough closes early, and may reset what is still on its way.
        let _ = answer(&mut peer, &response);
    }
}

fn answer(peer: &mut TcpStream, response: &[u8]) -> io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !(request.ends_with(BODY) && request.windows(4).any(|end| end == b"\r\n\r\n")) {
        match peer.read(&mut buffer)? {
            0 => return Ok(()),
            n => request.extend_from_slice(&buffer[..n]),
        }
    }
    peer.write_all(response)?;
    peer.shutdown(Shutdown::Write)?;
    while peer.read(&mut buffer)? > 0 {}
    Ok(())
}
