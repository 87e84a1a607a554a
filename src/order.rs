//! One sort for whatever is sorted here: all of it is small or rare, and the standard library's
//! brings its whole algorithm anew for each type, some 5 KiB of code a time.

use std::cmp::Ordering;

/// The items in order; those that compare as equal stay as they were.
pub(crate) fn sorted<T>(items: Vec<T>, compare: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    let order = indices(items.len(), &|one, other| {
        compare(&items[one], &items[other])
    });
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    let in_order = order.into_iter().filter_map(|index| items[index].take());
    in_order.collect()
}

fn indices(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..count).collect();
    indices.sort_unstable_by(|&one, &other| compare(one, other).then(one.cmp(&other)));
    indices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_in_order_and_equal_ones_as_they_were() {
        let items = vec![(2, 'a'), (1, 'b'), (2, 'c'), (0, 'd'), (1, 'e')];
        let found = sorted(items, |one, other| one.0.cmp(&other.0));
        assert_eq!(found, [(0, 'd'), (1, 'b'), (1, 'e'), (2, 'a'), (2, 'c')]);
        assert_eq!(sorted(Vec::<u8>::new(), u8::cmp), []);
    }
}
