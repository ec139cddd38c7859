//! Attacks on the connection itself (SECURITY d 49, 51, 52): smuggled, oversized and dribbled requests. Each ends with its connection closed.

use crate::attacks::{JSON, bearer, held, refused};
use crate::harness::App;
use futures_util::future::join_all;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What came back over a connection before the other side closed it.
struct Heard {
    status: u16,
    /// In small letters.
    head: String,
    body: String,
    seconds: u64,
}

/// Sends `first` over a connection of its own, then `piece` once a second, and never ends; `None` when that is not cut off.
async fn talk(app: &App, first: &[u8], piece: &[u8]) -> Option<Heard> {
    let (begun, mut answer) = (Instant::now(), Vec::new());
    let (mut from, mut to) = TcpStream::connect(app.base.trim_start_matches("http://")).await.unwrap().into_split();
    let sending = async {
        let mut listens = to.write_all(first).await.is_ok();
        while listens && !piece.is_empty() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            listens = to.write_all(piece).await.is_ok();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = sending => return None,
        () = tokio::time::sleep(Duration::from_secs(20)) => return None,
        // A reset is an end as well; what came before stays.
        _ = from.read_to_end(&mut answer) => {}
    }
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {:?}", String::from_utf8_lossy(&first[..first.len().min(99)])));
    Some(Heard { status: head[9..12].parse().unwrap(), head: head.to_lowercase(), body: body.to_owned(), seconds: begun.elapsed().as_secs() })
}

