//! Rounds on the machine: every contestant has its turn in each, so that what disturbs one disturbs all.

use super::Series;

/// A contestant: its name, and what measures it once.
pub struct Entry<'a> {
    /// Its name in the table.
    pub name: String,
    /// Measures it once; the figure's unit is the suite's affair.
    pub measure: Box<dyn FnMut() -> f64 + 'a>,
}

impl std::fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Measures all entries in turn, round by round, after one round that does not count. Each round begins with another one,
/// so that nobody always follows the same neighbour's heat.
pub fn interleave(entries: &mut [Entry<'_>], rounds: u32) -> Vec<Series> {
    let mut figures: Vec<Vec<f64>> = entries.iter().map(|_| Vec::new()).collect();
    for round in 0..=rounds as usize {
        for turn in 0..entries.len() {
            let at = (round + turn) % entries.len();
            let figure = (entries[at].measure)();
            if round > 0 {
                figures[at].push(figure);
            }
        }
    }
    figures.into_iter().map(Series::new).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn they_take_turns_and_the_first_round_does_not_count() {
        let order = RefCell::new(String::new());
        let entry = |name: char| Entry {
            name: name.to_string(),
            measure: Box::new({
                let order = &order;
                move || {
                    order.borrow_mut().push(name);
                    order.borrow().len() as f64
                }
            }),
        };
        let mut entries = [entry('a'), entry('b'), entry('c')];
        let figures = interleave(&mut entries, 2);
        assert_eq!(*order.borrow(), "abcbcacab");
        // b was second of the warm-up, then first and last
        assert_eq!(figures[1].rounds(), [4.0, 9.0]);
    }
}
