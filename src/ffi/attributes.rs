//! `opamp_attributes`: typed values by key, nested as deep as a host likes up to a bound.

use std::{ffi::c_char, ptr};

use crate::locks::Mutex;
use bytes::Bytes;

use super::{
    array::opamp_array,
    calls, convert,
    error::opamp_error,
    guard,
    guard::{Handle, Life},
    status::{OPAMP_E_STATE, OPAMP_E_TOO_LARGE, Outcome, Refusal, opamp_status},
};
use crate::{
    agent::{Reason, shown},
    proto::{AnyValue, KeyValue, KeyValueList, any_value::Value},
};

/// Levels of arrays and maps in a value. Readers of protobuf stop at 100 nested messages, a level
/// of maps is three of them, and a description has three more.
const LEVELS: usize = 32;

/// Builds typed attributes. They leave in the order in which the keys were set first; a key set
/// again keeps its place and gets the new value. Belongs to one thread at a time. Every call
/// copies, so what was built may be changed or freed after it was handed over.
pub struct opamp_attributes {
    life: Life,
    /// Only ever tried, never waited for: the holder may be a thread that a fork left behind.
    pairs: Mutex<Pairs>,
}

#[derive(Default)]
struct Pairs {
    in_order: Vec<(String, Nested)>,
    /// Where each key stands, in the keys' order.
    places: Vec<usize>,
}

impl Pairs {
    fn set(&mut self, key: &str, nested: Nested) {
        let key_at = |place: &usize| self.in_order.get(*place).map_or("", |(key, _)| key);
        match self.places.binary_search_by(|place| key_at(place).cmp(key)) {
            Ok(found) => {
                let place = self.places.get(found).copied();
                if let Some(pair) = place.and_then(|place| self.in_order.get_mut(place)) {
                    pair.1 = nested;
                }
            }
            Err(found) => {
                self.places.insert(found, self.in_order.len());
                self.in_order.push((key.to_owned(), nested));
            }
        }
    }

    fn to_proto(&self) -> Vec<KeyValue> {
        let pair = |(key, nested): &(String, Nested)| KeyValue {
            key: key.clone(),
            value: Some(nested.clone().into_any()),
        };
        self.in_order.iter().map(pair).collect()
    }
}

impl Handle for opamp_attributes {
    fn life(&self) -> &Life {
        &self.life
    }
}

/// A value, and how many levels of arrays and maps it has.
#[derive(Clone, Debug)]
pub(super) struct Nested {
    pub(super) value: Option<Value>,
    pub(super) levels: usize,
}

impl Nested {
    pub(super) fn plain(value: Value) -> Self {
        Self {
            value: Some(value),
            levels: 0,
        }
    }

    pub(super) const EMPTY: Self = Self {
        value: None,
        levels: 0,
    };

    pub(super) fn into_any(self) -> AnyValue {
        AnyValue { value: self.value }
    }
}

pub(super) fn one_more_level<'a>(inner: impl Iterator<Item = &'a Nested>) -> Outcome<usize> {
    let levels = 1 + inner.map(|nested| nested.levels).max().unwrap_or(0);
    if levels > LEVELS {
        return Err(Refusal::new(
            OPAMP_E_TOO_LARGE,
            format!("more than {LEVELS} levels of arrays and maps"),
        )
        .because(Reason::TooDeep));
    }
    Ok(levels)
}

impl opamp_attributes {
    fn set(&self, key: &str, nested: Nested) -> Outcome {
        self.pairs.try_lock().ok_or_else(busy)?.set(key, nested);
        Ok(())
    }

    pub(super) fn copy(&self) -> Outcome<Nested> {
        let pairs = self.pairs.try_lock().ok_or_else(busy)?;
        let levels = one_more_level(pairs.in_order.iter().map(|(_, nested)| nested))?;
        let values = pairs.to_proto();
        Ok(Nested {
            value: Some(Value::KvlistValue(KeyValueList { values })),
            levels,
        })
    }
}

pub(super) fn busy() -> Refusal {
    Refusal::new(OPAMP_E_STATE, "another thread is inside the builder").because(Reason::Busy)
}

/// # Safety
/// As the header says of each setter.
unsafe fn set(
    row: &calls::Call,
    attributes: *mut opamp_attributes,
    key: *const c_char,
    err: *mut *mut opamp_error,
    value: impl FnOnce(&str) -> Outcome<Nested>,
) -> opamp_status {
    guard::call(row, attributes, err, |attributes| {
        let key = convert::text(key, "key")?;
        attributes.set(key, value(key)?)
    })
}

/// The value's name in an error text.
fn value_of(key: &str) -> String {
    format!("value of the key {:?}", shown(key))
}

/// What a message carries of them; none: nothing.
pub(super) fn pairs(attributes: Option<&opamp_attributes>) -> Outcome<Vec<KeyValue>> {
    match attributes {
        None => Ok(Vec::new()),
        Some(attributes) => Ok(attributes.pairs.try_lock().ok_or_else(busy)?.to_proto()),
    }
}

