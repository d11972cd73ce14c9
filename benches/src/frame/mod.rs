//! What all suites share: how often to measure, what comes out, and where it is written.

pub mod callgrind;
pub mod digest;
pub mod document;
mod goal;
pub mod machine;
mod rounds;
mod series;
mod table;

pub use goal::{Bound, Goal, goals};
pub use rounds::{Entry, interleave};
pub use series::Series;
pub use table::Table;

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Effort {
    /// Whether it only has to show that it works.
    pub quick: bool,
    /// Rounds, in each of which every contestant has its turn.
    pub rounds: u32,
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Only what has this in its name.
    pub filter: Option<String>,
}

impl Effort {
    /// Rounds of a run whose figures may stand on a page.
    pub const ROUNDS: u32 = 7;

    /// As asked for on the command line.
    pub fn new(quick: bool, rounds: Option<u32>, seed: u64, filter: Option<String>) -> Self {
        Self {
            quick,
            rounds: rounds.unwrap_or(if quick { 3 } else { Self::ROUNDS }),
            seed,
            filter,
        }
    }

    /// Whether something of this name is asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.filter.as_deref().is_none_or(|filter| name.contains(filter))
    }
}

/// A picture for the page.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its file name in `docs/images/bench/`.
    pub name: String,
    /// SVG.
    pub svg: String,
}

/// What a suite found out.
#[derive(Clone, Debug)]
pub struct Finding {
    /// For people: Markdown, with tables, without a heading of its own.
    pub text: String,
    /// For programs.
    pub value: serde_json::Value,
    /// What the text shows.
    pub images: Vec<Image>,
    /// Whether every measure that the suite has was reached.
    pub met: bool,
}

/// One thing that is measured for all contestants.
pub trait Suite {
    /// What `--only` calls it.
    fn name(&self) -> &'static str;

    /// Its heading.
    fn title(&self) -> &'static str;

    /// Packages whose versions stand beside its figures, apart from those of this workspace.
    fn packages(&self) -> &'static [&'static str] {
        &["tokio"]
    }

    /// Which of its figures the README shows; none, unless it says so.
    fn digest(&self) -> Vec<digest::Line> {
        Vec::new()
    }

    /// Measures.
    ///
    /// # Errors
    /// When it can't be measured here; the error says what is missing.
    fn run(&self, effort: &Effort) -> anyhow::Result<Finding>;

    /// Does a part of it alone, so many times, for a program that counts instructions.
    ///
    /// # Errors
    /// When there is no such part.
    fn case(&self, case: &str, _operations: u64) -> anyhow::Result<()> {
        anyhow::bail!("suite {} has no case {case}", self.name())
    }
}
