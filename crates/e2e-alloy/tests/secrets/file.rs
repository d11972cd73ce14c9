//! `pools.yaml`, and everything that can be wrong with it.

use std::{fs, path::Path};

use crate::{
    marks::{
        BEARER, FROM_ENV, FROM_FILE, HEADER, MISPLACED, NUMBER, PASSWORD, PATH, PROXY_PASSWORD, QUERY, USER,
    },
    shown::Shown,
};

/// A file with a secret wherever one may be.
pub(crate) fn good(node: &str) -> String {
    format!(
        "\
defaults:
  balancer: round_robin
  settings:
    max_waiters: 10
    health: {{interval: 100ms}}
  timeouts: {{response: 1s}}
  endpoint:
    weight: 1
    http: auto
    proxy: none
pools:
  - id: one
    dialect: evm
    chain_id: 1
    balancer: p2c
    endpoints:
      - id: written
        url: http://{USER}:{PASSWORD}@{node}/v2/{PATH}?key={QUERY}
        weight: 2
        max_connections: 3
        gzip: true
        timeouts: {{connect: 1s}}
        headers:
          x-api-key: {HEADER}
          authorisation: Bearer {BEARER}
      - id: from-env
        url: http://{node}/${{KEY}}
        headers:
          x-api-key: ${{KEY}}
      - id: from-file
        url: http://{node}/${{file:key}}
        proxy: http://user:{PROXY_PASSWORD}@{node}
        headers:
          x-api-key: ${{file:key}}
    settings:
      acquire_timeout: 1s
      breaker: {{failure_ratio: 0.5}}
    follow:
      poll_interval: 1s
      escrow:
        address: \"0x00000000000000000000000000000000e5c20000\"
  - id: two
    dialect: cometbft
    chain_id: test-1
    endpoints:
      - {{id: only, url: \"http://{node}/{PATH}\", tier: 1}}
"
    )
}

/// What stands in `${KEY}`; any other variable is not set.
pub(crate) fn env(name: &str) -> Option<String> {
    (name == "KEY").then(|| FROM_ENV.to_owned())
}

/// A secret that has got into a place where none belongs, as it may look.
fn spoilt() -> Vec<String> {
    let url = format!("https://user:{MISPLACED}@node.example/{MISPLACED}?{MISPLACED}");
    let forms = [
        "{}",
        "\"{}\"",
        "'{}'",
        "*{}",
        "&{} x",
        "!{} x",
        "[{}]",
        "[a, {}",
        "{{}: {}}",
        "{{}}",
        "@{}",
        "%{}",
        "`{}",
        "\"{}",
        "'{}",
        "{}: {}",
        "{}: - {}",
        "- {}",
        "${{}",
        "{} {}",
        "{}\\n",
        "\"{}\\q\"",
        "\"{}\\n\"",
        "|\n{}",
        "{}é",
        "#{}",
        "a: {}",
        "!!int {}",
        "!!binary {}",
        "? {}",
        "<<: *{}",
        "\"\\u0000{}\"",
        "{}://{}",
        "~{}",
    ];
    let short = [MISPLACED.to_owned(), NUMBER.to_owned()];
    let long = [format!("-{NUMBER}.5"), format!("{NUMBER}e3"), url];
    let spoil = |secret: &String| forms.map(|form| form.replace("{}", secret)).to_vec();
    let quoted = |secret: &String| forms[..3].iter().map(|form| form.replace("{}", secret)).collect();
    let all: Vec<Vec<String>> = short.iter().map(spoil).chain(long.iter().map(quoted)).collect();
    all.concat()
}

/// Names are chosen by the operator, and shown: a secret there is no accident that anybody could find.
const SHOWN: [&str; 3] = ["id:", "- id:", "chain_id:"];

pub(crate) fn drive(shown: &Shown) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("key"), format!("{FROM_FILE}\n")).unwrap();
    let file = folder.path().join("pools.yaml");
    let text = good("127.0.0.1:1");
    let config = relayer::config::parse(&text, &file, env).unwrap();
    shown.debug("the file", &config);
    let (mut right, mut wrong) = (0, 0);
    let lines: Vec<&str> = text.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        let Some((key, _)) = line.split_once(": ") else {
            continue;
        };
        let name = SHOWN.contains(&format!("{}:", key.trim()).as_str());
        for spoilt in spoilt() {
            // quoted or not, what is an id or a network's name is one
            let bare = spoilt.trim_matches(['"', '\'', '~', '!', '&', ' ']);
            if name
                && bare
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._ ".contains(&byte))
            {
                continue;
            }
            let mut spoilt_lines = lines.clone();
            let spoilt_line = format!("{key}: {spoilt}");
            spoilt_lines[number] = &spoilt_line;
            let read = parse(shown, &spoilt_lines.join("\n"), &file);
            *(if read { &mut right } else { &mut wrong }) += 1;
        }
    }
    assert!(right > 100 && wrong > 1000, "{right} right, {wrong} wrong");
    let values = [
        ("KEY", format!("{FROM_ENV}\n{FROM_ENV}")),
        ("KEY", format!("{FROM_ENV} {FROM_ENV}#")),
        ("KEY", String::new()),
    ];
    for (name, value) in values {
        match relayer::config::parse(&text, &file, |asked| (asked == name).then(|| value.clone())) {
            Ok(config) => shown.debug("a strange value", &config),
            Err(problem) => problem_of(shown, "a strange value", problem),
        }
    }
}

/// Whether it can be read.
fn parse(shown: &Shown, text: &str, file: &Path) -> bool {
    match relayer::config::parse(text, file, env) {
        Ok(config) => {
            shown.debug("a strange file", &config);
            true
        }
        Err(problem) => {
            problem_of(shown, "a wrong file", problem);
            false
        }
    }
}

/// Its parts are two texts, and a problem comes from no other: to show each in each way would take a minute.
fn problem_of(shown: &Shown, place: &str, problem: relayer::config::ConfigProblem) {
    let bad = relayer::run::BadInput::from(problem);
    shown.text(place, &format!("{bad} {bad:?}"));
}
