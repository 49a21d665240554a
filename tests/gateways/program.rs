//! The gateways' own programs, started from the files in `deploy/gateways`. Of a file, the values
//! are replaced that it names at its start; where a program reads such a file only from another
//! one, that one stands here.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::operator::binary::{Directory, free_address};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateway {
    Nginx,
    Caddy,
    Envoy,
    Haproxy,
    Apache,
}

/// What stands in place of the values that the files name.
pub struct Values<'a> {
    pub raccord: SocketAddr,
    pub api: SocketAddr,
    pub service_id: &'a str,
    pub service_secret: &'a str,
    /// Of the structure before which Apache's example stands.
    pub siret: &'a str,
}

/// Modules that Debian's Apache loads by files of its own.
const APACHE_MODULES: [&str; 11] = [
    "mpm_event",
    "authn_core",
    "authz_core",
    "authz_user",
    "proxy",
    "proxy_http",
    "headers",
    "setenvif",
    "rewrite",
    "lua",
    "oauth2",
];
const APACHE_DIRECTORY: &str = "/usr/lib/apache2/modules";

impl Gateway {
    fn file(self) -> &'static str {
        match self {
            Self::Nginx => "nginx.conf",
            Self::Caddy => "Caddyfile",
            Self::Envoy => "envoy.yaml",
            Self::Haproxy => "haproxy.cfg",
            Self::Apache => "apache.conf",
        }
    }

    /// The program, where it is installed.
    fn program(self) -> Option<PathBuf> {
        let name = match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
            Self::Envoy => "envoy",
            Self::Haproxy => "haproxy",
            Self::Apache => "apache2",
        };
        let path = std::env::var("PATH").unwrap_or_default();
        // Debian's servers are in sbin, and bin/test installs Envoy below the target directory.
        let envoy = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("envoy/bin");
        let directories = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), envoy]);
        let found = directories.map(|directory| directory.join(name)).find(|program| program.is_file())?;
        let has_module = Path::new(APACHE_DIRECTORY).join("mod_oauth2.so").is_file();
        (self != Self::Apache || has_module).then_some(found)
    }

    /// The file as it stands, with these values.
    fn configuration(self, own: SocketAddr, values: &Values<'_>) -> String {
        let mut text = example(self.file());
        let (raccord, api) = (values.raccord, values.api);
        let mut replace = |from: &str, to: &str| text = text.replace(from, to);
        for (port, address) in [(8080, raccord), (8090, own), (9000, api)] {
            replace(&format!("127.0.0.1:{port}"), &address.to_string());
            replace(&format!("port_value: {port}"), &format!("port_value: {}", address.port()));
            replace(&format!("http://:{port}"), &format!("http://:{}", address.port()));
        }
        replace("127.0.0.1:8091", &free_address().to_string());
        replace("svc_ID", values.service_id);
        replace("rcs_SECRET", values.service_secret);
        replace("21570004800014", values.siret);
        text
    }
}

/// A running gateway.
pub struct Running {
    pub address: SocketAddr,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts the gateway and waits until it listens. `None` where it is not installed.
    pub fn start(gateway: Gateway, address: SocketAddr, directory: &Directory, values: &Values<'_>) -> Option<Self> {
        let Some(program) = gateway.program() else {
            eprintln!("skipped: {gateway:?} is not installed (bin/test installs it)");
            return None;
        };
        let (mut text, own) = (gateway.configuration(address, values), text_of(directory.path()));
        text = text.replace("/etc/haproxy", &own).replace("/etc/apache2", &own);
        if gateway == Gateway::Apache {
            directory.file("raccord-gateway.lua", example("apache.lua").as_bytes());
        }
        let file = directory.file(gateway.file(), text.as_bytes());
        let log = directory.path().join("gateway.log");
        let out = File::create(&log).expect("a log");
        let mut command = command(gateway, &program, &file, directory);
        command.stdin(Stdio::null()).stdout(out.try_clone().expect("the log")).stderr(out);
        let running = Self { address, child: command.spawn().expect("the gateway starts"), log };
        running.wait_until_it_listens();
        Some(running)
    }

    fn wait_until_it_listens(&self) {
        let start = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "the gateway does not listen:\n{}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

fn example(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/gateways").join(name);
    fs::read_to_string(file).expect("the example")
}

fn text_of(path: &Path) -> String {
    path.to_str().expect("a path of text").to_owned()
}

fn command(gateway: Gateway, program: &Path, file: &Path, directory: &Directory) -> Command {
    let mut command = Command::new(program);
    let own = text_of(directory.path());
    match gateway {
        Gateway::Nginx => {
            let main = directory.file("nginx-main.conf", nginx_around(file, &own).as_bytes());
            command.args(["-p", &own, "-e", &format!("{own}/nginx-error.log"), "-c", &text_of(&main)]);
        }
        Gateway::Caddy => {
            command.args(["run", "--adapter", "caddyfile", "--config", &text_of(file)]);
            command.env("XDG_DATA_HOME", &own).env("XDG_CONFIG_HOME", &own);
        }
        Gateway::Envoy => {
            command.args(["-c", &text_of(file), "--disable-hot-restart", "--concurrency", "1", "--log-level", "warn"]);
        }
        Gateway::Haproxy => {
            command.args(["-db", "-f", &text_of(file)]);
        }
        Gateway::Apache => {
            let main = directory.file("apache-main.conf", apache_around(file, &own).as_bytes());
            command.args(["-d", &own, "-f", &text_of(&main), "-DFOREGROUND"]);
        }
    }
    command
}

/// What Debian's nginx.conf says around the files of conf.d, and the worst that an operator may
/// have added for another server: every name of a header passes.
fn nginx_around(file: &Path, own: &str) -> String {
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|kind| format!("{kind}_temp_path {own}/{kind};\n")).concat();
    format!(
        "daemon off;\nworker_processes 1;\npid {own}/nginx.pid;\nevents {{ worker_connections 256; }}\n\
         http {{\naccess_log off;\nignore_invalid_headers off;\nunderscores_in_headers on;\n\
         {temporary}include {};\n}}\n",
        file.display()
    )
}

/// What Debian's apache2.conf says around the files of sites-enabled.
fn apache_around(file: &Path, own: &str) -> String {
    let load = |name| format!("LoadModule {name}_module {APACHE_DIRECTORY}/mod_{name}.so\n");
    let modules = APACHE_MODULES.map(load).concat();
    format!(
        "{modules}ServerName localhost\nServerRoot {own}\nDefaultRuntimeDir {own}\nPidFile {own}/apache.pid\n\
         ErrorLog {own}/apache-error.log\nUser www-data\nGroup www-data\nInclude {}\n",
        file.display()
    )
}
