//! One sort for whatever is sorted here: all of it is small or rare. The standard library's sort
//! would bring up to 9 KiB of code for each type; its heap takes less than one for all of them.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

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
    let places: BinaryHeap<Place<'_>> = (0..count).map(|index| Place(index, compare)).collect();
    let places = places.into_sorted_vec().into_iter();
    places.map(|place| place.0).collect()
}

/// Where an item stands, and how items compare.
struct Place<'a>(usize, &'a dyn Fn(usize, usize) -> Ordering);

impl Ord for Place<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.1)(self.0, other.0).then(self.0.cmp(&other.0))
    }
}

impl PartialOrd for Place<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Place<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Place<'_> {}

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
