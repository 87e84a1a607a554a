//! What an answer may cost. A binary of its own, because it counts every byte that is allocated.

#[path = "transport/kit.rs"]
#[allow(dead_code)] // what the other transport tests use
mod kit;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use opamp::transport::websocket::{News, WebSocket};
use opamp::transport::{FailKind, Headers, Resolver, Wake};
use tungstenite::handshake::derive_accept_key;

use kit::{Got, LONG, Patience, Rig, Server, UID, answer, chunked, gzip, ok, settings};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[allow(unsafe_code)] // an allocator
// SAFETY: everything is passed on to the system's allocator; only sizes are added up.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(NOW.fetch_add(layout.size(), SeqCst) + layout.size(), SeqCst);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), SeqCst);
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // The system's moves pages where the default would hold both blocks.
        let now = NOW.fetch_add(size, SeqCst) + size - layout.size();
        NOW.fetch_sub(layout.size(), SeqCst);
        PEAK.fetch_max(now, SeqCst);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The most that was allocated at any moment of `action`, over what was before.
fn peak_of<T>(action: impl FnOnce() -> T) -> (T, usize) {
    let before = NOW.load(SeqCst);
    PEAK.store(before, SeqCst);
    let result = action();
    (result, PEAK.load(SeqCst).saturating_sub(before))
}

const MIB: usize = 1 << 20;

/// One test, because tests of one binary run side by side.
#[test]
fn memory_is_bounded() {
    a_gzip_bomb_costs_no_more_than_the_limit();
    a_large_answer_is_held_once();
    an_endless_refusal_costs_nothing();
    an_idle_connection_holds_little();
    a_large_websocket_message_is_held_once_and_given_back();
    a_websocket_message_over_the_limit_is_never_held();
    an_idle_websocket_holds_little();
    the_workers_stack_suffices();
}

/// [HTTP-07]
fn a_gzip_bomb_costs_no_more_than_the_limit() {
    let bomb = gzip(&vec![0; 64 * MIB]);
    for bomb in [
        answer("200 OK", "Content-Encoding: gzip\r\n", &bomb),
        chunked("200 OK", "Content-Encoding: gzip\r\n", &bomb),
        answer("500 No", "Content-Encoding: gzip\r\n", &bomb),
    ] {
        let server = Server::answering(vec![bomb]);
        let mut limited = settings(&server.url());
        limited.limits.message = 4 * MIB;
        let mut rig = Rig::with(limited);
        let (failure, peak) = peak_of(|| rig.fail());
        assert!(
            matches!(failure.kind, FailKind::Size | FailKind::Status),
            "{failure}"
        );
        assert!(peak < 4 * MIB + MIB / 2, "{peak} bytes");
        drop(rig);
        server.join();
    }
}

/// [HTTP-07]
fn a_large_answer_is_held_once() {
    let body = vec![7; 8 * MIB];
    for (whole, is_known) in [(ok(&body), true), (chunked("200 OK", "", &body), false)] {
        let server = Server::answering(vec![whole]);
        let mut rig = Rig::new(&server.url());
        let (answer, peak) = peak_of(|| rig.post(b"x").unwrap());
        assert_eq!(answer.body, body);
        // Of unknown length it grows by doubling.
        let most = if is_known { 9 * MIB } else { 17 * MIB };
        assert!(peak < most, "{peak} bytes");
        let kept = NOW.load(SeqCst);
        drop(answer);
        assert!(kept - NOW.load(SeqCst) >= 8 * MIB);
        server.join();
    }
}

