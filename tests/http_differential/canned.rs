//! Responses by hand, each for one thing that a reader may get wrong.

use std::fs;
use std::path::Path;

/// What it is called, and its bytes.
pub(crate) type Canned = (String, Vec<u8>);

/// Behind a status line of HTTP/1.1, each with the right length.
const FIELDS: [&str; 36] = [
    "",
    "Content-Type: application/x-protobuf",
    "Content-Type: text/html",
    "Content-Length: 3",
    "content-LENGTH:3",
    "Content-Length:\t 3 \t",
    "Content-Length: 3, 3",
    "Content-Length: 3\r\nContent-Length: 003",
    "Content-Length: 3\r\nContent-Length: 4",
    "Content-Length: 3,",
    "Content-Length: ",
    "Content-Length: +3",
    "Content-Length: -3",
    "Content-Length: 0x3",
    "Content-Length: 3 3",
    "Content-Length: 3.0",
    "Content-Length: 18446744073709551616",
    "Content-Length : 3",
    "Content-Length:\r\n 3",
    "Content-Length 3",
    "Connection: close",
    "Connection: close\r\n folded",
    "X-Policy: a;\r\n\tb",
    "X-Policy:\r\n folded\r\n twice",
    "X-Policy : blank",
    "X-Policy\t \t: blank",
    " X-First: blank",
    "no colon at all",
    "no colon\r\n and folded",
    "Content-Leng\r\n th: 3",
    "X-Na\r\n me: folded",
    "X Name: blank",
    ": no name",
    "X-Empty:",
    "X-Control: a\u{1}\u{7f}\0b\rc",
    "X-Letter: \u{e4}",
];

/// Bodies of three bytes or none, and how they are framed.
const CODINGS: [&str; 13] = [
    "Transfer-Encoding: chunked",
    "transfer-encoding:CHUNKED",
    "Transfer-Encoding: , chunked ,",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, gzip",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding:\r\n chunked",
];

/// Behind a head with `Transfer-Encoding: chunked`.
const CHUNKS: [&str; 59] = [
    "3\r\nabc\r\n0\r\n\r\n",
    "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
    "A\r\n0123456789\r\na\r\n0123456789\r\n00\r\n\r\n",
    "0\r\n\r\n",
    "0\r\n\r\nmore",
    "3;a\r\nabc\r\n0\r\n\r\n",
    "3;a=b;c=\"d\"\r\nabc\r\n0;e\r\n\r\n",
    "3;name=\"a value of some length\"\r\nabc\r\n0\r\n\r\n",
    "3 ; a\r\nabc\r\n0\r\n\r\n",
    "3 \r\nabc\r\n0\r\n\r\n",
    "3\t\r\nabc\r\n0\r\n\r\n",
    "3;\u{e4}\r\nabc\r\n0\r\n\r\n",
    "000000003\r\nabc\r\n0\r\n\r\n",
    "000000000000000000000003\r\nabc\r\n0\r\n\r\n",
    "3\r\nabc\r\n000000000000000000000000\r\n\r\n",
    "+3\r\nabc\r\n0\r\n\r\n",
    "-3\r\nabc\r\n0\r\n\r\n",
    " 3\r\nabc\r\n0\r\n\r\n",
    "3\r\nabc\r\n+0\r\n\r\n",
    "3\r\nabc\r\n 0\r\n\r\n",
    "0x3\r\nabc\r\n0\r\n\r\n",
    "3h\r\nabc\r\n0\r\n\r\n",
    "3 x\r\nabc\r\n0\r\n\r\n",
    "3.0\r\nabc\r\n0\r\n\r\n",
    "g\r\nabc\r\n0\r\n\r\n",
    "\r\nabc\r\n0\r\n\r\n",
    ";a\r\nabc\r\n0\r\n\r\n",
    "10000000000000003\r\nabc\r\n0\r\n\r\n",
    "ffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "3\nabc\r\n0\r\n\r\n",
    "3;x\nabc\r\n0\r\n\r\n",
    "3;x\ny\r\nabc\r\n0\r\n\r\n",
    "3;x=\"\n\"\r\nabc\r\n0\r\n\r\n",
    "3;\rx\r\nabc\r\n0\r\n\r\n",
    "3;\0x\r\nabc\r\n0\r\n\r\n",
    "3\u{b}\r\nabc\r\n0\r\n\r\n",
    "3\r\nabc\n0\r\n\r\n",
    "3\r\nabc0\r\n\r\n",
    "3\r\nabcd\r\n0\r\n\r\n",
    "3\r\nab\r\n0\r\n\r\n",
    "3\r\nabc\r\n0\n\r\n",
    "3\r\nabc\r\n0\r\n\n",
    "3\r\nabc\r\n0\r\n",
    "3\r\nabc\r\n0\r",
    "3\r\nabc\r\n0",
    "3\r\nabc\r\n",
    "3\r\nabc",
    "3\r\nab",
    "3\r\n",
    "3\r\nabc\r\n0\r\nX: y\r\n\r\n",
    "3\r\nabc\r\n0\r\nX: y\r\nZ: \r\n\r\n",
    "3\r\nabc\r\n0\r\nX: y\r\n",
    "3\r\nabc\r\n0\r\nX: y",
    "3\r\nabc\r\n0\r\nX: a\n\r\n",
    "3\r\nabc\r\n0\r\nno field\r\n\r\n",
    "3\r\nabc\r\n0\r\nX : y\r\n\r\n",
    "3\r\nabc\r\n0\r\nX: y\r\n folded\r\n\r\n",
    "3\r\nabc\r\n0\r\n blank\r\n\r\n",
    "3\r\nabc\r\n0\r\nX: a\0b\r\n\r\n",
];

