//! Receivers, routes, mute times and inhibitions: what is refused, and what comes of the rest.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::path::Path;

use monitoring_provisioning::{GeneratedFile, Runtime, Spec, Surroundings, generate, validate};

fn problems(text: &str) -> Vec<String> {
    messages(Spec::parse(text, Path::new("m.yaml")))
}

fn messages(spec: Result<Spec, monitoring_provisioning::Problems>) -> Vec<String> {
    match spec {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
    }
}

fn docker(text: &str) -> (Spec, Vec<GeneratedFile>) {
    let spec = Spec::parse(text, Path::new("monitoring/monitoring.yaml")).unwrap();
    let files = generate(&spec, Runtime::Docker).unwrap();
    assert_eq!(validate(&spec, &files), Vec::new(), "{text}");
    (spec, files)
}

fn text<'a>(files: &'a [GeneratedFile], path: &str) -> &'a str {
    let file = files.iter().find(|file| file.path == Path::new(path)).unwrap();
    &file.contents
}

const CONFIG: &str = "monitoring/alertmanager/config.yml";
const HOOK: &str = "receivers: { webhook: { a: { url: 'https://h/x' } } }\n";
/// A mute time, which some route keeps to.
fn muted(schedules: &str) -> String {
    format!(
        "{HOOK}notifications: {{ warning: {{ receivers: [a], mute_times: [m] }} }}\nmute_times: {{ m: {schedules} }}\n"
    )
}

#[test]
fn receivers_that_could_not_work_are_refused() {
    for (text, message) in [
        (
            "receivers:\n  discord:\n    a: {}",
            "m.yaml:3:8: `webhook_url_file` is missing",
        ),
        (
            "receivers:\n  telegram:\n    a: { chat_id: 1 }",
            "m.yaml:3:8: `bot_token_file` is missing",
        ),
        (
            "receivers:\n  telegram:\n    a: { bot_token_file: t, chat_id: 0 }",
            "m.yaml:3:38: no chat has the id 0; the chat's id, negative for groups and channels; `getUpdates` of the bot shows it",
        ),
        (
            "receivers:\n  msteams:\n    a: { webhook_url_file: '' }",
            "m.yaml:3:28: `webhook_url_file` names no file; a path beside this file",
        ),
        (
            "receivers:\n  opsgenie:\n    a: { api_key_file: k, region: asia }",
            "m.yaml:3:35: unknown name `asia`; allowed: `us`, `eu`",
        ),
        (
            "receivers:\n  discord: { a: { webhook_url_file: f } }\n  msteams: { a: { webhook_url_file: f } }",
            "m.yaml:3:17: the receiver `a` is defined twice; it is also a discord receiver",
        ),
        (
            "receivers:\n  discord:\n    a: { webhook_url: 'https://discord.com/api/webhooks/1/x' }",
            "m.yaml:3:10: a secret in the spec: `webhook_url`; put it into a file of its own and name that file with `webhook_url_file`",
        ),
        (
            "receivers:\n  telegram:\n    a: { bot_token: '1:x', chat_id: 1 }",
            "m.yaml:3:10: a secret in the spec: `bot_token`; put it into a file of its own and name that file with `bot_token_file`",
        ),
        (
            "receivers:\n  opsgenie:\n    a: { api_key: x }",
            "m.yaml:3:10: a secret in the spec: `api_key`; put it into a file of its own and name that file with `api_key_file`",
        ),
        (
            "receivers:\n  webhook:\n    a: { url: 'https://prod-1.westeurope.logic.azure.com/workflows/1' }",
            "m.yaml:3:15: a secret in the spec: an address that lets whoever knows it post messages",
        ),
    ] {
        let found = problems(text);
        assert!(
            found.iter().any(|line| line.starts_with(message)),
            "{text}\n{found:#?}"
        );
    }
}

