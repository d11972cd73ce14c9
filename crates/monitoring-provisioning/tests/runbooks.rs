//! Runbooks: the head is generated, the body is kept, and a page that lacks something is found.

use std::path::Path;

use monitoring_provisioning::{AlertName, GeneratedFile, Kept, Runtime, Spec, generate_keeping, validate};

const PAGE: &str = "monitoring/runbooks/EndpointUnhealthy.md";

fn committed() -> Kept {
    Kept::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).expect("the repository is readable")
}

fn spec(text: &str) -> Spec {
    Spec::parse(text, Path::new("m.yaml")).expect("a valid spec")
}

fn generated(spec: &Spec, kept: &Kept) -> Vec<GeneratedFile> {
    generate_keeping(spec, Runtime::Docker, kept).expect("generation")
}

fn page<'a>(files: &'a [GeneratedFile], path: &str) -> &'a str {
    let file = files.iter().find(|file| file.path == Path::new(path));
    &file.expect("the page is generated").contents
}

fn problems(spec: &Spec, kept: &Kept) -> Vec<String> {
    validate(spec, &generated(spec, kept))
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn the_committed_pages_are_fresh_and_complete() {
    let (spec, kept) = (Spec::default(), committed());
    let files = generated(&spec, &kept);
    for name in AlertName::ALL {
        let path = format!("monitoring/runbooks/{name}.md");
        assert_eq!(Some(page(&files, &path)), kept.get(Path::new(&path)), "{name}");
    }
    assert_eq!(problems(&spec, &kept), Vec::<String>::new());
}

#[test]
fn a_changed_limit_changes_the_head_and_nothing_else() {
    let kept = committed();
    let path = "monitoring/runbooks/ConnectionPoolHighUtilization.md";
    let changed = spec(
        "alerts: { ConnectionPoolHighUtilization: { threshold: 0.7, for: 9m, pools: { solana: { threshold: 0.5 } } } }",
    );
    let files = generated(&changed, &kept);
    let (new, old) = (page(&files, path), kept.get(Path::new(path)).expect("a page"));
    for row in [
        "| limit | 70 % (pool solana: 50 %) |",
        "| for | 9m |",
        "| severity | warning |",
    ] {
        assert!(new.contains(row), "no {row} in {new}");
    }
    let body = |text: &str| text.split_once("## Meaning").map(|(_, body)| body.to_owned());
    assert_eq!(body(new), body(old));
    let off = spec("alerts: { ConnectionPoolHighUtilization: { enabled: false } }");
    assert!(page(&generated(&off, &kept), path).contains("| state | off in `monitoring.yaml` |"));
}

#[test]
fn a_missing_page_becomes_a_skeleton_whose_commands_stand_and_whose_gaps_are_found() {
    let spec = spec("ports: { prometheus: 19091, alertmanager: 19093 }");
    let files = generated(&spec, &Kept::default());
    let text = page(&files, PAGE);
    for part in [
        "# EndpointUnhealthy\n\n<!-- generated: head -->",
        "curl -sG http://127.0.0.1:19091/api/v1/query --data-urlencode \\\n  'query=ALERTS{alertname=\"EndpointUnhealthy\"}'",
        "amtool --alertmanager.url=http://127.0.0.1:19093 silence add \\\n  alertname=EndpointUnhealthy pool=<pool> endpoint=<endpoint> --duration=2h",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    let all = validate(&spec, &files);
    let of_page: Vec<&str> = all
        .iter()
        .filter(|problem| problem.file == Path::new(PAGE))
        .map(|problem| problem.what.as_str())
        .collect();
    assert_eq!(
        of_page,
        [
            "the section `Meaning` has yet to be written",
            "the section `Impact` has yet to be written",
            "the section `Causes` has yet to be written",
            "the section `What to do` has yet to be written",
        ]
    );
    // And of every alert: the commands of the skeletons pass the same checks as those that people wrote.
    assert!(
        all.iter()
            .all(|problem| problem.what.ends_with("has yet to be written")),
        "{all:?}"
    );
    // A skeleton stays as it is.
    let again = generated(&spec, &Kept::default().with(PAGE, text));
    assert_eq!(page(&again, PAGE), text);
}

#[test]
fn an_alert_of_ones_own_has_a_page_unless_it_names_another() {
    let own = "more_alerts:\n  QueueFull:\n    expr: max by (instance, pool) (last_over_time(fusion_connection_pool_queue_size[1m])) > 90\n    \
               severity: critical\n    summary: Full.\n    description: Full.\n";
    let files = generated(&spec(own), &committed());
    let text = page(&files, "monitoring/runbooks/QueueFull.md");
    assert!(
        text.contains("| severity | critical |") && text.contains("alertname=QueueFull"),
        "{text}"
    );
    let elsewhere = format!("{own}    runbook_url: https://wiki.example.org/QueueFull\n");
    let files = generated(&spec(&elsewhere), &committed());
    assert!(!files.iter().any(|file| file.path.ends_with("QueueFull.md")));
}

#[test]
fn what_a_page_lacks_is_found_with_its_line() {
    let kept = committed();
    let good = kept.get(Path::new(PAGE)).expect("a page").to_owned();
    let line = |needle: &str| {
        good.lines()
            .position(|line| line.contains(needle))
            .expect("in the page")
            + 1
    };
    let with = |from: &str, to: &str| {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        problems(&Spec::default(), &kept.clone().with(PAGE, bad))
    };
    let table = [
        (
            "## Impact\n",
            "## Effect\n",
            format!("{PAGE}:1:1: the section `## Impact` is missing; write it"),
        ),
        (
            "## Causes\n",
            "## Causes\n\n_To be written._\n",
            format!(
                "{PAGE}:{}:1: the section `Causes` has yet to be written; write it",
                line("## Causes") + 2
            ),
        ),
        (
            "silence add \\\n  alertname=EndpointUnhealthy",
            "silence query \\\n  alertname=EndpointUnhealthy",
            String::new(),
        ),
        (
            "fusion_connection_pool_health_status",
            "fusion_connection_pool_health_statsu",
            format!(
                "{PAGE}:{}:1: no metric `fusion_connection_pool_health_statsu`",
                line("curl -sG")
            ),
        ),
        (
            "max by (instance, pool, endpoint, error_type) (increase",
            "sum by (pool) (increase",
            "counts every series once per job".to_owned(),
        ),
    ];
    for (from, to, says) in table {
        let found = with(from, to);
        if says.is_empty() {
            // The other silence of the page, in the container, is left.
            assert_eq!(found, Vec::<String>::new());
            continue;
        }
        assert!(
            found.len() == 1 && found[0].contains(&says),
            "{from} -> {to}: {found:#?}, not {says}"
        );
    }
    let mute = good.replace("silence add", "silence query");
    let found = problems(&Spec::default(), &kept.clone().with(PAGE, mute));
    assert!(
        found.len() == 1 && found[0].contains("no command silences the alert; give `amtool"),
        "{found:#?}"
    );
    let swapped = good
        .replace("## Impact\n", "## X\n")
        .replace("## Causes\n", "## Impact\n")
        .replace("## X\n", "## Causes\n");
    let found = problems(&Spec::default(), &kept.clone().with(PAGE, swapped));
    assert!(
        found.iter().any(|problem| problem.contains("stands too early")),
        "{found:#?}"
    );
}

#[test]
fn a_torn_head_or_title_is_refused_and_a_page_without_a_head_gets_one() {
    let kept = committed();
    let good = kept.get(Path::new(PAGE)).expect("a page").to_owned();
    let with =
        |text: String| generate_keeping(&Spec::default(), Runtime::Docker, &kept.clone().with(PAGE, text));
    for (from, to, says) in [
        (
            "# EndpointUnhealthy\n",
            "# Unhealthy\n",
            ":1:1: doesn't begin with `# EndpointUnhealthy`",
        ),
        (
            "<!-- end of generated: head -->\n",
            "",
            ":3:1: the markers of the generated head are torn",
        ),
        (
            "<!-- generated: head -->\n",
            "",
            "the markers of the generated head are torn",
        ),
        (
            "<!-- generated: head -->\n",
            "text\n<!-- generated: head -->\n",
            "are torn",
        ),
    ] {
        let error = with(good.replacen(from, to, 1)).expect_err("refused").to_string();
        assert!(error.starts_with(PAGE) && error.contains(says), "{error}");
    }
    let (head, body) = good
        .split_once("<!-- end of generated: head -->\n\n")
        .expect("markers");
    assert!(head.contains("| severity | warning |"));
    let bare = format!("# EndpointUnhealthy\n\n{body}");
    assert_eq!(page(&with(bare).expect("generation"), PAGE), good);
}
