//! Init segments: `ftyp moov`, the boxes by `mp4-atom`, their order by us.

use crate::media::error::Error;
use crate::media::fragment::{AUDIO_TRACK, Init, Track, VIDEO_TRACK};
use crate::media::frame::{AudioConfig, Codec, Kind, VideoConfig};
use bytes::Bytes;
use mp4_atom as mp4;
use mp4_atom::{Atom, Encode};

/// A second of video; milliseconds and the usual frame rates divide it.
pub(crate) const VIDEO_TIMESCALE: u32 = 90_000;
const MOVIE_TIMESCALE: u32 = 1_000;

impl From<mp4::Error> for Error {
    fn from(error: mp4::Error) -> Self {
        Self::Init(error.to_string())
    }
}

/// The init segments of the tracks that have data (F10), one each and one of all (F17).
pub(crate) fn make(video: Option<&VideoConfig>, audio: Option<&AudioConfig>) -> Result<Init, Error> {
    let mut tracks = Vec::new();
    let mut traks = Vec::new();
    if let Some(config) = video {
        let trak = video_trak(config)?;
        tracks.push(video_track(config, segment(std::slice::from_ref(&trak))?));
        traks.push(trak);
    }
    if let Some(config) = audio {
        let trak = audio_trak(config)?;
        tracks.push(audio_track(config, segment(std::slice::from_ref(&trak))?));
        traks.push(trak);
    }
    Ok(Init { tracks, muxed: segment(&traks)? })
}

fn video_track(config: &VideoConfig, init: Bytes) -> Track {
    Track {
        id: VIDEO_TRACK,
        kind: Kind::Video,
        codec: config.codec_string.clone(),
        mime: format!("video/mp4; codecs=\"{}\"", config.codec_string),
        timescale: VIDEO_TIMESCALE,
        width: Some(config.width),
        height: Some(config.height),
        fps: config.fps,
        sample_rate: None,
        channels: None,
        init,
    }
}

fn audio_track(config: &AudioConfig, init: Bytes) -> Track {
    Track {
        id: AUDIO_TRACK,
        kind: Kind::Audio,
        codec: config.codec_string.clone(),
        mime: format!("audio/mp4; codecs=\"{}\"", config.codec_string),
        timescale: config.sample_rate,
        width: None,
        height: None,
        fps: None,
        sample_rate: Some(config.sample_rate),
        channels: Some(config.channels),
        init,
    }
}

/// No duration anywhere, no `mehd`, no edit list (F1, F13).
fn segment(traks: &[mp4::Trak]) -> Result<Bytes, Error> {
    let mut out = Vec::new();
    mp4::Ftyp {
        major_brand: mp4::FourCC::new(b"iso6"),
        minor_version: 0,
        compatible_brands: [b"iso6", b"cmfc", b"mp41"].map(mp4::FourCC::new).into(),
    }
    .encode(&mut out)?;
    let moov_at = out.len();
    out.extend(b"\0\0\0\0moov");
    let next_track_id = traks.iter().map(|trak| trak.tkhd.track_id + 1).max().unwrap_or(1);
    mp4::Mvhd { timescale: MOVIE_TIMESCALE, rate: 1.into(), volume: 1.into(), next_track_id, ..Default::default() }
        .encode(&mut out)?;
    for trak in traks {
        trak.encode(&mut out)?;
    }
    mp4::Mvex { mehd: None, trex: traks.iter().map(|trak| trex(trak.tkhd.track_id)).collect() }.encode(&mut out)?;
    let size = (out.len() - moov_at) as u32;
    out[moov_at..moov_at + 4].copy_from_slice(&size.to_be_bytes());
    Ok(out.into())
}

fn trex(track_id: u32) -> mp4::Trex {
    mp4::Trex { track_id, default_sample_description_index: 1, ..Default::default() }
}