const STATUS_LINES: [&str; 26] = [
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200 ",
    "HTTP/1.1 200",
    "HTTP/1.1 200 All is \u{e4}\tfine",
    "HTTP/1.1 200 a\u{1}b",
    "HTTP/1.1  200 OK",
    "HTTP/1.1\t200 OK",
    "HTTP/1.1 2000 OK",
    "HTTP/1.1 20 OK",
    "HTTP/1.1 +20 OK",
    "HTTP/1.1 099 Low",
    "HTTP/1.1 000 None",
    "HTTP/1.1 999 High",
    "HTTP/1.1 204 No Content",
    "HTTP/1.1 304 Not Modified",
    "HTTP/1.1 101 Switching Protocols",
    "HTTP/1.1 404 Not Found",
    "HTTP/1.1 503 Later",
    "HTTP/1.0 200 OK",
    "HTTP/0.9 200 OK",
    "HTTP/1.2 200 OK",
    "HTTP/2.0 200 OK",
    "HTTP/2 200 OK",
    "http/1.1 200 OK",
    "ICY 200 OK",
    "SSH-2.0-server",
];

/// What stands before the response that counts.
const BEFORE: [&str; 14] = [
    "\r\n",
    "\n\r\n\n",
    " ",
    "x",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 100 Continue\n\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n",
    "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nContent-Length: none\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: gzip\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nX-Policy : blank\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nContent-Length : 5\r\n\r\n",
];

/// Whole responses.
const WHOLE: [&str; 25] = [
    "",
    "\r\n\r\n",
    "H",
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 3",
    "HTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\nabc",
    "HTTP/1.1 200 OK\n\nabc",
    "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\nabc",
    "HTTP/1.1 200 OK\r\nContent-Length: 3\n\r\nabc",
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\rabc",
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd",
    "HTTP/1.1 200 OK\r\nContent-Length: 70000000\r\n\r\nabc",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n\
        3\r\nabc\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: x\r\nTransfer-Encoding: chunked\r\n\r\n\
        3\r\nabc\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: identity\r\n\r\nabcde",
    "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n",
    "HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\nzzz",
];

