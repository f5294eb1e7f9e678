//! Malformed NBD options and requests: every one has its right answer, and none harms the capture
//! or the volume. The same is said to other servers, which shows that the prober is right.

use anyhow::{Context, ensure};
use bcdr_tests::end_to_end::{
    fixture::{export_all, image, same_bytes},
    lab::{Lab, wait_for},
    prober::{Answer, Prober, Request, command, flag, go_data, option, reply},
    processes::Background,
    tool::qemu_io,
};
use std::{fs, path::Path};

const VOLUME_BYTES: u64 = 32 << 20;

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("test paths are UTF-8")
}

/// A wrong thing to say, and the right answers to it.
struct Case {
    name: &'static str,
    /// Says it and returns the answer.
    say: fn(&mut Prober) -> anyhow::Result<Answer>,
    /// What the protocol asks for.
    right: &'static [Answer],
    /// What other servers answer beyond that.
    elsewhere: &'static [Answer],
}

const EINVAL: Answer = Answer::Error(22);
const ENOSPC: Answer = Answer::Error(28);
const EOVERFLOW: Answer = Answer::Error(75);
const FINE: Answer = Answer::Error(0);
const UNSUPPORTED: Answer = Answer::Reply(reply::UNSUPPORTED);
const INVALID: Answer = Answer::Reply(reply::INVALID);

const fn case(
    name: &'static str,
    say: fn(&mut Prober) -> anyhow::Result<Answer>,
    right: &'static [Answer],
) -> Case {
    Case {
        name,
        say,
        right,
        elsewhere: &[],
    }
}

/// Said while options are negotiated.
const OPTIONS: [Case; 12] = [
    case(
        "an unknown option",
        |p| p.option(0x7777, b"whatever"),
        &[UNSUPPORTED],
    ),
    case(
        "PEEK_EXPORT",
        |p| p.option(option::PEEK_EXPORT, b""),
        &[UNSUPPORTED],
    ),
    case(
        "LIST with data",
        |p| p.option(option::LIST, b"x"),
        &[INVALID],
    ),
    case(
        "STRUCTURED_REPLY with data",
        |p| p.option(option::STRUCTURED_REPLY, b"x"),
        &[INVALID],
    ),
    case(
        "a name longer than its option",
        |p| p.option(option::GO, &go_data("disk", 4000)),
        &[INVALID],
    ),
    case("GO without data", |p| p.option(option::GO, b""), &[INVALID]),
    case(
        "contexts before structured replies",
        |p| p.option(option::SET_META_CONTEXT, &[0, 0, 0, 0, 0, 0, 0, 0]),
        &[INVALID, UNSUPPORTED],
    ),
    case(
        "STARTTLS where there is none",
        |p| p.option(option::STARTTLS, b""),
        &[UNSUPPORTED, Answer::Reply(reply::POLICY)],
    ),
    Case {
        name: "an export that is not there",
        say: |p| p.option(option::GO, &go_data("nobody", 6)),
        right: &[Answer::Reply(reply::UNKNOWN)],
        // nbdkit's memory plugin serves every name.
        elsewhere: &[Answer::Reply(reply::ACK)],
    },
    case(
        "ABORT",
        |p| p.option(option::ABORT, b""),
        &[Answer::Reply(reply::ACK)],
    ),
    case(
        "an option of 64 MiB",
        |p| {
            p.send_option(0x7777, 64 << 20, b"")?;
            p.option_answer(0x7777)
        },
        &[Answer::Closed, UNSUPPORTED, Answer::Reply(reply::TOO_BIG)],
    ),
    case(
        "an option with another magic",
        |p| {
            p.send(&[0x5a; 16])?;
            p.wait_closed()
        },
        &[Answer::Closed],
    ),
];

fn ask(p: &mut Prober, command: u16, offset: u64, length: u32) -> anyhow::Result<Answer> {
    p.request(Request::new(command, offset, length))
}

fn ask_with(
    p: &mut Prober,
    flags: u16,
    command: u16,
    offset: u64,
    length: u32,
) -> anyhow::Result<Answer> {
    p.request(Request::new(command, offset, length).flags(flags))
}

