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

/// Small numbers need more digits.
fn digits(number: f64) -> usize {
    if number < 10.0 { 2 } else { 0 }
}

/// The medians of both sides, deadpool's first, and by how many times the pool's is larger. Returns whether that is at most
/// the goal.
pub(super) fn row(name: &str, (theirs, ours): (Vec<f64>, Vec<f64>), unit: &str, goal: Option<f64>) -> bool {
    let (theirs, ours) = (median(theirs), median(ours));
    let ratio = ours / theirs;
    let line = format!("{name:<34} {theirs:>9.1} {ours:>9.1} {unit:<9} {ratio:>5.2}");
    judge(&line, ratio, goal)
}

/// What only the pool has. Returns whether it is at most the goal.
pub(super) fn own(name: &str, ours: f64, unit: &str, goal: Option<f64>) -> bool {
    let digits = digits(ours);
    let line = format!("{name:<34} {:>9} {ours:>9.digits$} {unit:<9} {:>5}", "", "");
    judge(&line, ours, goal)
}

fn judge(line: &str, is: f64, goal: Option<f64>) -> bool {
    let Some(goal) = goal else {
        println!("{}", line.trim_end());
        return true;
    };
    let met = is <= goal;
    let (digits, word) = (digits(goal), if met { "met" } else { "MISSED" });
    println!("{line} {goal:>5.digits$} {word}");
    met
}
