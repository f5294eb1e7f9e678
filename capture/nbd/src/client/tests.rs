//! The client against servers made of bytes, honest and otherwise.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;

use super::*;
use crate::constants::{
    OPTION_MAGIC, OPTION_REPLY_MAGIC, info_type, option_code, option_reply as reply,
};
use crate::export::Allocation;

const SIZE: u64 = 1 << 20;
const ALL_FLAGS: u16 = flag::HAS_FLAGS | flag::FLUSH | flag::FUA | flag::DF;

/// How far a fake server's abilities go.
#[derive(Clone, Copy, PartialEq)]
enum Age {
    /// Everything.
    Modern,
    /// Options, but only EXPORT_NAME and UNSUP.
    Fixed,
    /// No options but EXPORT_NAME, with the zeroes.
    Old,
}

struct Fake {
    stream: DuplexStream,
}

impl Fake {
    async fn greet(&mut self, age: Age) {
        let flags = if age == Age::Old { [0, 0] } else { [0, 3] };
        self.stream.write_all(b"NBDMAGICIHAVEOPT").await.unwrap();
        self.stream.write_all(&flags).await.unwrap();
        assert_eq!(self.stream.read_u32().await.unwrap(), u32::from(flags[1]));
    }

    /// Negotiates honestly up to the transmission phase.
    async fn negotiate(&mut self, age: Age) {
        self.greet(age).await;
        loop {
            let (code, data) = self.option().await;
            match code {
                option_code::EXPORT_NAME => {
                    assert_eq!(data, b"disk");
                    self.stream.write_u64(SIZE).await.unwrap();
                    self.stream.write_u16(ALL_FLAGS).await.unwrap();
                    let padding = if age == Age::Old { 124 } else { 0 };
                    self.stream.write_all(&vec![0; padding]).await.unwrap();
                    return;
                }
                _ if age != Age::Modern => self.reply(code, reply::ERR_UNSUP, b"?").await,
                option_code::STRUCTURED_REPLY => self.reply(code, reply::ACK, &[]).await,
                option_code::SET_META_CONTEXT => {
                    let context = [&[0, 0, 0, 42][..], b"base:allocation"].concat();
                    self.reply(code, reply::META_CONTEXT, &context).await;
                    self.reply(code, reply::ACK, &[]).await;
                }
                option_code::GO => {
                    // Unknown information must be ignored.
                    self.reply(code, reply::INFO, &[0x12, 0x34, 5]).await;
                    let mut export = info_type::EXPORT.to_be_bytes().to_vec();
                    export.extend_from_slice(&SIZE.to_be_bytes());
                    export.extend_from_slice(&ALL_FLAGS.to_be_bytes());
                    self.reply(code, reply::INFO, &export).await;
                    self.reply(
                        code,
                        reply::INFO,
                        &[0, 3, 0, 0, 2, 0, 0, 0, 16, 0, 255, 255, 255, 255],
                    )
                    .await;
                    return self.reply(code, reply::ACK, &[]).await;
                }
                _ => panic!("option {code}"),
            }
        }
    }

    async fn option(&mut self) -> (u32, Vec<u8>) {
        assert_eq!(self.stream.read_u64().await.unwrap(), OPTION_MAGIC);
        let code = self.stream.read_u32().await.unwrap();
        let length = self.stream.read_u32().await.unwrap();
        let mut data = vec![0; length as usize];
        self.stream.read_exact(&mut data).await.unwrap();
        (code, data)
    }

