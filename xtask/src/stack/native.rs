//! The native runtime: how the machine's own programs are started.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use monitoring_provisioning::{GeneratedFile, SecretOwner};

use super::{Inputs, config_of, text};
use crate::binaries::{self, Program};
use crate::cli::Optional;
use crate::plan::{Reload, ServicePlan};

/// Where the programs are, and their versions.
#[derive(Debug)]
pub(crate) struct Programs {
    found: BTreeMap<&'static str, (PathBuf, Option<String>)>,
}

impl Programs {
    /// Looks for `wanted`; versions are asked at the same time.
    pub(crate) fn find(wanted: &[Program]) -> Self {
        let asking: Vec<_> = wanted
            .iter()
            .filter_map(|program| Some((program.names()[0], program.find()?)))
            .map(|(name, path)| {
                let asked = path.clone();
                (name, path, std::thread::spawn(move || binaries::version(&asked)))
            })
            .collect();
        let found = asking
            .into_iter()
            .map(|(name, path, asked)| (name, (path, asked.join().unwrap_or_default())))
            .collect();
        Self { found }
    }

    /// A program that was found.
    fn get(&self, program: Program) -> Result<&(PathBuf, Option<String>)> {
        let name = program.names()[0];
        self.found.get(name).with_context(|| format!("{name} is missing"))
    }

    /// True when it was found.
    pub(crate) fn has(&self, program: Program) -> bool {
        self.found.contains_key(program.names()[0])
    }
}

/// Prometheus, Alertmanager, Node Exporter and Grafana as processes. `files` stand below `config`.
pub(crate) fn native_services(
    inputs: &Inputs<'_>,
    programs: &Programs,
    config: &Path,
    files: &[GeneratedFile],
) -> Result<Vec<ServicePlan>> {
    let find = |end: &str| -> Result<PathBuf> {
        let file = files.iter().find(|file| file.path.ends_with(end));
        Ok(config.join(&file.with_context(|| format!("no {end} was generated"))?.path))
    };
    let mut services = Vec::new();
    if inputs.wants(Optional::NodeExporter) {
        services.push(node_exporter(inputs, programs)?);
    }
    let mut alertmanager = alertmanager(inputs, programs, &find("alertmanager/config.yml")?)?;
    alertmanager.config = config_of(files, "alertmanager");
    services.push(alertmanager);
    if inputs.wants(Optional::Grafana) && programs.has(Program::Grafana) {
        let provisioning = find("grafana/provisioning/datasources/prometheus.yml").or_else(|_| {
            let any = files
                .iter()
                .find(|file| text(&file.path).contains("grafana/provisioning/datasources/"));
            any.map(|file| config.join(&file.path))
                .context("no Grafana provisioning was generated")
        })?;
        let mut grafana = grafana(
            inputs,
            programs,
            provisioning.ancestors().nth(2).unwrap_or(config),
        )?;
        grafana.config = config_of(files, "grafana");
        services.push(grafana);
    }
    let mut prometheus = prometheus(inputs, programs, &find("prometheus/prometheus.yml")?)?;
    prometheus.config = config_of(files, "prometheus");
    services.push(prometheus);
    Ok(services)
}

fn service(
    inputs: &Inputs<'_>,
    name: &str,
    program: &(PathBuf, Option<String>),
    arguments: Vec<String>,
) -> ServicePlan {
    let argv = std::iter::once(text(&program.0)).chain(arguments).collect();
    ServicePlan {
        version: program.1.clone(),
        ..inputs.service(name, argv)
    }
}

/// A folder of its own for each format of data: an older program must not open what a newer one wrote.
///
/// Prometheus changes its format with the major version. Alertmanager and others are told apart by the first
/// number that isn't zero.
fn data_folder(inputs: &Inputs<'_>, name: &str, version: Option<&str>) -> Result<PathBuf> {
    let folder = inputs
        .workspace
        .state_dir
        .join("data")
        .join(name)
        .join(format_of(version));
    std::fs::create_dir_all(&folder).with_context(|| format!("can't create {}", folder.display()))?;
    Ok(folder)
}

fn format_of(version: Option<&str>) -> String {
    let Some(version) = version else {
        return "unknown".to_owned();
    };
    let mut numbers = version.split('.');
    let major = numbers.next().unwrap_or("0");
    if major == "0" {
        format!("v0.{}", numbers.next().unwrap_or("0"))
    } else {
        format!("v{major}")
    }
}

fn prometheus(inputs: &Inputs<'_>, programs: &Programs, config: &Path) -> Result<ServicePlan> {
    let program = programs.get(Program::Prometheus)?;
    let data = data_folder(inputs, "prometheus", program.1.as_deref())?;
    let spec = inputs.spec;
    let mut service = service(
        inputs,
        "prometheus",
        program,
        vec![
            format!("--config.file={}", text(config)),
            format!("--storage.tsdb.path={}", text(&data)),
            format!("--storage.tsdb.retention.time={}", spec.retention()),
            format!("--web.listen-address={}", inputs.address(spec.ports.prometheus)),
            "--web.enable-lifecycle".to_owned(),
            format!("--web.external-url=http://localhost:{}/", spec.ports.prometheus),
        ],
    );
    service.argv.extend(spec.scaled_flags());
    service.reload = Reload::Hangup;
    // So that the first scrapes find them: the second ones are an interval later.
    let mut first: Vec<SocketAddr> = vec![inputs.reach(spec.ports.alertmanager)];
    if inputs.wants(Optional::NodeExporter) {
        first.push(inputs.reach(spec.ports.node_exporter));
    }
    if inputs.relayer.is_some() {
        first.push(inputs.reach(spec.ports.relayer));
    }
    service.wait_for = first;
    Ok(service)
}

