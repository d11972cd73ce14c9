//! The README's figures: taken from the page in `docs/`, never typed.
//!
//! Each suite names the cells of its tables that the README shows ([`Suite::digest`](super::Suite::digest)). The README's
//! table is made of the page alone, so whoever changes either without the other is found by a test.

use std::{fmt, path::Path};

use anyhow::{Context, Result, bail, ensure};

use super::{
    Table,
    document::{between, replace_between},
};

/// What a reader of the README sees in place of a figure that nobody has measured, and what a suite writes in the cell of one
/// that can't be measured on this machine.
pub const NOT_MEASURED: &str = "**not measured**";

/// The marks in the README.
const MARKS: &str = "figures";

/// Where a figure stands: in the first table of the suite's part of the page that has such a row and such a column.
#[derive(Clone, Debug)]
pub struct Cell {
    after: Option<String>,
    row: String,
    column: String,
    nth: usize,
}

impl Cell {
    /// The cell in the row that begins with `row` in its first column, under the heading `column`; a remark in brackets behind
    /// it does not count.
    pub fn at(row: impl Into<String>, column: impl Into<String>) -> Self {
        Self {
            after: None,
            row: row.into(),
            column: column.into(),
            nth: 0,
        }
    }

    /// Under the heading of this name that comes so many after the first.
    #[must_use]
    pub fn nth(mut self, nth: usize) -> Self {
        self.nth = nth;
        self
    }

    /// Only in a table that a paragraph which begins like this stands above.
    #[must_use]
    pub fn after(mut self, paragraph: impl Into<String>) -> Self {
        self.after = Some(paragraph.into());
        self
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row \"{}\", column \"{}\"", self.row, self.column)?;
        let after = self.after.as_ref();
        after.map_or(Ok(()), |after| write!(f, ", below \"{after}\""))
    }
}

/// A line of the README's table.
#[derive(Clone, Debug)]
pub struct Line {
    /// What was measured.
    pub what: &'static str,
    /// The figures' unit.
    pub unit: &'static str,
    /// Where ours stands.
    pub ours: Cell,
    /// What it is to be seen beside, by name.
    pub beside: Vec<(&'static str, Cell)>,
}

impl Line {
    /// A line that shows our figure alone.
    pub fn new(what: &'static str, unit: &'static str, ours: Cell) -> Self {
        Self {
            what,
            unit,
            ours,
            beside: Vec::new(),
        }
    }

