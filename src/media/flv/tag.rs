//! The bytes before a tag's payload: which codec, which kind of packet, which track.

use crate::media::error::Error;
use crate::media::frame::Codec;
use bytes::{Buf, Bytes};

/// `ModEx` prefixes of one tag; each may hold 64 KiB, and only one kind is defined.
const MOD_EX_MAX: usize = 8;
/// Tracks of a multitrack tag that are looked through for ours.
const TRACKS_MAX: usize = 64;

const VIDEO: &str = "a video tag";
const AUDIO: &str = "an audio tag";
const VIDEO_ALLOWED: &str = "send H.264, HEVC, AV1 or VP9 video";
const AUDIO_ALLOWED: &str = "send AAC, Opus, FLAC or MP3 audio";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packet {
    /// The decoder configuration.
    Start,
    Frame {
        composition_ms: i32,
    },
    End,
}

/// A tag that matters to us.
#[derive(Debug)]
pub(super) struct Tag {
    pub(super) codec: Codec,
    pub(super) packet: Packet,
    pub(super) body: Bytes,
}

/// Packet types of Enhanced RTMP; audio and video differ in 3 to 5.
const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const SEQUENCE_END: u8 = 2;
const CODED_FRAMES_X: u8 = 3;
const AUDIO_MULTITRACK: u8 = 5;
const VIDEO_MULTITRACK: u8 = 6;
const MOD_EX: u8 = 7;

pub(super) fn parse_video(mut body: Bytes, track: &mut Option<u8>) -> Result<Option<Tag>, Error> {
    const ENHANCED: u8 = 0x80;
    const COMMAND_FRAME: u8 = 5;
    let Some(first) = take_u8(&mut body) else { return Ok(None) };
    if first & ENHANCED == 0 {
        if first >> 4 == COMMAND_FRAME {
            return Ok(None);
        }
        return parse_legacy_video(first & 15, body);
    }
    let Some(packet_type) = skip_mod_ex(first & 15, &mut body) else { return Err(cut(VIDEO)) };
    if first >> 4 & 7 == COMMAND_FRAME {
        return Ok(None);
    }
    let multitrack = packet_type == VIDEO_MULTITRACK;
    let Some((packet_type, fourcc, mut body)) = select(packet_type, multitrack, body, track).ok_or(cut(VIDEO))? else {
        return Ok(None);
    };
    let packet = match packet_type {
        SEQUENCE_START => Packet::Start,
        CODED_FRAMES if matches!(&fourcc, b"avc1" | b"hvc1") => {
            Packet::Frame { composition_ms: take_i24(&mut body).ok_or(cut(VIDEO))? }
        }
        CODED_FRAMES | CODED_FRAMES_X => Packet::Frame { composition_ms: 0 },
        SEQUENCE_END => Packet::End,
        // Metadata (HDR, which the parameter sets tell as well) and MPEG-2 TS descriptors.
        _ => return Ok(None),
    };
    let codec = match &fourcc {
        b"avc1" => Codec::Avc,
        b"hvc1" => Codec::Hevc,
        b"av01" => Codec::Av1,
        b"vp09" => Codec::Vp9,
        other => return Err(unsupported("video", &printable(other), VIDEO_ALLOWED)),
    };
    Ok(Some(Tag { codec, packet, body }))
}

pub(super) fn parse_audio(mut body: Bytes, track: &mut Option<u8>) -> Result<Option<Tag>, Error> {
    const HEARTBEAT_BYTES: usize = 2;
    const ENHANCED: u8 = 9;
    if body.len() <= HEARTBEAT_BYTES {
        return Ok(None);
    }
    let Some(first) = take_u8(&mut body) else { return Ok(None) };
    if first >> 4 != ENHANCED {
        return parse_legacy_audio(first >> 4, body);
    }
    let Some(packet_type) = skip_mod_ex(first & 15, &mut body) else { return Err(cut(AUDIO)) };
    let multitrack = packet_type == AUDIO_MULTITRACK;
    let Some((packet_type, fourcc, body)) = select(packet_type, multitrack, body, track).ok_or(cut(AUDIO))? else {
        return Ok(None);
    };
    let packet = match packet_type {
        SEQUENCE_START => Packet::Start,
        CODED_FRAMES => Packet::Frame { composition_ms: 0 },
        SEQUENCE_END => Packet::End,
        // MultichannelConfig, which the codecs' own configurations tell as well.
        _ => return Ok(None),
    };
    let codec = match &fourcc {
        b"mp4a" => Codec::Aac,
        b"Opus" => Codec::Opus,
        b"fLaC" => Codec::Flac,
        b".mp3" => Codec::Mp3,
        other => return Err(unsupported("audio", &printable(other), AUDIO_ALLOWED)),
    };
    Ok(Some(Tag { codec, packet, body }))
}