    async fn reply(&mut self, code: u32, kind: u32, data: &[u8]) {
        let mut message = OPTION_REPLY_MAGIC.to_be_bytes().to_vec();
        message.extend_from_slice(&code.to_be_bytes());
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&u32::try_from(data.len()).unwrap().to_be_bytes());
        message.extend_from_slice(data);
        self.stream.write_all(&message).await.unwrap();
    }

    /// One request as (flags, command, cookie, offset, length).
    async fn request(&mut self) -> (u16, u16, u64, u64, u32) {
        assert_eq!(self.stream.read_u32().await.unwrap(), 0x2560_9513);
        (
            self.stream.read_u16().await.unwrap(),
            self.stream.read_u16().await.unwrap(),
            self.stream.read_u64().await.unwrap(),
            self.stream.read_u64().await.unwrap(),
            self.stream.read_u32().await.unwrap(),
        )
    }

    async fn simple(&mut self, cookie: u64, error: u32, data: &[u8]) {
        self.stream.write_u32(0x6744_6698).await.unwrap();
        self.stream.write_u32(error).await.unwrap();
        self.stream.write_u64(cookie).await.unwrap();
        self.stream.write_all(data).await.unwrap();
    }

    async fn chunk(&mut self, cookie: u64, done: bool, kind: u16, parts: &[&[u8]]) {
        let payload = parts.concat();
        self.stream.write_u32(0x668e_33ef).await.unwrap();
        self.stream.write_u16(done.into()).await.unwrap();
        self.stream.write_u16(kind).await.unwrap();
        self.stream.write_u64(cookie).await.unwrap();
        self.stream
            .write_u32(u32::try_from(payload.len()).unwrap())
            .await
            .unwrap();
        self.stream.write_all(&payload).await.unwrap();
    }
}

/// A client, and a server that does `script` after the negotiation.
async fn pair<F, S>(age: Age, script: F) -> (Client, JoinHandle<()>)
where
    F: FnOnce(Fake) -> S + Send + 'static,
    S: Future<Output = ()> + Send,
{
    let (near, far) = duplex(1 << 16);
    let server = tokio::spawn(async move {
        let mut fake = Fake { stream: far };
        fake.negotiate(age).await;
        script(fake).await;
    });
    let client = Client::enter(near, "disk", ClientOptions::default())
        .await
        .unwrap();
    (client, server)
}

#[tokio::test]
async fn old_servers_are_understood() {
    for age in [Age::Fixed, Age::Old] {
        let (client, server) = pair(age, |mut fake| async move {
            let (_, code, cookie, offset, length) = fake.request().await;
            assert_eq!((code, offset, length), (command_code::READ, 512, 4));
            fake.simple(cookie, 0, b"data").await;
            assert_eq!(fake.request().await.1, command_code::DISC);
        })
        .await;
        assert_eq!(client.export().size, SIZE);
        assert!(!client.export().is_structured() && !client.export().has_block_status());
        assert_eq!(client.read(512, 4).await.unwrap(), &b"data"[..]);
        client.disconnect().await.unwrap();
        server.await.unwrap();
    }
}

#[tokio::test]
async fn replies_come_in_any_order_and_interleave() {
    let (client, server) = pair(Age::Modern, |mut fake| async move {
        let first = fake.request().await.2;
        let second = fake.request().await.2;
        fake.chunk(second, false, 1, &[&102_u64.to_be_bytes(), b"cd"])
            .await;
        fake.chunk(first, false, 1, &[&0_u64.to_be_bytes(), b"ab"])
            .await;
        fake.chunk(
            second,
            false,
            2,
            &[&100_u64.to_be_bytes(), &2_u32.to_be_bytes()],
        )
        .await;
        fake.chunk(
            first,
            true,
            2,
            &[&2_u64.to_be_bytes(), &1_u32.to_be_bytes()],
        )
        .await;
        fake.chunk(second, true, 0, &[]).await;
        let _ = fake.request().await;
    })
    .await;
    assert_eq!(client.export().block_sizes.minimum(), 512);
    assert_eq!(client.export().block_sizes.maximum_payload(), 32 << 20);
    let data = client.read_many(&[(0, 3), (100, 4)]).await.unwrap();
    assert_eq!(data, [&b"ab\0"[..], b"\0\0cd"]);
    drop(client);
    server.await.unwrap();
}