#[test]
fn what_the_targets_alertmanager_lacks_is_refused_with_the_version_that_has_it() {
    for (text, has, lacks, message) in [
        (
            "receivers:\n  discord:\n    a: { webhook_url_file: f }",
            "0.27",
            "0.26",
            "m.yaml:3:28: Alertmanager 0.26 can't read a Discord webhook's address from a file; 0.27 is the first that can: raise \
             `target.alertmanager`",
        ),
        (
            "receivers:\n  telegram:\n    a: { bot_token_file: f, chat_id: -1 }",
            "0.26",
            "0.25",
            "m.yaml:3:26: Alertmanager 0.25 can't read a Telegram bot's token from a file; 0.26 is the first that can",
        ),
        (
            "receivers:\n  telegram:\n    a: { bot_token_file: f, chat_id: -1, message_thread_id: 3 }",
            "0.28",
            "0.27",
            "m.yaml:3:61: Alertmanager 0.27 can't send to a topic of a Telegram group; 0.28 is the first that can",
        ),
        (
            "receivers:\n  msteams:\n    a: { webhook_url_file: f }",
            "0.28",
            "0.27",
            "m.yaml:3:28: Alertmanager 0.27 can't send to Microsoft Teams through a workflow; 0.28 is the first that can",
        ),
        (
            "notifications:\n  named_inhibitions: true",
            "0.30",
            "0.29",
            "m.yaml:2:22: Alertmanager 0.29 knows no names of inhibitions; 0.30 is the first that does",
        ),
    ] {
        let with = |version: &str| problems(&format!("{text}\ntarget: {{ alertmanager: {version} }}"));
        assert_eq!(with(has), Vec::<String>::new(), "{text}");
        let found = with(lacks);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(message), "{found:?}");
    }
    let oldest = "target: { alertmanager: 0.25 }\nreceivers: { opsgenie: { a: { api_key_file: k } } }";
    assert_eq!(problems(oldest), Vec::<String>::new());
}

#[test]
fn routes_that_lead_nowhere_are_refused() {
    for (text, message) in [
        (
            "notifications:\n  teams:\n    relayer: { critical: { receivers: [ops] } }".to_owned(),
            "m.yaml:3:40: there is no receiver `ops`; define it under `receivers`; there is none yet",
        ),
        (
            format!("{HOOK}notifications:\n  teams:\n    relayers: {{ critical: {{ receivers: [a] }} }}"),
            "m.yaml:4:15: no alert is of the team `relayers`; did you mean `relayer`?",
        ),
        (
            format!("{HOOK}notifications:\n  teams:\n    chain: {{ critical: {{ receivers: [a] }} }}"),
            "m.yaml:4:12: no alert is of the team `chain`; alerts name: relayer; give some the label, `alerts.<name>.labels.team`",
        ),
        (
            format!("{HOOK}notifications:\n  teams:\n    'x y': {{ critical: {{ receivers: [a] }} }}"),
            "m.yaml:4:12: `x y` can't name a team here; letters, digits, `-` and `_`",
        ),
        (
            format!("{HOOK}notifications:\n  warning: {{ receivers: [a], mute_times: [nights] }}"),
            "m.yaml:3:43: there is no mute time `nights`; define it under `mute_times`; there is none yet",
        ),
        (
            format!(
                "{HOOK}notifications:\n  heartbeat: {{ receivers: [a], mute_times: [m] }}\nmute_times: {{ m: [{{ weekdays: [sunday] }}] }}"
            ),
            "m.yaml:3:44: the dead man's switch would be muted; whoever waits for it would raise the alarm",
        ),
        (
            "mute_times:\n  nights: [{ weekdays: [sunday] }]".to_owned(),
            "m.yaml:2:11: no route keeps to the mute time `nights`; name it under `mute_times` of a route",
        ),
        (
            format!(
                "{HOOK}notifications:\n  teams:\n    relayer: {{ warning: {{ receivers: [a], repeat_interval: 1m }} }}"
            ),
            "m.yaml:4:25: `repeat_interval` is shorter than `group_interval`",
        ),
    ] {
        let found = problems(&text);
        assert!(
            found.first().is_some_and(|line| line.starts_with(message)),
            "{text}\n{found:#?}"
        );
    }
}

