//! Mute times: read as Alertmanager reads them, and refused where they could never match, or always would.

use super::{
    Checker,
    calendar::{Days, Range, day_of_month, is_forward, month, weekday, year},
};
use crate::spec::Schedule;

impl Checker<'_> {
    pub(super) fn mute_times(&mut self, this_year: Option<i32>) {
        let spec = self.spec;
        for (name, schedules) in &spec.mute_times {
            let path = format!("mute_times/{name}");
            if name.is_empty() || name.chars().any(char::is_control) {
                self.report(
                    &path,
                    "a mute time has no name",
                    "give it one, for example `nights`",
                );
            }
            if schedules.is_empty() {
                self.report(
                    &path,
                    format!("the mute time `{name}` has no schedule"),
                    "give one, for example `- weekdays: [saturday, sunday]`",
                );
            }
            for (index, schedule) in schedules.iter().enumerate() {
                self.schedule(&format!("{path}/{index}"), schedule, this_year);
            }
        }
    }

    fn schedule(&mut self, path: &str, schedule: &Schedule, this_year: Option<i32>) {
        let before = self.problems.len();
        if *schedule
            == (Schedule {
                location: schedule.location.clone(),
                ..Schedule::default()
            })
        {
            self.report(
                path,
                "the schedule always matches: its routes would keep silent for ever",
                "say when; or route to no receiver",
            );
        }
        for (index, time) in schedule.times.iter().enumerate() {
            let path = format!("{path}/times/{index}");
            match (minutes(&time.start_time), minutes(&time.end_time)) {
                (Some(start), Some(end)) if start < end => {}
                (Some(_), Some(_)) => self.report(
                    &path,
                    format!(
                        "the time from {} to {} can never match",
                        time.start_time, time.end_time
                    ),
                    "the end must be later on the same day; a night is two: 22:00 to 24:00 and 00:00 to 06:00",
                ),
                _ => self.report(
                    &path,
                    "a time is written as `HH:MM`",
                    "from 00:00 to 24:00, for example `start_time: 22:00`",
                ),
            }
        }
        if let Some(location) = &schedule.location
            && !is_zone(location)
        {
            self.report(
                &format!("{path}/location"),
                format!("`{location}` is not a time zone"),
                "as the IANA database names it, for example `Europe/Berlin` or `UTC`",
            );
        }
        let days = Days {
            weekdays: self.ranges(path, "weekdays", &schedule.weekdays, weekday),
            days: self.ranges(path, "days_of_month", &schedule.days_of_month, day_of_month),
            months: self.ranges(path, "months", &schedule.months, month),
            years: self.ranges(path, "years", &schedule.years, year),
        };
        if self.problems.len() > before {
            return;
        }
        if let Some(this_year) = this_year
            && !days.years.is_empty()
            && days.years.iter().all(|years| years.to < this_year)
        {
            self.report(
                &format!("{path}/years"),
                "the schedule can never match again: its years have passed",
                "drop it, or name later years",
            );
        } else if !days.exist() {
            self.report(
                path,
                "the schedule can never match: no day is all that it asks for",
                "loosen `weekdays`, `days_of_month`, `months` or `years`",
            );
        }
    }

    fn ranges(
        &mut self,
        path: &str,
        key: &str,
        texts: &[String],
        read: fn(&str) -> Option<i32>,
    ) -> Vec<Range> {
        let mut ranges = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let path = format!("{path}/{key}/{index}");
            let (from, to) = text.split_once(':').unwrap_or((text, text));
            match (read(from.trim()), read(to.trim())) {
                (Some(from), Some(to)) if is_forward(from, to) => ranges.push(Range { from, to }),
                (Some(_), Some(_)) => self.report(
                    &path,
                    format!("`{text}` can never match: it ends before it begins"),
                    "the smaller one first; write two where it goes beyond the end",
                ),
                _ => self.report(
                    &path,
                    format!("`{text}` is none of the {}", key.replace('_', " ")),
                    match key {
                        "weekdays" => "a day's name, or two: `monday:friday`",
                        "days_of_month" => "1 to 31, from the end -31 to -1, or two: `1:7`, `-3:-1`",
                        "months" => "a month's name or number, or two: `november:december`",
                        _ => "a year, or two: `2027:2028`",
                    },
                ),
            }
        }
        ranges
    }
}

/// Minutes since midnight, as Alertmanager reads them: two digits each, 24:00 included.
fn minutes(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| {
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse::<u32>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let is_time = hours < 24 && minutes < 60 || hours == 24 && minutes == 0;
    is_time.then_some(hours * 60 + minutes)
}

/// The form of a zone's name; which ones there are is known where Alertmanager runs.
fn is_zone(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '/');
    !text.is_empty() && text.chars().all(plain) && !text.starts_with('/') && !text.ends_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_alertmanager_reads_them() {
        assert_eq!(
            ["00:00", "24:00", "09:30"].map(minutes),
            [Some(0), Some(1440), Some(570)]
        );
        for text in ["9:30", "24:01", "12:60", "12", "ab:cd", "+1:00", ""] {
            assert_eq!(minutes(text), None, "{text}");
        }
    }
}
