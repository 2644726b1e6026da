use super::*;
use mp4_atom::{Any, Decode, Moof, ReferenceTime, TrunEntry, TrunSamples};

fn chunk(kind: Kind, role: Role, data: &[u8]) -> Chunk<'_> {
    Chunk {
        kind,
        track: 1,
        sequence: 7,
        role,
        start: 1 << 40,
        duration: 3000,
        composition: -3600,
        ingest_us: 1_700_000_000_500_000,
        data,
    }
}

fn parse(mut boxes: &[u8]) -> Vec<Any> {
    guard::check(boxes).unwrap();
    let mut out = Vec::new();
    while !boxes.is_empty() {
        out.push(Any::decode(&mut boxes).unwrap());
    }
    out
}

fn sample(boxes: &[Any]) -> (&Moof, &TrunEntry) {
    let [_, Any::Moof(moof), Any::Mdat(_)] = boxes else { panic!("prft moof mdat, not {boxes:?}") };
    let TrunSamples::Explicit(entries) = &moof.traf[0].trun[0].samples else { panic!("fields per sample") };
    assert_eq!(entries.len(), 1);
    (moof, &entries[0])
}

#[test]
fn f2_f18_boxes_hold_what_was_asked_for() {
    let data = [1, 2, 3, 4, 5];
    for kind in [Kind::Video, Kind::Audio] {
        let out = write(&chunk(kind, Role::Key, &data));
        assert_eq!(out.len(), out.capacity(), "one allocation of the exact size");
        assert_eq!(out[..HEADROOM], [0; HEADROOM]);
        let boxes = parse(&out[HEADROOM..]);
        let Any::Prft(prft) = &boxes[0] else { panic!("no prft") };
        assert_eq!((prft.reference_track_id, prft.utc_time_semantics.clone()), (1, ReferenceTime::Output));
        assert_eq!(prft.ntp_timestamp, (1_700_000_000 + 2_208_988_800) << 32 | 1 << 31);
        let (moof, entry) = sample(&boxes);
        assert_eq!(moof.mfhd.sequence_number, 7);
        assert_eq!(moof.traf.len(), 1);
        assert!(moof.traf[0].tfhd.base_data_offset.is_none());
        assert_eq!(moof.traf[0].tfdt.as_ref().unwrap().base_media_decode_time, 1 << 40);
        assert_eq!((entry.duration, entry.size), (Some(3000), Some(5)));
        assert_eq!(entry.cts, (kind == Kind::Video).then_some(-3600));
        let moof_at = PRFT_BYTES as i32;
        let payload = &out[HEADROOM + (moof_at + moof.traf[0].trun[0].data_offset.unwrap()) as usize..];
        assert_eq!(payload, data);
    }
}

#[test]
fn f4_flags_tell_the_role() {
    let table = [(Role::Key, 0x0240_0000), (Role::Reference, 0x0141_0000), (Role::Disposable, 0x0181_0000)];
    for (role, flags) in table {
        let out = write(&chunk(Kind::Video, role, &[0]));
        assert_eq!(sample(&parse(&out[HEADROOM..])).1.flags, Some(flags));
    }
}

#[test]
fn f20_a_bridged_fragment_starts_earlier_and_is_shown_when_it_was() {
    let data = [9; 100];
    let original = write(&chunk(Kind::Video, Role::Reference, &data));
    let start = (1 << 40) - 6000;
    let bridged = bridge(&original[HEADROOM..], start).unwrap();
    let boxes = parse(&bridged[HEADROOM..]);
    let (moof, entry) = sample(&boxes);
    assert_eq!(moof.traf[0].tfdt.as_ref().unwrap().base_media_decode_time, start);
    assert_eq!((entry.duration, entry.cts), (Some(9000), Some(2400)));
    assert_eq!(bridged[HEADROOM + VIDEO_HEADER_BYTES..], data);
    assert_eq!(bridged.len(), original.len());
}

#[test]
fn f20_what_can_not_be_bridged_is_refused() {
    let video = write(&chunk(Kind::Video, Role::Reference, &[1]));
    let audio = write(&chunk(Kind::Audio, Role::Key, &[1; 20]));
    assert!(bridge(&audio[HEADROOM..], 0).is_err());
    assert!(bridge(&video[HEADROOM..], (1 << 40) + 1).is_err(), "later than it was");
    assert!(bridge(&video[HEADROOM..], 0).is_err(), "a hole of days");
    assert!(bridge(&video[HEADROOM..HEADROOM + 100], 0).is_err());
    assert!(bridge(&[], 0).is_err());
}

mod init_segments {
    use super::super::{guard, init};
    use crate::media::fragment::{AUDIO_TRACK, VIDEO_TRACK};
    use crate::media::frame::{AudioConfig, Codec, VideoConfig};
    use crate::media::{aac, flac, mp3, opus};
    use bytes::Bytes;
    use mp4_atom::{Decode, Ftyp, Moov};

    fn video(codec: Codec, record: &[u8]) -> VideoConfig {
        VideoConfig {
            codec,
            codec_string: "x".into(),
            width: 1280,
            height: 720,
            fps: None,
            record: Bytes::copy_from_slice(record),
        }
    }

    fn avc() -> VideoConfig {
        video(Codec::Avc, &[1, 66, 0xc0, 30, 0xff, 0xe1, 0, 4, 0x67, 66, 0xc0, 30, 1, 0, 2, 0x68, 0xce])
    }