#[test]
fn a_schedule_that_can_never_match_is_refused() {
    for (schedules, message) in [
        (
            "[{ days_of_month: ['30:31'], months: [february] }]",
            "can never match: no day is all that it asks for",
        ),
        (
            "[{ days_of_month: ['29'], months: ['2'], years: ['2027'] }]",
            "can never match: no day is all that it asks for",
        ),
        (
            "[{ weekdays: [monday], days_of_month: ['1'], months: [may], years: ['2027'] }]",
            "can never match: no day is all that it asks for",
        ),
        (
            "[{ days_of_month: ['-31'], months: [april] }]",
            "can never match: no day is all that it asks for",
        ),
        (
            "[{ times: [{ start_time: 22:00, end_time: 06:00 }] }]",
            "m.yaml:3:29: the time from 22:00 to 06:00 can never match; the end must be later on the same day; a night is two: 22:00 \
             to 24:00 and 00:00 to 06:00",
        ),
        (
            "[{ times: [{ start_time: 06:00, end_time: 06:00 }] }]",
            "the time from 06:00 to 06:00 can never match",
        ),
        (
            "[{ weekdays: ['saturday:monday'] }]",
            "m.yaml:3:32: `saturday:monday` can never match: it ends before it begins; the smaller one first; write two",
        ),
        ("[{ days_of_month: ['5:3'] }]", "`5:3` can never match"),
        ("[{ days_of_month: ['-1:3'] }]", "`-1:3` can never match"),
        ("[{ days_of_month: ['-1:-3'] }]", "`-1:-3` can never match"),
        ("[{ days_of_month: ['31:-5'] }]", "`31:-5` can never match"),
        ("[{ years: ['2025:2024'] }]", "`2025:2024` can never match"),
        (
            "[{ years: ['2024', '2020:2025'] }]",
            "m.yaml:3:28: the schedule can never match again: its years have passed; drop it, or name later years",
        ),
        (
            "[{ location: Europe/Berlin }]",
            "m.yaml:3:19: the schedule always matches: its routes would keep silent for ever; say when; or route to no receiver",
        ),
        ("[{}]", "the schedule always matches"),
        ("[]", "the mute time `m` has no schedule"),
        (
            "[{ weekdays: [mon] }]",
            "`mon` is none of the weekdays; a day's name, or two: `monday:friday`",
        ),
        ("[{ days_of_month: ['0'] }]", "`0` is none of the days of month"),
        ("[{ days_of_month: ['32'] }]", "`32` is none of the days of month"),
        ("[{ months: ['13'] }]", "`13` is none of the months"),
        ("[{ years: [soon] }]", "`soon` is none of the years"),
        (
            "[{ times: [{ start_time: 9:00, end_time: 10:00 }] }]",
            "a time is written as `HH:MM`",
        ),
        (
            "[{ weekdays: [sunday], location: 'Berlin (Mitte)' }]",
            "`Berlin (Mitte)` is not a time zone",
        ),
    ] {
        let now = Surroundings {
            year: Some(2026),
            ..Surroundings::default()
        };
        let found = messages(Spec::parse_in(&muted(schedules), Path::new("m.yaml"), now));
        assert!(
            found.first().is_some_and(|line| line.contains(message)),
            "{schedules}\n{found:#?}"
        );
        assert!(found[0].starts_with("m.yaml:3:"), "{found:#?}");
    }
    for schedules in [
        "[{ days_of_month: ['29'], months: [february] }]",
        "[{ days_of_month: ['29'], months: [february], years: ['2028'] }]",
        "[{ days_of_month: ['25:-1'], months: [December] }]",
        "[{ weekdays: [Sunday], days_of_month: ['-7:-1'], months: ['3', october] }]",
        "[{ years: ['2020:2026'] }]",
        "[{ times: [{ start_time: 00:00, end_time: 24:00 }], weekdays: ['saturday', 'sunday'] }]",
    ] {
        assert_eq!(problems(&muted(schedules)), Vec::<String>::new(), "{schedules}");
    }
}