#[tokio::test]
async fn writes_flushes_and_maps() {
    let (client, server) = pair(Age::Modern, |mut fake| async move {
        let (flags, code, cookie, offset, length) = fake.request().await;
        assert_eq!(
            (flags, code, offset, length),
            (1, command_code::WRITE, 7, 3)
        );
        let mut payload = [0; 3];
        fake.stream.read_exact(&mut payload).await.unwrap();
        assert_eq!(payload, *b"xyz");
        fake.simple(cookie, 0, &[]).await;
        let (_, code, cookie, ..) = fake.request().await;
        assert_eq!(code, command_code::FLUSH);
        fake.simple(cookie, 28, &[]).await;
        let (_, code, cookie, ..) = fake.request().await;
        assert_eq!(code, command_code::BLOCK_STATUS);
        let map = [0, 0, 0, 42, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 3];
        fake.chunk(cookie, true, 5, &[&map]).await;
    })
    .await;
    client
        .write(7, Bytes::from_static(b"xyz"), true)
        .await
        .unwrap();
    let full = client.flush().await;
    let Err(ClientError::Refused {
        request: "flush",
        source: NbdError::NoSpace,
    }) = full
    else {
        panic!("{full:?}");
    };
    let map = client.block_status(0, 4096).await.unwrap();
    let expected = [
        Extent {
            length: 512,
            allocation: Allocation::DATA,
        },
        Extent {
            length: 1024,
            allocation: Allocation::HOLE,
        },
    ];
    assert_eq!(map, expected);
    server.await.unwrap();
}

