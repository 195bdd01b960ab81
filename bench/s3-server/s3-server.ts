/** The embedded S3 server: what tests, bench and demo start. What it does and how it differs: docs/embedded-s3.md. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { type Backend, type BackendOptions, type KeyInfo, openBackend, type PlainObject } from './backend.ts';
import type { FaultHandle, FaultRule, FaultScript } from './faults/fault.ts';
import { timesOf } from './faults/fault-engine.ts';
import { type AnswerMessage, type ReadyMessage, remoteBackend } from './remote-backend.ts';
import type { RequestRecord } from './request-log.ts';
import type { S3ServerStats } from './stats.ts';

export interface S3ServerOptions extends BackendOptions {
  /** 1 (default): a worker thread of its own; 0: the calling thread. */
  readonly threads?: 0 | 1;
}

export interface S3Server {
  /** `http://127.0.0.1:PORT`, or https. */
  readonly endpoint: string;
  readonly port: number;
  misbehave(script: FaultScript): Promise<FaultHandle>;
  stats(): Promise<S3ServerStats>;
  /** Puts objects into a bucket without any request. */
  put(bucket: string, objects: readonly PlainObject[]): Promise<void>;
  /** What a bucket really holds, past listings and faults. */
  get(bucket: string, key: string): Promise<Uint8Array | undefined>;
  keys(bucket: string): Promise<readonly KeyInfo[]>;
  /** With `logsRequests`: the requests answered since the last call, in the order of their answers. */
  takeRequests(): Promise<readonly RequestRecord[]>;
  close(): Promise<void>;
}

export async function startS3Server(options: S3ServerOptions = {}): Promise<S3Server> {
  if (options.threads === 0)
    return serverOver(await openBackend(options, 'thread'), options, async () => undefined);
  const worker = new Worker(new URL('./server-worker.ts', import.meta.url), { workerData: options });
  const [ready] = (await once(worker, 'message')) as [ReadyMessage];
  if ('failure' in ready) {
    await worker.terminate();
    throw new Error(`Cannot start the embedded S3 server: ${ready.failure}`);
  }
  const backend = remoteBackend(
    {
      post: (message) => worker.postMessage(message),
      onAnswer: (listener) => worker.on('message', (answer: AnswerMessage) => listener(answer)),
      onGone: (listener) => {
        worker.on('error', (error: Error) => listener(`The embedded S3 server failed: ${error.message}`));
        worker.on('exit', () => listener('The embedded S3 server has ended'));
      },
    },
    ready.port,
  );
  return serverOver(backend, options, async () => void (await worker.terminate()));
}

/** @param end ends the thread or process once its server is closed. */
export function serverOver(backend: Backend, options: S3ServerOptions, end: () => Promise<void>): S3Server {
  const scheme = options.tls ? 'https' : 'http';
  let closing: Promise<void> | undefined;
  return {
    endpoint: `${scheme}://127.0.0.1:${backend.port}`,
    port: backend.port,
    misbehave: async (script) => {
      const rules: readonly FaultRule[] = 'fault' in script ? [script] : script;
      return faultHandle(backend, rules, await backend.install(rules));
    },
    stats: () => backend.stats(),
    put: (bucket, objects) => backend.put(bucket, objects),
    get: (bucket, key) => backend.get(bucket, key),
    keys: (bucket) => backend.keys(bucket),
    takeRequests: () => backend.takeRequests(),
    close: () => {
      closing ??= backend.close().then(end);
      return closing;
    },
  };
}

function faultHandle(backend: Backend, rules: readonly FaultRule[], id: number): FaultHandle {
  return {
    used: () => backend.used(id),
    remove: () => backend.remove(id),
    assertUsedUp: async () => {
      const used = await backend.used(id);
      const left = rules.flatMap((rule, index) => {
        const times = timesOf(rule);
        const count = used[index] ?? 0;
        const isUsedUp = Number.isFinite(times) ? count === times : count > 0;
        return isUsedUp ? [] : [`${rule.fault.kind} took effect ${count} times of ${times}`];
      });
      if (left.length > 0) throw new Error(`Faults were not used up: ${left.join('; ')}`);
    },
  };
}
