//! Files of real encoders through parser and fragmenter, compared frame by frame with what `ffprobe` says of the source.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "says what was skipped, and the figures")]

use mp4_atom::{Decode, DecodeMaybe};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use weir::media::flv;
use weir::media::fragment::{Fragment, HEADROOM, Init, Output};
use weir::media::fragmenter::{Fragmenter, Settings};
use weir::media::frame::{Kind, Role};

/// Media time at which the publishes of these tests begin.
const START_US: i64 = 5_000_000_000;
/// What the source's millisecond timestamps may differ from exact ones.
const ROUNDING_MS: f64 = 1.01;
/// A frame that comes late is bridged: it starts where the one before was expected to end.
const DTS_MAX_MS: f64 = 34.1;

fn have_ffmpeg() -> bool {
    let have = ["ffmpeg", "ffprobe"].iter().all(|name| Command::new(name).arg("-version").output().is_ok());
    if !have {
        eprintln!("skipped: no ffmpeg and ffprobe here");
    }
    have
}

fn ffmpeg(arguments: &str, output: &Path) {
    let status = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-y"])
        .args(arguments.split_whitespace())
        .arg(output)
        .status()
        .expect("ffmpeg runs");
    assert!(status.success(), "ffmpeg {arguments}");
}

#[derive(Debug, Clone, PartialEq)]
struct Packet {
    pts_ms: f64,
    dts_ms: f64,
    size: usize,
    key: bool,
}

fn packets(file: &Path, stream: &str) -> Vec<Packet> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-show_packets", "-of", "json", "-select_streams", stream])
        .arg(file)
        .output()
        .expect("ffprobe runs");
    assert!(output.stderr.is_empty(), "ffprobe of {file:?}: {}", String::from_utf8_lossy(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).expect("ffprobe writes JSON");
    let ms =
        |packet: &Value, key: &str| 1000.0 * packet[key].as_str().expect("a time").parse::<f64>().expect("a number");
    json["packets"]
        .as_array()
        .expect("packets")
        .iter()
        .map(|packet| Packet {
            pts_ms: ms(packet, "pts_time"),
            dts_ms: ms(packet, "dts_time"),
            size: packet["size"].as_str().expect("a size").parse().expect("a number"),
            key: packet["flags"].as_str().expect("flags").starts_with('K'),
        })
        .collect()
}

/// What came out, with the wall clock running as fast as the media.
struct Run {
    inits: Vec<Init>,
    fragments: Vec<Fragment>,
    end_us: i64,
}

fn run(file: &Path) -> Run {
    let data = std::fs::read(file).expect("the source is there");
    let mut reader = flv::file::Reader::new();
    let mut parser = flv::Parser::new();
    let mut fragmenter = Fragmenter::new(Settings::default());
    fragmenter.start(START_US);
    let mut out = Run { inits: Vec::new(), fragments: Vec::new(), end_us: 0 };
    for bytes in data.chunks(4096) {
        reader.handle_bytes(bytes);
        while let Some(tag) = reader.poll_tag().expect("a good file") {
            let flv::file::Tag::Media { kind, timestamp_ms, body } = tag else { continue };
            let items = match kind {
                Kind::Video => parser.handle_video(timestamp_ms, body),
                Kind::Audio => parser.handle_audio(timestamp_ms, body),
            };
            for item in items.expect("good tags") {
                fragmenter.handle_item(item, i64::from(timestamp_ms) * 1000).expect("good items");
            }
        }
        while let Some(output) = fragmenter.poll_output() {
            match output {
                Output::Init(init) => out.inits.push(init),
                Output::Fragment(fragment) => out.fragments.push(fragment),
                Output::Gap(gap) => panic!("{gap:?} in a good file"),
            }
        }
    }
    out.end_us = fragmenter.end_us();
    out
}

/// The file a raw viewer would have written.
fn write_muxed(run: &Run, to: &Path) {
    let mut bytes = run.inits[0].muxed.to_vec();
    for fragment in &run.fragments {
        bytes.extend(&fragment.buffer[HEADROOM..]);
    }
    std::fs::write(to, bytes).expect("a writable directory");
}

fn sent(run: &Run, kind: Kind) -> Vec<&Fragment> {
    run.fragments.iter().filter(|fragment| fragment.kind == kind).collect()
}

fn assert_contiguous(fragments: &[&Fragment]) {
    for pair in fragments.windows(2) {
        assert_eq!(pair[0].start + u64::from(pair[0].duration), pair[1].start);
    }
}

