//! Instance uids and seeds.

use std::time::{SystemTime, UNIX_EPOCH};

use super::error::{Code, Error, Kind, Result};

/// A UUID v7 of now.
pub(crate) fn new_uid() -> Result<[u8; 16]> {
    let mut chance = [0; 10];
    fill(&mut chance)?;
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    Ok(*uuid::Builder::from_unix_timestamp_millis(millis, &chance)
        .into_uuid()
        .as_bytes())
}

/// The canonical text of a uid.
pub(crate) fn uid_text(uid: &[u8; 16]) -> String {
    let mut text = uuid::Uuid::encode_buffer();
    let uid = uuid::Uuid::from_bytes(*uid).hyphenated();
    uid.encode_lower(&mut text).to_owned()
}

/// A seed for the chances of one run.
pub(crate) fn new_seed() -> Result<u64> {
    let mut seed = [0; 8];
    fill(&mut seed)?;
    Ok(u64::from_ne_bytes(seed))
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::getrandom(bytes).map_err(|_| {
        Error::new(
            Code::Resource,
            Kind::Bug,
            "the system gives no random bytes",
        )
    })
}
