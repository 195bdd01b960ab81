/** A stand-in without registries, and a connection to it: what tests of the client's calls need. */
import { join } from 'node:path';
import { ByHand } from '../../../src/platform/msr/by-hand.ts';
import { MsrConnection } from '../../../src/platform/msr/msr-connection.ts';
import { isMsrError, type MsrError, type MsrErrorKind } from '../../../src/platform/msr/msr-error.ts';
import type { MsrPace, MsrSite } from '../../../src/platform/msr/msr-site.ts';
import type { GetAccess } from '../../../src/platform/msr/pull/http-get.ts';
import { type Msr, startMsr } from '../../support/msr/msr.ts';
import type { MsrOptions } from '../../support/msr/state.ts';
import { tempFolderFor } from '../../support/temp.ts';

export interface Afterwards {
  after(fn: () => Promise<void>): void;
}

export interface MsrWorld {
  readonly msr: Msr;
  readonly connection: MsrConnection;
  readonly signal: AbortSignal;
}

export async function msrWorld(test: Afterwards, options: Partial<MsrOptions> = {}): Promise<MsrWorld> {
  const root = await tempFolderFor(test, 'msr-world');
  const msr = await startMsr({
    storage: { filesystem: join(root, 'storage') },
    hasRegistry: false,
    ...options,
  });
  test.after(() => msr.stop());
  const signal = new AbortController().signal;
  return { msr, connection: connect(test, msr), signal };
}

/** As its administrator, unless told otherwise. */
export function connect(
  test: Afterwards,
  msr: Pick<Msr, 'url'>,
  access: Partial<ConstructorParameters<typeof MsrConnection>[0]> = {},
): MsrConnection {
  const whole = { url: msr.url, username: 'admin', secret: 'admin-password', isInsecure: true, ...access };
  const connection = new MsrConnection(whole);
  test.after(async () => connection.close());
  return connection;
}

/** Looks all the time, and gives up late. */
/** How tests pull: whoever answers is believed. */
export const ACCESS: GetAccess = { env: {}, isInsecure: true };

export const QUICK_PACE: MsrPace = {
  pollMs: 1,
  switchMsMax: 60_000,
  gapMsMax: 600_000,
  drainMsMax: 60_000,
  containerMsMax: 300_000,
  collectionMsMax: 60_000,
};

export function siteOf(msr: MsrConnection, pace = QUICK_PACE): Pick<MsrSite, 'msr' | 'pace' | 'byHand'> {
  const access = { username: 'admin', secretEnv: 'MSR_TOKEN', trust: { by: 'nobody' } } as const;
  return { msr, pace, byHand: new ByHand({ url: msr.name, ...access }) };
}

/** For `assert.rejects`. */
export function isKind(kind: MsrErrorKind, ...words: readonly RegExp[]): (error: unknown) => true {
  return (error) => {
    if (!isMsrError(error, kind)) throw error;
    for (const word of words) {
      if (!word.test(textOf(error))) throw new Error(`${word} is not in "${textOf(error)}"`);
    }
    return true;
  };
}

function textOf(error: MsrError): string {
  return `${error.message}; ${error.hint ?? ''}`;
}