#[tokio::test(flavor = "multi_thread")]
async fn smuggled_and_oversized_requests_end_their_connection() {
    let app = App::start().await;
    let (_, staff) = app.found("Vendor").await;
    // 52: by the HTTP layer, with an empty body; what is hidden behind is not answered. A stroke ends a line; the first head is empty.
    let (many, long) = (format!("Host: a|{}", "X: 1|".repeat(96)), format!("Host: a|X: {}|", "a".repeat(200 * 1024)));
    let heads = ";Host: a|Host: b|;Host : a|;Host: a|X: 1| folded|;Host: a|Idempotency-Key: a\u{1}b|;Host: a|Content-Length: 5|Transfer-Encoding: chunked||0|;\
        Host: a|Content-Length: 5|Content-Length: 6||abcde;Host: a|Content-Length: 5|Content-Length: 5||abcde;Host: a|Content-Length: 5, 5||abcde;\
        Host: a|Content-Length: +5||abcde;Host: a|Transfer-Encoding: gzip, chunked||0|;Host: a|Transfer-Encoding: chunked|Transfer-Encoding: chunked||0|;\
        Host: a|Transfer-Encoding: xchunked||0|;Host: a|Transfer-Encoding: chunked, identity||0|";
    for (head, status) in heads.split(';').map(|head| (head, 400)).chain([(many.as_str(), 431), (long.as_str(), 431)]) {
        let request = format!("GET /openapi.json HTTP/1.1|{head}|GET /openapi.json HTTP/1.1|Host: a||").replace('|', "\r\n");
        let shown = &head[..head.len().min(80)];
        let heard = talk(&app, request.as_bytes(), b"").await.unwrap_or_else(|| panic!("still open: {shown}"));
        assert_eq!((heard.status, heard.body.as_str(), heard.head.contains("\r\nconnection: close")), (status, "", true), "{shown}");
    }
    // A chunk of no size, or of too large a one: the connection ends, and what is hidden behind is not answered either. In HTTP/1.0 there are no chunks.
    for (version, size, answered) in [("1.1", "zz", ""), ("1.1", "fffffffffffffffff", ""), ("1.1", "-2", ""), ("1.1", "0x2", ""), ("1.0", "2", "HTTP/1.1 400")] {
        let head = format!("POST /v1/customers HTTP/{version}|Host: a|Authorization: {}|Content-Type: application/json|Transfer-Encoding: chunked||", bearer(&staff));
        let request = format!("{head}{size}|{{}}|0||GET /openapi.json HTTP/1.1|Host: a||").replace('|', "\r\n");
        let mut line = TcpStream::connect(app.base.trim_start_matches("http://")).await.unwrap();
        line.write_all(request.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        // A reset is an end as well.
        let _ = tokio::time::timeout(Duration::from_secs(20), line.read_to_end(&mut heard)).await.unwrap_or_else(|_| panic!("{size}: still open"));
        let heard = String::from_utf8_lossy(&heard);
        assert!(heard.starts_with(answered) && heard.matches("HTTP/1.").count() == usize::from(!answered.is_empty()), "{size}: {heard}");
    }
    // What says that it is of another host is of ours all the same: no address of an answer is made from it.
    let absolute = app.send("GET", "/openapi.json", &[("host", "evil.example"), ("x-forwarded-host", "evil.example"), ("forwarded", "host=evil.example")], None).await;
    assert!(absolute.status == 200 && !String::from_utf8_lossy(&absolute.bytes).contains("evil.example"));
    // 49: announced or not, ended or not.
    let sized = |size: usize| format!("{{\"external_id\":\"{}\"}}", "a".repeat(size - 18)).into_bytes();
    let most = app.send("POST", "/v1/customers", &[("authorization", &bearer(&staff)), JSON], Some(sized(256 * 1024))).await;
    refused(&most, 422, "validation-failed", &["/external_id"], "256 KiB are read");
    let large = sized(256 * 1024 + 1);
    let head =
        |length: &str| format!("POST /v1/customers HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\nContent-Type: application/json\r\n{length}\r\n\r\n", bearer(&staff)).into_bytes();
    let announced = head(&format!("Content-Length: {}", large.len()));
    let chunk = [head("Transfer-Encoding: chunked"), format!("{:x}\r\n", large.len()).into_bytes(), large.clone(), b"\r\n".to_vec()].concat();
    let ended = [chunk.clone(), b"0\r\n\r\n".to_vec()].concat();
    let requests = [("sent", [announced.clone(), large].concat()), ("announced alone", announced), ("in a chunk", ended), ("in a chunk without an end", chunk)];
    for ((what, _), heard) in requests.iter().zip(join_all(requests.iter().map(|(_, request)| talk(&app, request, b""))).await) {
        let heard = heard.unwrap_or_else(|| panic!("{what}: still open"));
        let told = (heard.status, heard.head.contains("\r\nconnection: close"), heard.head.contains("\r\ncontent-type: application/problem+json"));
        assert_eq!(told, (413, true, true), "{what}: {}", heard.head);
        assert!(heard.body.contains("/problems/payload-too-large\"") && heard.body.contains("\"code\":\"payload-too-large\""), "{what}: {}", heard.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_a_byte_a_second_is_cut_off() {
    let app = App::start().await;
    let (founded, staff) = app.found("Vendor").await;
    let before = held(&app).await;
    // 51, and the deadline of heads in SECURITY c.6: all at once, since each takes its time.
    let to = |path: &str, more: &str| format!("POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\nContent-Type: application/{more}\r\n\r\n", bearer(&staff));
    let (length, chunks, form) = ("json\r\nContent-Length: 100", "json\r\nTransfer-Encoding: chunked", "x-www-form-urlencoded\r\nContent-Length: 100");
    let (line, timeout) = ("GET /problems/not-found HTTP/1.1\r\nHost: a\r\n", "\"code\":\"request-timeout\"");
    let senders = [
        ("a head", format!("{line}X: "), "a", 408, "", 4..9),
        ("a first line", "GET /".to_owned(), "a", 408, "", 4..9),
        ("a body", to("/v1/customers", length), " ", 408, timeout, 9..16),
        ("no body", to("/v1/customers", length), "", 408, timeout, 9..16),
        ("a body in chunks", to("/v1/customers", chunks), "1\r\n \r\n", 408, timeout, 9..16),
        ("a batch", to("/v1/status-reports/batch", length), " ", 408, timeout, 9..16),
        ("what nobody reads", "GET /openapi.json HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".into(), "1\r\na\r\n", 200, "openapi", 0..9),
        ("a body to nowhere", "POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".into(), "1\r\na\r\n", 404, "not-found", 0..9),
        ("a body without a token", "PATCH /v1/partners/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".into(), "1\r\na\r\n", 401, "unauthenticated", 0..9),
        (
            "a body of a deletion",
            to("/v1/customers", chunks).replace("POST /v1/customers", &format!("DELETE /v1/partners/{}/clients/{}", founded.direct, founded.client)),
            "1\r\na\r\n",
            404,
            "not-found",
            0..9,
        ),
        (
            "a preflight's body",
            "OPTIONS /v1/customers HTTP/1.1\r\nHost: a\r\nOrigin: null\r\nAccess-Control-Request-Method: GET\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            "1\r\na\r\n",
            403,
            "origin",
            0..9,
        ),
        ("a form", to("/oauth/token", form), "a", 408, timeout, 9..16),
    ];
    let heard = join_all(senders.iter().map(|(_, first, piece, ..)| talk(&app, first.as_bytes(), piece.as_bytes()))).await;
    let open: Vec<&str> = senders.iter().zip(&heard).filter(|(_, heard)| heard.is_none()).map(|(sender, _)| sender.0).collect();
    assert!(open.is_empty(), "still open: {open:?}");
    for ((what, _, _, status, part, seconds), heard) in senders.iter().zip(heard.into_iter().flatten()) {
        let told = if part.is_empty() { heard.body.is_empty() } else { heard.body.contains(*part) };
        assert_eq!((heard.status, told, seconds.contains(&heard.seconds)), (*status, true, true), "{what} after {} s: {}", heard.seconds, heard.body);
    }
    assert_eq!(held(&app).await, before, "nothing changed");
}

/// Two requests over one connection, the second behind the answer to the first; the statuses, and whether the first answer closed it.
async fn in_turn(app: &App, first: &[u8], second: &[u8]) -> (Vec<u16>, bool) {
    let (mut from, mut to) = TcpStream::connect(app.base.trim_start_matches("http://")).await.unwrap().into_split();
    let mut heard = Vec::new();
    let mut closes = false;
    for request in [first, second] {
        if to.write_all(request).await.is_err() {
            break;
        }
        let mut answer = Vec::new();
        let whole = |answer: &[u8]| {
            let text = String::from_utf8_lossy(answer).to_lowercase();
            let (head, body) = text.split_once("\r\n\r\n")?;
            let length: usize = head.split_once("content-length: ")?.1.split("\r\n").next()?.parse().ok()?;
            (body.len() >= length).then(|| (head[9..12].parse().unwrap(), head.contains("connection: close")))
        };
        let status = loop {
            let mut bytes = [0; 4096];
            match tokio::time::timeout(Duration::from_secs(20), from.read(&mut bytes)).await.expect("an answer, never a hang") {
                Ok(n @ 1..) => answer.extend_from_slice(&bytes[..n]),
                _ => break None,
            }
            if let Some(told) = whole(&answer) {
                break Some(told);
            }
        };
        let Some((status, close)) = status else { break };
        heard.push(status);
        closes |= close;
    }
    (heard, closes)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_keeps_the_connection_if_the_body_was_small_and_there() {
    let app = App::start().await;
    let (_, staff) = app.found("Vendor").await;
    let post = |token: &str, length: &str, body: &str| {
        let head = format!("POST /v1/customers HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n{length}\r\n\r\n");
        [head.as_bytes(), body.as_bytes()].concat()
    };
    let next = format!("GET /v1/customers HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {staff}\r\n\r\n").into_bytes();
    let body = r#"{"external_id":"K","name":"n"}"#;
    for (what, first) in [
        ("sized", post("x", &format!("Content-Length: {}", body.len()), body)),
        ("in a chunk", post("x", "Transfer-Encoding: chunked", &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()))),
    ] {
        assert_eq!(in_turn(&app, &first, &next).await, (vec![401, 200], false), "{what}");
    }
    // What is still to come, or large, is not waited for: the connection ends behind the answer.
    for (what, first) in [("unfinished", post("x", "Content-Length: 500", body)), ("large", post("x", "Content-Length: 200000", &"x".repeat(200_000)))] {
        let (heard, closes) = in_turn(&app, &first, &next).await;
        assert_eq!((heard, closes), (vec![401], true), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_revoked_while_a_slow_body_comes_does_not_get_in() {
    let app = App::start().await;
    let (founded, staff) = app.found("Vendor").await;
    let (client, token) = crate::world::client(&app, &staff, &founded.direct.to_string(), &[]).await;
    let before = app.count("SELECT count(*) FROM todoku.customer").await;
    let body = r#"{"external_id":"K","name":"n"}"#;
    let head = format!(
        "POST /v1/customers HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let (mut from, mut to) = TcpStream::connect(app.base.trim_start_matches("http://")).await.unwrap().into_split();
    to.write_all(head.as_bytes()).await.unwrap();
    // The head is in before the client is revoked, and a body is slow from a second on.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let path = format!("/v1/partners/{}/clients/{client}", founded.direct);
    assert_eq!(app.send("DELETE", &path, &[("authorization", &bearer(&staff)), ("if-match", "*")], None).await.status, 204);
    tokio::time::sleep(Duration::from_secs(2)).await;
    to.write_all(body.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    from.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 401"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(app.count("SELECT count(*) FROM todoku.customer").await, before);
}

/// Who asks and reads nothing (the system's own word for it is Linux's) keeps what was made for it no longer than the system waits.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_loses_the_connection() {
    let app = App::start().await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut line = socket.connect(app.base.trim_start_matches("http://").parse().unwrap()).await.unwrap();
    let (ask, times) = ("GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n", 16);
    line.write_all(ask.repeat(times).as_bytes()).await.unwrap();
    let whole = times * app.get("", "/openapi.json").await.bytes.len();
    tokio::time::sleep(Duration::from_secs(26)).await;
    let mut got = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), line.read_to_end(&mut got)).await.expect("an end, never a hang");
    assert!(got.len() < whole && (ended.is_err() || got.len() < whole / 2), "{} of {whole}, {ended:?}", got.len());
}
