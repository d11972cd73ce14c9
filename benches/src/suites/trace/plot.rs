//! A picture of each trace: the 99th percentile over time, the distribution of latencies, cost against the 99th percentile.

use anyhow::{Result, anyhow};
use plotters::{
    coord::{Shift, types::RangedCoordf64},
    drawing::DrawingAreaErrorKind,
    prelude::*,
};

use super::{
    contestant::{Contestant, Side},
    contestants,
    outcome::{Entrant, Outcome},
    scenario::WARM_UP,
    score::{STEP_MS, quantiles},
};
use crate::frame::Image;

/// Milliseconds that are shown: below the fastest answer, above the deadline.
const LATENCIES: (f64, f64) = (20.0, 6_000.0);
const SIZE: (u32, u32) = (1_260, 380);
const FONT: &str = "sans-serif";
/// Lines: what they show, and their colour. Ours and its twin without hedges come first.
const LINES: [(&str, RGBColor); 5] = [
    ("tower P2C peak EWMA", RGBColor(230, 120, 0)),
    ("tower P2C peak EWMA + retry", RGBColor(200, 40, 40)),
    ("least requests", RGBColor(60, 150, 60)),
    ("round robin", RGBColor(150, 150, 150)),
    ("omniscient", RGBColor(0, 0, 0)),
];
const OURS: [RGBColor; 2] = [RGBColor(20, 60, 200), RGBColor(120, 170, 240)];

/// plotters' own error: the backend writes into a string, and cannot fail.
type Failure = DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>;
type Drawn = Result<(), Failure>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Latency = plotters::coord::combinators::LogCoord<f64>;
type Over<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, Latency>>;

/// The picture of a trace.
pub(crate) fn draw(outcome: &Outcome) -> Result<Image> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        panels(&area, outcome).map_err(|error| anyhow!("can't draw {}: {error}", outcome.scenario.name))?;
    }
    Ok(Image {
        name: format!("trace-{}.svg", outcome.scenario.name),
        svg,
    })
}

fn panels(area: &Area<'_>, outcome: &Outcome) -> Drawn {
    area.fill(&WHITE)?;
    let (time, rest) = area.split_horizontally(500);
    let (distribution, cost) = rest.split_horizontally(400);
    let shown = lines(outcome);
    over_time(&time, outcome, &shown)?;
    distributions(&distribution, &shown)?;
    costs(&cost, outcome, &shown)?;
    area.present()?;
    Ok(())
}

/// Whose lines are drawn, the most important last, so that it lies on top.
fn lines(outcome: &Outcome) -> Vec<(&Entrant, RGBColor)> {
    let (hedged, default) = (contestants::hedged().name(), contestants::default().name());
    let own = [(hedged, OURS[1]), (default, OURS[0])];
    let peers = LINES.into_iter().map(|(name, colour)| (name.to_owned(), colour));
    let all = peers.chain(own);
    all.filter_map(|(name, colour)| Some((outcome.of(&name)?, colour)))
        .collect()
}

fn over_time(area: &Area<'_>, outcome: &Outcome, shown: &[(&Entrant, RGBColor)]) -> Drawn {
    let end = outcome.scenario.until as f64 / 1_000.0;
    let mut chart = chart(area, "p99 over time (ms)", WARM_UP as f64 / 1_000.0, end)?;
    let (from, to) = outcome.scenario.window;
    let window = [
        (from as f64 / 1_000.0, LATENCIES.0),
        (to as f64 / 1_000.0, LATENCIES.1),
    ];
    chart.draw_series([Rectangle::new(window, RGBColor(240, 240, 225).filled())])?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("seconds")
        .draw()?;
    for (entrant, colour) in shown {
        let bins = entrant.scores.first().map_or(0, |score| score.over_time.len());
        let points = (0..bins).map(|bin| {
            let second = (WARM_UP + bin as u64 * STEP_MS) as f64 / 1_000.0;
            (
                second,
                entrant.median(|score| score.over_time.get(bin).copied().unwrap_or(f64::NAN)),
            )
        });
        let points: Vec<_> = points.filter(|(_, latency)| latency.is_finite()).collect();
        chart.draw_series(LineSeries::new(points, stroke(*colour)))?;
    }
    Ok(())
}

fn distributions(area: &Area<'_>, shown: &[(&Entrant, RGBColor)]) -> Drawn {
    let mut chart = chart(area, "latency below which so many lie (ms)", 0.0, 3.0)?;
    let share = |nines: &f64| format!("{} %", 100.0 * (1.0 - 10_f64.powf(-nines)));
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT)
        .x_labels(4)
        .x_label_formatter(&share)
        .draw()?;
    for (entrant, colour) in shown {
        let points = quantiles().enumerate().map(|(at, share)| {
            let latency = entrant.median(|score| score.distribution.get(at).copied().unwrap_or(f64::NAN));
            (-(1.0 - share).log10(), latency.max(LATENCIES.0))
        });
        let line = LineSeries::new(points, stroke(*colour));
        let label = chart.draw_series(line)?.label(entrant.name.clone());
        let colour = *colour;
        label.legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], stroke(colour)));
    }
    let mut labels = chart.configure_series_labels();
    labels
        .position(SeriesLabelPosition::UpperLeft)
        .label_font((FONT, 11))
        .background_style(WHITE.mix(0.8))
        .draw()?;
    Ok(())
}

fn costs(area: &Area<'_>, outcome: &Outcome, shown: &[(&Entrant, RGBColor)]) -> Drawn {
    let mut chart = chart(area, "p99 (ms) by calls of nodes for each call", 0.98, 1.16)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(5)
        .x_label_formatter(&|x| format!("{x:.2}"))
        .draw()?;
    for entrant in &outcome.results {
        let at = (
            entrant.median(|score| score.cost),
            entrant.median(|score| score.p99),
        );
        let known = shown
            .iter()
            .find(|(one, _)| one.name == entrant.name)
            .map(|(_, colour)| *colour);
        let fallback = if entrant.side == Side::Ours {
            OURS[1]
        } else {
            BLACK
        };
        let style = known.unwrap_or(fallback);
        let radius = if known.is_some() { 5 } else { 3 };
        chart.draw_series([Circle::new(
            at,
            radius,
            if known.is_some() {
                style.filled()
            } else {
                style.stroke_width(1)
            },
        )])?;
    }
    Ok(())
}

/// A chart with latencies upwards.
fn chart<'a, 'b>(area: &'a Area<'b>, title: &str, from: f64, to: f64) -> Result<Over<'a, 'b>, Failure> {
    let mut builder = ChartBuilder::on(area);
    builder
        .caption(title, (FONT, 15))
        .margin(8)
        .x_label_area_size(32)
        .y_label_area_size(44);
    builder.build_cartesian_2d(from..to, (LATENCIES.0..LATENCIES.1).log_scale())
}

fn stroke(colour: RGBColor) -> ShapeStyle {
    colour.stroke_width(if colour == OURS[0] { 3 } else { 1 })
}