    /// Shows it beside another one.
    #[must_use]
    pub fn beside(mut self, name: &'static str, cell: Cell) -> Self {
        self.beside.push((name, cell));
        self
    }
}

/// What the README should say, and which suites the page has no figures of.
#[derive(Clone, Debug)]
pub struct Digest {
    /// The README as it should be.
    pub readme: String,
    /// Suites with lines in it that were not measured.
    pub unmeasured: Vec<&'static str>,
}

/// Fills the README's marks from a page: with the lines of each suite, in this order.
///
/// # Errors
/// When the README or the page lacks its marks, or a suite that was measured lacks the cell that a line names.
pub fn digest(readme: &str, page: &str, lines: &[(&'static str, Vec<Line>)]) -> Result<Digest> {
    let mut table = Table::new(["", "ours", "beside it", "in full"]);
    let mut unmeasured = Vec::new();
    for (suite, lines) in lines {
        let part =
            between(page, suite).with_context(|| format!("the page has no marks for suite {suite}"))?;
        let tables = tables(part);
        if tables.is_empty() && !lines.is_empty() {
            unmeasured.push(*suite);
        }
        let link = format!("[{suite}](docs/benchmarks.md#{})", section(page, suite));
        for line in lines {
            let figure = |cell: &Cell| {
                if tables.is_empty() {
                    return Ok(NOT_MEASURED.to_owned());
                }
                let text = find(&tables, cell)
                    .with_context(|| format!("suite {suite}, \"{}\": the page has no {cell}", line.what))?;
                if text == NOT_MEASURED {
                    return Ok(NOT_MEASURED.to_owned());
                }
                let figure = text.split(" (").next().unwrap_or(text);
                Ok::<_, anyhow::Error>(format!("{figure} {}", line.unit).trim_end().to_owned())
            };
            let mut others = Vec::new();
            for (name, cell) in &line.beside {
                others.push(if tables.is_empty() {
                    (*name).to_owned()
                } else {
                    format!("{name}: {}", figure(cell)?)
                });
            }
            table.row([
                line.what.to_owned(),
                figure(&line.ours)?,
                others.join("; "),
                link.clone(),
            ]);
        }
    }
    let readme = replace_between(readme, MARKS, &table.to_string())
        .context("README.md has no marks for the figures of the benchmarks")?;
    Ok(Digest { readme, unmeasured })
}

/// Whether the README in this folder says what the page says.
///
/// # Errors
/// When it doesn't, with the first line that differs; or as [`digest`] fails.
pub fn check(root: &Path, page: &str, lines: &[(&'static str, Vec<Line>)]) -> Result<Digest> {
    let read =
        |name: &str| std::fs::read_to_string(root.join(name)).with_context(|| format!("can't read {name}"));
    let readme = read("README.md")?;
    let digest = digest(&readme, &read(page)?, lines)?;
    let mut both = readme.lines().zip(digest.readme.lines());
    if let Some((is, should)) = both.find(|(is, should)| is != should) {
        bail!(
            "README.md differs from {page}\n  is:     {is}\n  should: {should}\n`cargo xtask bench -- --readme` corrects it"
        );
    }
    ensure!(
        readme == digest.readme,
        "README.md lacks a line of {page}, or has one too many; `cargo xtask bench -- --readme` corrects it"
    );
    Ok(digest)
}

/// A table of a page, with the paragraph above it.
struct Found<'a> {
    above: &'a str,
    rows: Vec<Vec<&'a str>>,
}

fn tables(part: &str) -> Vec<Found<'_>> {
    let (mut tables, mut above, mut open) = (Vec::<Found<'_>>::new(), "", false);
    let mut paragraph = false;
    for line in part.lines().map(str::trim) {
        if let Some(cells) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) {
            if !open {
                let rows = Vec::new();
                tables.push(Found { above, rows });
            }
            let cells = cells.split('|').map(str::trim).collect();
            if let Some(table) = tables.last_mut() {
                table.rows.push(cells);
            }
            (open, paragraph) = (true, false);
        } else {
            if !line.is_empty() && !paragraph {
                above = line;
            }
            (open, paragraph) = (false, !line.is_empty());
        }
    }
    tables
}

fn find<'a>(tables: &[Found<'a>], cell: &Cell) -> Option<&'a str> {
    let wanted = |table: &&Found<'_>| {
        let after = cell.after.as_ref();
        after.is_none_or(|after| table.above.starts_with(after.as_str()))
    };
    tables.iter().filter(wanted).find_map(|table| {
        let heads = table.rows.first()?.iter().enumerate();
        let without_remark = |head: &str| head.split(" (").next() == Some(cell.column.as_str());
        let mut columns = heads.filter(|(_, head)| **head == cell.column || without_remark(head));
        let (column, _) = columns.nth(cell.nth)?;
        // behind the heading lies the rule
        let row = table
            .rows
            .iter()
            .skip(2)
            .find(|row| row.first() == Some(&cell.row.as_str()))?;
        row.get(column).copied()
    })
}

