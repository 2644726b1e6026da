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
