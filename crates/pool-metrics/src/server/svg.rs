//! Small drawings, inline. Sizes and colours come from the page's style; attributes only give the shape, because the
//! page's policy forbids inline styles.

use std::fmt::Write as _;

/// Signs of the badges.
pub(super) const TICK: &str =
    r#"<svg class="sign" viewBox="0 0 12 12" aria-hidden="true"><path d="M2 6.5l3 3 5-7"/></svg>"#;
pub(super) const TRIANGLE: &str = r#"<svg class="sign" viewBox="0 0 12 12" aria-hidden="true"><path d="M6 1.5l5 9h-10zM6 5v2.5M6 9v.1"/></svg>"#;
pub(super) const CROSS: &str =
    r#"<svg class="sign" viewBox="0 0 12 12" aria-hidden="true"><path d="M2.5 2.5l7 7M9.5 2.5l-7 7"/></svg>"#;

/// Height of a curve; its width is the number of points.
const HEIGHT: f64 = 24.0;

/// How much of `most` is taken.
pub(super) fn bar(taken: u64, most: u64) -> String {
    let share = if most == 0 {
        0.0
    } else {
        (taken as f64 / most as f64).min(1.0) * 100.0
    };
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect width=\"100\" \
         height=\"4\"/><rect class=\"taken\" width=\"{share:.0}\" height=\"4\"/></svg>"
    )
}

/// A curve of values from 0 to `highest`, right-aligned; gaps where there is none. The square root is drawn, so that one
/// outlier does not press all else flat.
pub(super) fn curve(values: &[Option<f64>], highest: f64) -> String {
    let most = super::history::POINTS;
    let known = || values.iter().flatten();
    let said = match (
        known().copied().reduce(f64::min),
        known().copied().reduce(f64::max),
    ) {
        (Some(least), Some(most)) => format!("between {least:.1} and {most:.1} ms"),
        _ => "no successful attempt yet".to_owned(),
    };
    let mut path = String::new();
    let mut drawing = false;
    let offset = most.saturating_sub(values.len());
    for (at, value) in values.iter().enumerate() {
        let Some(value) = value else {
            drawing = false;
            continue;
        };
        let y = HEIGHT
            - 1.0
            - (HEIGHT - 2.0)
                * if highest > 0.0 {
                    (value / highest).sqrt()
                } else {
                    0.0
                };
        let _infallible = if drawing {
            write!(path, "L{} {y:.1}", at + offset)
        } else {
            // a lone value shows as a dot
            write!(path, "M{} {y:.1}h.1", at + offset)
        };
        drawing = true;
    }
    format!(
        "<svg class=\"curve\" viewBox=\"0 0 {most} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"{said}\"><path class=\"base\" d=\"M0 {HEIGHT}h{most}\"/><path d=\"{path}\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_has_gaps_and_ends_at_the_right() {
        let drawn = curve(&[Some(0.0), Some(10.0), None, Some(2.5)], 10.0);
        assert!(
            drawn.contains("d=\"M116 23.0h.1L117 1.0M119 12.0h.1\""),
            "{drawn}"
        );
        assert!(drawn.contains("between 0.0 and 10.0 ms"), "{drawn}");
        assert!(curve(&[None], 0.0).contains("d=\"\""));
        assert!(curve(&[], 0.0).contains("no successful attempt yet"));
    }

    #[test]
    fn a_bar_never_overflows() {
        assert!(bar(3, 4).contains("width=\"75\""));
        assert!(bar(9, 4).contains("class=\"taken\" width=\"100\""));
        assert!(bar(0, 0).contains("class=\"taken\" width=\"0\""));
    }
}
