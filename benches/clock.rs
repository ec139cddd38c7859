//! The load of `overload.py`: requests made ahead, sent by the clock, answered or not, or in closed loop. A small program of its own: what
//! the load takes of the machine, in time and in caches, no server gets.
//!
//! `clock PORT SECONDS CONNECTIONS RATE FILE`, a rate of 0 for the closed loop. The file holds requests behind their lengths (u32). Ends early when its standard input
//! does; ended, what is under way is waited for. Writes triples of f64: (begun, 0, 0); of each answer when it was due, when it came, and its status, 0 for a broken
//! connection; in the end (end, its share of a core until then, connections). Times are those of the monotonic clock, in seconds.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{UsageWho, getrusage};
use nix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::Duration;

/// How often a load by the clock looks for answers: woken by each, it would take from the server what no load from elsewhere does.
const TICK: Duration = Duration::from_millis(2);
/// What has not come back by then has not come back.
const PATIENCE: f64 = 20.0;

type Failed = Box<dyn Error>;

fn now() -> f64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(f64::NAN, |time| Duration::from(time).as_secs_f64())
}

/// Seconds of processor this process has taken.
fn worked() -> f64 {
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    getrusage(UsageWho::RUSAGE_SELF).map_or(f64::NAN, |usage| seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// One connection and what has come on it.
struct Line {
    socket: TcpStream,
    due: Option<f64>,
    got: Vec<u8>,
}

enum Came {
    NotYet,
    Broken,
    Whole { status: u16, closes: bool },
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

impl Line {
    fn receive(&mut self, room: &mut [u8]) -> Came {
        match self.socket.read(room) {
            Ok(0) => return Came::Broken,
            Ok(some) => self.got.extend_from_slice(&room[..some]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Came::NotYet,
            Err(_) => return Came::Broken,
        }
        let Some(end) = find(&self.got, b"\r\n\r\n") else { return Came::NotYet };
        let head = &self.got[..end];
        let length = find(head, b"\r\ncontent-length: ")
            .map_or(0, |at| head[at + 18..].iter().take_while(|byte| byte.is_ascii_digit()).fold(0, |n, byte| n * 10 + usize::from(byte - b'0')));
        if self.got.len() < end + 4 + length {
            return Came::NotYet;
        }
        let status = head[9..12].iter().fold(0, |n, byte| n * 10 + u16::from(byte - b'0'));
        let closes = find(head, b"\r\nconnection: close").is_some();
        self.got.clear();
        Came::Whole { status, closes }
    }
}

struct Load {
    port: u16,
    most: usize,
    requests: Vec<u8>,
    next: usize,
    lines: Vec<Option<Line>>,
    idle: Vec<usize>,
    free: Vec<usize>,
    waiting: VecDeque<f64>,
    told: Vec<u8>,
}

impl Load {
    fn tell(&mut self, triple: [f64; 3]) {
        triple.iter().for_each(|value| self.told.extend_from_slice(&value.to_le_bytes()));
    }

    fn open(&mut self) {
        let Ok(socket) = TcpStream::connect(("127.0.0.1", self.port)) else { return };
        if socket.set_nodelay(true).and_then(|()| socket.set_nonblocking(true)).is_err() {
            return;
        }
        let place = self.free.pop().unwrap_or(self.lines.len());
        let line = Some(Line { socket, due: None, got: Vec::new() });
        if place == self.lines.len() {
            self.lines.push(line)
        } else {
            self.lines[place] = line
        }
        self.idle.push(place);
    }

    /// Ends a connection; what was asked on it is told as broken.
    fn close(&mut self, place: usize) {
        if let Some(line) = self.lines[place].take() {
            if let Some(due) = line.due {
                self.tell([due, now(), 0.0]);
            }
            self.idle.retain(|other| *other != place);
            self.free.push(place);
        }
    }

    fn send(&mut self, due: f64) -> Result<(), Failed> {
        if self.idle.is_empty() && self.lines.len() - self.free.len() < self.most {
            self.open();
        }
        // The one used last: the others are left to end.
        let Some(place) = self.idle.pop() else {
            self.waiting.push_back(due);
            return Ok(());
        };
        let length: [u8; 4] = self.requests.get(self.next..self.next + 4).ok_or("the requests made ahead are used up")?.try_into()?;
        let begin = self.next + 4;
        self.next = begin + u32::from_le_bytes(length) as usize;
        let sent = match &mut self.lines[place] {
            Some(line) => {
                line.due = Some(due);
                line.socket.write_all(&self.requests[begin..self.next])
            }
            None => Ok(()),
        };
        if sent.is_err() {
            self.close(place);
        }
        Ok(())
    }

    /// The connections on which something has come, within a time; and whether the standard input has ended.
    fn ready(&self, within: PollTimeout, is_open: bool) -> Result<(Vec<usize>, bool), Failed> {
        let stdin = std::io::stdin();
        let open: Vec<(usize, &TcpStream)> = self.lines.iter().enumerate().filter_map(|(place, line)| Some((place, &line.as_ref()?.socket))).collect();
        let mut all: Vec<PollFd> = open.iter().map(|(_, socket)| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        if is_open {
            all.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        }
        poll(&mut all, within)?;
        let places = open.iter().zip(&all).filter(|(_, of)| of.any().unwrap_or(true)).map(|((place, _), _)| *place).collect();
        Ok((places, is_open && all.last().and_then(PollFd::any).unwrap_or(true)))
    }

    fn run(&mut self, seconds: f64, rate: f64) -> Result<(), Failed> {
        let (begun, before) = (now(), worked());
        let (mut end, mut due, mut share, mut is_open) = (begun + seconds, begun, None, true);
        let (mut room, mut out) = (vec![0; 65536], std::io::stdout());
        self.tell([begun, 0.0, 0.0]);
        if rate == 0.0 {
            for _ in 0..self.most {
                self.send(begun)?;
            }
        }
        loop {
            let at = now();
            let open = self.lines.len() - self.free.len();
            if at >= end && (self.idle.len() == open || at >= end + PATIENCE) {
                break;
            }
            if at < end {
                while rate > 0.0 && due <= at {
                    self.send(due)?;
                    due += 1.0 / rate;
                }
            } else if share.is_none() {
                share = Some((worked() - before) / (at - begun));
                self.waiting.clear();
            }
            out.write_all(&self.told)?;
            out.flush()?;
            self.told.clear();
            if rate > 0.0 {
                std::thread::sleep(TICK);
            }
            let (ready, ended) = self.ready(if rate > 0.0 { PollTimeout::ZERO } else { PollTimeout::try_from(TICK)? }, is_open)?;
            if ended {
                (end, is_open) = (end.min(now()), false);
            }
            for place in ready {
                let Some(line) = self.lines[place].as_mut() else { continue };
                let asked = line.due;
                match line.receive(&mut room) {
                    Came::NotYet => continue,
                    Came::Broken => self.close(place),
                    Came::Whole { status, closes } => {
                        line.due = None;
                        // What nobody asked for, a word before the other side closes, is no answer.
                        if let Some(due) = asked {
                            self.idle.push(place);
                            self.tell([due, now(), status.into()]);
                        }
                        if closes {
                            self.close(place);
                        }
                    }
                }
                if now() < end {
                    match self.waiting.pop_front() {
                        Some(due) => self.send(due)?,
                        None if rate == 0.0 && asked.is_some() => self.send(now())?,
                        None => {}
                    }
                }
            }
        }
        let share = share.unwrap_or((worked() - before) / (end - begun));
        let used = self.lines.len() - self.free.len();
        (0..self.lines.len()).for_each(|place| self.close(place));
        self.tell([end, share, used as f64]);
        Ok(out.write_all(&self.told)?)
    }
}

fn main() -> Result<(), Failed> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, seconds, connections, rate, file] = words.as_slice() else { return Err("clock PORT SECONDS CONNECTIONS RATE FILE".into()) };
    let mut load = Load {
        port: port.parse()?,
        most: connections.parse()?,
        requests: std::fs::read(file)?,
        next: 0,
        lines: Vec::new(),
        idle: Vec::new(),
        free: Vec::new(),
        waiting: VecDeque::new(),
        told: Vec::new(),
    };
    load.run(seconds.parse()?, rate.parse()?)
}
