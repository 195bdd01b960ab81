/** Timers that fire only when a test lets time pass. */
import type { TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';

export interface FakeTime {
  /** Lets what is ready go on, then so many milliseconds pass, then what became ready go on. */
  pass(ms: number): Promise<void>;
}

export function fakeTime(t: TestContext): FakeTime {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const settle = async (): Promise<void> => {
    for (let count = 0; count < 10; count += 1) await turn();
  };
  return {
    pass: async (ms) => {
      await settle();
      t.mock.timers.tick(ms);
      await settle();
    },
  };
}
