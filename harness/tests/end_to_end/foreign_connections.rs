//! Connections to a subject's ports that do not come from the load driver: they are never served,
//! and the trial succeeds with a warning.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use quadrant_reports::record::Status;
use rustix::process::Signal;

use crate::command::{Running, read};
use crate::stage::{Stage, ordinary_subjects};

const SPEC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/specs/faults/echo.yaml");
const LIMIT: Duration = Duration::from_secs(900);

/// The ports on which a process listens, from `/proc/PID/net/tcp`.
fn listening(pid: &str) -> BTreeSet<u16> {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return BTreeSet::new() };
    let links = descriptors.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    let sockets: BTreeSet<String> = links.map(|link| link.display().to_string()).collect();
    let table = read(format!("/proc/{pid}/net/tcp").as_ref());
    let listening = table.lines().filter_map(|line| {
        // sl local_address rem_address st … inode
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_own = sockets.contains(&format!("socket:[{}]", fields.get(9)?));
        let (_, port) = fields[1].split_once(':')?;
        (is_own && fields[3] == "0A").then(|| u16::from_str_radix(port, 16).ok())?
    });
    listening.collect()
}

/// Connects to a port in several ways, none of them the driver's. Some connections stay open.
fn connect_in_all_ways(port: u16, kept: &mut Vec<TcpStream>) -> io::Result<()> {
    let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    kept.push(connect()?);
    drop(connect()?);
    let mut asking = connect()?;
    asking.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    kept.push(asking);
    let mut guessing = connect()?;
    guessing.write_all(&[0; 4_096])?;
    kept.push(guessing);
    // Closed with a reset instead of an end.
    let resetting = connect()?;
    let at_once = Some(Duration::ZERO);
    Ok(rustix::net::sockopt::set_socket_linger(&resetting, at_once)?)
}

/// Stops the harness as soon as a subject listens, so that foreign connections come first.
fn connect_to_each(running: &mut Running, stage: &Stage) -> Vec<TcpStream> {
    let (mut seen, mut kept) = (BTreeSet::new(), Vec::new());
    while !running.has_ended() {
        let processes = stage.processes();
        for process in processes.iter().filter(|process| process.contains("__trial")) {
            let pid = process.split(' ').next().unwrap().to_owned();
            if !seen.contains(&pid) && listening(&pid).len() >= 2 {
                running.signal(Signal::STOP);
                let ports = listening(&pid).into_iter();
                ports.for_each(|port| connect_in_all_ways(port, &mut kept).unwrap());
                running.signal(Signal::CONT);
                seen.insert(pid);
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    kept
}

pub fn foreign_connections_are_not_served() {
    let stage = Stage::new();
    let echoes = |need: &str| need == "echo" || need == "tcp";
    let able = ordinary_subjects().iter().filter(|subject| {
        subject.available && subject.capabilities.iter().any(|need| echoes(need))
    });
    let able = able.count();
    let words = [SPEC, "-r", "**", "--trials", "1", "--format", "json"];
    let mut running = stage.run(&words).limit(LIMIT).start();
    let kept = connect_to_each(&mut running, &stage);
    let ended = running.wait();
    stage.assert_empty();

    let mut warned = 0;
    for record in ended.records() {
        if record.status == Status::Unsupported {
            continue;
        }
        assert_eq!(record.status, Status::Ok, "{}: {:?}", record.subject.id, record.reason);
        let is_warned =
            record.warnings.iter().any(|text| text.contains("came from other processes"));
        warned += usize::from(is_warned);
    }
    // This test polls for subjects every few milliseconds, and the harness may be faster.
    assert!(warned > 0 && warned <= able, "{warned} of {able}");
    for mut connection in kept {
        let mut got = Vec::new();
        // The connection was reset or ended, but never answered.
        let _ = connection.read_to_end(&mut got);
        assert_eq!(got, b"");
    }
}

pub fn connections_during_the_window_are_reported() {
    let stage = Stage::new();
    let words = [SPEC, "-r", "threads", "-r", "tokio/current-thread/epoll", "--trials", "1"];
    let mut running = stage.run(&words).args(["--format", "json"]).limit(LIMIT).start();
    let (mut seen, mut kept) = (BTreeSet::new(), Vec::new());
    while !running.has_ended() {
        let processes = stage.processes();
        let has_load = processes.iter().any(|process| process.contains("__driver"));
        let subject = processes.iter().find(|process| process.contains("__trial"));
        if let (true, Some(subject)) = (has_load, subject) {
            let pid = subject.split(' ').next().unwrap();
            for port in listening(pid) {
                // The subject may have ended meanwhile.
                if connect_in_all_ways(port, &mut kept).is_ok() {
                    seen.insert(pid.to_owned());
                }
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let records = running.wait().records();
    assert!(seen.len() == 2 && records.len() == 2, "{seen:?}");
    for record in records {
        assert_eq!(record.status, Status::Ok, "{}: {:?}", record.subject.id, record.reason);
        let warnings = record.warnings.join("; ");
        assert!(warnings.contains("came from other processes; none was served"), "{warnings}");
    }
}
