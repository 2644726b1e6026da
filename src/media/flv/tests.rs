use super::*;

const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00,
    0x00, 0x03, 0x00, 0xc8, 0x3c, 0x60, 0xc6, 0x58,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

fn avc_record() -> Vec<u8> {
    let sizes = [SPS.len() as u8, PPS.len() as u8];
    [&[1, 0x64, 0, 0x28, 0xff, 0xe1, 0, sizes[0]], SPS, &[1, 0, sizes[1]], PPS].concat()
}

fn idr() -> Vec<u8> {
    vec![0, 0, 0, 2, 0x65, 0x88]
}

fn video(parser: &mut Parser, parts: &[&[u8]]) -> Result<Vec<Item>, Error> {
    parser.handle_video(40, parts.concat().into()).map(|items| items.into_iter().collect())
}

fn audio(parser: &mut Parser, parts: &[&[u8]]) -> Result<Vec<Item>, Error> {
    parser.handle_audio(40, parts.concat().into()).map(|items| items.into_iter().collect())
}

fn is_config(items: &[Item], kind: Kind) -> bool {
    matches!(items, [Item::Config(config)] if config.kind() == kind)
}

fn composition(items: &[Item]) -> Option<i32> {
    match items {
        [Item::Frame(frame)] => Some(frame.composition_ms),
        _ => None,
    }
}

#[test]
fn legacy_and_enhanced_tags_mean_the_same() {
    let table: [(&[u8], &[u8]); 3] = [
        (&[0x17, 0, 0, 0, 0], &[0x17, 1, 0xff, 0xff, 0xd8]),
        (b"\x90avc1", b"\x91avc1\xff\xff\xd8"),
        // ModEx with a time offset before each.
        (b"\x97\x02\x00\x00\x01\x00avc1", b"\x97\x02\x00\x00\x01\x01avc1\xff\xff\xd8"),
    ];
    for (start, frame) in table {
        let mut parser = Parser::new();
        assert!(is_config(&video(&mut parser, &[start, &avc_record()]).unwrap(), Kind::Video), "{start:?}");
        assert_eq!(composition(&video(&mut parser, &[frame, &idr()]).unwrap()), Some(-40), "{frame:?}");
    }
    let mut parser = Parser::new();
    video(&mut parser, &[b"\x90avc1", &avc_record()]).unwrap();
    assert_eq!(composition(&video(&mut parser, &[b"\x93avc1", &idr()]).unwrap()), Some(0));
    assert_eq!(video(&mut parser, &[b"\x92avc1"]).unwrap(), [Item::End(Kind::Video)]);
}

#[test]
fn of_a_multitrack_tag_the_first_track_is_taken() {
    let mut parser = Parser::new();
    let record = avc_record();
    let size = [0, 0, record.len() as u8];
    let many: &[&[u8]] = &[b"\x96\x20avc1\x05", &size, &record, b"hvc1\x06\0\0\x01x"];
    assert!(is_config(&video(&mut parser, many).unwrap(), Kind::Video));
    assert!(composition(&video(&mut parser, &[b"\x96\x03avc1\x05", &idr()]).unwrap()).is_some());
    assert!(video(&mut parser, &[b"\x96\x03avc1\x06", &idr()]).unwrap().is_empty(), "another track");
    assert!(video(&mut parser, &[b"\x96\x13avc1\x05\xff\xff\xff", &idr()]).is_err(), "a size that lies");
}

#[test]
fn metadata_commands_and_transport_stream_descriptors_are_ignored() {
    let mut parser = Parser::new();
    for tag in [&b"\x94hvc1\x02\0\x09colorInfo"[..], b"\x95av01abc", b"\xd0\x00", b"\x57\x01", b""] {
        assert!(video(&mut parser, &[tag]).unwrap().is_empty(), "{tag:?}");
    }
    assert!(audio(&mut parser, &[b"\x94mp4a\x00\x02"]).unwrap().is_empty(), "channel layout");
}

#[test]
fn audio_tags_of_up_to_two_bytes_are_harmless() {
    let mut parser = Parser::new();
    for tag in [&[][..], &[0xaf], &[0xaf, 0], &[0xaf, 1], &[0xb2, 0], &[0x90, 0], &[0xff, 0xff]] {
        assert!(audio(&mut parser, &[tag]).unwrap().is_empty(), "{tag:02x?}");
    }
}

