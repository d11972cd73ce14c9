//! Times at which a route keeps silent.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Mute times by name; a time is muted when one of the schedules of its list matches.
pub type MuteTimes = IndexMap<String, Vec<Schedule>>;

/// A schedule, as Alertmanager has it: what is left out matches always, and all that is given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// Times of the day. Default: all day.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub times: Vec<DayTime>,
    /// `monday`, or `monday:friday`; the week begins with Sunday.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<String>,
    /// `1`, `1:7`, or from the month's end: `-3:-1`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub days_of_month: Vec<String>,
    /// `december`, `12`, or `november:december`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub months: Vec<String>,
    /// `2027`, or `2027:2028`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub years: Vec<String>,
    /// Time zone, `Europe/Berlin`. Default: UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// A part of the day.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DayTime {
    /// `HH:MM`, from 00:00.
    pub start_time: String,
    /// `HH:MM`, up to 24:00; later than the start. A night is two: 22:00 to 24:00 and 00:00 to 06:00.
    pub end_time: String,
}
