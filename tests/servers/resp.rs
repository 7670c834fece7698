//! Frames are found in a stream however it is cut, and nothing makes the parser panic.

use cache_kit_tests::servers::{Command, Reply};
use proptest::collection::vec;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    "[^\r\n]{0,12}"
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    // Many line ends, which a careless parser takes for the end of a frame.
    vec(
        prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b'$')],
        0..12,
    )
}

fn pairs(of: BoxedStrategy<Reply>) -> impl Strategy<Value = Vec<(Reply, Reply)>> {
    vec((of.clone(), of), 0..4)
}

fn reply() -> impl Strategy<Value = Reply> {
    let plain = prop_oneof![
        text().prop_map(Reply::Simple),
        any::<String>().prop_map(Reply::Error),
        any::<i64>().prop_map(Reply::Integer),
        bytes().prop_map(Reply::Bulk),
        Just(Reply::Null),
        any::<bool>().prop_map(Reply::Boolean),
        any::<f64>().prop_map(|number| Reply::Double(number.to_string())),
        "-?[0-9]{1,40}".prop_map(Reply::BigNumber),
        bytes().prop_map(|rest| Reply::Verbatim([b"txt:", rest.as_slice()].concat())),
    ];
    plain.prop_recursive(4, 32, 4, |inner| {
        let inner = inner.boxed();
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Reply::Array),
            vec(inner.clone(), 0..4).prop_map(Reply::Set),
            vec(inner.clone(), 0..4).prop_map(Reply::Push),
            pairs(inner.clone()).prop_map(Reply::Map),
            (pairs(inner.clone()), inner)
                .prop_map(|(pairs, reply)| Reply::Attributed(pairs, Box::new(reply))),
        ]
    })
}

/// Where a stream is cut: the same places every time for the same numbers.
fn pieces<'a>(stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    places.extend([0, stream.len()]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|ends| &stream[ends[0]..ends[1]])
        .collect()
}

proptest! {
    #[test]
    fn frames_come_out_of_any_pieces(replies in vec(reply(), 1..6), cuts in vec(any::<usize>(), 0..12)) {
        let stream: Vec<u8> = replies.iter().flat_map(Reply::to_bytes).collect();
        let (mut unread, mut found) = (Vec::new(), Vec::new());
        for piece in pieces(&stream, &cuts) {
            unread.extend(piece);
            while let Some((reply, length)) = Reply::parse(&unread).unwrap() {
                prop_assert_eq!(&unread[..length], reply.to_bytes());
                unread.drain(..length);
                found.push(reply);
            }
        }
        prop_assert!(unread.is_empty());
        prop_assert_eq!(found, replies);
    }

    #[test]
    fn no_part_of_a_frame_is_a_frame(reply in reply()) {
        let whole = reply.to_bytes();
        for end in 0..whole.len() {
            prop_assert_eq!(Reply::parse(&whole[..end]), Ok(None));
        }
    }

    #[test]
    fn commands_come_out_of_any_pieces(
        commands in vec(vec(bytes(), 1..5), 1..6),
        cuts in vec(any::<usize>(), 0..12),
    ) {
        let stream: Vec<u8> = commands.iter().flat_map(|words| Command::encode(words)).collect();
        let (mut unread, mut found) = (Vec::new(), Vec::new());
        for piece in pieces(&stream, &cuts) {
            unread.extend(piece);
            while let Some((command, length)) = Command::parse(&unread).unwrap() {
                unread.drain(..length);
                found.push(command.args().to_vec());
            }
        }
        prop_assert!(unread.is_empty());
        let args: Vec<_> = commands.iter().map(|words| words[1..].to_vec()).collect();
        prop_assert_eq!(found, args);
    }

    #[test]
    fn garbage_is_never_longer_than_it_is(garbage in vec(prop_oneof![
        any::<u8>(), proptest::sample::select(b"+-:$*~%>|=!#_,(;.?\r\n0123456789".to_vec())
    ], 0..64)) {
        if let Ok(Some((_, length))) = Reply::parse(&garbage) {
            prop_assert!(0 < length && length <= garbage.len());
        }
        if let Ok(Some((_, length))) = Command::parse(&garbage) {
            prop_assert!(0 < length && length <= garbage.len());
        }
    }
}

#[test]
fn the_nulls_of_resp2_are_null() {
    for null in ["$-1\r\n", "*-1\r\n", "_\r\n"] {
        assert_eq!(
            Reply::parse(null.as_bytes()),
            Ok(Some((Reply::Null, null.len())))
        );
    }
}

#[test]
fn streamed_types_are_what_they_add_up_to() {
    let streamed =
        "*?\r\n$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n%?\r\n:1\r\n:2\r\n.\r\n~?\r\n.\r\n.\r\n";
    let whole = Reply::Array(vec![
        Reply::Bulk(b"Hello".into()),
        Reply::Map(vec![(Reply::Integer(1), Reply::Integer(2))]),
        Reply::Set(vec![]),
    ]);
    assert_eq!(
        Reply::parse(streamed.as_bytes()),
        Ok(Some((whole, streamed.len())))
    );
    for end in 0..streamed.len() {
        assert_eq!(Reply::parse(&streamed.as_bytes()[..end]), Ok(None), "{end}");
    }
}

#[test]
fn what_can_be_no_frame_is_malformed() {
    let deep = "*1\r\n".repeat(1_000);
    let longest = format!("${}\r\n", u64::MAX);
    let long = format!("${}\r\nx", i64::MAX);
    for bad in [
        "\r\n",
        "?\r\n",
        ":x\r\n",
        "$-2\r\n",
        "$1\r\nxyz",
        "#x\r\n",
        "=1\r\nx\r\n",
        &deep,
        &longest,
    ] {
        assert!(Reply::parse(bad.as_bytes()).is_err(), "{bad:?}");
    }
    assert_eq!(Reply::parse(long.as_bytes()), Ok(None));
    assert!(Command::parse(b"*1\r\n:1\r\n").is_err());
    assert!(Command::parse(b"\x16\x03\x01\xff\n").is_err());
}

#[test]
fn commands_have_names_and_arguments() {
    let encoded = Command::encode(&["get", "k"]);
    let (command, length) = Command::parse(&encoded).unwrap().unwrap();
    assert_eq!(length, encoded.len());
    assert_eq!(command.name(), "GET");
    assert!(command.is("Get") && !command.is("SET"));
    assert!(command.has_arg("k") && !command.has_arg("get"));
    let (typed, length) = Command::parse(b"  set k  v \r\nGET").unwrap().unwrap();
    assert_eq!((typed.name(), typed.args().len(), length), ("SET", 2, 13));
    for empty in ["*0\r\n", "*-1\r\n", "\r\n", " \n"] {
        let (nothing, length) = Command::parse(empty.as_bytes()).unwrap().unwrap();
        assert_eq!((nothing.name(), length), ("", empty.len()));
    }
    assert!(Command::named("GET")(&command) && !Command::named("GET")(&typed));
}
