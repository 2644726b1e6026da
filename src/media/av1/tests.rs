use super::*;
use crate::media::bits::BitWriter;

/// Main profile, level 3.0, 8 bits, 640x360, 25 fps, order hints of 7 bits.
fn sequence_payload(width: u32, height: u32) -> Vec<u8> {
    let mut w = BitWriter::default();
    w.bits(0b0_0000, 5);
    // Timing info, one tick per picture, no decoder model, no display delay, one operating point.
    w.flag(true);
    w.bits(1, 32);
    w.bits(25, 32);
    w.bits(0b11, 2);
    w.bits(0b00, 2);
    w.bits(0, 5 + 12);
    w.bits(4, 5);
    w.bits(15, 4);
    w.bits(15, 4);
    w.bits(width - 1, 16);
    w.bits(height - 1, 16);
    // No frame ids, three tools, four tools, order hints with two tools.
    w.bits(0, 1 + 3 + 4);
    w.bits(0b100, 3);
    // Screen content and integer vectors are chosen by each frame.
    w.bits(0b11, 2);
    w.bits(6, 3);
    w.bits(0b000, 3);
    // 8 bits, colour, not described, limited range, vertical samples.
    w.bits(0b0000, 4);
    w.bits(1, 2);
    w.bits(0b001, 3);
    w.finish()
}

fn obu(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    out.put_u8(kind << 3 | 2);
    put_leb128(&mut out, payload.len());
    out.put_slice(payload);
    out.to_vec()
}

fn sequence_obu() -> Vec<u8> {
    obu(SEQUENCE_HEADER, &sequence_payload(640, 360))
}

fn record() -> Bytes {
    [&[0x81, 0x04, 0x0d, 0][..], &sequence_obu()].concat().into()
}

/// A shown frame of `frame_type` that refreshes `flags`.
fn frame(frame_type: u32, flags: u32) -> Vec<u8> {
    let mut w = BitWriter::default();
    w.flag(false);
    w.bits(frame_type, 2);
    w.flag(true);
    // error_resilient, disable_cdf_update, no screen content, no size override, order hint, primary reference.
    w.bits(0b0000, 4);
    w.bits(0, 7 + 3);
    w.bits(flags, 8);
    w.bits(0xff, 8);
    obu(FRAME, &w.finish())
}

fn stream() -> Stream {
    Stream::parse(&record()).unwrap()
}

#[test]
fn f15_the_record_holds_the_sequence_header() {
    let config = stream().config().unwrap();
    assert_eq!(config.codec_string, "av01.0.04M.08");
    assert_eq!((config.width, config.height, config.fps), (640, 360, Some(25.0)));
    assert_eq!(config.record, record());
}

#[test]
fn f15_a_record_without_sequence_header_waits_for_one_in_band() {
    let mut stream = Stream::parse(&Bytes::from_static(&[0x81, 0x04, 0x0d, 0])).unwrap();
    assert_eq!(stream.config(), None);
    let data = [obu(TEMPORAL_DELIMITER, &[]), sequence_obu(), frame(0, 0)].concat();
    let out = stream.sample(&data.into()).unwrap();
    assert_eq!(out.config.unwrap().record, record());
}

#[test]
fn f16_temporal_delimiters_go_and_changed_sequence_headers_make_a_configuration() {
    let mut stream = stream();
    let data: Bytes = [obu(TEMPORAL_DELIMITER, &[]), sequence_obu(), frame(0, 0)].concat().into();
    let out = stream.sample(&data).unwrap();
    assert_eq!((out.config, out.role), (None, Role::Key));
    assert_eq!(out.data, data.slice(2..));
    let other = [obu(SEQUENCE_HEADER, &sequence_payload(320, 180)), frame(0, 0)].concat();
    assert_eq!(stream.sample(&other.into()).unwrap().config.unwrap().width, 320);
}

#[test]
fn roles_come_from_the_frame_headers() {
    let hidden = {
        let mut out = frame(1, 0);
        out[2] &= !0b0001_0000;
        out
    };
    let table = [
        (vec![frame(1, 0)], Role::Disposable),
        (vec![frame(1, 4)], Role::Reference),
        (vec![frame(1, 0), frame(1, 1)], Role::Reference),
        (vec![frame(1, 0), frame(1, 0)], Role::Disposable),
        (vec![frame(3, 0)], Role::Reference),
        (vec![frame(0, 0)], Role::Key),
        (vec![obu(FRAME_HEADER, &[0x88])], Role::Reference),
        (vec![hidden, frame(1, 1)], Role::Reference),
    ];
    for (frames, role) in table {
        assert_eq!(stream().sample(&frames.concat().into()).unwrap().role, role, "{frames:02x?}");
    }
}

#[test]
fn broken_records_and_frames_are_refused() {
    for end in 0..record().len() {
        let result = Stream::parse(&record().slice(..end));
        assert!(end == 4 || result.is_err(), "{end} bytes");
    }
    for data in [&[0x80][..], &[0x32, 0x05, 1], &[0x32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], &[0x36]]
    {
        assert!(stream().sample(&Bytes::copy_from_slice(data)).is_err(), "{data:02x?}");
    }
    let endless: Bytes = [0x7a, 0].repeat(OBUS_MAX + 1).into();
    assert!(stream().sample(&endless).is_err());
}
