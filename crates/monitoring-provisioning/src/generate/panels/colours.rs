//! The colours of what is well and what is not.
//!
//! Blue, amber and vermilion, because one man in twelve can't tell green from red. Each stands out from Grafana's dark
//! and light backgrounds, and from the others also for eyes that lack one kind of cone: the tests reckon it. No panel
//! relies on colour alone: flags carry their meaning as text, limits are lines.

/// As it should be.
pub(crate) const GOOD: &str = "#1F78C8";
/// Worth a look.
pub(crate) const WATCH: &str = "#C08600";
/// Somebody must act.
pub(crate) const BAD: &str = "#B83C28";
/// Says nothing about good or bad: annotations, limits.
pub(crate) const PLAIN: &str = "#7F8790";

/// All of them.
#[cfg(test)]
pub(crate) const ALL: [&str; 4] = [GOOD, WATCH, BAD, PLAIN];

#[cfg(test)]
mod tests {
    use super::*;

    /// Backgrounds of Grafana's panels: light, dark, and dark without a panel.
    const BACKGROUNDS: [&str; 3] = ["#FFFFFF", "#181B1F", "#111217"];

    /// What eyes see that lack nothing, the cones for long, for middle, and for short waves (Machado, Oliveira and
    /// Fernandes 2009, full severity), as matrices on linear RGB.
    const EYES: [(&str, [[f64; 3]; 3]); 4] = [
        ("all cones", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        (
            "protanopia",
            [
                [0.152_286, 1.052_583, -0.204_868],
                [0.114_503, 0.786_281, 0.099_216],
                [-0.003_882, -0.048_116, 1.051_998],
            ],
        ),
        (
            "deuteranopia",
            [
                [0.367_322, 0.860_646, -0.227_968],
                [0.280_085, 0.672_501, 0.047_413],
                [-0.011_820, 0.042_940, 0.968_881],
            ],
        ),
        (
            "tritanopia",
            [
                [1.255_528, -0.076_749, -0.178_779],
                [-0.078_411, 0.930_809, 0.147_602],
                [0.004_733, 0.691_367, 0.303_900],
            ],
        ),
    ];

    fn linear(colour: &str) -> [f64; 3] {
        [1, 3, 5].map(|at| {
            let share = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).expect("a hex colour")) / 255.0;
            if share <= 0.040_45 {
                share / 12.92
            } else {
                ((share + 0.055) / 1.055).powf(2.4)
            }
        })
    }

    fn times(matrix: &[[f64; 3]; 3], [a, b, c]: [f64; 3]) -> [f64; 3] {
        matrix.map(|[x, y, z]| x * a + y * b + z * c)
    }

    /// The contrast ratio of WCAG.
    fn contrast(one: &str, other: &str) -> f64 {
        let luminance = |colour| {
            let [r, g, b] = linear(colour);
            0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05
        };
        let ratio = luminance(one) / luminance(other);
        ratio.max(1.0 / ratio)
    }

    /// OKLab, in which equal distances look equally large; black and white are 1 apart.
    fn oklab(rgb: [f64; 3]) -> [f64; 3] {
        let cones = times(
            &[
                [0.412_221_47, 0.536_332_54, 0.051_445_99],
                [0.211_903_50, 0.680_699_55, 0.107_396_96],
                [0.088_302_46, 0.281_718_84, 0.629_978_70],
            ],
            rgb.map(|value| value.clamp(0.0, 1.0)),
        );
        times(
            &[
                [0.210_454_26, 0.793_617_79, -0.004_072_05],
                [1.977_998_50, -2.428_592_21, 0.450_593_71],
                [0.025_904_04, 0.782_771_77, -0.808_675_77],
            ],
            cones.map(f64::cbrt),
        )
    }

    fn distance(eyes: &[[f64; 3]; 3], one: &str, other: &str) -> f64 {
        let [a, b] = [one, other].map(|colour| oklab(times(eyes, linear(colour))));
        (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn every_colour_stands_out_from_dark_and_light() {
        for colour in ALL {
            for background in BACKGROUNDS {
                // what WCAG 2.1 demands of graphics (1.4.11)
                let ratio = contrast(colour, background);
                assert!(ratio >= 3.0, "{colour} on {background}: {ratio:.2}");
            }
        }
    }

    #[test]
    fn good_watch_and_bad_differ_for_every_kind_of_eyes() {
        for (name, eyes) in &EYES {
            for (one, other) in [(GOOD, WATCH), (GOOD, BAD), (WATCH, BAD)] {
                let apart = distance(eyes, one, other);
                assert!(apart >= 0.1, "{one} and {other} with {name}: {apart:.3}");
            }
        }
    }

    #[test]
    fn the_usual_green_and_red_would_not_pass() {
        let (_, deuteranopia) = &EYES[2];
        assert!(distance(deuteranopia, "#73BF69", "#FF9830") < 0.1);
        assert!(contrast("#73BF69", "#FFFFFF") < 3.0);
    }
}