/// Said in transmission.
const REQUESTS: [Case; 16] = [
    case(
        "a read past the end",
        |p| ask(p, command::READ, VOLUME_BYTES, 512),
        &[EINVAL],
    ),
    case(
        "a read across the end",
        |p| ask(p, command::READ, VOLUME_BYTES - 512, 1024),
        &[EINVAL],
    ),
    case(
        "a read that wraps",
        |p| ask(p, command::READ, u64::MAX - 511, 1024),
        &[EINVAL],
    ),
    case(
        "a write past the end",
        |p| {
            p.request(Request {
                payload: &[1; 512],
                ..Request::new(command::WRITE, VOLUME_BYTES, 512)
            })
        },
        &[ENOSPC, EINVAL],
    ),
    case(
        "zeroes past the end",
        |p| ask(p, command::WRITE_ZEROES, VOLUME_BYTES, 512),
        &[ENOSPC, EINVAL],
    ),
    case(
        "a trim past the end",
        |p| ask(p, command::TRIM, VOLUME_BYTES, 512),
        &[EINVAL],
    ),
    Case {
        name: "a read of nothing",
        say: |p| ask(p, command::READ, 0, 0),
        right: &[FINE],
        elsewhere: &[EINVAL],
    },
    Case {
        name: "a write of nothing",
        say: |p| ask(p, command::WRITE, 0, 0),
        right: &[FINE],
        elsewhere: &[EINVAL, ENOSPC],
    },
    case("an unknown command", |p| ask(p, 99, 0, 0), &[EINVAL]),
    case(
        "an unknown flag",
        |p| ask_with(p, flag::UNKNOWN, command::READ, 0, 512),
        &[EINVAL],
    ),
    case(
        "DF without structured replies",
        |p| ask_with(p, flag::DF, command::READ, 0, 512),
        &[EINVAL],
    ),
    case(
        "status without a context",
        |p| ask(p, command::BLOCK_STATUS, 0, 512),
        &[EINVAL],
    ),
    case(
        "FUA on a read",
        |p| ask_with(p, flag::FUA, command::READ, 0, 512),
        &[FINE],
    ),
    case(
        "a flush with a range",
        |p| ask(p, command::FLUSH, 512, 512),
        &[FINE, EINVAL],
    ),
    case(
        "a read of 64 MiB",
        |p| ask(p, command::READ, 0, 64 << 20),
        &[EINVAL, EOVERFLOW],
    ),
    Case {
        name: "a request with another magic",
        say: |p| {
            p.send_request(Request {
                magic: 0x1234_5678,
                ..Request::new(command::READ, 0, 512)
            })?;
            p.answer()
        },
        right: &[Answer::Closed],
        elsewhere: &[EINVAL],
    },
];

/// Says everything to a server. `ours` is held to the protocol alone.
fn probe(socket: &Path, ours: bool) -> anyhow::Result<()> {
    for case in &OPTIONS {
        let mut prober = Prober::connect(socket)?;
        judge(case, (case.say)(&mut prober), ours)?;
        if (case.name, ours) == ("an unknown option", true) {
            prober.go("disk").context("after an unknown option")?;
            ensure!(
                ask(&mut prober, command::READ, 0, 512)? == FINE,
                "no read after an unknown option"
            );
        }
    }
    for case in &REQUESTS {
        let mut prober = Prober::connect(socket)?;
        prober.go("disk")?;
        judge(case, (case.say)(&mut prober), ours)?;
        if case.right.contains(&Answer::Closed) {
            continue;
        }
        // The connection is still in step.
        let after = ask(&mut prober, command::READ, 4096, 4096)?;
        ensure!(
            after == FINE,
            "a good read after {} was answered with {after:?}",
            case.name
        );
    }
    Ok(())
}

fn judge(case: &Case, answer: anyhow::Result<Answer>, ours: bool) -> anyhow::Result<()> {
    let answer = answer.with_context(|| case.name)?;
    let elsewhere = if ours { &[] } else { case.elsewhere };
    ensure!(
        case.right.contains(&answer) || elsewhere.contains(&answer),
        "{} was answered with {answer:?} instead of {:?}",
        case.name,
        case.right
    );
    Ok(())
}