#[tokio::test]
async fn an_error_chunk_fails_the_read_and_nothing_else() {
    let (client, server) = pair(Age::Modern, |mut fake| async move {
        let cookie = fake.request().await.2;
        fake.chunk(cookie, false, 1, &[&0_u64.to_be_bytes(), b"ab"])
            .await;
        let error = [0, 0, 0, 5, 0, 3, b'b', b'a', b'd'];
        fake.chunk(cookie, false, 0x8002, &[&error, &2_u64.to_be_bytes()])
            .await;
        fake.chunk(cookie, true, 0, &[]).await;
        let cookie = fake.request().await.2;
        // An error of a kind nobody knows yet.
        fake.chunk(cookie, true, 0x8777, &[&[0, 0, 0, 75, 0, 0, 9, 9]])
            .await;
        let cookie = fake.request().await.2;
        fake.chunk(cookie, true, 1, &[&0_u64.to_be_bytes(), b"fine"])
            .await;
    })
    .await;
    for expected in [NbdError::Io, NbdError::Overflow] {
        match client.read(0, 4).await {
            Err(ClientError::Refused { source, .. }) => assert_eq!(source, expected),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(client.read(0, 4).await.unwrap(), &b"fine"[..]);
    server.await.unwrap();
}

/// One lie about the read of 4 bytes at 100 with the given cookie.
async fn lie(fake: &mut Fake, number: usize, cookie: u64) {
    let at = |offset: u64| offset.to_be_bytes();
    match number {
        0 => fake.simple(cookie, 0, b"abcd").await,
        1 => fake.chunk(cookie + 1, true, 1, &[&at(100), b"abcd"]).await,
        2 => fake.chunk(cookie, true, 1, &[&at(99), b"abcd"]).await,
        3 => fake.chunk(cookie, true, 1, &[&at(100), b"abcde"]).await,
        4 => fake.chunk(cookie, true, 1, &[&at(u64::MAX), b"abcd"]).await,
        5 => fake.chunk(cookie, true, 1, &[&at(100), b"abc"]).await,
        6 => fake.chunk(cookie, true, 0, &[]).await,
        7 => {
            fake.chunk(cookie, false, 1, &[&at(101), b"bcd"]).await;
            fake.chunk(cookie, true, 2, &[&at(100), &2_u32.to_be_bytes()])
                .await;
        }
        8 => {
            fake.chunk(cookie, true, 2, &[&at(100), &u32::MAX.to_be_bytes()])
                .await
        }
        9 => fake.chunk(cookie, true, 1, &[&at(100)]).await,
        10 => fake.chunk(cookie, true, 1, &[b"abc"]).await,
        11 => {
            fake.chunk(cookie, true, 5, &[&[0, 0, 0, 42, 0, 0, 2, 0, 0, 0, 0, 0]])
                .await
        }
        12 => fake.chunk(cookie, true, 99, &[]).await,
        13 => {
            fake.chunk(cookie, true, 0x8001, &[&[0, 0, 0, 5, 0, 9, 1]])
                .await
        }
        14 => fake.chunk(cookie, true, 0x8001, &[&vec![1; 100_000]]).await,
        15 => fake.chunk(cookie, false, 0, &[]).await,
        16 => fake.stream.write_all(b"whatever this is").await.unwrap(),
        _ => {}
    }
}

#[tokio::test]
async fn lies_end_the_connection() {
    for number in 0..=17 {
        let (client, server) = pair(Age::Modern, move |mut fake| async move {
            let cookie = fake.request().await.2;
            // The client may hang up in the middle of a long lie.
            let _ = tokio::time::timeout(Duration::from_secs(5), async {
                lie(&mut fake, number, cookie).await;
            })
            .await;
        })
        .await;
        let result = client.read(100, 4).await;
        assert!(
            matches!(result, Err(ClientError::Lost(_))),
            "lie {number}: {result:?}"
        );
        let later = client.read(100, 4).await;
        assert!(
            matches!(later, Err(ClientError::Lost(_))),
            "lie {number}: {later:?}"
        );
        // A lie longer than what the client takes may fail to be written.
        let _ = server.await;
    }
}

#[tokio::test]
async fn a_map_must_make_progress() {
    for map in [
        &[0, 0, 0, 42][..],
        &[0, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0, 0, 0, 43, 0, 0, 2, 0, 0, 0, 0, 0],
        &[0, 0, 0, 42, 0, 0, 2, 0, 0],
    ] {
        let (client, server) = pair(Age::Modern, move |mut fake| async move {
            let cookie = fake.request().await.2;
            fake.chunk(cookie, true, 5, &[map]).await;
        })
        .await;
        let result = client.block_status(0, 4096).await;
        assert!(
            matches!(result, Err(ClientError::Lost(_))),
            "{map:?}: {result:?}"
        );
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_silent_server_times_out() {
    let (near, far) = duplex(4096);
    let options = ClientOptions {
        handshake: Duration::from_millis(10),
        ..Default::default()
    };
    let result = Client::enter(near, "disk", options).await;
    assert!(
        matches!(result, Err(ClientError::TimedOut(_))),
        "{result:?}"
    );
    drop(far);

    let (near, far) = duplex(4096);
    let server = tokio::spawn(async move {
        let mut fake = Fake { stream: far };
        fake.negotiate(Age::Modern).await;
        fake
    });
    let options = ClientOptions {
        request: Duration::from_millis(10),
        ..Default::default()
    };
    let client = Client::enter(near, "disk", options).await.unwrap();
    let result = client.read(0, 512).await;
    assert!(
        matches!(result, Err(ClientError::TimedOut(_))),
        "{result:?}"
    );
    server.await.unwrap();
}

#[tokio::test]
async fn refusals_of_the_negotiation_are_told_apart() {
    for (kind, message) in [
        (reply::ERR_UNKNOWN, "no such export"),
        (reply::ERR_TLS_REQD, "demands TLS"),
        (reply::ERR_SHUTDOWN, "shutting down"),
        (reply::ERROR_BIT | 2, "not today"),
    ] {
        let (near, far) = duplex(4096);
        let server = tokio::spawn(async move {
            let mut fake = Fake { stream: far };
            fake.greet(Age::Modern).await;
            for _ in 0..2 {
                let (code, _) = fake.option().await;
                fake.reply(code, kind, b"not today").await;
                if kind == reply::ERR_TLS_REQD {
                    break;
                }
            }
        });
        let error = Client::enter(near, "disk", ClientOptions::default())
            .await
            .unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        server.await.unwrap();
    }
    let (near, mut far) = duplex(4096);
    far.write_all(b"SSH-2.0-somebody else").await.unwrap();
    let error = Client::enter(near, "disk", ClientOptions::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("does not speak"), "{error}");
}
