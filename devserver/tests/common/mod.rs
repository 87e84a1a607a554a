//! A started server and a tiny agent that speaks bytes.
#![allow(dead_code)] // each test file uses its part
pub(crate) mod socket;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value as Json, json};

pub(crate) const UID: &str = "018f3c6e-7c00-7000-8000-000000000001";

/// Capability bits.
pub(crate) const STATUS: u64 = 1;
pub(crate) const ACCEPTS_CONFIG: u64 = 2;
pub(crate) const EFFECTIVE: u64 = 4;
pub(crate) const REPORTS_CONFIG: u64 = 4096;
pub(crate) const HEARTBEAT: u64 = 8192;
pub(crate) const USUAL: u64 = STATUS | ACCEPTS_CONFIG | EFFECTIVE | REPORTS_CONFIG | HEARTBEAT;

pub(crate) struct Server {
    child: Child,
    pub(crate) ready: Json,
    pub(crate) port: u16,
    pub(crate) api_port: u16,
}

impl Server {
    pub(crate) fn start(options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_opamp-devserver"))
            .args(["--port", "0", "--ready-json"])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let out = child.stdout.as_mut().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let ready: Json = serde_json::from_str(&line).expect("one line of JSON");
        let api = ready["api"].as_str().expect("an address");
        let api_port = api
            .trim_end_matches("/api")
            .rsplit(':')
            .next()
            .expect("a port");
        Self {
            port: ready["port"].as_u64().expect("a port") as u16,
            api_port: api_port.parse().expect("a number"),
            child,
            ready,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn call(&self, method: &str, path: &str, body: Option<Json>) -> (u16, Json) {
        let body = body.map_or(String::new(), |body| body.to_string());
        let head = format!(
            "{method} /api{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        let mut tcp = connect(self.api_port);
        tcp.write_all(&[head.as_bytes(), body.as_bytes()].concat())
            .expect("the call goes out");
        let answer = Answer::read(&mut tcp).expect("the call is answered");
        (
            answer.status,
            serde_json::from_slice(&answer.body).expect("JSON comes back"),
        )
    }

    pub(crate) fn fetch(&self, path: &str) -> Json {
        let (status, json) = self.call("GET", path, None);
        assert_eq!(status, 200, "GET {path}: {json}");
        json
    }

    pub(crate) fn post(&self, path: &str, body: Json) -> Json {
        let (status, json) = self.call("POST", path, Some(body));
        assert_eq!(status, 200, "POST {path}: {json}");
        json
    }

    pub(crate) fn delete(&self, path: &str) {
        assert_eq!(self.call("DELETE", path, None).0, 200, "DELETE {path}");
    }

    /// Sets one fault rule and returns once it holds.
    pub(crate) fn spoil(&self, rule: Json) {
        self.post("/faults", json!({"rules": [rule]}));
    }

    pub(crate) fn entries(&self, query: &str) -> Vec<Json> {
        let found = self.fetch(&format!("/timeline?{query}"));
        found["entries"].as_array().expect("a list").clone()
    }

    /// The rows of all failed verdicts.
    pub(crate) fn problems(&self) -> Vec<String> {
        let found = self.fetch("/problems");
        let all = found["problems"].as_array().expect("a list").iter();
        all.map(|problem| problem["row"].as_str().expect("a row").to_owned())
            .collect()
    }

    pub(crate) fn wait(&self, until: &str) -> Json {
        let until = until
            .replace('%', "%25")
            .replace('=', "%3D")
            .replace('>', "%3E");
        self.fetch(&format!("/wait?timeout=10s&until={until}"))["entry"].clone()
    }

    pub(crate) fn end(&mut self, signal: &str) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .expect("kill runs")
                .success()
        );
        self.child.wait().expect("it ends").code()
    }

    pub(crate) fn ended(&mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn connect(port: u16) -> TcpStream {
    let tcp = TcpStream::connect(("127.0.0.1", port)).expect("the port listens");
    tcp.set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a timeout");
    tcp
}

/// What came back for one request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The connection ended before the body was whole.
    pub(crate) is_cut: bool,
}

impl Answer {
    /// Reads one answer; none when the connection ends before its head is whole.
    pub(crate) fn read(tcp: &mut TcpStream) -> Option<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match tcp.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                Ok(_) => return None,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no answer: {error}"),
            }
        }
        let head = String::from_utf8(head).expect("a head is text");
        let mut lines = head.lines();
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .expect("a status");
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers: Vec<_> = headers
            .map(|(a, b)| (a.to_lowercase(), b.to_owned()))
            .collect();
        let mut answer = Self {
            status: status.parse().expect("a number"),
            headers,
            body: Vec::new(),
            is_cut: false,
        };
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.read_chunks(tcp);
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().expect("a number");
            let read = tcp.take(length).read_to_end(&mut answer.body);
            answer.is_cut = read.is_err() || (answer.body.len() as u64) < length;
        }
        Some(answer)
    }

    fn read_chunks(&mut self, tcp: &mut TcpStream) {
        let mut reader = BufReader::new(tcp);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).is_err() || line.is_empty() {
                self.is_cut = true;
                return;
            }
            let size = usize::from_str_radix(line.trim(), 16).expect("a chunk size");
            let mut chunk = vec![0; size + 2];
            if reader.read_exact(&mut chunk).is_err() {
                self.is_cut = true;
                return;
            }
            self.body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                return;
            }
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// An agent that sends what it is told to.
pub(crate) struct Agent {
    pub(crate) tcp: TcpStream,
    pub(crate) uid: Vec<u8>,
    pub(crate) number: u64,
    pub(crate) capabilities: u64,
}

