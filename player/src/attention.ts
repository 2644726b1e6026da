/** Whether anybody sees or hears an element: page shown, element in view, sound on. */

const AWAY_MS = 10_000; // nobody looks this long: nothing is sent any more
const GONE_TIMES = 6; // so many times as long: the connection is closed

export type AttentionLevel = 'here' | 'away' | 'gone';

export interface AttentionInput {
  nowMs: number;
  hidden: boolean;
  inView: boolean;
  audible: boolean;
  inPicture: boolean;
}

export interface AttentionMemory {
  level: AttentionLevel;
  sinceMs: number | undefined;
}

export const ATTENTIVE: AttentionMemory = { level: 'here', sinceMs: undefined };

export function attentionStep(
  before: AttentionMemory,
  input: AttentionInput,
  awayMs = AWAY_MS,
): AttentionMemory {
  const { nowMs, hidden, inView, audible, inPicture } = input;
  if (inPicture || audible || (!hidden && inView)) return ATTENTIVE;
  const sinceMs = before.sinceMs ?? nowMs;
  const unseenMs = nowMs - sinceMs;
  return { level: unseenMs >= awayMs * GONE_TIMES ? 'gone' : unseenMs >= awayMs ? 'away' : 'here', sinceMs };
}

export class Attention {
  readonly #video: HTMLVideoElement;
  readonly #awayMs: number | undefined;
  readonly #tell: (level: AttentionLevel) => void;
  readonly #observer: IntersectionObserver;
  readonly #timer: ReturnType<typeof setInterval>;
  #inView = true;
  #memory = ATTENTIVE;

  constructor(video: HTMLVideoElement, awayMs: number | undefined, tell: (level: AttentionLevel) => void) {
    this.#video = video;
    this.#awayMs = awayMs;
    this.#tell = tell;
    this.#observer = new IntersectionObserver(([entry]) => {
      this.#inView = entry?.isIntersecting ?? true;
      this.#check();
    });
    this.#observer.observe(video);
    this.#timer = setInterval(this.#check, 1000);
    document.addEventListener('visibilitychange', this.#check);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#observer.disconnect();
    document.removeEventListener('visibilitychange', this.#check);
  }

  readonly #check = (): void => {
    const video = this.#video;
    const before = this.#memory.level;
    const input = {
      nowMs: performance.now(),
      hidden: document.hidden,
      inView: this.#inView,
      audible: !video.muted && video.volume > 0 && !video.paused,
      inPicture: document.pictureInPictureElement === video,
    };
    this.#memory = attentionStep(this.#memory, input, this.#awayMs);
    if (this.#memory.level !== before) this.#tell(this.#memory.level);
  };
}
