//! The files of secrets, on the machine that holds them.

use super::Checker;

impl Checker<'_> {
    /// A server that can't read its secret starts all the same, and tells nobody anything.
    pub(super) fn secret_files(&mut self) {
        for secret in self.spec.secret_files() {
            if secret.path.as_os_str().is_empty() {
                continue;
            }
            let remedy = "put the secret there, alone in its file; where the secrets aren't (in CI), give `--without-secrets`";
            let what = match std::fs::metadata(&secret.resolved) {
                Err(error) => format!(
                    "the secret file {} can't be read: {error}",
                    secret.resolved.display()
                ),
                Ok(found) if !found.is_file() => {
                    format!("the secret file {} is no file", secret.resolved.display())
                }
                Ok(found) if found.len() == 0 => {
                    format!("the secret file {} is empty", secret.resolved.display())
                }
                Ok(_) => continue,
            };
            self.report(&secret.place, what, remedy);
        }
    }
}