impl Agent {
    pub(crate) fn new(server: &Server) -> Self {
        Self {
            tcp: connect(server.port),
            uid: from_hex(&UID.replace('-', "")),
            number: 0,
            capabilities: USUAL,
        }
    }

    pub(crate) fn reconnect(&mut self, server: &Server) {
        self.tcp = connect(server.port);
    }

    /// A message with these parts on top of uid, number and capabilities.
    pub(crate) fn message(&mut self, parts: &[u8]) -> Vec<u8> {
        let mut bytes = field(1, &self.uid);
        bytes.extend(number(2, self.number));
        bytes.extend(number(4, self.capabilities));
        bytes.extend_from_slice(parts);
        self.number += 1;
        bytes
    }

    pub(crate) fn send_only(&mut self, parts: &[u8]) {
        let body = self.message(parts);
        let mut head = format!(
            "POST /v1/opamp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n\
             OpAMP-Instance-UID: {}\r\nContent-Length: {}\r\n\r\n",
            text_uid(&self.uid),
            body.len()
        )
        .into_bytes();
        head.extend(body);
        // A server that closes at once may be quicker than this write.
        let _ = self.tcp.write_all(&head);
    }

    /// Sends a message; none when the connection ends without an answer.
    pub(crate) fn try_send(&mut self, parts: &[u8]) -> Option<Answer> {
        self.send_only(parts);
        Answer::read(&mut self.tcp)
    }

    pub(crate) fn send(&mut self, parts: &[u8]) -> Answer {
        self.try_send(parts).expect("an answer")
    }
}

/// The agent description with one attribute.
pub(crate) fn description() -> Vec<u8> {
    field(
        3,
        &field(
            1,
            &[field(1, b"service.name"), field(2, &field(1, b"test"))].concat(),
        ),
    )
}

/// A remote config status; 1 APPLIED, 2 APPLYING, 3 FAILED.
pub(crate) fn config_status(hash: &[u8], status: u64) -> Vec<u8> {
    field(7, &[field(1, hash), number(2, status)].concat())
}

pub(crate) fn disconnect() -> Vec<u8> {
    field(9, &[])
}

pub(crate) fn field(tag: u64, bytes: &[u8]) -> Vec<u8> {
    let mut all = varint(tag << 3 | 2);
    all.extend(varint(bytes.len() as u64));
    all.extend_from_slice(bytes);
    all
}

pub(crate) fn number(tag: u64, value: u64) -> Vec<u8> {
    let mut all = varint(tag << 3);
    all.extend(varint(value));
    all
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(byte).collect()
}

fn text_uid(uid: &[u8]) -> String {
    let hex: String = uid.iter().map(|byte| format!("{byte:02x}")).collect();
    let (a, b, c, d, e) = (
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    );
    format!("{a}-{b}-{c}-{d}-{e}")
}