/// The anchor of the section that the suite's part stands in.
fn section(page: &str, suite: &str) -> String {
    let before = page
        .split(&format!("<!-- bench {suite}: begin"))
        .next()
        .unwrap_or_default();
    let heading = before.lines().rev().find_map(|line| line.strip_prefix("## "));
    let heading = heading.unwrap_or_default().to_lowercase();
    heading
        .chars()
        .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter))
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "# Ours\n\n<!-- bench figures: begin, written by `cargo xtask bench` -->\n<!-- bench figures: end -->\n\nBy hand.\n";
    const PAGE: &str = "# Page\n\n## All the pools\n\n<!-- bench pool: begin, written by `cargo xtask bench` -->\n\nMeasured.\n\n\
        Nanoseconds:\n\n|  | one | many (of 16) |\n| --- | ---: | ---: |\n| them | 20 (1.00; 1.00-1.00) | 30 |\n| **us** | 10 (0.50; 0.49-0.51) | 15 |\n\n\
        Instructions\nof all:\n\n|  | one |\n| --- | ---: |\n| **us** | 111 |\n\n<!-- bench pool: end -->\n";

    fn lines(cell: Cell) -> Vec<(&'static str, Vec<Line>)> {
        let line = Line::new("acquire", "ns", cell).beside("them", Cell::at("them", "one"));
        vec![("pool", vec![line])]
    }

    fn row(page: &str, cell: Cell) -> Result<String> {
        let digest = digest(README, page, &lines(cell))?;
        let row = digest.readme.lines().find(|line| line.starts_with("| acquire"));
        row.map(str::to_owned).context("no row")
    }

    #[test]
    fn figures_come_from_the_page_without_their_spread() {
        assert_eq!(
            row(PAGE, Cell::at("**us**", "one")).unwrap(),
            "| acquire | 10 ns | them: 20 ns | [pool](docs/benchmarks.md#all-the-pools) |"
        );
        assert!(
            row(PAGE, Cell::at("**us**", "many"))
                .unwrap()
                .contains("| 15 ns |")
        );
        let below = row(PAGE, Cell::at("**us**", "one").after("Instructions")).unwrap();
        assert!(below.contains("| 111 ns |"), "{below}");
        assert!(
            row(&PAGE.replace("10 (", "11 ("), Cell::at("**us**", "one"))
                .unwrap()
                .contains("| 11 ns |")
        );
    }

    #[test]
    fn what_was_not_measured_is_said() {
        let (begin, rest) = PAGE.split_once("Measured.").unwrap();
        let (_, end) = rest.split_once("<!--").unwrap();
        let page = format!("{begin}Not measured yet.\n\n<!--{end}");
        let digest = digest(README, &page, &lines(Cell::at("**us**", "one"))).unwrap();
        assert_eq!(digest.unmeasured, ["pool"]);
        let page = PAGE.replace("10 (0.50; 0.49-0.51)", NOT_MEASURED);
        let row = row(&page, Cell::at("**us**", "one")).unwrap();
        assert!(
            row.contains("| acquire | **not measured** | them: 20 ns |"),
            "{row}"
        );
        assert!(
            digest.readme.contains("| acquire | **not measured** | them |"),
            "{}",
            digest.readme
        );
    }

    #[test]
    fn a_cell_that_is_not_there_and_a_page_without_marks_are_errors() {
        for cell in [
            Cell::at("**us**", "three"),
            Cell::at("nobody", "one"),
            Cell::at("**us**", "one").after("Seconds"),
        ] {
            let error = row(PAGE, cell.clone()).unwrap_err().to_string();
            assert!(error.contains(&cell.to_string()), "{error}");
        }
        assert!(row("# Page\n", Cell::at("**us**", "one")).is_err());
        assert!(digest("# Ours\n", PAGE, &lines(Cell::at("**us**", "one"))).is_err());
    }

    #[test]
    fn a_readme_that_says_something_else_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (root, lines) = (folder.path(), lines(Cell::at("**us**", "one")));
        let write = |name: &str, text: &str| std::fs::write(root.join(name), text).unwrap();
        write("page.md", PAGE);
        write("README.md", README);
        assert!(
            check(root, "page.md", &lines).is_err(),
            "it has no figures at all"
        );
        let right = digest(README, PAGE, &lines).unwrap().readme;
        write("README.md", &right);
        check(root, "page.md", &lines).unwrap();
        write("README.md", &right.replace("| 10 ns |", "| 9 ns |"));
        let error = check(root, "page.md", &lines).unwrap_err().to_string();
        assert!(error.contains("is:     | acquire | 9 ns |"), "{error}");
        write("README.md", &right);
        write("page.md", &PAGE.replace("10 (", "12 ("));
        assert!(check(root, "page.md", &lines).is_err(), "the page has changed");
    }
}