#[test]
fn an_inhibitor_that_comes_too_late_is_refused() {
    for (text, message) in [
        (
            "alerts:\n  EndpointUnhealthy:\n    for: 30s",
            "m.yaml:3:10: `NoHealthyEndpoints` would silence `EndpointUnhealthy` too late: it fires 20s after `EndpointUnhealthy` has \
             been told of, and one incident would be two pages; allowed: a `for` of 50s or more for `EndpointUnhealthy`, a shorter one \
             for `NoHealthyEndpoints`, a longer `group_wait`, or `alerts.EndpointUnhealthy.silenced: false`",
        ),
        (
            "alerts:\n  CircuitBreakerOpen:\n    for: 1m",
            "m.yaml:3:10: `CircuitBreakerOpen` would silence `ConnectionPoolHighErrorRate` too late: it fires 50s after",
        ),
        (
            "alerts:\n  ConnectionPoolExhausted:\n    for: 6m",
            "m.yaml:3:10: `ConnectionPoolExhausted` would silence",
        ),
    ] {
        let found = problems(text);
        assert!(
            found.first().is_some_and(|line| line.starts_with(message)),
            "{text}\n{found:#?}"
        );
        // The pace changes nothing.
        assert_eq!(problems(&format!("{text}\ntime_scale: 60")), found);
    }
    for text in [
        "alerts: { EndpointUnhealthy: { for: 50s } }",
        "alerts: { EndpointUnhealthy: { for: 30s, silenced: false } }",
        "alerts: { EndpointUnhealthy: { for: 30s }, NoHealthyEndpoints: { for: 40s } }",
        "alerts: { EndpointUnhealthy: { for: 30s }, NoHealthyEndpoints: { enabled: false } }",
        "alerts: { EndpointUnhealthy: { for: 30s } }\n\
         notifications: { critical: { group_wait: 30s }, warning: { group_wait: 30s }, heartbeat: { group_wait: 30s } }",
        // Told of before anybody knows that the relayer is gone, and true then.
        "alerts: { ConnectionPoolExhausted: { for: 30s } }",
    ] {
        assert_eq!(problems(text), Vec::<String>::new(), "{text}");
    }
    let (_, files) =
        docker("alerts: { EndpointUnhealthy: { silenced: false }, ConnectionPoolExhausted: { for: 30s } }");
    let (_, inhibitions) = text(&files, CONFIG).split_once("inhibit_rules:").unwrap();
    assert!(!inhibitions.contains("EndpointUnhealthy"), "{inhibitions}");
    assert!(
        !inhibitions.contains("\"ConnectionPoolExhausted|"),
        "{inhibitions}"
    );
}

#[test]
fn a_secret_file_that_is_not_there_is_refused_where_secrets_are_needed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.yaml");
    let text = "receivers:\n  slack:\n    a: { channel: x, api_url_file: slack }\nprometheus:\n  remote_write:\n    \
                - { url: 'https://h/w', credentials_file: token }\n";
    let with = Surroundings {
        secret_files: true,
        ..Surroundings::default()
    };
    let read = || messages(Spec::parse_in(text, &file, with));
    let found = read();
    assert_eq!(found.len(), 2, "{found:#?}");
    for (line, place, name) in [(&found[0], "3:36", "slack"), (&found[1], "6:47", "token")] {
        let what = format!(
            "{}:{place}: the secret file {} can't be read: ",
            file.display(),
            folder.path().join(name).display()
        );
        assert!(line.starts_with(&what), "{line}");
        assert!(line.contains("put the secret there"), "{line}");
    }
    std::fs::write(folder.path().join("slack"), "").unwrap();
    std::fs::create_dir(folder.path().join("token")).unwrap();
    let found = read();
    assert!(
        found[0].contains("is empty") && found[1].contains("is no file"),
        "{found:#?}"
    );
    std::fs::remove_dir(folder.path().join("token")).unwrap();
    for name in ["slack", "token"] {
        std::fs::write(folder.path().join(name), "https://x").unwrap();
    }
    assert_eq!(read(), Vec::<String>::new());
    assert_eq!(
        messages(Spec::parse(text, Path::new("elsewhere/m.yaml"))),
        Vec::<String>::new()
    );
}

#[test]
fn severities_of_the_first_ten_are_fixed_and_others_may_change() {
    for (text, message) in [
        (
            "alerts: { EndpointUnhealthy: { severity: critical } }",
            "m.yaml:1:42: the severity of `EndpointUnhealthy` is fixed: `warning`; drop the line",
        ),
        (
            "alerts: { DeadMansSwitch: { severity: critical } }",
            "m.yaml:1:39: the severity of `DeadMansSwitch` is fixed: `heartbeat`",
        ),
        (
            "alerts: { EndpointBlockLag: { severity: page } }",
            "m.yaml:1:41: no route takes the severity `page`; allowed: critical, warning",
        ),
    ] {
        let found = problems(text);
        assert!(
            found.first().is_some_and(|line| line.starts_with(message)),
            "{found:#?}"
        );
    }
    let (_, files) = docker("alerts: { EndpointBlockLag: { severity: critical } }");
    let rules = text(&files, "monitoring/prometheus/alerts/connection-pool.yml");
    let rule = rules
        .split("- alert: ")
        .find(|rule| rule.starts_with("EndpointBlockLag\n"));
    assert!(rule.unwrap().contains("severity: critical"), "{rule:?}");
    assert!(text(&files, "monitoring/README.md").contains("EndpointBlockLag.md) | critical |"));
}

