//! Whether a description says the same as another: attributes are sets, in whatever order they
//! stand (SYNC-28).
use crate::{
    order::sorted,
    proto::{AgentDescription, AnyValue, KeyValue, any_value::Value},
};

pub(super) fn is_same(one: &AgentDescription, other: &AgentDescription) -> bool {
    are_same(&one.identifying_attributes, &other.identifying_attributes)
        && are_same(
            &one.non_identifying_attributes,
            &other.non_identifying_attributes,
        )
}

/// The keys of one list differ from each other.
fn are_same(one: &[KeyValue], other: &[KeyValue]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let in_place = one
        .iter()
        .zip(other)
        .all(|(one, other)| one.key == other.key);
    if in_place {
        return one.iter().zip(other).all(is_same_pair);
    }
    let (one, other) = (by_key(one), by_key(other));
    one.into_iter().zip(other).all(is_same_pair)
}

fn by_key(pairs: &[KeyValue]) -> Vec<&KeyValue> {
    sorted(pairs.iter().collect(), |one, other| one.key.cmp(&other.key))
}

fn is_same_pair((one, other): (&KeyValue, &KeyValue)) -> bool {
    one.key == other.key && is_same_value(one.value.as_ref(), other.value.as_ref())
}

fn is_same_value(one: Option<&AnyValue>, other: Option<&AnyValue>) -> bool {
    match (
        one.and_then(|it| it.value.as_ref()),
        other.and_then(|it| it.value.as_ref()),
    ) {
        (Some(Value::KvlistValue(one)), Some(Value::KvlistValue(other))) => {
            are_same(&one.values, &other.values)
        }
        (Some(Value::ArrayValue(one)), Some(Value::ArrayValue(other))) => {
            let pairs = one.values.iter().zip(&other.values);
            one.values.len() == other.values.len()
                && pairs
                    .into_iter()
                    .all(|(one, other)| is_same_value(Some(one), Some(other)))
        }
        // Not a number is what it was.
        (Some(Value::DoubleValue(one)), Some(Value::DoubleValue(other))) => {
            one.to_bits() == other.to_bits()
        }
        (one, other) => one == other,
    }
}
