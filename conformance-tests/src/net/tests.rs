//! The proxy itself, before a server that repeats what it is told.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;

/// More than anything takes that is not held.
const SOON: Duration = Duration::from_secs(5);
/// Long enough to see that nothing comes.
const WHILE: Duration = Duration::from_millis(50);

/// A server that says everything twice.
async fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    let twice = [&buffer[..count], &buffer[..count]].concat();
                    if stream.write_all(&twice).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

async fn say(stream: &mut TcpStream, text: &[u8]) {
    stream.write_all(text).await.unwrap();
}

async fn hear(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut buffer = vec![0; count];
    timeout(SOON, stream.read_exact(&mut buffer)).await.unwrap().unwrap();
    buffer
}

/// The connection ends without another byte.
async fn expect_end(stream: &mut TcpStream) {
    match timeout(SOON, stream.read(&mut [0; 16])).await.expect("the connection is closed") {
        Ok(count) => assert_eq!(count, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

async fn expect_silence(stream: &mut TcpStream) {
    assert!(timeout(WHILE, stream.read(&mut [0; 16])).await.is_err(), "nothing comes");
}

async fn line(proxy: &Proxy) -> TcpStream {
    let address = proxy.route(&server().await).await.unwrap();
    TcpStream::connect(address).await.unwrap()
}

#[tokio::test]
async fn bytes_pass_and_round_trips_are_counted() {
    let proxy = Proxy::new();
    assert!(!proxy.is_used().await);
    let mut stream = line(&proxy).await;
    for trip in 1..=3 {
        say(&mut stream, b"hello").await;
        assert_eq!(hear(&mut stream, 10).await, b"hellohello");
        assert_eq!(proxy.trips(), trip);
    }
    assert!(proxy.is_used().await);
}

#[tokio::test]
async fn a_server_has_one_address_and_passwords_are_kept() {
    let proxy = Proxy::new();
    let upstream = server().await;
    let first = proxy.route(&upstream).await.unwrap();
    proxy.know_password("canary");
    assert_eq!(proxy.route(&upstream).await.unwrap(), first);
    assert_ne!(proxy.route(&server().await).await.unwrap(), first);
    assert_eq!(proxy.known_passwords(), ["canary"]);
    assert!(!format!("{proxy:?}").contains("canary"));
}

#[tokio::test]
async fn refused_connections_are_refused_until_healed() {
    let proxy = Proxy::new();
    let upstream = server().await;
    let address = proxy.route(&upstream).await.unwrap();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    say(&mut stream, b"x").await;
    hear(&mut stream, 2).await;
    for _ in 0..3 {
        proxy.strike(Fault::Refuse, 1, Span::ForGood).await.unwrap();
        expect_end(&mut stream).await;
        let refused = TcpStream::connect(&address).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        proxy.heal().await.unwrap();
        stream = TcpStream::connect(&address).await.unwrap();
        say(&mut stream, b"x").await;
        assert_eq!(hear(&mut stream, 2).await, b"xx");
    }
}

#[tokio::test]
async fn requests_and_replies_are_lost_or_cut() {
    for (fault, reply) in [
        (Fault::LoseRequest, &b""[..]),
        (Fault::CutRequest, b""),
        (Fault::LoseReply, b""),
        (Fault::CutReply, b"abcd"),
    ] {
        let proxy = Proxy::new();
        let mut stream = line(&proxy).await;
        proxy.strike(fault, 2, Span::Once).await.unwrap();
        say(&mut stream, b"first").await;
        assert_eq!(hear(&mut stream, 10).await, b"firstfirst");
        assert_eq!(proxy.struck(), 0, "{fault:?}");
        say(&mut stream, b"abcd").await;
        assert_eq!(hear(&mut stream, reply.len()).await, reply);
        expect_end(&mut stream).await;
        assert_eq!(proxy.struck(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn half_of_a_cut_request_arrives() {
    let proxy = Proxy::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = proxy.route(&listener.local_addr().unwrap().to_string()).await.unwrap();
    proxy.strike(Fault::CutRequest, 1, Span::Once).await.unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    say(&mut stream, b"abcd").await;
    let (mut accepted, _) = listener.accept().await.unwrap();
    let mut heard = Vec::new();
    timeout(SOON, accepted.read_to_end(&mut heard)).await.unwrap().unwrap();
    assert_eq!(heard, b"ab");
    expect_end(&mut stream).await;
}

#[tokio::test]
async fn a_fault_for_good_strikes_new_connections_too() {
    let proxy = Proxy::new();
    let upstream = server().await;
    let address = proxy.route(&upstream).await.unwrap();
    proxy.strike(Fault::LoseReply, 1, Span::ForGood).await.unwrap();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        say(&mut stream, b"x").await;
        expect_end(&mut stream).await;
    }
    assert_eq!(proxy.struck(), 3);
}

#[tokio::test]
async fn what_hangs_stays_so_and_new_connections_work_when_healed() {
    for fault in [Fault::Hang, Fault::Silence] {
        let proxy = Proxy::new();
        let upstream = server().await;
        let address = proxy.route(&upstream).await.unwrap();
        let mut stream = TcpStream::connect(&address).await.unwrap();
        proxy.strike(fault, 1, Span::ForGood).await.unwrap();
        say(&mut stream, b"x").await;
        expect_silence(&mut stream).await;
        proxy.heal().await.unwrap();
        expect_silence(&mut stream).await;
        let mut stream = TcpStream::connect(&address).await.unwrap();
        say(&mut stream, b"x").await;
        assert_eq!(hear(&mut stream, 2).await, b"xx");
    }
}

#[tokio::test]
async fn what_is_held_goes_on_when_healed() {
    for fault in [Fault::HoldRequest, Fault::HoldReply] {
        let proxy = Proxy::new();
        let mut stream = line(&proxy).await;
        proxy.strike(fault, 1, Span::Once).await.unwrap();
        say(&mut stream, b"held").await;
        timeout(SOON, proxy.held()).await.unwrap();
        expect_silence(&mut stream).await;
        proxy.heal().await.unwrap();
        assert_eq!(hear(&mut stream, 8).await, b"heldheld");
    }
}

#[tokio::test]
async fn what_is_delayed_arrives_late_and_whole() {
    let proxy = Proxy::new();
    let mut stream = line(&proxy).await;
    proxy.strike(Fault::Delay(WHILE), 1, Span::ForGood).await.unwrap();
    for _ in 0..2 {
        let begun = Instant::now();
        say(&mut stream, b"late").await;
        assert_eq!(hear(&mut stream, 8).await, b"latelate");
        assert!(begun.elapsed() >= WHILE);
    }
    assert_eq!((proxy.struck(), proxy.connections()), (2, 1));
}

#[tokio::test]
async fn a_trickle_is_slow_until_healed() {
    let proxy = Proxy::new();
    let mut stream = line(&proxy).await;
    proxy.strike(Fault::Trickle, 1, Span::ForGood).await.unwrap();
    let begun = Instant::now();
    say(&mut stream, b"abcdefgh").await;
    assert_eq!(hear(&mut stream, 3).await, b"abc");
    assert!(begun.elapsed() >= Duration::from_millis(90));
    proxy.heal().await.unwrap();
    assert_eq!(hear(&mut stream, 13).await, b"defghabcdefgh");
}

#[tokio::test]
async fn what_is_looked_for_is_counted_once_in_each_burst() {
    let proxy = Proxy::new();
    let mut stream = line(&proxy).await;
    let needle = b"a needle of a certain length";
    proxy.look_for(needle);
    for (burst, sightings) in [
        ([&b"hay "[..], needle, b" hay"].concat(), 1),
        (b"only hay".to_vec(), 1),
        ([&needle[..], needle].concat(), 2),
    ] {
        say(&mut stream, &burst).await;
        hear(&mut stream, burst.len() * 2).await;
        assert_eq!(proxy.sightings(), sightings);
    }
}
