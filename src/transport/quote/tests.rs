use super::*;
use crate::transport::proxy::{Choice, Proxy};

fn with_header(name: &str, value: &str) -> (Headers, Proxies) {
    let mut headers = Headers::default();
    headers.set(name, value).unwrap();
    (headers, Proxies::default())
}

fn quoted((headers, proxies): &(Headers, Proxies), text: &str) -> String {
    Secrets::new(headers, proxies).quoted(text)
}

#[test]
fn what_is_shown_is_printable_and_short() {
    let none = Default::default();
    for (text, expected) in [
        (
            "\x1b[31mrefused\r\n\tby  \u{85} rule",
            "[31mrefused by rule",
        ),
        ("\u{202e}evil\u{2066}\u{200b}\u{feff}\u{e0041}", "evil"),
        ("\u{fdd0}a\u{fdd1}\u{e000}\u{ffff}b", "ab"),
        (
            "gr\u{fc}n gru\u{308}n \u{928}\u{940} \u{65e5}",
            "gr\u{fc}n gru\u{308}n \u{928}\u{940} \u{65e5}",
        ),
        ("it's \"so\" \\ \u{fffd}", "it's \"so\" \\ \u{fffd}"),
        (" \u{202e}\n", ""),
    ] {
        assert_eq!(quoted(&none, text), expected);
    }
    assert_eq!(quoted(&none, &"\u{e9} ".repeat(1000)).len(), 254);
    assert_eq!(quoted(&none, &"\u{200b}x".repeat(1000)).len(), MOST_SHOWN);
}

#[test]
fn our_own_words_stay_when_the_peers_are_dropped() {
    let host = with_header("X-Key", "certificate-of-mine");
    let secrets = Secrets::new(&host.0, &host.1);
    let text = format!(
        "the certificate is for {}, not {}",
        shown("certificate-of-m", MOST_SHOWN),
        shown("b.example", MOST_SHOWN)
    );
    let told = format!("the certificate is for {HIDDEN}, not b.example");
    assert_eq!(secrets.judged(&text), told);
}

#[test]
fn a_secret_is_found_however_it_is_written() {
    let host = with_header("Authorization", "Bearer s3c/r3t-Tok.en");
    for text in [
        "who is s3c/r3t-Tok.en?",
        "begins with s3c/r3",
        "{\"token\": \"s3c\\/r3t-Tok.en\"}",
        "s3c%2Fr3t%2dTok.en",
        "%73%33%63%252F%72%33%74",
        "\\u0073\\u0033\\u0063\\u002f\\u0072\\u0033",
        "\\x73\\x33\\x63\\x2f\\x72\\x33",
        "S3C/R3T-TOK.EN",
        "s3c/r\r\n 3t-To k.en",
        "s\u{200b}3\u{200b}c\u{ad}/\u{2060}r\u{feff}3t",
        "s3c\u{202e}/r3t-",
        "s3c&#47;r3t&#x2d;Tok.en",
        "s3c/r3t%2",
        "as base64 czNjL3IzdC1Ub2suZW4=",
        "as base64 xs3czNjL3IzdC1Ub2suZW4",
        "s3c|r3t|Tok|en",
    ] {
        assert_eq!(quoted(&host, text), HIDDEN, "{text}");
    }
    for text in [
        "s3c/r",
        "Bearer of bad news",
        "bearer token is wrong",
        "3t-To",
    ] {
        assert_eq!(quoted(&host, text), text);
    }
    // What is cut away is not shown, and takes nothing with it.
    let page = format!("<html>{} s3c/r3t-Tok.en", "no ".repeat(100));
    assert!(quoted(&host, &page).starts_with("<html>no no"));
}

#[test]
fn a_short_secret_is_found_as_a_whole_word() {
    let host = with_header("X-Pin", "4a7");
    for text in ["pin 4a7", "4A7", "(4a7)", "%34a7", "4\u{200b}a7"] {
        assert_eq!(quoted(&host, text), HIDDEN, "{text}");
    }
    for text in ["14a7", "4a71 4a70", "4 a7", "pin"] {
        assert_eq!(quoted(&host, text), text);
    }
    assert_eq!(
        quoted(&with_header("X-Flag", "1"), "in line 1"),
        "in line 1"
    );
}

#[test]
fn what_is_a_secret_of_a_header() {
    for (name, value, text, is_secret) in [
        ("Accept-Language", "german", "german", false),
        ("Content-Language", "german", "german", false),
        ("User-Agent", "collector", "collector", false),
        ("Authorization", "raw-token-here", "raw-token", true),
        (
            "Proxy-Authorization",
            "Negotiate abcdefgh",
            "Negotiate",
            false,
        ),
        ("X-Api", "Token abcdefgh", "the token abcdefgh", true),
        ("X-Api", "Token abcdefgh", "the token is gone", false),
        (
            "Cookie",
            "session=canary77; lang=en",
            "the session ended en",
            false,
        ),
        ("Cookie", "session=canary77; lang=en", "canary77", true),
        ("Cookie", "id=abc", "abc", true),
        (
            "Authorization",
            "Digest username=\"joseph\", uri=\"/\"",
            "a username",
            false,
        ),
        (
            "Authorization",
            "Digest username=\"joseph\", uri=\"/\"",
            "joseph",
            true,
        ),
        (
            "Authorization",
            "Basic YWdlbnQ6aHVudGVyMTI=",
            "hunter12",
            true,
        ),
        (
            "Authorization",
            "Basic YWdlbnQ6aHVudGVyMTI=",
            "agent hunter",
            true,
        ),
        (
            "Authorization",
            "Basic YWdlbnQ6aHVudGVyMTI=",
            "no such agent",
            false,
        ),
        ("X-Word", "c2VjcmV0cw==", "c2VjcmV0cw==", true),
    ] {
        let told = quoted(&with_header(name, value), text);
        let expected = if is_secret { HIDDEN } else { text };
        assert_eq!(told, expected, "{name}: {value}");
    }
}