/// Decode and presentation time of a fragment, as its boxes say.
fn times_ms(fragment: &Fragment, timescale: u32) -> (f64, f64) {
    let mut boxes = &fragment.buffer[HEADROOM..];
    weir::media::fmp4::guard::check(boxes).expect("good boxes");
    mp4_atom::Prft::decode(&mut boxes).expect("prft first");
    let moof = mp4_atom::Moof::decode(&mut boxes).expect("then moof");
    let start = moof.traf[0].tfdt.as_ref().expect("tfdt").base_media_decode_time;
    let mp4_atom::TrunSamples::Explicit(samples) = &moof.traf[0].trun[0].samples else { panic!("an explicit sample") };
    assert_eq!((start, samples[0].duration), (fragment.start, Some(fragment.duration)));
    let ms = |units: i64| units as f64 * 1000.0 / f64::from(timescale);
    let start = i64::try_from(start).expect("a sane time");
    (ms(start), ms(start + samples[0].cts.unwrap_or(0)))
}

/// Sends a file through and compares packets; says how many there were and the largest differences.
fn compare(name: &str, source: &Path, scratch: &Path) {
    let run = run(source);
    assert_eq!(run.inits.len(), 1, "{name}: one init");
    let muxed = scratch.join(format!("{name}.mp4"));
    write_muxed(&run, &muxed);
    assert_decodes(&muxed);
    let mut offset = None;
    for (stream, kind) in [("v", Kind::Video), ("a", Kind::Audio)] {
        let (before, after) = (packets(source, stream), packets(&muxed, stream));
        let fragments = sent(&run, kind);
        assert_eq!(fragments.len(), before.len(), "{name}: {kind:?} frames");
        assert_eq!(after.len(), before.len(), "{name}: {kind:?} packets");
        assert_contiguous(&fragments);
        let Some(track) = run.inits[0].tracks.iter().find(|track| track.kind == kind) else { continue };
        let (first_dts, first_pts) = times_ms(fragments[0], track.timescale);
        assert_eq!(first_dts, first_pts, "{name}: F13, first PTS = tfdt");
        let offset = *offset.get_or_insert(first_pts - before[0].pts_ms);
        // ffprobe moves all presentation times of a track that has negative composition offsets.
        let ffprobe_offset = after[0].pts_ms - before[0].pts_ms;
        let shift = first_dts - before[0].dts_ms;
        let (mut worst_pts, mut worst_dts) = (0_f64, 0_f64);
        for (n, ((a, b), fragment)) in before.iter().zip(&after).zip(&fragments).enumerate() {
            let (dts, pts) = times_ms(fragment, track.timescale);
            worst_pts = worst_pts.max((pts - a.pts_ms - offset).abs());
            worst_dts = worst_dts.max((dts - a.dts_ms - shift).abs());
            assert!(
                (b.pts_ms - a.pts_ms - ffprobe_offset).abs() <= ROUNDING_MS,
                "{name}: {kind:?} frame {n} by ffprobe"
            );
            assert_eq!(a.key, b.key, "{name}: {kind:?} key flag of frame {n}");
            assert_eq!(fragment.role == Role::Key, b.key, "{name}: {kind:?} role of frame {n}");
        }
        println!("{name}: {kind:?} {} frames, worst PTS {worst_pts:.3} ms, DTS {worst_dts:.3} ms", after.len());
        assert!(worst_pts <= ROUNDING_MS, "{name}: {kind:?} PTS off by {worst_pts} ms");
        assert!(worst_dts <= DTS_MAX_MS, "{name}: {kind:?} DTS off by {worst_dts} ms");
    }
}

fn generate_and_compare(cases: &[(&str, &str)]) {
    if !have_ffmpeg() {
        return;
    }
    let scratch = tempfile::tempdir().expect("a temporary directory");
    for (name, arguments) in cases {
        let source = scratch.path().join(format!("{name}.flv"));
        ffmpeg(arguments, &source);
        compare(name, &source, scratch.path());
    }
}

const SOUND_44: &str = "-f lavfi -i sine=f=440:r=44100";
const SOUND_48: &str = "-f lavfi -i sine=f=440:r=48000";

fn picture(fps: u32) -> String {
    format!("-f lavfi -i testsrc2=s=320x180:r={fps}")
}

const X264: &str = "-t 4 -c:v libx264 -preset veryfast -g 48 -pix_fmt yuv420p";

#[test]
fn h264_without_b_frames_keeps_every_time_and_flag() {
    let cases: Vec<(String, String)> = [24, 25, 30, 60]
        .iter()
        .map(|&fps| (format!("{fps}fps"), format!("{} {SOUND_44} {X264} -bf 0 -c:a aac", picture(fps))))
        .collect();
    let cases: Vec<(&str, &str)> = cases.iter().map(|(name, arguments)| (&name[..], &arguments[..])).collect();
    generate_and_compare(&cases);
}

#[test]
fn f13_h264_with_b_frames_keeps_every_time_and_flag() {
    let picture = picture(30);
    let one = format!("{picture} {SOUND_48} {X264} -bf 3 -c:a aac");
    let two = format!("{picture} {SOUND_48} {X264} -bf 5 -x264-params b-pyramid=normal -c:a aac");
    generate_and_compare(&[("b3", &one), ("b5", &two)]);
}