#[test]
fn teams_and_mute_times_reach_alertmanager() {
    let (_, files) = docker(
        "receivers: { webhook: { a: { url: 'https://h/x' }, b: { url: 'https://h/y' } } }\n\
         alerts: { RelayerDown: { labels: { team: platform } } }\n\
         notifications:\n  critical: { receivers: [a], group_wait: 20s }\n  warning: { receivers: [a], mute_times: [nights] }\n  \
         teams: { platform: { critical: { receivers: [b], group_interval: 2m } } }\n\
         mute_times: { nights: [{ times: [{ start_time: 22:00, end_time: 24:00 }], location: Europe/Berlin }] }\n",
    );
    let config: serde_yaml::Value = serde_yaml::from_str(text(&files, CONFIG)).unwrap();
    let routes = config["route"]["routes"].as_sequence().unwrap();
    let names: Vec<&str> = routes
        .iter()
        .filter_map(|route| route["receiver"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "heartbeat",
            "notification-log",
            "critical-platform",
            "critical",
            "warning"
        ]
    );
    let team = &routes[2];
    assert_eq!(team["matchers"][0], "severity=\"critical\"");
    assert_eq!(team["matchers"][1], "team=\"platform\"");
    // What isn't given is everybody's.
    assert_eq!(team["group_wait"], "20s");
    assert_eq!(team["group_interval"], "2m");
    assert_eq!(routes[4]["mute_time_intervals"][0], "nights");
    let interval = &config["time_intervals"][0];
    assert_eq!(interval["name"], "nights");
    assert_eq!(interval["time_intervals"][0]["times"][0]["end_time"], "24:00");
    assert_eq!(interval["time_intervals"][0]["location"], "Europe/Berlin");
}

#[test]
fn a_templates_name_that_nobody_defines_is_found() {
    let spec = Spec::parse(
        "receivers: { slack: { a: { channel: x, api_url_file: f } } }\nnotifications: { warning: { receivers: [a] } }",
        Path::new("m.yaml"),
    )
    .unwrap();
    let mut files = generate(&spec, Runtime::Docker).unwrap();
    let templates = Path::new("monitoring/alertmanager/templates/connection-pool.tmpl");
    let file = files.iter_mut().find(|file| file.path == templates).unwrap();
    file.contents = file.contents.replace("\"fusion.title\"", "\"fusion.tilte\"");
    let found: Vec<String> = validate(&spec, &files).iter().map(ToString::to_string).collect();
    assert!(
        found
            .iter()
            .any(|line| line.contains("no template `fusion.title`")),
        "{found:#?}"
    );
    files.retain(|file| file.path != templates);
    let found: Vec<String> = validate(&spec, &files).iter().map(ToString::to_string).collect();
    assert!(
        found
            .iter()
            .any(|line| line.contains("connection-pool.tmpl: the file is missing")),
        "{found:#?}"
    );
}

#[test]
fn a_watchdog_on_the_machine_that_it_watches_is_refused_in_production() {
    let with = |urls: &[&str]| {
        let names = ["a", "b"];
        let hooks: Vec<String> = urls
            .iter()
            .zip(names)
            .map(|(url, name)| format!("{name}: {{ url: '{url}' }}"))
            .collect();
        problems(&format!(
            "profile: production\ngrafana: {{ admin_password_file: s }}\nreceivers: {{ webhook: {{ {} }} }}\nnotifications:\n  \
             critical: {{ receivers: [a] }}\n  heartbeat: {{ receivers: [{}] }}",
            hooks.join(", "),
            names[..urls.len()].join(", ")
        ))
    };
    for url in [
        "http://127.0.0.1:8080/",
        "http://localhost/x",
        "http://[::1]:8080/x",
        "http://host.docker.internal:9094/",
        "http://0.0.0.0:1",
    ] {
        let found = with(&[url]);
        assert_eq!(found.len(), 1, "{url}: {found:?}");
        let message = "m.yaml:6:27: profile `production` with a dead man's switch that ends on this machine; whoever watches";
        assert!(found[0].starts_with(message), "{found:?}");
    }
    assert_eq!(with(&["https://watchdog.example.org/x"]), Vec::<String>::new());
    assert_eq!(
        with(&["http://127.0.0.1:1/", "https://watchdog.example.org/x"]),
        Vec::<String>::new()
    );
}
