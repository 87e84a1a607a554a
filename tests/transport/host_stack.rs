//! The host's own HTTP stack: one request, one end, the same rules for answers.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use opamp::transport::host::{AlreadyEnded, Host, HostRequest};
use opamp::transport::{
    Answer, FailKind, Failure, Headers, ReachedServer, Request, Settings, Wake, Watch,
};

use crate::kit::{LONG, Patience, UID, gzip, settings};

struct Rig {
    host: Host,
    requests: Receiver<HostRequest>,
    wake: Wake,
    watch: Arc<Patience>,
    headers: Headers,
}

impl Rig {
    fn new(change: impl FnOnce(&mut Settings)) -> Rig {
        let mut settings = settings("http://127.0.0.1:1/v1/opamp?a=b");
        change(&mut settings);
        let (wake, watch) = (Wake::new().unwrap(), Arc::new(Patience::default()));
        let (give, requests) = mpsc::channel();
        let hand_out = Box::new(move |request| {
            let _ = give.send(request);
        });
        let host = Host::new(settings, wake.clone(), watch.clone(), hand_out);
        Rig {
            host,
            requests,
            wake,
            watch,
            headers: Headers::default(),
        }
    }

    /// One exchange while another thread does as `end` says with the request.
    fn play(self, end: impl FnOnce(HostRequest) + Send + 'static) -> Result<Answer, Failure> {
        let Rig {
            mut host,
            requests,
            headers,
            ..
        } = self;
        let thread = thread::spawn(move || end(requests.recv_timeout(LONG).unwrap()));
        let result = host.exchange(&Request {
            headers: &headers,
            instance_uid: UID,
            body: b"message",
        });
        thread.join().unwrap();
        result
    }
}

fn plain() -> Rig {
    Rig::new(|_| {})
}

fn named(name: &str, value: &str) -> Vec<(String, Vec<u8>)> {
    vec![(name.to_owned(), value.as_bytes().to_vec())]
}

#[test]
fn a_request_carries_everything_and_is_ended_once() {
    let mut rig = Rig::new(|s| s.user_agent_prefix = Some("host/1".to_owned()));
    rig.headers.set("Authorization", "Bearer t").unwrap();
    let answer = rig.play(|request| {
        assert_eq!(request.method(), "POST");
        assert_eq!(request.url(), "http://127.0.0.1:1/v1/opamp?a=b");
        assert_eq!(&request.body()[..], b"message");
        let timeout = request.timeout();
        assert!(timeout > Duration::from_secs(30) && timeout <= Duration::from_secs(60));
        let header = |name: &str| {
            let mut all = request
                .headers()
                .iter()
                .filter(|(n, _)| n.eq_ignore_ascii_case(name));
            let value = String::from_utf8(all.next().unwrap().1.clone()).unwrap();
            assert!(all.next().is_none());
            value
        };
        assert_eq!(header("content-type"), "application/x-protobuf");
        assert_eq!(header("opamp-instance-uid"), UID);
        assert_eq!(header("user-agent"), "host/1 libopamp/0.1.0");
        assert_eq!(header("authorization"), "Bearer t");
        // [HTTP-04] The host's stack asks for what it undoes itself.
        let is_asked = |(name, _): &(String, _)| name.eq_ignore_ascii_case("accept-encoding");
        assert!(!request.headers().iter().any(is_asked));
        let answer = Bytes::from_static(b"answer");
        assert_eq!(request.complete(200, Vec::new(), answer), Ok(()));
        assert_eq!(
            request.complete(200, Vec::new(), Bytes::new()),
            Err(AlreadyEnded)
        );
        assert_eq!(request.fail(ReachedServer::No, "late"), Err(AlreadyEnded));
    });
    assert_eq!(answer.unwrap().body, &b"answer"[..]);
}

#[test]
fn answers_follow_the_rules_of_http() {
    let of = |status, headers: Vec<(String, Vec<u8>)>, body: Vec<u8>| {
        let rig = Rig::new(|s| s.limits.message = 10_000);
        rig.play(move |request| request.complete(status, headers, body.into()).unwrap())
    };
    let big = vec![5; 10_000];
    assert_eq!(of(204, Vec::new(), Vec::new()).unwrap().status, 204);
    let packed = named("Content-Encoding", "gzip");
    assert_eq!(of(200, packed.clone(), gzip(&big)).unwrap().body, big);
    assert_eq!(of(200, packed.clone(), big.clone()).unwrap().body, big);
    let kind = |r: Result<Answer, Failure>| r.unwrap_err().kind;
    assert_eq!(kind(of(200, Vec::new(), vec![5; 10_001])), FailKind::Size);
    assert_eq!(
        kind(of(200, packed.clone(), gzip(&[5; 10_001]))),
        FailKind::Size
    );
    assert_eq!(
        kind(of(200, packed, b"\x1f\x8bnot".to_vec())),
        FailKind::Decode
    );
    assert_eq!(
        kind(of(200, named("content-type", "text/html"), b"<p>".to_vec())),
        FailKind::Decode
    );
    let mut page = named("content-type", "text/html");
    page.extend(named("content-encoding", "gzip"));
    assert_eq!(kind(of(200, page, b"not gzip".to_vec())), FailKind::Decode);
    assert_eq!(kind(of(201, Vec::new(), Vec::new())), FailKind::Status);
    let busy = of(503, named("RETRY-AFTER", "9"), b"busy".to_vec()).unwrap_err();
    assert_eq!((busy.kind, busy.status), (FailKind::Status, Some(503)));
    assert_eq!(busy.retry_after, Some(Duration::from_secs(9)));
    assert_eq!(&*busy.text, "HTTP 503 Service Unavailable: busy");
    let packed = of(503, named("Content-Encoding", "gzip"), gzip(b"packed"));
    let text = packed.unwrap_err().text;
    assert_eq!(&*text, "HTTP 503 Service Unavailable: packed");
}

