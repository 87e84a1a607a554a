//! `opamp_array`: typed values in an order.

use std::{ffi::c_char, ptr};

use crate::locks::Mutex;
use bytes::Bytes;

use super::{
    attributes::{Nested, busy, one_more_level, opamp_attributes},
    calls, convert,
    error::opamp_error,
    guard,
    guard::{Handle, Life},
    status::{Outcome, opamp_status},
};
use crate::proto::{ArrayValue, any_value::Value};

/// Builds an array of typed values, in the order of adding. Belongs to one thread at a time. Every
/// call copies.
pub struct opamp_array {
    life: Life,
    values: Mutex<Vec<Nested>>,
}

impl Handle for opamp_array {
    fn life(&self) -> &Life {
        &self.life
    }
}

impl opamp_array {
    fn add(&self, nested: Nested) -> Outcome {
        self.values.try_lock().ok_or_else(busy)?.push(nested);
        Ok(())
    }

    pub(super) fn copy(&self) -> Outcome<Nested> {
        let values = self.values.try_lock().ok_or_else(busy)?;
        let levels = one_more_level(values.iter())?;
        let values = values.iter().cloned().map(Nested::into_any).collect();
        Ok(Nested {
            value: Some(Value::ArrayValue(ArrayValue { values })),
            levels,
        })
    }
}

/// Makes an empty array. out: yours to opamp_array_free.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_array_new(out: *mut *mut opamp_array) -> opamp_status {
    guard::open(&calls::ARRAY_NEW, ptr::null_mut(), || {
        convert::wanted(out)?;
        let array = opamp_array {
            life: Life::new(),
            values: Mutex::default(),
        };
        out.write(Box::into_raw(Box::new(array)));
        Ok(())
    })
}

/// Frees an array.
///
/// Threads: any, once. Callbacks: yes. Blocks: no. NULL or in a forked child: nothing. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_array_free(array: *mut opamp_array) {
    guard::release(&calls::ARRAY_FREE, array, |it| drop(Box::from_raw(it)));
}

/// Appends a text. value: UTF-8, copied.
///
/// Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (NULL, not
/// UTF-8). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_array_add_string(
    array: *mut opamp_array,
    value: *const c_char,
    err: *mut *mut opamp_error,
) -> opamp_status {
    guard::call(&calls::ARRAY_ADD_STRING, array, err, |array| {
        array.add(Nested::plain(Value::StringValue(
            convert::text(value, "value")?.to_owned(),
        )))
    })
}

/// Appends a truth value. value: 0 is false, any other true.
///
/// Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_array_add_bool(
    array: *mut opamp_array,
    value: i32,
    err: *mut *mut opamp_error,
) -> opamp_status {
    guard::call(&calls::ARRAY_ADD_BOOL, array, err, |array| {
        array.add(Nested::plain(Value::BoolValue(value != 0)))
    })
}

/// Appends an integer.
///
/// Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_array_add_int(
    array: *mut opamp_array,
    value: i64,
    err: *mut *mut opamp_error,
) -> opamp_status {
    guard::call(&calls::ARRAY_ADD_INT, array, err, |array| {
        array.add(Nested::plain(Value::IntValue(value)))
    })
}

/// Appends a floating point number.
///
/// Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_array_add_double(
    array: *mut opamp_array,
    value: f64,
    err: *mut *mut opamp_error,
) -> opamp_status {
    guard::call(&calls::ARRAY_ADD_DOUBLE, array, err, |array| {
        array.add(Nested::plain(Value::DoubleValue(value)))
    })
}

/// Appends bytes. value: copied; (NULL, 0) is empty.
///
/// Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_array_add_bytes(
    array: *mut opamp_array,
    value: *const u8,
    len: usize,
    err: *mut *mut opamp_error,
) -> opamp_status {
    guard::call(&calls::ARRAY_ADD_BYTES, array, err, |array| {
        array.add(Nested::plain(Value::BytesValue(Bytes::copy_from_slice(
            convert::bytes(value, len, "value")?,
        ))))
    })
}

/// Appends a value that is none.
///
/// Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_array_add_empty(
    array: *mut opamp_array,
    err: *mut *mut opamp_error,
) -> opamp_status {
    guard::call(&calls::ARRAY_ADD_EMPTY, array, err, |array| {
        array.add(Nested::EMPTY)
    })
}

/// Appends a copy of an array. value: stays yours.
///
/// Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG,
/// OPAMP_E_TOO_LARGE (more than 32 levels). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_array_add_array(
    array: *mut opamp_array,
    value: *const opamp_array,
    err: *mut *mut opamp_error,
) -> opamp_status {
    guard::call(&calls::ARRAY_ADD_ARRAY, array, err, |array| {
        array.add(convert::object(value, "array")?.copy()?)
    })
}

/// Appends a copy of attributes as a map. value: stays yours.
///
/// Threads: one at a time. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG,
/// OPAMP_E_TOO_LARGE (more than 32 levels). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_array_add_map(
    array: *mut opamp_array,
    value: *const opamp_attributes,
    err: *mut *mut opamp_error,
) -> opamp_status {
    guard::call(&calls::ARRAY_ADD_MAP, array, err, |array| {
        array.add(convert::object(value, "map")?.copy()?)
    })
}
