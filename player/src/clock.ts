/** Offset of the server's clock from ours, from `time` messages: the sample with the shortest round trip wins. */

/** Unix time in ms, by a clock that never steps and is the same in a page and its workers. */
export function epochMs(): number {
  return performance.timeOrigin + performance.now();
}

const WINDOW = 8; // samples kept: 80 s at one per 10 s, so that drift is followed

interface Sample {
  offsetUs: number;
  rttUs: number;
}

export class ServerClock {
  #samples: Sample[] = [];
  #helloOffsetUs: number | undefined;

  /** A one-way hint, used until the first `time` answer. */
  handleHello(serverTimeUs: number, nowUs: number): void {
    this.#helloOffsetUs = serverTimeUs - nowUs;
    this.#samples = [];
  }

  handleTime(t0Us: number, serverTimeUs: number, nowUs: number): void {
    const rttUs = nowUs - t0Us;
    if (rttUs < 0) return;
    this.#samples.push({ offsetUs: serverTimeUs - (t0Us + nowUs) / 2, rttUs });
    if (this.#samples.length > WINDOW) this.#samples.shift();
  }

  /** Server time minus ours, undefined before the first message. */
  get offsetUs(): number | undefined {
    return this.#best()?.offsetUs ?? this.#helloOffsetUs;
  }

  get rttMs(): number | undefined {
    const best = this.#best();
    return best && best.rttUs / 1000;
  }

  #best(): Sample | undefined {
    return this.#samples.reduce<Sample | undefined>(
      (best, sample) => (best && best.rttUs <= sample.rttUs ? best : sample),
      undefined,
    );
  }
}