/// [HTTP-20]
fn an_endless_refusal_costs_nothing() {
    let server = Server::start(|listener| {
        let mut peer = listener.accept().unwrap().0;
        Got::read(&mut peer).unwrap();
        peer.write_all(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n")
            .unwrap();
        while peer.write_all(b"5\r\nabcde\r\n").is_ok() {}
    });
    let mut rig = Rig::new(&server.url());
    let (failure, peak) = peak_of(|| rig.fail());
    assert_eq!(
        (failure.kind, failure.status),
        (FailKind::Status, Some(500))
    );
    assert!(peak < MIB, "{peak} bytes");
    server.join();
}

fn an_idle_connection_holds_little() {
    let server = Server::answering(vec![ok(&vec![1; MIB]), ok(b"")]);
    let mut rig = Rig::new(&server.url());
    let before = NOW.load(SeqCst);
    drop(rig.post(&vec![1; MIB]).unwrap());
    let held = NOW.load(SeqCst).saturating_sub(before);
    assert!(held < 64 * 1024, "{held} bytes");
    rig.post(b"x").unwrap();
    server.join();
}

/// A connection to a server that upgrades, writes these bytes, and an empty message once it has
/// read a MiB.
fn websocket(limit: usize, bytes: Arc<[u8]>) -> (WebSocket, Server) {
    let server = Server::start(move |listener| {
        let mut peer = listener.accept().unwrap().0;
        let got = Got::head(&mut peer).unwrap();
        let key = got.header("sec-websocket-key").unwrap();
        let accept = derive_accept_key(key.as_bytes());
        let head = format!(
            "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        peer.write_all(head.as_bytes()).unwrap();
        let _ = peer.write_all(&bytes);
        let (mut piece, mut length) = ([0; 4096], 0);
        while let Ok(n @ 1..) = peer.read(&mut piece) {
            let had_all = length >= MIB;
            length += n;
            if length >= MIB && !had_all {
                peer.write_all(&EMPTY).unwrap();
            }
        }
    });
    let mut settings = settings(&format!("ws://{}/", server.addr));
    settings.limits.message = limit;
    let (wake, watch) = (Wake::new().unwrap(), Arc::new(Patience::default()));
    let mut socket = WebSocket::new(settings, wake, watch, Resolver::default());
    socket.connect(&Arc::new(Headers::default()), UID).unwrap();
    (socket, server)
}

/// A whole frame: an empty message.
const EMPTY: [u8; 3] = [0x82, 1, 0];

/// A frame's head as a server writes it, for lengths that need eight bytes.
fn head(first: u8, length: u64) -> Vec<u8> {
    [&[first, 127][..], &length.to_be_bytes()].concat()
}

/// [WS-04]
fn a_large_websocket_message_is_held_once_and_given_back() {
    const LENGTH: usize = 32 * MIB;
    let whole = [head(0x82, LENGTH as u64), vec![0; LENGTH]].concat();
    let mut fragments = Vec::with_capacity(LENGTH + MIB);
    for at in (0..LENGTH).step_by(65_536) {
        let is_last = at + 65_536 == LENGTH;
        fragments.extend(head(
            if at == 0 {
                0x02
            } else if is_last {
                0x80
            } else {
                0
            },
            65_536,
        ));
        fragments.resize(fragments.len() + 65_536, 0);
    }
    for bytes in [whole, fragments] {
        let (mut socket, server) = websocket(64 * MIB, bytes.into());
        let before = NOW.load(SeqCst);
        let (news, peak) = peak_of(|| socket.rest(Some(LONG), &mut || true).unwrap());
        let News::Message(message) = news else {
            panic!("{news:?}");
        };
        assert_eq!(message.len(), LENGTH - 1);
        assert!(peak < LENGTH / 10 * 11, "{peak} bytes");
        drop(message);
        let kept = NOW.load(SeqCst).saturating_sub(before);
        assert!(kept < 16 * 1024, "{kept} bytes kept");
        drop(socket);
        server.join();
    }
}

/// [WS-04]
fn a_websocket_message_over_the_limit_is_never_held() {
    let (mut socket, server) = websocket(MIB, head(0x82, 64 << 20).into());
    let (news, peak) = peak_of(|| socket.rest(Some(LONG), &mut || true).unwrap());
    assert!(matches!(news, News::Broken { code: 1009, .. }), "{news:?}");
    assert!(peak < 16 * 1024, "{peak} bytes");
    drop(socket);
    server.join();
}

fn an_idle_websocket_holds_little() {
    let before = NOW.load(SeqCst);
    let (mut socket, server) = websocket(64 * MIB, EMPTY.into());
    assert!(matches!(
        socket.rest(Some(LONG), &mut || true),
        Some(News::Message(_))
    ));
    socket.send(vec![1; MIB], Some(1));
    assert!(matches!(
        socket.rest(Some(LONG), &mut || true),
        Some(News::Written(_))
    ));
    assert!(matches!(
        socket.rest(Some(LONG), &mut || true),
        Some(News::Message(_))
    ));
    // The server's thread is in it.
    let held = NOW.load(SeqCst).saturating_sub(before);
    assert!(held < 12 * 1024, "{held} bytes");
    drop(socket);
    server.join();
}

fn the_workers_stack_suffices() {
    let packed = gzip(&vec![3; 8 * MIB]);
    let page = answer("502 Bad", "Content-Encoding: gzip\r\n", &packed);
    let server = Server::answering(vec![
        answer("200 OK", "Content-Encoding: gzip\r\n", &packed),
        page,
    ]);
    let mut rig = Rig::new(&server.url());
    let work = move || {
        assert_eq!(rig.post(&vec![1; MIB]).unwrap().body.len(), 8 * MIB);
        assert_eq!(rig.fail().status, Some(502));
    };
    // The worker's is 256 KiB; unoptimised code needs more than what is shipped.
    thread::Builder::new()
        .stack_size(192 * 1024)
        .spawn(work)
        .unwrap()
        .join()
        .unwrap();
    server.join();
}
