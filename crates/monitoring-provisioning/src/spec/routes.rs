//! Who is told of what, and how soon.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Spec;
use crate::duration::PromDuration;

/// How notifications are grouped, timed and routed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Notifications {
    /// Alerts of severity `critical`. Default: group_wait 10s, group_interval 1m, repeat_interval 1h, no receivers.
    pub critical: Route,
    /// Alerts of severity `warning`. Default: group_wait 30s, group_interval 5m, repeat_interval 12h, no receivers.
    pub warning: Route,
    /// The dead man's switch, which always fires: a receiver outside of this stack must raise the alarm when it stays away.
    /// Default: group_wait 10s, group_interval 1m, repeat_interval 5m, no receivers.
    pub heartbeat: Route,
    /// Routes of single teams, by the label `team` of the alerts: what stands here takes the place of the routes above, which go
    /// on for everybody else. Default: none.
    pub teams: IndexMap<String, TeamRoutes>,
    /// Whether the inhibitions have names, by which Alertmanager's traces and events tell which one muted an alert. Default
    /// false. From Alertmanager 0.30.
    pub named_inhibitions: bool,
}

/// The routes of one team.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TeamRoutes {
    /// The team's critical alerts. Times that aren't given are those of `notifications.critical`. Default: as everybody's.
    pub critical: Option<Route>,
    /// The team's warnings. Times that aren't given are those of `notifications.warning`. Default: as everybody's.
    pub warning: Option<Route>,
}

/// One route.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    /// Names of the receivers that get these alerts. Default: none.
    pub receivers: Vec<String>,
    /// How long a new group waits for more alerts before its first notification.
    pub group_wait: Option<PromDuration>,
    /// Least time between two notifications of a group that changes.
    pub group_interval: Option<PromDuration>,
    /// When an unchanged group is notified again.
    pub repeat_interval: Option<PromDuration>,
    /// Names of `mute_times` during which nobody is told. Default: none.
    pub mute_times: Vec<String>,
}

/// A route with its defaults filled in.
#[derive(Clone, Copy, Debug)]
pub struct Routes<'a> {
    /// The severity's label value.
    pub severity: &'static str,
    /// The team whose route it is; `None` for everybody's.
    pub team: Option<&'a str>,
    /// Names of the receivers.
    pub receivers: &'a [String],
    /// Names of the mute times.
    pub mute_times: &'a [String],
    /// Scaled.
    pub group_wait: PromDuration,
    /// Scaled.
    pub group_interval: PromDuration,
    /// Scaled.
    pub repeat_interval: PromDuration,
}

impl Routes<'_> {
    /// Name of the receiver in Alertmanager's configuration.
    pub(crate) fn name(&self) -> String {
        match self.team {
            Some(team) => format!("{}-{team}", self.severity),
            None => self.severity.to_owned(),
        }
    }

    /// Where it stands in the spec.
    pub(crate) fn place(&self) -> String {
        match self.team {
            Some(team) => format!("notifications/teams/{team}/{}", self.severity),
            None => format!("notifications/{}", self.severity),
        }
    }
}

/// Seconds that a severity's groups wait unless the spec says otherwise: for company, between changes, for a reminder.
const DEFAULTS: [(&str, [u64; 3]); 3] = [
    ("critical", [10, 60, 3_600]),
    ("warning", [30, 300, 43_200]),
    ("heartbeat", [10, 60, 300]),
];

impl Spec {
    /// Everybody's routes by severity, the more urgent first.
    pub fn routes(&self) -> [Routes<'_>; 3] {
        let notifications = &self.notifications;
        let given = [
            &notifications.critical,
            &notifications.warning,
            &notifications.heartbeat,
        ];
        [0, 1, 2].map(|index: usize| {
            let (severity, defaults) = DEFAULTS[index];
            let times = defaults.map(|seconds| self.scaled(PromDuration::from_secs(seconds)));
            self.filled(severity, None, given[index], times)
        })
    }

    /// The routes of single teams, in the order of the file.
    pub fn team_routes(&self) -> Vec<Routes<'_>> {
        let [critical, warning, _] = self.routes();
        let teams = self.notifications.teams.iter();
        teams
            .flat_map(|(team, routes)| {
                [(critical, &routes.critical), (warning, &routes.warning)]
                    .into_iter()
                    .filter_map(move |(all, given)| Some((team, all, given.as_ref()?)))
            })
            .map(|(team, all, given)| {
                let times = [all.group_wait, all.group_interval, all.repeat_interval];
                self.filled(all.severity, Some(team), given, times)
            })
            .collect()
    }

    /// All routes, those of teams first: the order in which alerts are taken.
    pub(crate) fn all_routes(&self) -> Vec<Routes<'_>> {
        let mut routes = self.team_routes();
        routes.extend(self.routes());
        routes
    }

    /// The route that takes an alert.
    pub(crate) fn route_of(&self, severity: &str, team: &str) -> Option<Routes<'_>> {
        self.all_routes()
            .into_iter()
            .find(|route| route.severity == severity && route.team.is_none_or(|own| own == team))
    }

    fn filled<'a>(
        &'a self,
        severity: &'static str,
        team: Option<&'a str>,
        route: &'a Route,
        [wait, interval, repeat]: [PromDuration; 3],
    ) -> Routes<'a> {
        let or = |given: Option<PromDuration>, default| given.map_or(default, |given| self.scaled(given));
        Routes {
            severity,
            team,
            receivers: &route.receivers,
            mute_times: &route.mute_times,
            group_wait: or(route.group_wait, wait),
            group_interval: or(route.group_interval, interval),
            repeat_interval: or(route.repeat_interval, repeat),
        }
    }
}
