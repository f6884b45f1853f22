//! `quadrant drive`: the load alone, against servers that these tests start, here and in another
//! network namespace.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::Command;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

use crate::skip::{Need, skip};
use crate::stage::Stage;

const SPEC: &str = "\
name: drive
question: How does the load alone fare?
axes:
  connections: [1, 4]
server: { steps: [echo] }
load: { connections: $connections, send: 64B }
time: { warmup: 20ms, measure: 200ms }
";

/// Answers on every connection with what arrives, changed by `answer`.
fn serve(listener: TcpListener, answer: fn(&mut [u8])) {
    let echo = move |mut stream: TcpStream| {
        let mut chunk = [0; 4_096];
        while let Ok(length @ 1..) = stream.read(&mut chunk) {
            answer(&mut chunk[..length]);
            if stream.write_all(&chunk[..length]).is_err() {
                return;
            }
        }
    };
    // Until the tests end.
    thread::spawn(move || {
        for stream in listener.incoming() {
            stream.map(|stream| thread::spawn(move || echo(stream))).unwrap();
        }
    });
}

fn server(answer: fn(&mut [u8])) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    serve(listener, answer);
    address
}

fn driven(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

pub fn any_server_that_echoes_can_be_driven() {
    let stage = Stage::bare();
    let spec = stage.write("drive.yaml", SPEC);
    let address = server(|_| {}).to_string();
    let ended = stage.quadrant(&["drive", &address, &spec, "--format", "json"]).expect_code(0);
    let cases = driven(&ended.stdout);
    for (case, connections) in cases.iter().zip([1, 4]) {
        assert_eq!(case["load"]["connections_served"], connections, "{case}");
        assert_eq!((&case["errors"], &case["wrong_answers"]), (&0.into(), &0.into()));
        assert!(case["requests"]["ops"].as_u64().unwrap() > 0, "{case}");
        assert!(case["load"]["busy_ns"].as_u64().unwrap() > 0, "{case}");
    }
    assert_eq!(cases.len(), 2);
    let ended = stage.quadrant(&["drive", &address, &spec]).expect_code(0);
    for word in ["connections=4", "requests", "p99.9", "busy", &address] {
        assert!(ended.stdout.contains(word), "{word}: {}", ended.stdout);
    }
    stage.assert_empty();
}

pub fn wrong_answers_and_other_machines_are_refused() {
    let stage = Stage::bare();
    let spec = stage.write("drive.yaml", SPEC);
    let address = server(|chunk| chunk[0] ^= 1).to_string();
    let ended = stage.quadrant(&["drive", &address, &spec]).expect_code(3);
    assert!(ended.stdout.contains("wrong answer"), "{}", ended.stdout);

    // No server listens at the port of one that is gone.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let ended = stage
        .quadrant(&["drive", &address, &spec, "--axis", "connections=1", "--format", "json"])
        .expect_code(3);
    let reason = driven(&ended.stdout)[0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("refused"), "{reason}");

    let ended = stage.quadrant(&["drive", "192.0.2.1:7000", &spec]).expect_code(2);
    ended.expect_words(&["192.0.2.1:7000", "--remote"]);
    stage.assert_empty();
}

/// Two network namespaces with a cable between them, on which every packet is delayed.
struct Networks {
    names: [String; 2],
}

impl Networks {
    const DELAY_MS: u64 = 20;

    fn create() -> Option<Self> {
        let id = std::process::id();
        let networks = Self { names: [format!("quadrant-{id}-a"), format!("quadrant-{id}-b")] };
        let [a, b] = &networks.names;
        let script = format!(
            "ip netns add {a} && ip netns add {b} &&
             ip -n {a} link add cable type veth peer name cable netns {b} &&
             ip -n {a} addr add 10.9.8.1/24 dev cable && ip -n {b} addr add 10.9.8.2/24 dev cable &&
             ip -n {a} link set cable up && ip -n {b} link set cable up &&
             tc -n {b} qdisc add dev cable root netem delay {}ms",
            Self::DELAY_MS
        );
        let made = Command::new("sh").args(["-c", &script]).output().ok()?;
        made.status.success().then_some(networks)
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = Command::new("ip").args(["netns", "del", name]).output();
        }
    }
}

pub fn a_delay_between_two_networks_shows() {
    let Some(networks) = Networks::create() else {
        return skip(Need::Other, "no delayed network can be made here: it needs root, ip and tc");
    };
    let stage = Stage::bare();
    let spec = stage.write("drive.yaml", SPEC);
    let [a, b] = networks.names.clone();
    let inside = move || {
        let network = File::open(format!("/run/netns/{b}")).unwrap();
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        TcpListener::bind("10.9.8.2:0").unwrap()
    };
    // A socket stays in the network in which it was made.
    let listener = thread::spawn(inside).join().unwrap();
    let address = listener.local_addr().unwrap().to_string();
    serve(listener, |_| {});
    let ended = stage
        .call_through(&["ip", "netns", "exec", &a])
        .args(["drive", &address, &spec, "--remote", "--format", "json"])
        .run()
        .expect_code(0);
    for case in driven(&ended.stdout) {
        let shortest_ns = case["requests"]["latency_ns"]["min"].as_u64().unwrap();
        assert!(shortest_ns >= Networks::DELAY_MS * 1_000_000, "{case}");
    }
    stage.assert_empty();
}
