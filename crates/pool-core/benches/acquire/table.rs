//! What the benchmark prints: both sides, their ratio, and the goal.

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub(super) fn heading() {
    println!(
        "{:<34} {:>9} {:>9} {:<9} {:>5} {:>5}",
        "", "deadpool", "pool", "", "ratio", "goal"
    );
}

/// The medians of both sides, deadpool's first, and by how many times the pool's is larger. Returns whether that is at most
/// the goal.
pub(super) fn row(name: &str, (theirs, ours): (Vec<f64>, Vec<f64>), unit: &str, goal: Option<f64>) -> bool {
    let (theirs, ours) = (median(theirs), median(ours));
    let ratio = ours / theirs;
    let line = format!("{name:<34} {theirs:>9.1} {ours:>9.1} {unit:<9} {ratio:>5.2}");
    judge(&line, ratio, goal.map(|goal| (goal, 2)))
}

/// What only the pool has. Returns whether it is at most the goal.
pub(super) fn own(name: &str, ours: f64, unit: &str, goal: Option<f64>) -> bool {
    let line = format!("{name:<34} {:>9} {ours:>9.1} {unit:<9} {:>5}", "", "");
    judge(&line, ours, goal.map(|goal| (goal, 0)))
}

/// With so many digits of the goal.
fn judge(line: &str, is: f64, goal: Option<(f64, usize)>) -> bool {
    let Some((goal, digits)) = goal else {
        println!("{line}");
        return true;
    };
    let met = is <= goal;
    let word = if met { "met" } else { "MISSED" };
    println!("{line} {goal:>5.digits$} {word}");
    met
}
