//! Whole numbers as text, without the machinery of `fmt`.

/// A number in decimal digits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digits {
    digits: [u8; MOST],
    /// Where they begin.
    from: usize,
}

/// Digits of [`u64::MAX`].
const MOST: usize = 20;

impl Digits {
    pub(crate) fn of(mut number: u64) -> Self {
        let (mut digits, mut from) = ([0; MOST], MOST);
        loop {
            from -= 1;
            digits[from] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Self { digits, from };
            }
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.digits[self.from..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_fmt_does() {
        let powers = (0..20).map(|exponent| 10_u64.pow(exponent));
        let around = powers.flat_map(|power| [power - 1, power, power + 1]);
        for number in around.chain([u64::MAX]) {
            assert_eq!(Digits::of(number).as_bytes(), number.to_string().as_bytes());
        }
    }
}