    fn flac_header() -> Vec<u8> {
        let mut header = b"fLaC\x80\0\0\x22\x10\0\x10\0\0\0\0\0\0\0\x0b\xb8\x02\xf0".to_vec();
        header.resize(42, 0);
        header
    }

    fn parse(mut segment: &[u8]) -> Moov {
        guard::check(segment).unwrap();
        Ftyp::decode(&mut segment).unwrap();
        let moov = Moov::decode(&mut segment).unwrap();
        assert!(segment.is_empty());
        moov
    }

    #[test]
    fn f1_nothing_says_how_long_it_lasts() {
        let aac = aac::config(&Bytes::from_static(&[0x11, 0x90])).unwrap();
        let init = init::make(Some(&avc()), Some(&aac)).unwrap();
        for segment in init.tracks.iter().map(|track| &track.init).chain([&init.muxed]) {
            let moov = parse(segment);
            assert_eq!(moov.mvhd.duration, 0);
            let mvex = moov.mvex.as_ref().unwrap();
            assert!(mvex.mehd.is_none());
            assert_eq!(mvex.trex.len(), moov.trak.len());
            for trak in &moov.trak {
                assert_eq!((trak.tkhd.duration, trak.mdia.mdhd.duration), (0, 0));
                assert!(trak.edts.is_none(), "F13");
            }
        }
    }

    #[test]
    fn f17_one_init_for_each_track_and_one_for_all() {
        let aac = aac::config(&Bytes::from_static(&[0x11, 0x90])).unwrap();
        let init = init::make(Some(&avc()), Some(&aac)).unwrap();
        let ids = |segment: &[u8]| parse(segment).trak.iter().map(|t| t.tkhd.track_id).collect::<Vec<_>>();
        assert_eq!(ids(&init.muxed), [VIDEO_TRACK, AUDIO_TRACK]);
        assert_eq!(ids(&init.tracks[0].init), [VIDEO_TRACK]);
        assert_eq!(ids(&init.tracks[1].init), [AUDIO_TRACK]);
        assert_eq!(init.tracks[1].mime, "audio/mp4; codecs=\"mp4a.40.2\"");
        assert_eq!((init.tracks[0].timescale, init.tracks[1].timescale), (90_000, 48_000));
    }

    #[test]
    fn f15_f16_records_come_out_as_they_went_in() {
        let hevc = [1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f, 1];
        let hevc = [&hevc[..], &[0x80 | 33, 0, 1, 0, 3, 0x42, 1, 1]].concat();
        let av1 = [0x81, 4, 0x0c, 0, 0x0a, 1, 0];
        let vp9 = [1, 0, 0, 0, 0, 31, 0x82, 1, 1, 1, 0, 0];
        for config in [avc(), video(Codec::Hevc, &hevc), video(Codec::Av1, &av1), video(Codec::Vp9, &vp9)] {
            let init = init::make(Some(&config), None).unwrap();
            let found = init.muxed.windows(config.record.len()).any(|bytes| bytes == config.record);
            assert!(found, "{:?}", config.codec);
        }
        let head = b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00";
        let configs: [AudioConfig; 3] = [
            aac::config(&Bytes::from_static(&[0x2b, 0x11, 0x88, 0x00])).unwrap(),
            opus::config(head).unwrap(),
            flac::config(&flac_header()).unwrap(),
        ];
        for config in configs {
            let init = init::make(None, Some(&config)).unwrap();
            let found = init.muxed.windows(config.record.len()).any(|bytes| bytes == config.record);
            assert!(found, "{:?}", config.codec);
        }
        assert!(init::make(None, Some(&mp3::config(&[0xff, 0xfb, 0x94, 0xc4]).unwrap())).is_ok());
    }
}

#[test]
fn a_fragment_is_read_back_as_it_was_written() {
    let data = [7; 300];
    for (kind, role) in [
        (Kind::Video, Role::Key),
        (Kind::Video, Role::Reference),
        (Kind::Video, Role::Disposable),
        (Kind::Audio, Role::Key),
    ] {
        for ingest_us in [1_700_000_000_000_000, 1_700_000_000_000_001, 1_700_000_000_999_999] {
            let written = Chunk { ingest_us, ..chunk(kind, role, &data) };
            let label = read::read(&write(&written)[HEADROOM..]).unwrap();
            let read::Label { track, role, start, duration, ingest_us } = label;
            assert_eq!((track, start, duration), (written.track, written.start, written.duration));
            assert_eq!((role, ingest_us), (written.role, written.ingest_us));
        }
    }
}

#[test]
fn a_fragment_that_was_damaged_is_refused_or_read_and_never_panics() {
    let whole = write(&chunk(Kind::Video, Role::Key, &[1, 2, 3]));
    let whole = &whole[HEADROOM..];
    for end in 0..whole.len() {
        assert!(read::read(&whole[..end]).is_err(), "cut at {end}");
    }
    for at in 0..whole.len() {
        for byte in [0, 1, 0x7f, 0xff] {
            let mut damaged = whole.to_vec();
            damaged[at] = byte;
            let _ = read::read(&damaged);
        }
    }
    assert!(read::read(&[whole, whole].concat()).is_err());
}

#[test]
fn boxes_of_a_later_version_are_passed_over() {
    let whole = write(&chunk(Kind::Audio, Role::Key, &[1, 2, 3]));
    let unknown = [&[0, 0, 0, 12][..], b"newb", &[9; 4]].concat();
    let label = read::read(&[&unknown, &whole[HEADROOM..]].concat()).unwrap();
    assert_eq!((label.start, label.duration), (1 << 40, 3000));
}
