//! Two networks of their own on this machine: namespaces of the kernel, each with a cable to the
//! gateway. They need root; without it the test is skipped and says so.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::{Command, Output},
};

/// The first bytes of both networks' addresses. The third one is the network, 1 or 2; the gateway
/// is its host 1, the client its host 2.
const PREFIX: [u8; 2] = [10, 231];

pub struct Pair {
    names: [String; 2],
    port: u16,
}

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

fn ip(line: &str) -> bool {
    Command::new("ip").args(line.split(' ')).output().is_ok_and(|output| output.status.success())
}

impl Pair {
    /// `None` where this machine does not let us.
    pub fn make() -> Option<Self> {
        let number = std::process::id();
        let mut pair = Self { names: [1, 2].map(|network| format!("raccord-{number}-{network}")), port: 0 };
        let all = [1, 2].into_iter().all(|network| pair.connect(network));
        if !all {
            eprintln!("SKIPPED: no network namespaces here (ip netns needs root)");
            return None;
        }
        let probe = std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
        pair.port = probe.local_addr().expect("an address").port();
        Some(pair)
    }

    /// Where the gateway listens, for both.
    pub fn gateway(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, self.port))
    }

    /// The client's address in a network.
    pub fn client(network: u8) -> Ipv4Addr {
        Ipv4Addr::new(PREFIX[0], PREFIX[1], network, 2)
    }

    /// The status of a call from a network, with this header.
    pub fn status(&self, network: u8, path: &str, header: &str) -> u16 {
        let name = &self.names[usize::from(network) - 1];
        let url = format!("http://{}:{}{path}", Ipv4Addr::new(PREFIX[0], PREFIX[1], network, 1), self.port);
        let arguments =
            ["netns", "exec", name, "curl", "-s", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", "-H"];
        let output = run("ip", &[&arguments[..], &[header, &url]].concat());
        String::from_utf8_lossy(&output.stdout).parse().unwrap_or_else(|_| panic!("{output:?}"))
    }

    fn connect(&self, network: u8) -> bool {
        let name = &self.names[usize::from(network) - 1];
        let (here, there) = (self.cable(network), format!("eth{network}"));
        let [a, b] = PREFIX;
        [
            format!("netns add {name}"),
            format!("link add {here} type veth peer name {there} netns {name}"),
            format!("address add {a}.{b}.{network}.1/24 dev {here}"),
            format!("link set {here} up"),
            format!("-n {name} address add {a}.{b}.{network}.2/24 dev {there}"),
            format!("-n {name} link set {there} up"),
        ]
        .iter()
        .all(|line| ip(line))
    }

    /// Names of interfaces have 15 letters at most.
    fn cable(&self, network: u8) -> String {
        format!("rcd{}", &self.names[usize::from(network) - 1][8..])
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for (name, network) in self.names.iter().zip([1, 2]) {
            ip(&format!("link delete {}", self.cable(network)));
            ip(&format!("netns delete {name}"));
        }
    }
}
