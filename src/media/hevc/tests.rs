use super::*;
use crate::media::bits::{BitWriter, escape};

/// Main profile, level 3.1, one sub-layer, made by hand.
fn sps(width: u32, height: u32, crop_bottom: u32) -> Bytes {
    let mut w = BitWriter::default();
    w.bits(0x4201, 16);
    w.bits(0, 4);
    w.bits(0, 3);
    w.flag(true);
    put_profile(&mut w);
    w.ue(0);
    w.ue(1);
    w.ue(width);
    w.ue(height);
    w.flag(crop_bottom > 0);
    if crop_bottom > 0 {
        for side in [0, 0, 0, crop_bottom] {
            w.ue(side);
        }
    }
    for value in [0, 0, 4] {
        w.ue(value);
    }
    w.flag(true);
    for value in [4, 2, 0, 0, 3, 0, 3, 0, 0] {
        w.ue(value);
    }
    // Scaling lists, AMP and SAO, PCM.
    w.bits(0b0110, 4);
    put_short_term_sets(&mut w);
    // Long-term references, temporal MVP and smoothing, VUI with nothing but the timing.
    w.bits(0b0111, 4);
    w.bits(0, 8);
    w.flag(true);
    w.bits(1001, 32);
    w.bits(30_000, 32);
    w.bits(0b001, 3);
    escape(&w.finish()).into()
}

fn put_profile(w: &mut BitWriter) {
    w.bits(0x01, 8);
    w.bits(0x6000_0000, 32);
    w.bits(0x9000_0000, 32);
    w.bits(0, 16);
    w.bits(93, 8);
}

/// One told in full, one predicted from it.
fn put_short_term_sets(w: &mut BitWriter) {
    w.ue(2);
    w.ue(2);
    w.ue(0);
    for distance in [0, 1] {
        w.ue(distance);
        w.flag(true);
    }
    w.flag(true);
    w.flag(true);
    w.ue(0);
    w.bits(0b111, 3);
}

const VPS_NAL: &[u8] = &[0x40, 0x01, 0x0c, 0x01];
const PPS_NAL: &[u8] = &[0x44, 0x01, 0xc1, 0x72];

fn record() -> Bytes {
    let mut out = vec![1, 0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f, 3];
    for (kind, set) in [(VPS, VPS_NAL), (SPS, &sps(1280, 720, 0)), (PPS, PPS_NAL)] {
        out.extend([kind, 0, 1, 0, set.len() as u8]);
        out.extend(set);
    }
    out.into()
}

fn sample_of(units: &[&[u8]]) -> Bytes {
    let unit = |bytes: &&[u8]| [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat();
    units.iter().flat_map(unit).collect::<Vec<_>>().into()
}

fn slice(kind: u8, temporal_id: u8) -> [u8; 3] {
    [kind << 1, temporal_id + 1, 0x80]
}

#[test]
fn the_record_tells_codec_size_and_rate() {
    let config = Record::parse(&record()).unwrap().config().unwrap().unwrap();
    assert_eq!(config.codec_string, "hvc1.1.6.L93.90");
    assert_eq!((config.width, config.height), (1280, 720));
    assert_eq!(config.fps, Some(30_000.0 / 1001.0));
    assert_eq!(Sps::parse(&sps(1920, 1088, 4)).unwrap().height, 1080);
    let again = Record::parse(&config.record).unwrap().config().unwrap().unwrap();
    assert_eq!(again, config);
}

#[test]
fn cut_and_wrong_records_are_refused() {
    for end in 0..record().len() {
        assert!(Record::parse(&record().slice(..end)).is_err(), "{end} bytes");
    }
    for (at, value) in [(0, 2), (21, 0x0e), (22, 200)] {
        let mut wrong = record().to_vec();
        wrong[at] = value;
        assert!(Record::parse(&wrong.into()).is_err(), "byte {at}");
    }
}

#[test]
fn roles_come_from_the_slices() {
    let table: [(&[[u8; 3]], Role); 7] = [
        (&[slice(19, 0)], Role::Key),
        (&[slice(21, 0), slice(21, 0)], Role::Key),
        (&[slice(1, 0)], Role::Reference),
        (&[slice(0, 0)], Role::Disposable),
        (&[slice(8, 0)], Role::Disposable),
        (&[slice(0, 0), slice(1, 0)], Role::Reference),
        (&[slice(19, 0), slice(1, 0)], Role::Reference),
    ];
    let mut record = Record::parse(&record()).unwrap();
    record.config().unwrap();
    for (slices, role) in table {
        let units: Vec<&[u8]> = slices.iter().map(|slice| &slice[..]).collect();
        assert_eq!(record.sample(&sample_of(&units)).unwrap().role, role, "{slices:?}");
    }
    record.top_layer = 1;
    assert_eq!(record.sample(&sample_of(&[&slice(0, 0)])).unwrap().role, Role::Reference, "a lower sub-layer");
}

#[test]
fn f16_parameter_sets_leave_the_sample_and_changed_ones_make_a_configuration() {
    let mut record = Record::parse(&record()).unwrap();
    record.config().unwrap();
    let sei: &[u8] = &[0x4e, 0x01, 5, 1, 0xaa, 0x80];
    let same = sample_of(&[&[0x46, 0x01, 0x10], VPS_NAL, &sps(1280, 720, 0), PPS_NAL, sei, &slice(19, 0)]);
    let out = record.sample(&same).unwrap();
    assert_eq!(out.config, None);
    assert_eq!(out.data, sample_of(&[sei, &slice(19, 0)]));
    let out = record.sample(&sample_of(&[&sps(640, 360, 0), &slice(19, 0)])).unwrap();
    assert_eq!(out.config.map(|config| (config.width, config.height)), Some((640, 360)));
}