#[test]
fn one_track_alone_and_uneven_frame_rates_keep_every_time() {
    let video = format!("{} {X264} -bf 0 -an", picture(25));
    let audio = format!("{SOUND_48} -t 4 -vn -c:a aac");
    let vfr =
        format!("{} {SOUND_48} {X264} -bf 0 -vf select='not(eq(mod(n\\,7)\\,3))' -vsync vfr -c:a aac", picture(30));
    let mono = format!("{SOUND_44} -t 4 -vn -ac 1 -c:a libmp3lame");
    generate_and_compare(&[("video", &video), ("audio", &audio), ("vfr", &vfr), ("mp3", &mono)]);
}

/// Sound stops after a second and the picture goes on: the silence in its place must decode without a complaint.
#[test]
fn f10_silence_of_every_layout_decodes() {
    if !have_ffmpeg() {
        return;
    }
    let scratch = tempfile::tempdir().expect("a temporary directory");
    for layout in ["mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1"] {
        let source = scratch.path().join("source.flv");
        let sound = format!("-f lavfi -i anoisesrc=r=48000 -af atrim=0:1,aformat=channel_layouts={layout}");
        ffmpeg(&format!("{} {sound} {X264} -bf 0 -c:a aac", picture(25)), &source);
        let run = run(&source);
        let muxed = scratch.path().join("muxed.mp4");
        write_muxed(&run, &muxed);
        let audio = sent(&run, Kind::Audio);
        assert_contiguous(&audio);
        assert!(audio.len() > 170, "{layout}: {} frames", audio.len());
        assert_decodes(&muxed);
    }
}

/// Files made elsewhere, with Enhanced RTMP tags that this `ffprobe` can't read: their own tags are the reference.
#[test]
fn files_of_other_encoders_come_out_whole() {
    let Some(folder) = corpus("flv").filter(|_| have_ffmpeg()) else { return };
    let scratch = tempfile::tempdir().expect("a temporary directory");
    for (name, codec, size) in [
        ("avc_aac", "avc1.640033", (3840, 2160)),
        ("hevc_aac", "hvc1.1.6.L153.90", (3840, 2160)),
        ("av1_aac", "av01.0.13M.08", (2560, 1440)),
    ] {
        let run = run(&folder.join(format!("{name}.flv")));
        let muxed = scratch.path().join(format!("{name}.mp4"));
        write_muxed(&run, &muxed);
        let video = run.inits[0].tracks.iter().find(|track| track.kind == Kind::Video).expect("video");
        assert_eq!(video.codec, codec);
        assert_eq!((video.width, video.height), (Some(size.0), Some(size.1)), "{name}");
        for (stream, kind) in [("v", Kind::Video), ("a", Kind::Audio)] {
            let fragments = sent(&run, kind);
            assert_contiguous(&fragments);
            assert!(fragments.len() > 10, "{name}: {kind:?}");
            let after = packets(&muxed, stream);
            assert_eq!(after.len(), fragments.len(), "{name}: {kind:?} packets");
            for (packet, fragment) in after.iter().zip(&fragments) {
                assert_eq!(packet.key, fragment.role == Role::Key, "{name}: {kind:?} key flag");
            }
        }
        assert_decodes(&muxed);
        println!("{name}: {} fragments, {:?} fps", run.fragments.len(), video.fps);
    }
}

/// Files that crashed other parsers are refused by the guard, or pass it and harm nothing behind it.
#[test]
fn known_bad_mp4_ends_without_a_panic() {
    let Some(folder) = corpus("mp4-broken") else { return };
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let bytes = std::fs::read(entry.expect("a folder entry").path()).expect("a file");
        let mut rest = &bytes[..];
        if weir::media::fmp4::guard::check(rest).is_ok() {
            while let Ok(Some(_)) = mp4_atom::Any::decode_maybe(&mut rest) {}
        }
        for end in (0..bytes.len()).step_by(97) {
            let _ = weir::media::fmp4::guard::check(&bytes[..end]);
        }
    }
}

/// `WEIR_CORPUS`, or the folder beside the project.
fn corpus(folder: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let folder = std::env::var_os("WEIR_CORPUS").map_or_else(beside, PathBuf::from).join(folder);
    if !folder.is_dir() {
        eprintln!("skipped: no corpus at {}", folder.display());
    }
    folder.is_dir().then_some(folder)
}

fn assert_decodes(file: &Path) {
    let output = Command::new("ffmpeg")
        .args(["-v", "warning", "-xerror", "-i"])
        .arg(file)
        .args(["-f", "null", "-"])
        .output()
        .expect("ffmpeg runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.is_empty(), "{file:?}: {text}");
}