#[test]
fn a_proxys_login_and_its_headers_are_secrets() {
    let mut proxies = Proxies::default();
    let proxy = Proxy::parse("http://agent:p%C3%A4ss-w%C3%B6rt@127.0.0.1:3128").unwrap();
    proxies.choice = Choice::Given(proxy);
    proxies.headers.set("X-Proxy", "proxy-token").unwrap();
    let host = (Headers::default(), proxies);
    for text in [
        "p\u{e4}ss-w\u{f6}rt",
        "P\u{e4}SS-W",
        "proxy-t",
        "YWdlbnQ6cM",
    ] {
        assert_eq!(quoted(&host, text), HIDDEN, "{text}");
    }
    assert_eq!(quoted(&host, "agent not found"), "agent not found");
    // A page in Latin-1.
    let latin = String::from_utf8_lossy(b"p\xe4ss-w\xf6rt is wrong").into_owned();
    assert_eq!(quoted(&host, &latin), HIDDEN);

    let environment = |name: &str| {
        (name == "https_proxy").then(|| "http://me:correct-horse@127.0.0.1".to_owned())
    };
    let environment = crate::transport::proxy::Environment::from(environment);
    let proxies = Proxies {
        choice: Choice::Environment(environment),
        ..Proxies::default()
    };
    assert_eq!(quoted(&(Headers::default(), proxies), "correct-h"), HIDDEN);
}

#[test]
fn a_url_that_repeats_a_secret_is_cut_to_its_origin() {
    let host = with_header("X-Key", "canary-key");
    let hop = |to: &str| {
        let hop = Hop {
            from: "https://canary-key.example/v1".to_owned(),
            to: to.to_owned(),
            status: 307,
            number: 1,
        };
        let hop = Secrets::new(&host.0, &host.1).in_hop(hop);
        assert_eq!(hop.from, "https://canary-key.example/v1");
        hop.to
    };
    assert_eq!(hop("https://a.example/v1?a=b"), "https://a.example/v1?a=b");
    assert_eq!(hop("https://a.example/canary%2dkey"), "https://a.example");
}

/// Draws as a seed says.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % n
    }

    fn text(&mut self, alphabet: &[u8], length: usize) -> String {
        let one = |_| char::from(alphabet[self.below(alphabet.len())]);
        (0..length).map(one).collect()
    }

    /// One way to write a character, or to put something unseen beside it.
    fn written(&mut self, c: char) -> String {
        let code = u32::from(c);
        match self.below(16) {
            0 => format!("%{code:02x}"),
            1 => format!("%{code:02X}"),
            2 => format!("%25{code:02x}"),
            3 => format!("\\u{code:04x}"),
            4 => format!("\\x{code:02x}"),
            5 => format!("&#{code};"),
            6 => format!("&#x{code:x};"),
            7 => c.to_ascii_uppercase().to_string(),
            8 => c.to_ascii_lowercase().to_string(),
            9 => format!("{c}\u{200b}"),
            10 => format!("\u{202e}{c}"),
            11 => format!("{c} "),
            12 if c.is_ascii_punctuation() => format!("\\{c}"),
            _ => c.to_string(),
        }
    }
}

/// [LOG-03] However a peer writes a secret, six characters in a row of it are never shown.
#[test]
fn no_transformation_brings_a_secret_into_a_text() {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    const ALL: &[u8] = b"abcdefghijABCDEFGHIJ0123456789-._~+/!#$^*()[]{}?<>|@";
    for seed in 1..=2000 {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ seed);
        let alphabet = [LETTERS, ALL][dice.below(2)];
        let length = 6 + dice.below(18);
        let secret = dice.text(alphabet, length);
        let host = match dice.below(3) {
            0 => with_header("X-Key", &secret),
            1 => with_header("Authorization", &format!("Bearer {secret}")),
            _ => {
                use base64::Engine;
                let login = format!("agent:{secret}");
                let packed = base64::engine::general_purpose::STANDARD.encode(login);
                with_header("Authorization", &format!("Basic {packed}"))
            }
        };
        let begin = dice.below(length - 5);
        let part = &secret[begin..];
        let part: String = part.chars().map(|c| dice.written(c)).collect();
        let length = dice.below(30);
        let before = dice.text(b"abc <>=:\n", length);
        let text = format!("{before}>{part}< and more");
        let told = quoted(&host, &text);
        assert_eq!(told, HIDDEN, "seed {seed}: {secret} in {text}");
    }
}

/// What a peer sends makes nothing larger that is kept for the search, and is gone through once a
/// level.
#[test]
fn a_large_text_is_searched_in_the_room_of_the_secrets() {
    let value = "k3y".repeat(20_000);
    let host = with_header("X-Key", &value);
    let sought = Secrets::new(&host.0, &host.1).sought();
    assert!(sought.runs.len() <= 4 * value.len());
    // Each of its characters beside each of the secret's would be 25 billion steps.
    assert!(!sought.are_in(&"%2541%".repeat(20_000)));
}
