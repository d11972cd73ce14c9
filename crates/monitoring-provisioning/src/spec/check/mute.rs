//! Mute times: read as Alertmanager reads them, and refused where they could never match, or always would.

use super::Checker;
use crate::spec::Schedule;

const WEEKDAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
/// Years that hold every day of the year on every day of the week.
const ANY_YEARS: Range = Range { from: 2000, to: 2027 };
/// The last year that may be named; a longer list of years would take long to try.
const LAST_YEAR: i32 = 2999;

/// Both ends are included.
#[derive(Clone, Copy, Debug)]
struct Range {
    from: i32,
    to: i32,
}

impl Range {
    fn holds(self, number: i32) -> bool {
        (self.from..=self.to).contains(&number)
    }
}

/// What is given of a schedule; an empty list matches all.
struct Days {
    weekdays: Vec<Range>,
    days: Vec<Range>,
    months: Vec<Range>,
    years: Vec<Range>,
}

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

impl Days {
    /// Whether there is a day that is all that is asked for.
    fn exist(&self) -> bool {
        let any = [ANY_YEARS];
        let years = if self.years.is_empty() {
            any.as_slice()
        } else {
            &self.years
        };
        years
            .iter()
            .flat_map(|years| years.from..=years.to)
            .any(|year| self.in_year(year))
    }

    fn in_year(&self, year: i32) -> bool {
        let takes =
            |ranges: &[Range], number| ranges.is_empty() || ranges.iter().any(|range| range.holds(number));
        (1..=12).filter(|month| takes(&self.months, *month)).any(|month| {
            let last = last_day(year, month);
            (1..=last).any(|day| {
                takes(&self.weekdays, weekday_of(year, month, day))
                    && (self.days.is_empty()
                        || self.days.iter().any(|range| of_month(*range, last).holds(day)))
            })
        })
    }
}

/// Whether a range ends where it begins or later. Of days that count from the month's end that is known only in a month; the
/// shortest one is asked, as Alertmanager does.
fn is_forward(from: i32, to: i32) -> bool {
    let in_february = |day: i32| if day < 0 { 28 + day } else { day };
    !(from < 0 && to > 0) && in_february(from) <= in_february(to)
}

/// A range of days in a month of so many days; those that count from the end are turned round.
fn of_month(range: Range, last: i32) -> Range {
    let turned = |day: i32| if day < 0 { last + day + 1 } else { day };
    Range {
        from: turned(range.from),
        to: turned(range.to),
    }
}

fn last_day(year: i32, month: i32) -> i32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// 0 is Sunday; by Sakamoto's method.
fn weekday_of(year: i32, month: i32, day: i32) -> i32 {
    const SHIFTS: [i32; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
    let year = if month < 3 { year - 1 } else { year };
    let shift = usize::try_from(month - 1).map_or(0, |month| SHIFTS[month]);
    (year + year / 4 - year / 100 + year / 400 + shift + day) % 7
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

fn name_in(names: &[&str], text: &str) -> Option<i32> {
    let index = names.iter().position(|name| name.eq_ignore_ascii_case(text))?;
    i32::try_from(index).ok()
}

fn weekday(text: &str) -> Option<i32> {
    name_in(&WEEKDAYS, text)
}

fn month(text: &str) -> Option<i32> {
    let number = text.parse().ok().filter(|month| (1..=12).contains(month));
    number.or_else(|| name_in(&MONTHS, text).map(|index| index + 1))
}

fn day_of_month(text: &str) -> Option<i32> {
    let day = text.parse::<i32>().ok()?;
    (day != 0 && (-31..=31).contains(&day)).then_some(day)
}

fn year(text: &str) -> Option<i32> {
    let year = text.parse().ok()?;
    (1970..=LAST_YEAR).contains(&year).then_some(year)
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
    fn the_calendar_is_the_true_one() {
        for (year, month, day, weekday) in [
            (2026, 11, 29, "sunday"),
            (2024, 2, 29, "thursday"),
            (2000, 1, 1, "saturday"),
            (2027, 12, 31, "friday"),
        ] {
            let found = weekday_of(year, month, day);
            assert_eq!(Some(found), name_in(&WEEKDAYS, weekday), "{year}-{month}-{day}");
        }
        assert_eq!(
            [last_day(2100, 2), last_day(2000, 2), last_day(2027, 4)],
            [28, 29, 30]
        );
    }

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
