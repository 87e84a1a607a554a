//! Parsers that nobody outside calls, for `fuzz/`.

use std::io::Read;
use std::time::{Duration, SystemTime};

use super::answer;
use super::gunzip::Gunzip;
use super::tls::der::Fields;

pub fn certificate(bytes: &[u8]) {
    if let Some(fields) = Fields::of(bytes) {
        let dates = (fields.is_self_issued(), fields.validity());
        let powers = (fields.is_authority(), fields.path_length());
        let uses = (fields.purposes().len(), fields.is_for_servers());
        std::hint::black_box((dates, powers, uses, fields.extensions().count()));
    }
}

pub fn gunzip(bytes: &[u8], limit: u64) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    Gunzip::new(bytes).take(limit).read_to_end(&mut plain)?;
    Ok(plain)
}

pub fn retry_after(value: &str) -> Option<Duration> {
    answer::retry_after(
        value,
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
    )
}