fn alertmanager(inputs: &Inputs<'_>, programs: &Programs, config: &Path) -> Result<ServicePlan> {
    let program = programs.get(Program::Alertmanager)?;
    let data = data_folder(inputs, "alertmanager", program.1.as_deref())?;
    let ports = &inputs.spec.ports;
    let mut service = service(
        inputs,
        "alertmanager",
        program,
        vec![
            format!("--config.file={}", text(config)),
            format!("--storage.path={}", text(&data)),
            format!("--web.listen-address={}", inputs.address(ports.alertmanager)),
            format!("--web.external-url=http://localhost:{}/", ports.alertmanager),
            // One instance: no gossip, no further port.
            "--cluster.listen-address=".to_owned(),
        ],
    );
    service.reload = Reload::Hangup;
    Ok(service)
}

fn node_exporter(inputs: &Inputs<'_>, programs: &Programs) -> Result<ServicePlan> {
    let address = inputs.address(inputs.spec.ports.node_exporter);
    let mut arguments = vec![format!("--web.listen-address={address}")];
    if !Path::new("/run/systemd/private").exists() {
        // Debian's build asks systemd by default, and complains at each scrape where there is none.
        arguments.push("--no-collector.systemd".to_owned());
    }
    Ok(service(
        inputs,
        "node-exporter",
        programs.get(Program::NodeExporter)?,
        arguments,
    ))
}

fn grafana(inputs: &Inputs<'_>, programs: &Programs, provisioning: &Path) -> Result<ServicePlan> {
    let program = programs.get(Program::Grafana)?;
    let mut arguments = Vec::new();
    if program.0.file_name().is_some_and(|name| name == "grafana") {
        arguments.push("server".to_owned());
    }
    if let Some(home) = grafana_home(&program.0) {
        arguments.push(format!("--homepath={}", text(&home)));
    }
    let data = data_folder(inputs, "grafana", program.1.as_deref())?;
    let spec = inputs.spec;
    let password = grafana_password(inputs)?;
    let mut service = service(inputs, "grafana", program, arguments);
    service.env = [
        ("GF_SERVER_HTTP_ADDR", spec.bind_address.to_string()),
        ("GF_SERVER_HTTP_PORT", spec.ports.grafana.to_string()),
        (
            "GF_SERVER_ROOT_URL",
            format!("http://localhost:{}/", spec.ports.grafana),
        ),
        ("GF_SECURITY_ADMIN_USER", spec.grafana.admin_user.clone()),
        ("GF_SECURITY_ADMIN_PASSWORD", password),
        ("GF_PATHS_PROVISIONING", text(provisioning)),
        ("GF_PATHS_DATA", text(&data)),
        ("GF_PATHS_LOGS", text(&data.join("log"))),
        ("GF_PATHS_PLUGINS", text(&data.join("plugins"))),
        ("GF_LOG_MODE", "console".to_owned()),
        ("GF_ANALYTICS_REPORTING_ENABLED", "false".to_owned()),
        ("GF_ANALYTICS_CHECK_FOR_UPDATES", "false".to_owned()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect();
    Ok(service)
}

/// The administrator's password: the file's, where one is named. The plan that holds it can be read by its owner only.
fn grafana_password(inputs: &Inputs<'_>) -> Result<String> {
    let spec = inputs.workspace.native_spec(inputs.spec)?;
    let files = spec.secret_files();
    match files.iter().find(|file| file.owner == SecretOwner::Grafana) {
        Some(file) => std::fs::read_to_string(&file.resolved)
            .map(|text| text.trim_end().to_owned())
            .with_context(|| format!("can't read {}", file.resolved.display())),
        None => Ok(spec.grafana.admin_password),
    }
}

/// Where Grafana keeps its defaults: the Debian and RPM packages', Homebrew's, or an unpacked archive's folder.
fn grafana_home(program: &Path) -> Option<PathBuf> {
    let real = std::fs::canonicalize(program).unwrap_or_else(|_| program.to_path_buf());
    let near = [program, real.as_path()]
        .into_iter()
        .filter_map(|path| path.ancestors().nth(2));
    near.flat_map(|up| [up.join("share/grafana"), up.to_path_buf()])
        .chain([PathBuf::from("/usr/share/grafana")])
        .find(|home| home.join("conf/defaults.ini").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_formats_are_kept_apart() {
        assert_eq!(format_of(Some("2.42.0")), "v2");
        assert_eq!(format_of(Some("3.5.3")), "v3");
        assert_eq!(format_of(Some("0.25.0")), "v0.25");
        assert_eq!(format_of(Some("0.33.1")), "v0.33");
        assert_eq!(format_of(None), "unknown");
    }

    #[test]
    fn grafana_is_at_home_beside_its_program() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("share/grafana");
        std::fs::create_dir_all(home.join("conf")).unwrap();
        std::fs::create_dir_all(dir.path().join("bin")).unwrap();
        std::fs::write(home.join("conf/defaults.ini"), "").unwrap();
        assert_eq!(grafana_home(&dir.path().join("bin/grafana")), Some(home));
    }
}
