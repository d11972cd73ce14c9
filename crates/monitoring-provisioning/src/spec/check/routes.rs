//! Routes: who is told, and whether anybody could be.

use super::Checker;
use crate::{
    alert::alerts,
    duration::PromDuration,
    spec::{Route, Routes},
    yaml::did_you_mean,
};

impl Checker<'_> {
    pub(super) fn routes(&mut self) {
        let spec = self.spec;
        let notifications = &spec.notifications;
        self.route("notifications/critical", &notifications.critical);
        self.route("notifications/warning", &notifications.warning);
        self.route("notifications/heartbeat", &notifications.heartbeat);
        for (team, routes) in &notifications.teams {
            let path = format!("notifications/teams/{team}");
            for (severity, route) in [("critical", &routes.critical), ("warning", &routes.warning)] {
                if let Some(route) = route {
                    self.route(&format!("{path}/{severity}"), route);
                }
            }
            self.team(&path, team);
        }
        for route in spec.all_routes() {
            self.times(&route);
        }
        if !notifications.heartbeat.mute_times.is_empty() {
            self.report(
                "notifications/heartbeat/mute_times",
                "the dead man's switch would be muted",
                "whoever waits for it would raise the alarm; it has no mute times",
            );
        }
        self.unused_mute_times();
    }

    /// A team that no alert names gets nothing, and its name becomes a part of a receiver's.
    fn team(&mut self, path: &str, team: &str) {
        let spec = self.spec;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if team.is_empty() || !team.chars().all(plain) {
            self.report(
                path,
                format!("`{team}` can't name a team here"),
                "letters, digits, `-` and `_`",
            );
            return;
        }
        let own = spec.more_alerts.values().map(|alert| alert.labels.get("team"));
        let own = own.map(|team| team.unwrap_or(&spec.links.team).as_str());
        let mut teams: Vec<&str> = alerts(spec)
            .filter(|alert| alert.enabled)
            .map(|alert| alert.team(spec))
            .chain(own)
            .collect();
        teams.sort_unstable();
        teams.dedup();
        if !teams.contains(&team) {
            let remedy = did_you_mean(team, &teams).unwrap_or_else(|| {
                format!(
                    "alerts name: {}; give some the label, `alerts.<name>.labels.team`",
                    teams.join(", ")
                )
            });
            self.report(path, format!("no alert is of the team `{team}`"), remedy);
        }
    }

    fn times(&mut self, route: &Routes<'_>) {
        if route.repeat_interval < route.group_interval {
            self.report(
                &route.place(),
                "`repeat_interval` is shorter than `group_interval`",
                "a group is only looked at every `group_interval`: repeat at least as slowly",
            );
        }
    }

    fn route(&mut self, path: &str, route: &Route) {
        let receivers: Vec<&str> = self.spec.receivers.names().collect();
        let mute_times: Vec<&str> = self.spec.mute_times.keys().map(String::as_str).collect();
        for (key, what, names, known) in [
            ("receivers", "receiver", &route.receivers, receivers),
            ("mute_times", "mute time", &route.mute_times, mute_times),
        ] {
            for (index, name) in names.iter().enumerate() {
                if known.contains(&name.as_str()) {
                    continue;
                }
                let remedy = did_you_mean(name, &known).unwrap_or_else(|| match known.as_slice() {
                    [] => format!("define it under `{key}`; there is none yet"),
                    known => format!("defined are: {}", known.join(", ")),
                });
                self.report(
                    &format!("{path}/{key}/{index}"),
                    format!("there is no {what} `{name}`"),
                    remedy,
                );
            }
        }
        for (key, value) in [
            ("group_interval", route.group_interval),
            ("repeat_interval", route.repeat_interval),
        ] {
            if value == Some(PromDuration::ZERO) {
                self.report(
                    &format!("{path}/{key}"),
                    format!("`{key}` is zero"),
                    "Alertmanager refuses that; allowed: any time above 0",
                );
            }
        }
    }

    fn unused_mute_times(&mut self) {
        let spec = self.spec;
        let routes = spec.all_routes();
        for name in spec.mute_times.keys() {
            if !routes.iter().any(|route| route.mute_times.contains(name)) {
                self.report(
                    &format!("mute_times/{name}"),
                    format!("no route keeps to the mute time `{name}`"),
                    format!("name it under `mute_times` of a route, for example `notifications.warning.mute_times: [{name}]`"),
                );
            }
        }
    }
}
