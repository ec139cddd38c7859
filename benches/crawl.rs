//! The slow clients of `overload.py`: each sends a byte a second, half of them of a head and half of a body; who is sent away comes back. A small program of its
//! own: what the clients take of the machine, in time and in caches, no server gets.
//!
//! `crawl PORT COUNT TOKEN`. Runs until its standard input ends; then writes how many are connected, how many were answered and how many were cut off or not let in.

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How many clients have their turn at once: woken for each, the program would take more than all it sends.
const TOGETHER: u32 = 10;

/// In the course of so many seconds all begin, so that not all run out of time together: a body has ten.
const WAVES: u32 = 11;
/// For how long one waits to be let in: the others have their turns meanwhile.
const KNOCK: Duration = Duration::from_secs(1);

/// One client: its connection, and what of its request is on its way.
struct Client {
    socket: TcpStream,
    sent: usize,
}

#[derive(Default)]
struct Crowd {
    answered: u32,
    broken: u32,
}

impl Crowd {
    /// Whether a client has been neither answered nor cut off; counts it if it has.
    fn goes_on(&mut self, client: &mut Client) -> bool {
        match client.socket.read(&mut [0; 4096]) {
            Ok(0) => self.broken += 1,
            Ok(_) => self.answered += 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
            Err(_) => self.broken += 1,
        }
        false
    }
}

/// A new connection, on which a first part has been sent.
fn connect(port: u16, first: &[u8]) -> std::io::Result<Client> {
    let mut socket = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), KNOCK)?;
    socket.set_nonblocking(true)?;
    socket.set_nodelay(true)?;
    socket.write_all(first)?;
    Ok(Client { socket, sent: 0 })
}

fn main() -> Result<(), Box<dyn Error>> {
    static IS_OVER: AtomicBool = AtomicBool::new(false);
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, count, token] = words.as_slice() else { return Err("crawl PORT COUNT TOKEN".into()) };
    let (port, count): (u16, u32) = (port.parse()?, count.parse()?);
    let head = format!("GET /v1/customers HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Slow: ");
    let body =
        format!("POST /v1/status-reports HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n");
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        IS_OVER.store(true, Ordering::Relaxed);
    });
    let mut crowd = Crowd::default();
    let mut clients: Vec<Option<Client>> = (0..count).map(|_| None).collect();
    let begun = Instant::now();
    for round in 0_u32.. {
        for (number, place) in (0..count).zip(&mut clients) {
            if number % TOGETHER == 0 {
                let due = begun + Duration::from_secs(round.into()) + Duration::from_secs(1) * number / count;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                if IS_OVER.load(Ordering::Relaxed) {
                    let open = clients.iter().flatten().count();
                    println!("{open} {} {}", crowd.answered, crowd.broken);
                    return Ok(());
                }
            }
            if round < number % WAVES {
                continue;
            }
            let is_body = number % 2 == 1;
            let here = place.take().and_then(|mut client| crowd.goes_on(&mut client).then_some(client));
            let client = here.map_or_else(|| connect(port, if is_body { body.as_bytes() } else { b"" }), Ok);
            let sent = client.and_then(|mut client| {
                let next = head.as_bytes().get(client.sent).filter(|_| !is_body).unwrap_or(&b'x');
                client.socket.write_all(&[*next])?;
                client.sent += 1;
                Ok(client)
            });
            crowd.broken += u32::from(sent.is_err());
            *place = sent.ok();
        }
    }
    Ok(())
}
