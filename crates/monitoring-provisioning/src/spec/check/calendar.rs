//! Days, as a schedule names them, and whether there are such.

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
pub(super) struct Range {
    pub(super) from: i32,
    pub(super) to: i32,
}

impl Range {
    fn holds(self, number: i32) -> bool {
        (self.from..=self.to).contains(&number)
    }
}

/// What is given of a schedule; an empty list matches all.
pub(super) struct Days {
    pub(super) weekdays: Vec<Range>,
    pub(super) days: Vec<Range>,
    pub(super) months: Vec<Range>,
    pub(super) years: Vec<Range>,
}

impl Days {
    /// Whether there is a day that is all that is asked for.
    pub(super) fn exist(&self) -> bool {
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
pub(super) fn is_forward(from: i32, to: i32) -> bool {
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

fn name_in(names: &[&str], text: &str) -> Option<i32> {
    let index = names.iter().position(|name| name.eq_ignore_ascii_case(text))?;
    i32::try_from(index).ok()
}

pub(super) fn weekday(text: &str) -> Option<i32> {
    name_in(&WEEKDAYS, text)
}

pub(super) fn month(text: &str) -> Option<i32> {
    let number = text.parse().ok().filter(|month| (1..=12).contains(month));
    number.or_else(|| name_in(&MONTHS, text).map(|index| index + 1))
}

pub(super) fn day_of_month(text: &str) -> Option<i32> {
    let day = text.parse::<i32>().ok()?;
    (day != 0 && (-31..=31).contains(&day)).then_some(day)
}

pub(super) fn year(text: &str) -> Option<i32> {
    let year = text.parse().ok()?;
    (1970..=LAST_YEAR).contains(&year).then_some(year)
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
}