fn video_trak(config: &VideoConfig) -> Result<mp4::Trak, Error> {
    let visual =
        mp4::Visual { data_reference_index: 1, width: config.width, height: config.height, ..Default::default() };
    let mut record = &config.record[..];
    let entry = match config.codec {
        Codec::Avc => mp4::Avc1 { visual, avcc: mp4::Avcc::decode_body(&mut record)?, ..Default::default() }.into(),
        Codec::Hevc => mp4::Hvc1 { visual, hvcc: mp4::Hvcc::decode_body(&mut record)?, ..Default::default() }.into(),
        Codec::Av1 => mp4::Av01 { visual, av1c: mp4::Av1c::decode_body(&mut record)?, ..Default::default() }.into(),
        Codec::Vp9 => mp4::Vp09 { visual, vpcc: mp4::VpcC::decode_body(&mut record)?, ..Default::default() }.into(),
        codec => return Err(Error::Init(format!("{codec:?} is no video codec"))),
    };
    let mut trak = trak(VIDEO_TRACK, VIDEO_TIMESCALE, b"vide", entry);
    trak.tkhd.width = config.width.into();
    trak.tkhd.height = config.height.into();
    trak.mdia.minf.vmhd = Some(mp4::Vmhd::default());
    Ok(trak)
}

fn audio_trak(config: &AudioConfig) -> Result<mp4::Trak, Error> {
    let audio = mp4::Audio {
        data_reference_index: 1,
        channel_count: config.channels.into(),
        sample_size: 16,
        // 16.16: rates of 65,536 Hz and more do not fit, and are found in the codec's own box.
        sample_rate: u16::try_from(config.sample_rate).unwrap_or(0).into(),
    };
    let entry = match config.codec {
        Codec::Aac => mp4a(audio, OBJECT_TYPE_AAC, Some(config.record.to_vec())),
        Codec::Opus => mp4::Opus { audio, dops: mp4::Dops::decode_body(&mut &config.record[..])?, btrt: None }.into(),
        Codec::Flac => mp4::Flac { audio, dfla: mp4::Dfla::decode_body(&mut &config.record[..])? }.into(),
        Codec::Mp3 => mp4a(audio, OBJECT_TYPE_MP3, None),
        codec => return Err(Error::Init(format!("{codec:?} is no audio codec"))),
    };
    let mut trak = trak(AUDIO_TRACK, config.sample_rate, b"soun", entry);
    trak.tkhd.volume = 1.into();
    trak.mdia.minf.smhd = Some(mp4::Smhd::default());
    Ok(trak)
}

/// `objectTypeIndication`, ISO/IEC 14496-1 7.2.6.6.
const OBJECT_TYPE_AAC: u8 = 0x40;
const OBJECT_TYPE_MP3: u8 = 0x6b;

fn mp4a(audio: mp4::Audio, object_type: u8, specific: Option<Vec<u8>>) -> mp4::Codec {
    const AUDIO_STREAM: u8 = 5;
    let dec_specific = specific.map(|raw| mp4::esds::DecoderSpecific { raw, ..Default::default() });
    let dec_config = mp4::esds::DecoderConfig {
        object_type_indication: object_type,
        stream_type: AUDIO_STREAM,
        dec_specific,
        ..Default::default()
    };
    let es_desc = mp4::esds::EsDescriptor { es_id: AUDIO_TRACK as u16, dec_config, ..Default::default() };
    mp4::Mp4a { audio, esds: mp4::Esds { es_desc }, btrt: None, taic: None }.into()
}

fn trak(id: u32, timescale: u32, handler: &[u8; 4], entry: mp4::Codec) -> mp4::Trak {
    let stbl =
        mp4::Stbl { stsd: mp4::Stsd { codecs: vec![entry] }, stco: Some(mp4::Stco::default()), ..Default::default() };
    let dinf = mp4::Dinf { dref: mp4::Dref { entries: vec![mp4::Url::default().into()] } };
    mp4::Trak {
        tkhd: mp4::Tkhd { track_id: id, enabled: true, in_movie: true, ..Default::default() },
        mdia: mp4::Mdia {
            mdhd: mp4::Mdhd { timescale, language: "und".into(), ..Default::default() },
            hdlr: mp4::Hdlr { handler: mp4::FourCC::new(handler), name: "weir".into() },
            minf: mp4::Minf { dinf, stbl, ..Default::default() },
        },
        ..Default::default()
    }
}
