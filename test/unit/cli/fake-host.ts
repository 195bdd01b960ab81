/** Streams that remember, in the place of a terminal or a pipe. */
import { Writable } from 'node:stream';
import type { Host } from '../../../src/cli/output.ts';

class Remembering extends Writable {
  readonly isTTY: boolean;
  readonly columns = 120;
  text = '';

  constructor(isTTY = false) {
    super({ decodeStrings: false });
    this.isTTY = isTTY;
  }

  override _write(chunk: Buffer | string, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

export interface FakeHost extends Host {
  readonly stdout: Remembering;
  readonly stderr: Remembering;
}

export function fakeHost(options: { isTTY?: boolean; env?: Record<string, string> } = {}): FakeHost {
  return {
    stdout: new Remembering(options.isTTY),
    stderr: new Remembering(options.isTTY),
    env: options.env ?? {},
  };
}
