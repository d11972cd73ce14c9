//! Inhibitions: an alert that comes too late silences nothing.

use super::Checker;
use crate::{
    alert::alerts,
    generate::alertmanager::{CONSEQUENCES, lateness},
};

impl Checker<'_> {
    /// An inhibitor must fire before its targets have been told of: its window and `for` must be over within a target's `for`
    /// and `group_wait`.
    pub(super) fn inhibitions(&mut self) {
        let plain = self.unscaled();
        let enabled: Vec<_> = alerts(&plain).filter(|alert| alert.enabled).collect();
        let find = |name| enabled.iter().find(|alert| alert.definition.name == name);
        for (source, targets) in CONSEQUENCES {
            let Some(source) = find(*source) else { continue };
            for target in targets
                .iter()
                .filter_map(|name| find(*name))
                .filter(|target| target.silenced)
            {
                let Some(late) = lateness(&plain, source, target) else {
                    continue;
                };
                let (by, whom) = (source.definition.name, target.definition.name);
                let place = self.first_given(&[
                    &format!("alerts/{whom}/for"),
                    &format!("alerts/{by}/for"),
                    &format!("alerts/{by}/window"),
                    "notifications/warning/group_wait",
                    "notifications/critical/group_wait",
                    "notifications/teams",
                    "notifications",
                ]);
                self.report(
                    &place,
                    format!(
                        "`{by}` would silence `{whom}` too late: it fires {late} after `{whom}` has been told of, and one \
                         incident would be two pages"
                    ),
                    format!(
                        "allowed: a `for` of {} or more for `{whom}`, a shorter one for `{by}`, a longer `group_wait`, or \
                         `alerts.{whom}.silenced: false`",
                        target.for_.plus(late)
                    ),
                );
            }
        }
    }
}
