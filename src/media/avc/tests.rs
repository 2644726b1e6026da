use super::*;

/// x264, 1920x1080 (1088 less 8), 25 fps, high profile.
const SPS_1080: &[u8] = &[
    0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00,
    0x00, 0x03, 0x00, 0xc8, 0x3c, 0x60, 0xc6, 0x58,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];
/// 640x480, baseline, no VUI, made by hand.
fn plain_sps() -> Vec<u8> {
    let mut w = crate::media::bits::BitWriter::default();
    w.bits(0x67, 8);
    w.bits(66, 8);
    w.bits(0xc0, 8);
    w.bits(30, 8);
    for value in [0, 0, 2, 1] {
        w.ue(value);
    }
    w.flag(false);
    w.ue(39);
    w.ue(29);
    w.bits(0b1100, 4);
    w.flag(true);
    crate::media::bits::escape(&w.finish())
}

fn record(sps: &[u8]) -> Record {
    Record {
        length: LengthSize::from_bits(3).unwrap(),
        sps: vec![Bytes::copy_from_slice(sps)],
        pps: vec![Bytes::from_static(PPS)],
        extension: Bytes::new(),
    }
}

fn unit(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

fn sample_of(units: &[&[u8]]) -> Bytes {
    units.iter().flat_map(|bytes| unit(bytes)).collect::<Vec<_>>().into()
}

#[test]
fn size_less_cropping_and_frame_rate_are_read() {
    let sps = Sps::parse(SPS_1080).unwrap();
    assert_eq!((sps.width, sps.height, sps.fps), (1920, 1080, Some(25.0)));
    assert!(sps.reorder_frames.is_some());
    let sps = Sps::parse(&plain_sps()).unwrap();
    assert_eq!((sps.width, sps.height, sps.fps, sps.reorder_frames), (640, 480, None, None));
}

#[test]
fn f19_reordering_is_ruled_out_only_where_nothing_is_said() {
    let plain = plain_sps();
    let rewritten = sps::restrict_reordering(&plain).unwrap();
    let (before, after) = (Sps::parse(&plain).unwrap(), Sps::parse(&rewritten).unwrap());
    assert_eq!(after.reorder_frames, Some(0));
    assert_eq!((after.width, after.height), (before.width, before.height));
    assert_eq!(sps::restrict_reordering(&rewritten), None);
    assert_eq!(sps::restrict_reordering(SPS_1080), None);
    assert!(without_reordering(&record(&plain).serialize()).is_some());
    assert!(without_reordering(&record(SPS_1080).serialize()).is_none());
}

#[test]
fn a_record_round_trips() {
    let bytes = record(SPS_1080).serialize();
    let parsed = Record::parse(&bytes).unwrap();
    assert_eq!(parsed, record(SPS_1080));
    let config = parsed.config().unwrap().unwrap();
    assert_eq!(config.codec_string, "avc1.640028");
    assert_eq!(config.record, bytes);
}

#[test]
fn cut_and_wrong_records_are_refused() {
    let whole = record(SPS_1080).serialize();
    for end in 0..whole.len() {
        assert!(Record::parse(&whole.slice(..end)).is_err(), "{end} bytes");
    }
    for (at, value) in [(0, 2), (4, 0xfe)] {
        let mut wrong = whole.to_vec();
        wrong[at] = value;
        assert!(Record::parse(&wrong.into()).is_err());
    }
    assert!(Record::parse(&vec![1; RECORD_MAX_BYTES + 1].into()).is_err());
}

#[test]
fn roles_come_from_the_slices() {
    let table: [(&[&[u8]], Role); 5] = [
        (&[&[0x65, 1], &[0x65, 2]], Role::Key),
        (&[&[0x41, 1]], Role::Reference),
        (&[&[0x01, 1]], Role::Disposable),
        (&[&[0x01, 1], &[0x41, 1]], Role::Reference),
        // A recovery point with an I slice: browsers start at IDR only (F5).
        (&[&[0x06, 6, 1, 0xc4, 0x80], &[0x61, 0xb8]], Role::Reference),
    ];
    for (units, role) in table {
        assert_eq!(record(SPS_1080).sample(&sample_of(units)).unwrap().role, role, "{units:?}");
    }
}

#[test]
fn f16_parameter_sets_leave_the_sample_and_sei_stays() {
    let sei: &[u8] = &[0x06, 5, 1, 0xaa, 0x80];
    let sample = sample_of(&[&[0x09, 0xf0], SPS_1080, PPS, sei, &[0x65, 1]]);
    let out = record(SPS_1080).sample(&sample).unwrap();
    assert_eq!(out.config, None);
    assert_eq!(out.data, sample_of(&[sei, &[0x65, 1]]));
    let out = record(SPS_1080).sample(&sample_of(&[SPS_1080, PPS])).unwrap();
    assert!(out.data.is_empty(), "no picture, no sample");
}

#[test]
fn f16_changed_parameter_sets_make_a_new_configuration() {
    let plain = plain_sps();
    let mut record = record(SPS_1080);
    let out = record.sample(&sample_of(&[&plain, &[0x65, 1]])).unwrap();
    let config = out.config.unwrap();
    assert_eq!((config.width, config.height), (640, 480));
    assert_eq!(config.codec_string, "avc1.42c01e");
    assert_eq!(record.sample(&sample_of(&[&plain, &[0x65, 1]])).unwrap().config, None);
}

#[test]
fn parameter_sets_may_come_in_band_only() {
    let mut empty = Record::parse(&Bytes::from_static(&[1, 66, 0, 30, 0xff, 0xe0, 0])).unwrap();
    assert_eq!(empty.config().unwrap(), None);
    let out = empty.sample(&sample_of(&[SPS_1080, PPS, &[0x65, 1]])).unwrap();
    assert_eq!(out.config.unwrap().width, 1920);
}
