//! `opamp_config_map`: name to content type and body, built by the host or received.

use std::{
    ffi::c_char,
    ptr,
    sync::{Arc, OnceLock},
};

use crate::locks::Mutex;

use super::{
    calls, convert,
    convert::opamp_slice,
    error::opamp_error,
    guard,
    guard::{Handle, Life},
    status::{OPAMP_E_NOT_FOUND, OPAMP_E_STATE, Outcome, Refusal, opamp_status},
};
use crate::agent::{ConfigMap, ConfigMapBuilder, File, Reason, shown};

/// Named files: for each name a content type and a body. Received ones, and those that were set,
/// are frozen: immutable, to be read by any thread. One that is being built belongs to one thread
/// at a time. Reference counted; it may outlive the message, client and agent that it came from.
pub struct opamp_config_map {
    life: Life,
    frozen: OnceLock<ConfigMap>,
    /// Only ever tried, never waited for: the holder may be a thread that a fork left behind.
    building: Mutex<ConfigMapBuilder>,
}

impl Handle for opamp_config_map {
    fn life(&self) -> &Life {
        &self.life
    }
}

impl opamp_config_map {
    pub(super) fn received(map: ConfigMap) -> Arc<Self> {
        let frozen = OnceLock::new();
        let _ = frozen.set(map);
        Arc::new(Self {
            life: Life::new(),
            frozen,
            building: Mutex::default(),
        })
    }

    /// The map as it stays from now on.
    pub(super) fn freeze(&self) -> Outcome<ConfigMap> {
        if let Some(map) = self.frozen.get() {
            return Ok(map.clone());
        }
        let mut building = self.building.try_lock().ok_or_else(busy)?;
        let map = || std::mem::take(&mut *building).freeze();
        Ok(self.frozen.get_or_init(map).clone())
    }

    fn add(&self, name: &str, content_type: &str, body: &[u8]) -> Outcome {
        let mut building = self.building.try_lock().ok_or_else(busy)?;
        if self.frozen.get().is_some() {
            return Err(Refusal::new(OPAMP_E_STATE, "the map is frozen").because(Reason::Frozen));
        }
        Ok(building.add(name, content_type, body)?)
    }

    fn len(&self) -> usize {
        match self.frozen.get() {
            Some(map) => map.len(),
            None => self
                .building
                .try_lock()
                .map_or(0, |building| building.len()),
        }
    }

    fn with<T>(
        &self,
        frozen: impl FnOnce(&ConfigMap) -> Option<T>,
        building: impl FnOnce(&ConfigMapBuilder) -> Option<T>,
    ) -> Outcome<T> {
        let found = match self.frozen.get() {
            Some(map) => frozen(map),
            None => building(&*self.building.try_lock().ok_or_else(busy)?),
        };
        found.ok_or_else(|| Refusal::new(OPAMP_E_NOT_FOUND, "no such file in the map"))
    }
}

fn busy() -> Refusal {
    Refusal::new(OPAMP_E_STATE, "another thread is building the map").because(Reason::Busy)
}

/// The slices of a file: a name, type or body lies where it is until the map is freed, also while
/// others are added.
fn slices(file: File<'_>) -> [opamp_slice; 3] {
    [
        file.name.as_bytes(),
        file.content_type.as_bytes(),
        file.body,
    ]
    .map(opamp_slice::of)
}

/// Makes an empty map. out: one reference, yours to opamp_config_map_unref.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_config_map_new(out: *mut *mut opamp_config_map) -> opamp_status {
    guard::open(&calls::CONFIG_MAP_NEW, ptr::null_mut(), || {
        convert::wanted(out)?;
        let map = opamp_config_map {
            life: Life::new(),
            frozen: OnceLock::new(),
            building: Mutex::default(),
        };
        out.write(Arc::into_raw(Arc::new(map)).cast_mut());
        Ok(())
    })
}