/// [LOG-11] [LIFE-03] A body that takes long to undo is not undone to its end when nobody waits for
/// it.
#[test]
fn the_watch_ends_the_undoing_of_gzip() {
    let rig = Rig::new(|s| s.limits.message = 1 << 30);
    let (wake, watch) = (rig.wake.clone(), rig.watch.clone());
    let failure = rig
        .play(move |request| {
            let body = gzip(&vec![5; 200 << 20]);
            let packed = named("Content-Encoding", "gzip");
            request.complete(200, packed, body.into()).unwrap();
            watch.is_over.store(true, SeqCst);
            wake.wake();
        })
        .unwrap_err();
    assert_eq!(failure.kind, FailKind::GivenUp, "{failure}");
}

#[test]
fn failures_of_the_host_say_whether_the_server_was_reached() {
    for reached in [ReachedServer::No, ReachedServer::Maybe] {
        let failure = plain()
            .play(move |r| r.fail(reached, "no\nroute").unwrap())
            .unwrap_err();
        assert_eq!((failure.kind, failure.reached), (FailKind::Host, reached));
        assert_eq!(&*failure.text, "host transport: no route");
    }
    let mut rig = plain();
    rig.headers
        .set("Authorization", "Bearer s3cr3t-token")
        .unwrap();
    let echo = |r: HostRequest| {
        r.fail(ReachedServer::Maybe, "sent Bearer s%33CR3T\n-token")
            .unwrap()
    };
    let echoed = rig.play(echo).unwrap_err();
    assert_eq!(
        &*echoed.text,
        "host transport: (not shown: it repeats a secret)"
    );
    let dropped = plain().play(drop).unwrap_err();
    assert_eq!(
        (dropped.kind, dropped.reached),
        (FailKind::Host, ReachedServer::No)
    );
}

/// [HTTP-18]
#[test]
fn a_request_that_is_never_ended_meets_its_bound_and_a_late_end_is_harmless() {
    let rig = Rig::new(|s| s.limits.exchange = Duration::from_millis(100));
    let (keep, kept) = mpsc::channel();
    let start = Instant::now();
    let failure = rig
        .play(move |request| keep.send(request).unwrap())
        .unwrap_err();
    assert!(start.elapsed() >= Duration::from_millis(100));
    assert_eq!(
        (failure.kind, failure.reached),
        (FailKind::Timeout, ReachedServer::Maybe)
    );
    let late = kept.recv().unwrap();
    assert_eq!(late.timeout(), Duration::ZERO);
    assert_eq!(
        late.complete(200, Vec::new(), Bytes::new()),
        Err(AlreadyEnded)
    );
}

/// [LIFE-03]
#[test]
fn the_watch_ends_the_wait_for_the_host() {
    let rig = plain();
    let (wake, watch) = (rig.wake.clone(), rig.watch.clone());
    let (keep, kept) = mpsc::channel();
    let failure = rig
        .play(move |request| {
            watch.is_over.store(true, SeqCst);
            wake.wake();
            keep.send(request).unwrap();
        })
        .unwrap_err();
    assert_eq!(
        (failure.kind, failure.reached),
        (FailKind::GivenUp, ReachedServer::Maybe)
    );
    assert_eq!(
        kept.recv().unwrap().fail(ReachedServer::No, "late"),
        Err(AlreadyEnded)
    );
}

/// An end that comes while the request is being handed out is not lost.
#[test]
fn a_request_may_be_ended_before_it_is_waited_for() {
    struct Calm;
    impl Watch for Calm {
        fn check(&self) -> ControlFlow<(), Option<Instant>> {
            ControlFlow::Continue(None)
        }
    }
    let at_once = Box::new(|request: HostRequest| {
        request
            .complete(200, Vec::new(), Bytes::from_static(b"now"))
            .unwrap();
    });
    let settings = settings("http://127.0.0.1:1/");
    let mut host = Host::new(settings, Wake::new().unwrap(), Arc::new(Calm), at_once);
    let headers = Headers::default();
    let request = Request {
        headers: &headers,
        instance_uid: UID,
        body: b"x",
    };
    for _ in 0..100 {
        assert_eq!(host.exchange(&request).unwrap().body, &b"now"[..]);
    }
}
