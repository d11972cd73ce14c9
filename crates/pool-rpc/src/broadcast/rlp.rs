//! As much of RLP as it takes to name a transaction: the headers of items.

/// An item: what it holds, and what comes after it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item<'a> {
    pub(super) is_list: bool,
    /// Header and payload together.
    pub(super) whole: &'a [u8],
    pub(super) payload: &'a [u8],
    pub(super) rest: &'a [u8],
}

/// Reads the first item. `None` when the bytes end too early or its length is not written the one allowed way.
pub(super) fn item(bytes: &[u8]) -> Option<Item<'_>> {
    let first = *bytes.first()?;
    let (is_list, header, length) = match first {
        0x00..=0x7f => (false, 0, 1),
        0x80..=0xb7 => (false, 1, usize::from(first - 0x80)),
        0xb8..=0xbf => long(bytes, first - 0xb7).map(|(header, length)| (false, header, length))?,
        0xc0..=0xf7 => (true, 1, usize::from(first - 0xc0)),
        0xf8..=0xff => long(bytes, first - 0xf7).map(|(header, length)| (true, header, length))?,
    };
    let end = header.checked_add(length)?;
    let (whole, rest) = bytes.split_at_checked(end)?;
    Some(Item {
        is_list,
        whole,
        payload: whole.get(header..)?,
        rest,
    })
}

/// Header and payload length where the length itself takes `size` bytes.
fn long(bytes: &[u8], size: u8) -> Option<(usize, usize)> {
    let digits = bytes.get(1..=usize::from(size))?;
    if digits.first() == Some(&0) {
        return None;
    }
    let length = digits.iter().try_fold(0_usize, |length, digit| {
        length.checked_mul(256)?.checked_add(usize::from(*digit))
    })?;
    (length > 55).then_some((1 + digits.len(), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_and_what_is_cut_is_not() {
        let read = |bytes: &[u8]| item(bytes).map(|item| (item.is_list, item.payload.len(), item.rest.len()));
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[0x7f, 1]), Some((false, 1, 1)));
        assert_eq!(read(&[0x80]), Some((false, 0, 0)));
        assert_eq!(read(&[0x82, 1, 2, 3]), Some((false, 2, 1)));
        assert_eq!(read(&[0x82, 1]), None);
        assert_eq!(read(&[0xc2, 1, 2]), Some((true, 2, 0)));
        let long: Vec<u8> = [0xf8, 56].into_iter().chain([1; 56]).collect();
        assert_eq!(read(&long), Some((true, 56, 0)));
        assert_eq!(read(&long[..57]), None);
        assert_eq!(read(&[0xf8, 1, 1]), None, "the short form is the allowed one");
        assert_eq!(read(&[0xf9, 0, 60]), None, "no leading zeros");
        assert_eq!(read(&[0xff; 9]), None, "a length beyond memory");
    }
}