/// Makes a map from an encoded AgentConfigMap of the protocol, for hosts with a protobuf library:
/// one call for many files. bytes: copied. out: frozen, one reference, yours to
/// opamp_config_map_unref. Of a name that comes twice the last counts.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (undecodable, a text that
/// is not UTF-8). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_config_map_decode(
    bytes: *const u8,
    len: usize,
    out: *mut *mut opamp_config_map,
    err: *mut *mut opamp_error,
) -> opamp_status {
    guard::open(&calls::CONFIG_MAP_DECODE, err, || {
        convert::wanted(out)?;
        let map = ConfigMap::decode(convert::bytes(bytes, len, "map")?)?;
        out.write(Arc::into_raw(opamp_config_map::received(map)).cast_mut());
        Ok(())
    })
}

/// Copies a file into a map. name: UTF-8, may be empty ((NULL, 0) is); content_type: may be NULL;
/// body: any bytes.
///
/// Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (not UTF-8, or
/// the name is already there), OPAMP_E_STATE (the map is frozen, or another thread is inside it).
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_config_map_add(
    map: *mut opamp_config_map,
    name: *const c_char,
    name_len: usize,
    content_type: *const c_char,
    body: *const u8,
    body_len: usize,
    err: *mut *mut opamp_error,
) -> opamp_status {
    guard::call(&calls::CONFIG_MAP_ADD, map, err, |map| {
        let name = convert::name(name, name_len, "name")?;
        let of = |part: &str| format!("{part} of the file {:?}", shown(name));
        let content_type = convert::text_or_none(content_type, &of("content type"))?;
        map.add(
            name,
            content_type.unwrap_or(""),
            convert::bytes(body, body_len, &of("body"))?,
        )
    })
}

/// Adds a reference and answers the same map, which so outlives what it was borrowed from; NULL:
/// NULL.
///
/// Threads: any. Callbacks: yes. Blocks: no. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_config_map_ref(
    map: *const opamp_config_map,
) -> *mut opamp_config_map {
    guard::read(&calls::CONFIG_MAP_REF, map, ptr::null_mut(), |_| {
        Arc::increment_strong_count(map);
        map.cast_mut()
    })
}

/// Gives a reference back; the last one frees the map.
///
/// Threads: any. Callbacks: yes. Blocks: no. NULL or in a forked child: nothing. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_config_map_unref(map: *mut opamp_config_map) {
    guard::release(&calls::CONFIG_MAP_UNREF, map, |map| {
        drop(Arc::from_raw(map))
    });
}

/// How many files there are. NULL: 0.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: none. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_config_map_len(map: *const opamp_config_map) -> usize {
    guard::read(&calls::CONFIG_MAP_LEN, map, 0, opamp_config_map::len)
}

/// The file at a position, in the order of the names' bytes. Outputs borrow from the map and live
/// as long; each may be NULL; an empty content type means none. While the map is built a new file
/// may change positions, not slices.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_NOT_FOUND past the end. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_config_map_at(
    map: *const opamp_config_map,
    index: usize,
    name: *mut opamp_slice,
    content_type: *mut opamp_slice,
    body: *mut opamp_slice,
) -> opamp_status {
    guard::call(&calls::CONFIG_MAP_AT, map, ptr::null_mut(), |map| {
        let [its_name, its_type, its_body] = map.with(
            |map| map.at(index).map(slices),
            |map| map.at(index).map(slices),
        )?;
        convert::put(name, its_name);
        convert::put(content_type, its_type);
        convert::put(body, its_body);
        Ok(())
    })
}

/// The file of a name. Outputs as in opamp_config_map_at.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_NOT_FOUND, OPAMP_E_INVALID_ARG (not
/// UTF-8). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_config_map_get(
    map: *const opamp_config_map,
    name: *const c_char,
    name_len: usize,
    content_type: *mut opamp_slice,
    body: *mut opamp_slice,
) -> opamp_status {
    guard::call(&calls::CONFIG_MAP_GET, map, ptr::null_mut(), |map| {
        let wanted = convert::name(name, name_len, "name")?;
        let [_, its_type, its_body] = map.with(
            |map| map.find(wanted).map(slices),
            |map| map.find(wanted).map(slices),
        )?;
        convert::put(content_type, its_type);
        convert::put(body, its_body);
        Ok(())
    })
}
