/** CPU seconds that can be compared between runs and machines: scaled by how fast sha256 was around the run. */

import type { Usage } from '../records.ts';
import { scaleToReference, sha256SecondsPerGib } from '../support/measured-run.ts';
import type { Measured } from './measure-process.ts';

export class SpeedGauge {
  readonly #bytes: number;
  #last: number;

  /** @param bytes hashed for one look; more are more exact. */
  constructor(bytes: number) {
    this.#bytes = bytes;
    this.#last = sha256SecondsPerGib(bytes);
  }

  /** Seconds of CPU per GiB: the mean of now and of the time before. */
  around(): number {
    const before = this.#last;
    this.#last = sha256SecondsPerGib(this.#bytes);
    return (before + this.#last) / 2;
  }
}

export function usageOf(measured: Measured, sha256SecondsPerGib: number): Usage {
  const { wallSeconds, userSeconds, systemSeconds, rssBytesMax } = measured;
  return {
    wallSeconds: rounded(wallSeconds),
    userSeconds: rounded(userSeconds),
    systemSeconds: rounded(systemSeconds),
    rssBytesMax,
    sha256SecondsPerGib: rounded(sha256SecondsPerGib),
    cpuSecondsScaled: rounded(scaleToReference(userSeconds + systemSeconds, sha256SecondsPerGib)),
  };
}

export function rounded(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
