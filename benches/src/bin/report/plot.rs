//! The plot of the decision.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::Failure;
use crate::results::Point;
use crate::tables::number;

const PANELS: [(&str, &str); 4] = [
    ("exact hit", "decision, exact hit"),
    ("wildcard hit", "decision, wildcard hit"),
    ("miss", "decision, miss"),
    ("near miss", "decision, near miss"),
];

/// Colours that people who see few colours tell apart.
const SERIES: [(&str, RGBColor); 4] = [
    ("http-acl", RGBColor(213, 94, 0)),
    ("globset", RGBColor(230, 159, 0)),
    ("egress-guard", RGBColor(0, 114, 178)),
    ("floor", RGBColor(110, 110, 110)),
];

/// Time by number of hosts, both on logarithmic axes, one panel for each kind of request.
pub(crate) fn draw(points: &[Point], path: &Path) -> Result<(), Failure> {
    let image = SVGBackend::new(path, (900, 700)).into_drawing_area();
    let drawn = image.fill(&WHITE).map_err(Failure::from).and_then(|()| {
        let panels = image.split_evenly((2, 2));
        panels.iter().zip(PANELS).try_for_each(|(panel, (title, group))| draw_panel(panel, title, group, points))
    });
    drawn.and_then(|()| Ok(image.present()?)).map_err(|error| format!("{}: {error}", path.display()).into())
}

type Panel<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw_panel(panel: &Panel<'_>, title: &str, group: &str, points: &[Point]) -> Result<(), Failure> {
    let mut chart = ChartBuilder::on(panel)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .margin_right(30)
        .x_label_area_size(38)
        .y_label_area_size(62)
        .build_cartesian_2d((10f64..100_000f64).log_scale(), (1f64..10_000_000f64).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("hosts")
        .x_label_formatter(&|size| hosts(*size))
        .y_label_formatter(&|nanos| label(*nanos))
        .draw()?;
    for (name, colour) in SERIES {
        let of = points.iter().filter(|point| point.group == group && point.name == name);
        #[allow(clippy::cast_precision_loss, reason = "a hundred thousand at most")]
        let mut line: Vec<(f64, f64)> = of.filter_map(|point| Some((point.size? as f64, point.nanos))).collect();
        line.sort_by(|one, other| one.0.total_cmp(&other.0));
        let marks = line.clone().into_iter().map(move |at| Circle::new(at, 3, colour.filled()));
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart.draw_series(marks)?;
    }
    chart.configure_series_labels().position(SeriesLabelPosition::UpperLeft).background_style(WHITE.mix(0.8)).draw()?;
    Ok(())
}

fn hosts(size: f64) -> String {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the ticks of the axis are powers of ten"
    )]
    number(size.round() as usize)
}

fn label(nanos: f64) -> String {
    match nanos {
        ..1e3 => format!("{nanos} ns"),
        ..1e6 => format!("{} µs", nanos / 1e3),
        _ => format!("{} ms", nanos / 1e6),
    }
}