pub(crate) fn all() -> Vec<Canned> {
    let mut all = Vec::new();
    let mut add = |kind: &str, what: &str, text: String| {
        let name = format!("{kind} \"{}\"", what.escape_debug());
        all.push((name, text.into_bytes()));
    };
    const OK: &str = "HTTP/1.1 200 OK\r\n";
    const LENGTH: &str = "Content-Length: 3\r\n\r\nabc";
    for fields in FIELDS {
        // Once with the length behind it, once without: to the end.
        add("field", fields, format!("{OK}{fields}\r\n{LENGTH}"));
        add("only field", fields, format!("{OK}{fields}\r\n\r\nabc"));
    }
    for coding in CODINGS {
        let chunks = "3\r\nabc\r\n0\r\n\r\n";
        add("coding", coding, format!("{OK}{coding}\r\n\r\n{chunks}"));
        add(
            "coding and length",
            coding,
            format!("{OK}{coding}\r\n{LENGTH}"),
        );
    }
    for chunks in CHUNKS {
        let head = format!("{OK}Transfer-Encoding: chunked\r\n\r\n");
        add("chunks", chunks, head + chunks);
    }
    for line in STATUS_LINES {
        add("status line", line, format!("{line}\r\n{LENGTH}"));
        add("old status line", line, format!("{line}\r\n\r\nabc"));
    }
    for before in BEFORE {
        add("behind", before, format!("{before}{OK}{LENGTH}"));
    }
    for whole in WHOLE {
        add("whole", whole, whole.to_owned());
    }
    for (what, text) in large() {
        add("large", what, text);
    }
    all.extend(of_the_fuzzer());
    all
}

/// Around the bounds of either.
fn large() -> Vec<(&'static str, String)> {
    const OK: &str = "HTTP/1.1 200 OK\r\n";
    const LENGTH: &str = "Content-Length: 3\r\n\r\nabc";
    let chunked = format!("{OK}Transfer-Encoding: chunked\r\n\r\n");
    let field = |length| format!("X-Long: {}\r\n", "x".repeat(length));
    let many = |count| "X-Many: 1\r\n".repeat(count);
    let early = format!("HTTP/1.1 103 Early Hints\r\n{}\r\n", field(10_000));
    vec![
        ("head", format!("{OK}{}{LENGTH}", field(60_000))),
        (
            "head over our bound",
            format!("{OK}{}{LENGTH}", field(70_000)),
        ),
        ("count of fields", format!("{OK}{}{LENGTH}", many(127))),
        (
            "count of fields over both bounds",
            format!("{OK}{}{LENGTH}", many(128)),
        ),
        (
            "count of interim responses",
            format!("{}{OK}{LENGTH}", early.repeat(6)),
        ),
        (
            "interim responses over our bound",
            format!("{}{OK}{LENGTH}", early.repeat(8)),
        ),
        (
            "body",
            format!("{OK}Content-Length: 200000\r\n\r\n{}", "y".repeat(200_000)),
        ),
        (
            "chunk",
            format!("{chunked}30d40\r\n{}\r\n0\r\n\r\n", "y".repeat(200_000)),
        ),
        (
            "chunks",
            format!("{chunked}{}0\r\n\r\n", "1\r\na\r\n".repeat(10_000)),
        ),
        (
            "extension",
            format!("{chunked}3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(3000)),
        ),
        (
            "extension over both bounds",
            format!("{chunked}3;{}\r\n", "x".repeat(5000)),
        ),
        ("trailer", format!("{chunked}0\r\n{}\r\n", field(3000))),
        (
            "trailer over our bound",
            format!("{chunked}0\r\n{}\r\n", field(5000)),
        ),
        (
            "trailers over our bound",
            format!("{chunked}0\r\n{}\r\n", field(3000).repeat(30)),
        ),
    ]
}

/// What the fuzz target of responses begins with, but for what is compressed: ureq unpacks only
/// with a feature, and framing is none of it.
fn of_the_fuzzer() -> Vec<Canned> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/answers");
    let entries = fs::read_dir(folder).expect("the corpus is there");
    let files = entries.map(|entry| entry.expect("it can be read").path());
    let read = |path: std::path::PathBuf| {
        let bytes = fs::read(&path).expect("it can be read");
        (
            format!("corpus {}", path.file_name().unwrap().to_string_lossy()),
            bytes,
        )
    };
    let is_plain = |(_, bytes): &Canned| {
        let head = bytes.to_ascii_lowercase();
        !head.windows(17).any(|word| word == b"content-encoding:")
    };
    let mut found = files.map(read).filter(is_plain).collect::<Vec<_>>();
    // The order of a folder is nobody's promise.
    found.sort();
    assert!(found.len() > 5);
    found
}