#[test]
fn aac_and_mp3_give_configuration_then_frames() {
    let mut parser = Parser::new();
    assert!(is_config(&audio(&mut parser, &[&[0xaf, 0, 0x12, 0x10]]).unwrap(), Kind::Audio));
    assert!(composition(&audio(&mut parser, &[&[0xaf, 1, 1, 2, 3]]).unwrap()).is_some());
    assert!(is_config(&audio(&mut parser, &[b"\x90mp4a\x12\x10"]).unwrap(), Kind::Audio));
    assert!(composition(&audio(&mut parser, &[b"\x91mp4a\x01\x02"]).unwrap()).is_some());
    let items = audio(&mut parser, &[&[0x2f, 0xff, 0xfb, 0x90, 0x64]]).unwrap();
    assert!(matches!(&items[..], [Item::Config(Config::Audio(c)), Item::Frame(_)] if c.codec == Codec::Mp3));
    assert_eq!(audio(&mut parser, &[&[0x2f, 0xff, 0xfb, 0x90, 0x64]]).unwrap().len(), 1);
}

#[test]
fn what_no_browser_plays_is_refused_in_words() {
    let mut parser = Parser::new();
    let error = audio(&mut parser, &[&[0xb6, 1, 2]]).unwrap_err();
    assert!(error.is_fatal());
    assert_eq!(error.to_string(), "Speex audio is not supported: send AAC, Opus, FLAC or MP3 audio");
    let table: [(&[u8], &str); 4] = [
        (&[0x24, 0], "VP6 video"),
        (&[0x22, 0], "Sorenson H.263 video"),
        (b"\x90vvc1", "vvc1 video"),
        (&[0x1f, 0], "FLV codec 15 video"),
    ];
    for (tag, name) in table {
        let error = video(&mut parser, &[tag]).unwrap_err();
        assert!(error.is_fatal() && error.to_string().starts_with(name), "{error}");
    }
    let table: [(&[u8], &str); 3] = [(&[0x76, 1, 2], "G.711"), (&[0x52, 1, 2], "Nellymoser"), (b"\x90ec-3", "ec-3")];
    for (tag, name) in table {
        assert!(audio(&mut parser, &[tag]).unwrap_err().to_string().starts_with(name));
    }
}

#[test]
fn a_frame_without_configuration_is_an_error_that_passes() {
    let mut parser = Parser::new();
    assert_eq!(video(&mut parser, &[&[0x17, 1, 0, 0, 0], &idr()]), Err(Error::NoConfig { kind: Kind::Video }));
    assert_eq!(audio(&mut parser, &[&[0xaf, 1, 1]]), Err(Error::NoConfig { kind: Kind::Audio }));
    video(&mut parser, &[&[0x17, 0, 0, 0, 0], &avc_record()]).unwrap();
    assert!(video(&mut parser, &[&[0x17, 1, 0, 0, 0, 0, 0, 0, 99, 0x65]]).is_err());
    assert!(video(&mut parser, &[&[0x17, 1, 0, 0, 0], &idr()]).is_ok());
}

#[test]
fn absurd_composition_offsets_are_dropped() {
    let mut parser = Parser::new();
    video(&mut parser, &[&[0x17, 0, 0, 0, 0], &avc_record()]).unwrap();
    assert_eq!(composition(&video(&mut parser, &[&[0x17, 1, 0x7f, 0xff, 0xff], &idr()]).unwrap()), Some(0));
}

#[test]
fn a_file_is_read_from_any_pieces() {
    let mut file = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
    for (kind, timestamp, body) in [(18_u8, 0_u32, &b"meta"[..]), (9, 0x0100_0005, b"v"), (8, 7, b""), (3, 0, b"?")] {
        let t = timestamp.to_be_bytes();
        file.extend([kind, 0, 0, body.len() as u8, t[1], t[2], t[3], t[0], 0, 0, 0]);
        file.extend(body);
        file.extend((body.len() as u32 + 11).to_be_bytes());
    }
    for piece in [1, 3, 7, file.len()] {
        let mut reader = file::Reader::new();
        let mut tags = Vec::new();
        for bytes in file.chunks(piece) {
            reader.handle_bytes(bytes);
            while let Some(tag) = reader.poll_tag().unwrap() {
                tags.push(tag);
            }
        }
        assert_eq!(tags.len(), 3);
        assert!(
            matches!(&tags[1], file::Tag::Media { kind: Kind::Video, timestamp_ms: 0x0100_0005, body } if body == "v")
        );
    }
    let mut reader = file::Reader::new();
    reader.handle_bytes(b"\0\0\0\x18ftypmp42");
    assert!(reader.poll_tag().is_err());
}
