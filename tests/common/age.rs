//! Debian's `age`, as an integrator uses it.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

use raccord::domain::random;

/// A private key that `age-keygen` made, in a file of its own.
pub struct AgeIdentity {
    file: PathBuf,
    pub recipient: String,
}

impl AgeIdentity {
    pub fn generate() -> Self {
        let file = std::env::temp_dir().join(format!("raccord-age-{}", random::token(&mut random::os_rng())));
        let made = Command::new("age-keygen").arg("--output").arg(&file).output().expect("bin/test installs age");
        assert!(made.status.success(), "{made:?}");
        let text = fs::read_to_string(&file).expect("age-keygen writes the file");
        let recipient = text.lines().find_map(|line| line.strip_prefix("# public key: ")).expect("its public key");
        Self { recipient: recipient.to_owned(), file }
    }

    /// The content of a file that is encrypted for this identity; else what age says.
    pub fn decrypt(&self, encrypted: &[u8]) -> Result<Vec<u8>, String> {
        let mut age = Command::new("age")
            .args(["--decrypt", "--identity"])
            .arg(&self.file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("bin/test installs age");
        let mut input = age.stdin.take().expect("a pipe");
        let output = thread::scope(|scope| {
            // Of what it refuses, age does not read the rest.
            scope.spawn(move || input.write_all(encrypted).ok());
            age.wait_with_output().expect("age ends")
        });
        if output.status.success() { Ok(output.stdout) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
    }
}

impl Drop for AgeIdentity {
    fn drop(&mut self) {
        fs::remove_file(&self.file).ok();
    }
}
