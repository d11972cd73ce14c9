//! What a report on traces shows of whom.

use plotters::style::RGBColor;

/// The colours of ours: of the default, and of the default with hedging.
pub(crate) const OURS: [RGBColor; 2] = [RGBColor(20, 60, 200), RGBColor(120, 170, 240)];
/// The colours of the others, in the order in which the suites name them.
pub(crate) const ORANGE: RGBColor = RGBColor(230, 120, 0);
pub(crate) const RED: RGBColor = RGBColor(200, 40, 40);
pub(crate) const GREEN: RGBColor = RGBColor(60, 150, 60);
pub(crate) const GREY: RGBColor = RGBColor(150, 150, 150);
pub(crate) const BLACK: RGBColor = RGBColor(0, 0, 0);
pub(crate) const PINK: RGBColor = RGBColor(220, 90, 160);
pub(crate) const VIOLET: RGBColor = RGBColor(130, 60, 170);

/// Who plays which part, and how it is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Cast {
    /// What the names of the pictures begin with.
    pub(crate) suite: &'static str,
    /// What stands before a trace's name in its heading.
    pub(crate) heading: &'static str,
    /// The configuration of ours that one gets who chooses nothing. The measures are taken of it.
    pub(crate) default: String,
    /// The same with hedging: recommended for reads.
    pub(crate) hedged: String,
    /// Whose lines are drawn, the most important last, so that it lies on top.
    pub(crate) lines: Vec<(String, RGBColor)>,
    /// Milliseconds that are shown: below the fastest answer, above the deadline.
    pub(crate) latencies: (f64, f64),
}