fn broken_conversations(socket: &Path) -> anyhow::Result<()> {
    let mut flags = Prober::greeted(socket)?;
    flags.client_flags(0b11 | 1 << 20)?;
    ensure!(
        flags.wait_closed()? == Answer::Closed,
        "an unknown client flag was taken"
    );
    // A server that counts options closes; one that does not answers them all. None hangs.
    let mut many = Prober::connect(socket)?;
    for _ in 0..200 {
        if many.option(0x7777, b"")? == Answer::Closed {
            break;
        }
    }
    // Left in the middle of an option, of a request, of a payload.
    let mut option = Prober::connect(socket)?;
    option.send_option(option::GO, 100, b"half")?;
    drop(option);
    let mut request = Prober::connect(socket)?;
    request.go("disk")?;
    request.send(&[0x25, 0x60, 0x95])?;
    drop(request);
    let mut payload = Prober::connect(socket)?;
    payload.go("disk")?;
    payload.send_request(Request {
        payload: &[9; 1000],
        ..Request::new(command::WRITE, 0, 4096)
    })?;
    drop(payload);
    // A write that announces 4 GiB: its payload is taken in, but no memory for it.
    let mut huge = Prober::connect(socket)?;
    huge.go("disk")?;
    let payload = vec![7; 8 << 20];
    huge.send_request(Request {
        payload: &payload,
        ..Request::new(command::WRITE, 0, u32::MAX)
    })?;
    // Many at once that say nothing.
    let silent = (0..32)
        .map(|_| Prober::greeted(socket))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut good = Prober::connect(socket)?;
    good.go("disk")?;
    ensure!(
        ask(&mut good, command::READ, 0, 4096)? == FINE,
        "silent clients keep others out"
    );
    drop(silent);
    Ok(())
}

/// The most memory a process ever had, in bytes.
fn peak_memory(pid: i32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no VmHWM")?;
    Ok(peak.trim().trim_end_matches("kB").trim().parse::<u64>()? << 10)
}

#[test]
fn bad_input_is_answered_as_the_protocol_says() -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    let source = image(work.path(), "disk.raw", VOLUME_BYTES)?;
    let lab = Lab::up(&work.path().join("lab"), &[("disk", &source)])?;
    let uri = lab.uri("disk")?;
    lab.wait_continuous()?;
    // First elsewhere: a prober that other servers do not understand proves nothing.
    let qemu_socket = work.path().join("qemu.sock");
    let backing = image(work.path(), "peer.raw", VOLUME_BYTES)?;
    let mut qemu = Background::start(
        "qemu-nbd",
        [
            "-t",
            "-e",
            "64",
            "-f",
            "raw",
            "-x",
            "disk",
            "-k",
            text(&qemu_socket)?,
            text(&backing)?,
        ],
    )?;
    let nbdkit_socket = work.path().join("nbdkit.sock");
    let mut nbdkit = Background::start(
        "nbdkit",
        [
            "-f",
            "-U",
            text(&nbdkit_socket)?,
            "memory",
            &VOLUME_BYTES.to_string(),
        ],
    )?;
    for (name, peer, socket) in [
        ("qemu-nbd", &mut qemu, &qemu_socket),
        ("nbdkit", &mut nbdkit, &nbdkit_socket),
    ] {
        wait_for(&format!("{name} to serve"), || Ok(socket.exists()))?;
        probe(socket, false).context(name)?;
        peer.require_running()?;
    }

    let socket = lab.socket("disk")?;
    let pid = lab.pid("capture")?;
    qemu_io(&uri, &["write -P 0x11 0 1M"])?;
    probe(&socket, true)?;
    broken_conversations(&socket)?;
    ensure!(
        lab.pid("capture")? == pid,
        "the capture did not survive bad input"
    );
    let memory = peak_memory(pid)?;
    ensure!(
        memory < 1 << 30,
        "bad input made the capture take {memory} bytes of memory"
    );
    qemu_io(&uri, &["read -P 0x11 0 1M", "write -P 0x12 1M 1M", "flush"])?;
    lab.bookmark("abused")?;
    let exported = export_all(&lab, "abused", &["disk"], work.path())?.remove(0);
    same_bytes(&exported, &source)?;
    lab.down()
}