/// Makes an empty set of attributes. out: yours to opamp_attributes_free.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_attributes_new(out: *mut *mut opamp_attributes) -> opamp_status {
    guard::open(&calls::ATTRIBUTES_NEW, ptr::null_mut(), || {
        convert::wanted(out)?;
        let attributes = opamp_attributes {
            life: Life::new(),
            pairs: Mutex::default(),
        };
        out.write(Box::into_raw(Box::new(attributes)));
        Ok(())
    })
}

/// Frees attributes.
///
/// Threads: any, once. Callbacks: yes. Blocks: no. NULL or in a forked child: nothing. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_attributes_free(attributes: *mut opamp_attributes) {
    guard::release(&calls::ATTRIBUTES_FREE, attributes, |it| {
        drop(Box::from_raw(it))
    });
}

/// Sets a key to a text. key: UTF-8, copied. value: UTF-8, copied.
///
/// Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (NULL, not
/// UTF-8). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_attributes_set_string(
    attributes: *mut opamp_attributes,
    key: *const c_char,
    value: *const c_char,
    err: *mut *mut opamp_error,
) -> opamp_status {
    set(&calls::ATTRIBUTES_SET_STRING, attributes, key, err, |key| {
        let value = convert::text(value, &value_of(key))?;
        Ok(Nested::plain(Value::StringValue(value.to_owned())))
    })
}

/// Sets a key to a truth value. key: UTF-8, copied. value: 0 is false, any other true.
///
/// Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_attributes_set_bool(
    attributes: *mut opamp_attributes,
    key: *const c_char,
    value: i32,
    err: *mut *mut opamp_error,
) -> opamp_status {
    set(&calls::ATTRIBUTES_SET_BOOL, attributes, key, err, |_| {
        Ok(Nested::plain(Value::BoolValue(value != 0)))
    })
}

/// Sets a key to an integer. key: UTF-8, copied.
///
/// Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_attributes_set_int(
    attributes: *mut opamp_attributes,
    key: *const c_char,
    value: i64,
    err: *mut *mut opamp_error,
) -> opamp_status {
    set(&calls::ATTRIBUTES_SET_INT, attributes, key, err, |_| {
        Ok(Nested::plain(Value::IntValue(value)))
    })
}

/// Sets a key to a floating point number. key: UTF-8, copied.
///
/// Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_attributes_set_double(
    attributes: *mut opamp_attributes,
    key: *const c_char,
    value: f64,
    err: *mut *mut opamp_error,
) -> opamp_status {
    set(&calls::ATTRIBUTES_SET_DOUBLE, attributes, key, err, |_| {
        Ok(Nested::plain(Value::DoubleValue(value)))
    })
}

/// Sets a key to bytes. key: UTF-8, copied. value: copied; (NULL, 0) is empty.
///
/// Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_attributes_set_bytes(
    attributes: *mut opamp_attributes,
    key: *const c_char,
    value: *const u8,
    len: usize,
    err: *mut *mut opamp_error,
) -> opamp_status {
    set(&calls::ATTRIBUTES_SET_BYTES, attributes, key, err, |key| {
        let value = convert::bytes(value, len, &value_of(key))?;
        Ok(Nested::plain(Value::BytesValue(Bytes::copy_from_slice(
            value,
        ))))
    })
}

/// Sets a key to a value that is none. key: UTF-8, copied.
///
/// Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_attributes_set_empty(
    attributes: *mut opamp_attributes,
    key: *const c_char,
    err: *mut *mut opamp_error,
) -> opamp_status {
    set(&calls::ATTRIBUTES_SET_EMPTY, attributes, key, err, |_| {
        Ok(Nested::EMPTY)
    })
}

/// Sets a key to a copy of an array. key: UTF-8, copied. value: stays yours.
///
/// Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG,
/// OPAMP_E_TOO_LARGE (more than 32 levels). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_attributes_set_array(
    attributes: *mut opamp_attributes,
    key: *const c_char,
    value: *const opamp_array,
    err: *mut *mut opamp_error,
) -> opamp_status {
    set(&calls::ATTRIBUTES_SET_ARRAY, attributes, key, err, |key| {
        convert::object(value, &value_of(key))?.copy()
    })
}

/// Sets a key to a copy of attributes as a map. key: UTF-8, copied. value: stays yours.
///
/// Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG,
/// OPAMP_E_TOO_LARGE (more than 32 levels). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_attributes_set_map(
    attributes: *mut opamp_attributes,
    key: *const c_char,
    value: *const opamp_attributes,
    err: *mut *mut opamp_error,
) -> opamp_status {
    set(&calls::ATTRIBUTES_SET_MAP, attributes, key, err, |key| {
        convert::object(value, &value_of(key))?.copy()
    })
}