/// FLV 10.1 E.4.3.1; ids 12 and 13 are an older extension for HEVC and AV1 that encoders in the field still use.
fn parse_legacy_video(codec_id: u8, mut body: Bytes) -> Result<Option<Tag>, Error> {
    let codec = match codec_id {
        7 => Codec::Avc,
        12 => Codec::Hevc,
        13 => Codec::Av1,
        2 => return Err(unsupported("video", "Sorenson H.263", VIDEO_ALLOWED)),
        3 | 6 => return Err(unsupported("video", "Screen Video", VIDEO_ALLOWED)),
        4 | 5 => return Err(unsupported("video", "VP6", VIDEO_ALLOWED)),
        id => return Err(unsupported("video", &format!("FLV codec {id}"), VIDEO_ALLOWED)),
    };
    let Some(packet_type) = take_u8(&mut body) else { return Ok(None) };
    let composition_ms = take_i24(&mut body).unwrap_or(0);
    let packet = match packet_type {
        0 => Packet::Start,
        1 => Packet::Frame { composition_ms },
        2 => Packet::End,
        _ => return Err(Error::malformed(VIDEO, "an unknown packet type")),
    };
    Ok(Some(Tag { codec, packet, body }))
}

/// FLV 10.1 E.4.2.1.
fn parse_legacy_audio(format: u8, mut body: Bytes) -> Result<Option<Tag>, Error> {
    let name = match format {
        2 | 14 => return Ok(Some(Tag { codec: Codec::Mp3, packet: Packet::Frame { composition_ms: 0 }, body })),
        10 => {
            let packet = match take_u8(&mut body) {
                Some(0) => Packet::Start,
                Some(1) => Packet::Frame { composition_ms: 0 },
                Some(_) => return Err(Error::malformed(AUDIO, "an unknown packet type")),
                None => return Ok(None),
            };
            return Ok(Some(Tag { codec: Codec::Aac, packet, body }));
        }
        0 | 3 => "PCM",
        1 => "ADPCM",
        4..=6 => "Nellymoser",
        7 | 8 => "G.711",
        11 => "Speex",
        _ => return Err(unsupported("audio", &format!("FLV format {format}"), AUDIO_ALLOWED)),
    };
    Err(unsupported("audio", name, AUDIO_ALLOWED))
}

fn unsupported(kind: &str, name: &str, allowed: &'static str) -> Error {
    Error::UnsupportedCodec { what: format!("{name} {kind}"), allowed }
}

fn cut(what: &'static str) -> Error {
    Error::malformed(what, "cut short")
}

fn printable(fourcc: &[u8; 4]) -> String {
    fourcc.escape_ascii().to_string()
}

/// Prefixes that change a packet, of which the only defined one adds nanoseconds to its time; `None` if cut short.
fn skip_mod_ex(mut packet_type: u8, body: &mut Bytes) -> Option<u8> {
    for _ in 0..MOD_EX_MAX {
        if packet_type != MOD_EX {
            return Some(packet_type);
        }
        let mut size = usize::from(take_u8(body)?) + 1;
        if size == 256 {
            size = usize::from(body.try_get_u16().ok()?) + 1;
        }
        if body.len() <= size {
            return None;
        }
        body.advance(size);
        packet_type = take_u8(body)? & 15;
    }
    None
}

type Selected = (u8, [u8; 4], Bytes);

/// The packet type, codec and payload of our track; `Some(None)` if it is not in this tag, `None` if cut short.
fn select(packet_type: u8, multitrack: bool, mut body: Bytes, ours: &mut Option<u8>) -> Option<Option<Selected>> {
    const ONE_TRACK: u8 = 0;
    const MANY_TRACKS_MANY_CODECS: u8 = 2;
    if !multitrack {
        return Some(Some((packet_type, take_fourcc(&mut body)?, body)));
    }
    let types = take_u8(&mut body)?;
    let (layout, packet_type) = (types >> 4, types & 15);
    let common = if layout == MANY_TRACKS_MANY_CODECS { None } else { Some(take_fourcc(&mut body)?) };
    for _ in 0..TRACKS_MAX {
        if body.is_empty() {
            return Some(None);
        }
        let fourcc = match common {
            Some(fourcc) => fourcc,
            None => take_fourcc(&mut body)?,
        };
        let id = take_u8(&mut body)?;
        let size = if layout == ONE_TRACK { body.len() } else { take_u24(&mut body)? as usize };
        if size > body.len() {
            return None;
        }
        let payload = body.split_to(size);
        if *ours.get_or_insert(id) == id {
            return Some(Some((packet_type, fourcc, payload)));
        }
    }
    Some(None)
}

fn take_u8(body: &mut Bytes) -> Option<u8> {
    body.try_get_u8().ok()
}

fn take_u24(body: &mut Bytes) -> Option<u32> {
    (body.len() >= 3).then(|| body.get_uint(3) as u32)
}

fn take_i24(body: &mut Bytes) -> Option<i32> {
    (body.len() >= 3).then(|| body.get_int(3) as i32)
}

fn take_fourcc(body: &mut Bytes) -> Option<[u8; 4]> {
    let mut fourcc = [0; 4];
    body.try_copy_to_slice(&mut fourcc).ok()?;
    Some(fourcc)
}
