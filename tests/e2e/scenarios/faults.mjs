// Faults in the media, made to order by a stand-in for the server: each a script for it, and what must hold.

const SECONDS = 14;

export const clips = {
  plain: { duration: SECONDS },
  bframes: { duration: SECONDS, bframes: 2 },
  silent: { duration: SECONDS, audio: 'no' },
  large: { duration: SECONDS, size: '1280x720', first: 1000, bitrate: '2000k' },
  av1: { duration: 6, size: '320x180', first: 2000, codec: 'av1', bitrate: '400k' },
};

// `holeMs`: for so long there is nothing to show, whatever a player does; with a `title` it is among the figures.
// `check` gets ({ expect, all, end, log, stream, stats }): figures over all and over the last 2.5 s.
export const faults = {
  plain: {
    seconds: 7,
    script: (clip) => ({ clip: clip.plain }),
    check: ({ expect, all, stats, stream }) => {
      expect.that(stats.firstFrameMs < 1000, `first frame after ${stats.firstFrameMs} ms`);
      expect.that(all.shown_share >= 0.9, `only ${all.shown_share} of the frames shown`);
      expect.that(Math.abs(all.latency_ms - all.player_latency_ms) < 80, 'stats.latency is off');
      expect.that(all.freeze_ms < 400, `frozen ${all.freeze_ms} ms`);
      expect.that(stats.sockets === 1, `${stats.sockets} sockets`);
      expect.that(
        stream.received.some((message) => message.type === 'time'),
        'no time message',
      );
    },
  },
  bframes: { seconds: 7, latency: 750, script: (clip) => ({ clip: clip.bframes }) },
  silent: { seconds: 5, script: (clip) => ({ clip: clip.silent }) },
  hole50: {
    title: 'hole of 50 ms in both tracks',
    holeMs: 50,
    seconds: 7,
    script: (clip) => ({ clip: clip.plain, events: [skew(4.015, 0.05)] }),
    check: frozenAtMost(550),
  },
  hole90: {
    title: 'hole of 90 ms',
    holeMs: 90,
    seconds: 7,
    script: (clip) => ({ clip: clip.plain, events: [skew(4.015, 0.09)] }),
    check: frozenAtMost(590),
  },
  hole300: {
    title: 'hole of 300 ms',
    holeMs: 300,
    seconds: 7,
    script: (clip) => ({ clip: clip.plain, events: [skew(4.015, 0.3)] }),
    check: ({ expect, ...seen }) => {
      frozenAtMost(800)({ expect, ...seen });
      expect.that(seen.stats.stalls <= 1, `counted as ${seen.stats.stalls} stalls`);
    },
  },
  stall: {
    title: 'network stands still for 2 s',
    holeMs: 2000,
    seconds: 9,
    script: (clip) => ({ clip: clip.plain, holdFrom: 3, holdTo: 5 }),
    check: ({ expect, all, stats }) => {
      expect.that(all.max_rate <= 1.15, `rate ${all.max_rate}`);
      expect.that(stats.seeks <= 1, `${stats.seeks} seeks`);
      expect.that(all.freeze_ms < 2600, `frozen ${all.freeze_ms} ms`);
    },
  },
  gap: {
    title: '2 s of video lost, sound goes on',
    holeMs: 2000,
    seconds: 9,
    script: (clip) => ({
      clip: clip.plain,
      keep: (sample, at) => sample.kind === 'audio' || at <= 4 || at > 6,
      events: [{ at: 4.5, do: (stream) => stream.announceGap(4, 60) }],
    }),
    check: ({ expect, all, stats }) => {
      expect.that(stats.gaps === 1, `${stats.gaps} gaps counted`);
      expect.that(all.freeze_ms < 2600, `frozen ${all.freeze_ms} ms`);
    },
  },
  // Frames lost in the middle of a group of pictures: broken or frozen until the next keyframe, then well again
  midgop: {
    title: 'six frames lost inside a group of 2 s',
    holeMs: 2000,
    seconds: 9,
    unreadable: 60,
    script: (clip) => ({
      clip: clip.plain,
      keep: (sample, at) => sample.kind === 'audio' || at <= 4.5 || at > 4.7,
    }),
    check: ({ expect, all, stats }) => {
      expect.that(stats.rebuilds <= 1 && stats.sockets === 1, `${stats.rebuilds} rebuilds, ${stats.sockets} sockets`);
      expect.that(all.freeze_ms < 2000 + 500, `frozen ${all.freeze_ms} ms`);
    },
  },
  dropped: {
    title: 'socket cut',
    holeMs: 0,
    seconds: 8,
    script: (clip) => ({ clip: clip.plain, events: [{ at: 4, do: (stream) => stream.drop() }] }),
    check: ({ expect, stats, all }) => {
      expect.that(stats.sockets === 2, `${stats.sockets} sockets`);
      expect.that(all.freeze_ms < 1200, `frozen ${all.freeze_ms} ms`);
    },
  },
  restarted: {
    title: 'server restarted, its timeline lost',
    holeMs: 0,
    seconds: 8,
    script: (clip) => ({ clip: clip.plain, events: [{ at: 4.015, do: (stream) => stream.restart(-5) }] }),
    check: ({ expect, stats, all }) => {
      expect.that(stats.sockets === 2, `${stats.sockets} sockets`);
      expect.that(all.freeze_ms < 1500, `frozen ${all.freeze_ms} ms`);
    },
  },
  damaged: {
    title: 'three damaged frames (next keyframe 2 s later at most)',
    holeMs: 2000,
    seconds: 9,
    unreadable: 80,
    script: (clip) => ({
      clip: clip.plain,
      damage: (sample, at) => sample.kind === 'video' && at > 3 && at < 3.1,
    }),
    check: ({ expect, all, stats }) => {
      expect.that(stats.rebuilds <= 1, `${stats.rebuilds} rebuilds`);
      expect.that(all.freeze_ms < 3000, `frozen ${all.freeze_ms} ms`);
    },
  },
  resolution: {
    title: '640x360 becomes 1280x720',
    holeMs: 0,
    seconds: 8,
    script: (clip) => ({
      clip: clip.plain,
      events: [{ at: 4, do: (stream) => stream.switchClip(clip.large) }],
    }),
    check: ({ expect, all, stats }) => {
      expect.that(stats.width === 1280, `picture is ${stats.width} wide`);
      expect.that(stats.rebuilds === 0, `${stats.rebuilds} rebuilds`);
      expect.that(stats.sockets === 1, `${stats.sockets} sockets`);
      expect.that(all.freeze_ms < 700, `frozen ${all.freeze_ms} ms`);
    },
  },
  // P7: another codec, and back, in the same MediaSource
  codec: {
    title: 'H.264 becomes AV1, and H.264 again',
    holeMs: 0,
    seconds: 11,
    script: (clip) => ({
      clip: clip.plain,
      events: [
        { at: 4, do: (stream) => stream.switchClip(clip.av1) },
        { at: 7, do: (stream) => stream.switchClip(clip.large) },
      ],
    }),
    check: ({ expect, all, stats, log }) => {
      const numbers = log.frames.map(({ frame }) => frame);
      expect.that(numbers.some((n) => n >= 2000 && n < 3000), 'nothing of the second codec was shown');
      expect.that(stats.width === 1280, `picture is ${stats.width} wide`);
      expect.that(stats.rebuilds === 0 && stats.sockets === 1, `${stats.rebuilds} rebuilds, ${stats.sockets} sockets`);
      expect.that(all.freeze_ms < 1000, `frozen ${all.freeze_ms} ms`);
    },
  },
  publisher: {
    title: 'publisher away for 2 s, comes back larger',
    holeMs: 2000,
    seconds: 9,
    script: (clip) => ({
      clip: clip.plain,
      events: [
        { at: 3, do: (stream) => stream.setState('interrupted') },
        {
          at: 5,
          do: (stream) => {
            stream.setState('live');
            stream.switchClip(clip.large);
          },
        },
      ],
    }),
    check: ({ expect, stats, log, all }) => {
      expect.that(stats.sockets === 1, `${stats.sockets} sockets`);
      expect.that(
        log.states.some(({ stream }) => stream === 'interrupted'),
        'never said interrupted',
      );
      expect.that(all.freeze_ms < 2700, `frozen ${all.freeze_ms} ms`);
    },
  },
  lateaudio: {
    title: 'sound begins after the picture',
    holeMs: 0,
    seconds: 7,
    script: (clip) => ({
      clip: clip.plain,
      hideTracks: ['audio'],
      events: [{ at: 4.5, do: (stream) => stream.showTrack('audio') }],
    }),
    check: ({ expect, all }) => expect.that(all.freeze_ms < 900, `frozen ${all.freeze_ms} ms`),
  },
  unsupported: {
    seconds: 3,
    script: (clip) => ({
      clip: clip.plain,
      codec: { video: { codec: 'xvid.1', mime: 'video/mp4; codecs="xvid.1"' } },
    }),
    check: ({ expect, log, stream, text }) => {
      expect.that(
        log.states.some(({ code }) => code === 'codec'),
        'no codec error',
      );
      expect.that(text.includes("isn't supported by this browser"), `the page says: ${text}`);
      const asked = stream.received.find((message) => message.type === 'tracks');
      expect.that(asked?.video === false && asked?.audio === true, `asked for ${JSON.stringify(asked)}`);
    },
    silent: true,
  },
  refused: {
    seconds: 1.5,
    script: (clip) => ({
      clip: clip.plain,
      refuse: { status: 401, title: 'invalid token', code: 'unauthorized' },
    }),
    check: ({ expect, text, state }) => {
      expect.that(state === 'failed', `state ${state}`);
      expect.that(text.includes('not valid'), `the page says: ${text}`);
    },
    silent: true,
  },
};

function skew(at, seconds) {
  return {
    at,
    do: (stream) => {
      stream.skewS += seconds;
      for (const item of stream.items) item.at += seconds;
    },
  };
}

function frozenAtMost(ms) {
  return ({ expect, all }) => expect.that(all.freeze_ms < ms, `frozen ${all.freeze_ms} ms`);
}
